"""The lab that `lab up 100` brought up, as scenarios see it, and what the suite plants in it beyond the lab's model."""
import base64
import datetime as dt
import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lab"))

from kube_api import Api  # noqa: E402

# Texts that may appear in no output and no recording; each stands where real clusters keep secrets.
CANARIES = {
    "environment variable": "canary-env-5f1d0c",
    "environment variable in a probe": "canary-envprobe-83aa17",
    "command line": "canary-args-91be7e",
    "JVM system property": "canary-jvm-44c2a9",
    "secret": "canary-secret-d2207b",
    "config map": "canary-configmap-7e90f3",
    "annotation of the last applied manifest": "canary-annotation-0b6d58",
}
BROKEN_HPA = ("payments", "orders-mailer")
PROMETHEUS_POD, PROMETHEUS_SERVICE = "monitoring/prometheus-0", "monitoring/prometheus:9090"


def iso(t):
    return dt.datetime.fromtimestamp(t, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class World:
    """The servers, their truth, and the program under test."""

    def __init__(self, lab_dir, prometheus_port, api_port, work, product):
        self.lab_dir, self.api_port = lab_dir, api_port
        self.prometheus = f"http://127.0.0.1:{prometheus_port}"
        self.api_url = f"https://127.0.0.1:{api_port}"
        self.kube_dir = os.path.join(lab_dir, "kube", "k100")
        self.kubeconfig = os.path.join(self.kube_dir, "kubeconfig")
        self.ca = os.path.join(self.kube_dir, "pki", "ca.crt")
        self.server_tls = tuple(os.path.join(self.kube_dir, "pki", f"apiserver.{x}") for x in ("crt", "key"))
        # the program, where it was built
        self.victoria_metrics = os.path.join(os.environ.get("LAB_CACHE", lab_dir), "bin", "victoria-metrics")
        self.work = work
        self.product = product
        with open(os.path.join(lab_dir, "prom", "p100", "truth.json")) as f:
            truth = json.load(f)
        self.window_end = truth["end"]
        self.truth = truth["deployments"]
        self.namespaces = list(dict.fromkeys(d["namespace"] for d in self.truth))
        self.api = Api(self.kubeconfig)
        # one end of the window for every run, so that two ways of asking must give the same answer
        self.at_unix = int(time.time()) // 300 * 300
        self.at = iso(self.at_unix)
        self.tokens = {}
        self.memory = {}

    def path(self, name):
        """A file of the suite's work folder."""
        return os.path.join(self.work, name)

    def profiles(self, *names):
        return [d for d in self.truth if d["profile"] in names]

    # --- ways in -------------------------------------------------------------------------------------------------
    def token(self, account, namespace=None):
        """A token of a service account, as `kubectl create token` makes it. One that was made anew needs another."""
        path = f"/api/v1/namespaces/{namespace or self.namespaces[0]}/serviceaccounts/{account}"
        key = (path, self.api.get(path)["metadata"]["uid"])
        if key not in self.tokens:
            path = f"{path}/token"
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
            self.tokens[key] = self.api.post(path, body)["status"]["token"]
        return self.tokens[key]

    def expired_token(self, account):
        """A token that the API itself would have given, signed with its key, whose hour is over."""
        part = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")  # noqa: E731
        old = self.token(account).split(".")
        claims = json.loads(base64.urlsafe_b64decode(old[1] + "=" * (-len(old[1]) % 4)))
        for name, value in (("iat", -7200), ("nbf", -7200), ("exp", -3600)):
            claims[name] = int(time.time()) + value
        text = old[0].encode() + b"." + part(json.dumps(claims).encode())
        key = os.path.join(self.kube_dir, "pki", "sa.key")
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=text, capture_output=True, check=True).stdout
        return (text + b"." + part(signature)).decode()

    def kubeconfig_for(self, name, token, server=None, ca=None):
        """A kubeconfig file with a bearer token."""
        with open(ca or self.ca, "rb") as f:
            authority = base64.b64encode(f.read()).decode()
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": name,
            "clusters": [{"name": name, "cluster": {"server": server or self.api_url, "certificate-authority-data": authority}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        }
        path = self.path(f"{name}.kubeconfig")
        with open(path, "w") as f:
            json.dump(config, f)  # JSON is YAML
        return path

    def prometheus_query(self, query, at=None):
        """[(labels, value)] of an instant query, straight from the real server."""
        form = urllib.parse.urlencode({"query": query, "time": at or self.at_unix}).encode()
        with urllib.request.urlopen(f"{self.prometheus}/api/v1/query", form, timeout=120) as answer:
            return [(r["metric"], float(r["value"][1])) for r in json.load(answer)["data"]["result"]]

    def prometheus_range(self, query, start, end, step):
        """[(labels, [(time, value)])] of a range query, straight from the real server."""
        form = urllib.parse.urlencode({"query": query, "start": start, "end": end, "step": step}).encode()
        with urllib.request.urlopen(f"{self.prometheus}/api/v1/query_range", form, timeout=120) as answer:
            result = json.load(answer)["data"]["result"]
            return [(r["metric"], [(at, float(value)) for at, value in r["values"]]) for r in result]

    # --- runs that several scenarios compare with ----------------------------------------------------------------
    def whole(self):
        """The report with every right and both sources; made once."""
        if "whole" not in self.memory:
            run = self.product.check("--prometheus", self.prometheus, "--kubeconfig", self.kubeconfig, "-A", "--at", self.at)
            self.memory["whole"] = run
        return self.memory["whole"]

    # --- a second cluster ----------------------------------------------------------------------------------------
    def kube_up(self, *arguments):
        """The second control plane, next to that of the lab: a kube-apiserver of its own, with an etcd of its own."""
        script = os.path.join(os.path.dirname(__file__), "..", "lab", "kube-up")
        command = [script, "--dir", self.lab_dir, "--name", "second", "--port", str(self.api_port + 100), *arguments]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)

    def second(self):
        """The kubeconfig of a second cluster that runs, with one Deployment in the namespace `edge`; made anew once."""
        self.kube_up(*([] if "second" in self.memory else ["--fresh"]))
        kubeconfig = os.path.join(self.lab_dir, "kube", "second", "kubeconfig")
        if "second" not in self.memory:
            self.memory["second"] = kubeconfig
            api = Api(kubeconfig)
            api.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "edge"}})
            container = {"name": "jobs", "image": "img.lab.example/ci/gitlab-runner:17.0"}  # without requests and limits
            api.post("/apis/apps/v1/namespaces/edge/deployments", {
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "jobs"},
                "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "jobs"}},
                         "template": {"metadata": {"labels": {"app": "jobs"}}, "spec": {"containers": [container]}}}})
            self.wait_for(lambda: len(api.get("/api/v1/namespaces/edge/pods")["items"]) == 2, "the pods of the second cluster")
        return kubeconfig

    # --- what the model does not have ----------------------------------------------------------------------------
    def plant(self):
        """A StatefulSet to reach Prometheus through, an autoscaler that cannot read its metric, and secrets."""
        now = time.time()
        self.namespace("monitoring")
        labels = {"app": "prometheus"}
        resources = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}
        container = {"name": "prometheus", "image": "img.lab.example/monitoring/prometheus:3.15.0", "resources": resources,
                     "ports": [{"containerPort": 9090, "name": "web"}]}
        self.api.post("/api/v1/namespaces/monitoring/services", {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "prometheus"},
            "spec": {"selector": labels, "ports": [{"name": "web", "port": 9090, "targetPort": 9090}]}})
        self.api.post("/apis/apps/v1/namespaces/monitoring/statefulsets", {
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "prometheus"},
            "spec": {"serviceName": "prometheus", "replicas": 1, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}})

        namespace, name = BROKEN_HPA
        path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"
        metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
        self.api.post(path, {
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name},
            "spec": {"minReplicas": 2, "maxReplicas": 20, "metrics": [metric],
                     "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}}})
        since = iso(now - 9000)
        self.api.status(f"{path}/{name}", {"status": {
            "currentReplicas": 6, "desiredReplicas": 6, "conditions": [
                {"type": "AbleToScale", "status": "True", "reason": "SucceededGetScale", "message": "", "lastTransitionTime": since},
                {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "lastTransitionTime": since,
                 "message": "the HPA was unable to compute the replica count: failed to get cpu utilization: missing request for cpu "
                            "in container istio-proxy of Pod orders-mailer"}]}})

        self.namespace("vault")
        applied = json.dumps({"spec": {"containers": [{"env": [{"name": "PASSWORD", "value": CANARIES["annotation of the last applied manifest"]}]}]}})
        b64 = lambda key: base64.b64encode(CANARIES[key].encode()).decode()  # noqa: E731
        self.api.post("/api/v1/namespaces/vault/secrets", {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "database"}, "data": {"password": b64("secret")}})
        self.api.post("/api/v1/namespaces/vault/configmaps", {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"token": CANARIES["config map"]}})
        probe = {"exec": {"command": ["check", "--password", CANARIES["environment variable in a probe"]]}}
        keeper = {
            "name": "keeper", "image": "img.lab.example/vault/keeper:1.0", "livenessProbe": probe,
            "command": ["keeper", f"--token={CANARIES['command line']}"], "args": ["--password", CANARIES["command line"]],
            "env": [{"name": "DATABASE_PASSWORD", "value": CANARIES["environment variable"]},
                    {"name": "JAVA_TOOL_OPTIONS", "value": f"-Xmx512m -Djavax.net.ssl.keyStorePassword={CANARIES['JVM system property']}"},
                    {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "database", "key": "password"}}}],
            # no limits: the workload has findings, so its details are in every report
        }
        annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied}
        self.api.post("/apis/apps/v1/namespaces/vault/deployments", {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "keeper", "annotations": annotations},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "keeper"}},
                     "template": {"metadata": {"labels": {"app": "keeper"}, "annotations": annotations}, "spec": {"containers": [keeper]}}}})
        self.wait_for_pods("monitoring", 1)
        self.wait_for_pods("vault", 1)

    def namespace(self, name):
        self.api.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self.wait_for(lambda: any(x["metadata"]["name"] == "default" for x in self.api.get(f"/api/v1/namespaces/{name}/serviceaccounts")["items"]),
                      f"the service account of namespace {name}")

    def wait_for_pods(self, namespace, number):
        def running():
            pods = self.api.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
            return sum(p["status"].get("phase") == "Running" for p in pods) >= number
        self.wait_for(running, f"{number} running pods in namespace {namespace}")

    def wait_for(self, condition, what, seconds=60):
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                raise TimeoutError(f"waited {seconds} s for {what}")
            time.sleep(.2)
