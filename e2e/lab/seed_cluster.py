#!/usr/bin/env python3
"""Creates the made cluster (cluster_model.py) in a real kube-apiserver: the same names as in Prometheus.

Order: nodes, namespaces, pods (orphans with fixed names, status written through the status subresource), Services, then
ReplicaSets and Deployments, which the real controllers let adopt them: so no random pod names.
Only the standard library is used. Give it the same --namespaces --deployments --pods --seed --days as gen_cluster.py,
and --truth from prom-up so that restart counts agree.
"""
import argparse
import base64
import concurrent.futures as cf
import datetime as dt
import json
import os
import subprocess
import tempfile
import time

import cluster_model as cm
from kube_api import Api

MI = 1024 * 1024


def iso(t):
    return dt.datetime.fromtimestamp(t, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def q(v):
    return f"{int(round(v * 1000))}m"


def template(d, old=False):
    res = {}
    if d.cpu_req:
        res = {"requests": {"cpu": q(d.cpu_req), "memory": f"{d.mem_req // MI}Mi"}, "limits": {"cpu": q(d.cpu_lim), "memory": f"{d.mem_lim // MI}Mi"}}
    img = d.image if not old else d.image.rsplit(":", 1)[0] + ":1.0.0"
    if d.profile == "nolimits":
        img = d.image.rsplit(":", 1)[0] + ":latest"
    main = {"name": d.container, "image": img, "resources": res, "imagePullPolicy": "Always" if d.profile in ("spiky", "nolimits") else "IfNotPresent",
            "ports": [{"containerPort": 8080, "name": "http"}]}
    if d.profile not in ("idle", "nolimits"):
        main["readinessProbe"] = main["livenessProbe"] = {"httpGet": {"path": "/healthz", "port": 8080}}
    if d.env:
        main["env"] = [{"name": k, "value": v} for k, v in d.env.items()]
    cs = [main]
    if d.sidecar:
        cs.append({"name": "istio-proxy", "image": "img.lab.example/istio/proxyv2:1.22.0", "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}})
    return cs


def usage(d, p):
    req = d.mem_req or 512 * MI
    f = {"overprov": .17, "idle": .06, "underprov": .9 * (d.mem_lim or 0) / req, "leak": .9 * (d.mem_lim or 0) / req / 1.25}.get(d.profile, .62)
    return {"lab/usage-memory": f"{int(req * f) // MI}Mi",
            "lab/usage-cpu": q(max(.001, (d.cpu_lim * .9 if d.profile == "throttled" else (d.cpu_req or .3) * (.12 if d.profile == "overprov" else .45))))}


def pod_objects(d, p, a, now, restarts, nodes):
    labels = {"app": d.name, "pod-template-hash": p.rs.rsplit("-", 1)[1], "lab/status": "custom"}
    pod = {"apiVersion": "v1", "kind": "Pod",
           "metadata": {"name": p.name, "namespace": d.ns, "labels": labels, "annotations": usage(d, p)},
           "spec": {"containers": template(d)}}
    if d.profile == "pending":
        del labels["lab/status"]        # the real scheduler finds no node with 900 GiB
        return pod, None
    pod["spec"]["nodeName"] = nodes[p.node].name
    start = now - a.days * 86400 * (1 - p.born)
    ready = d.profile not in ("crashloop", "imagepull")
    t = iso(start)
    cs = []
    for c in pod["spec"]["containers"]:
        st = {"name": c["name"], "image": c["image"], "imageID": c["image"] + "@sha256:" + "0" * 64, "containerID": "containerd://" + p.uid.replace("-", "") * 2,
              "ready": ready, "started": ready, "restartCount": 0, "state": {"running": {"startedAt": t}}, "lastState": {}}
        if c["name"] == d.container:
            st["restartCount"] = restarts
            if d.profile == "leak_oom" and restarts:
                st["lastState"] = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "startedAt": iso(now - 30 * 3600), "finishedAt": iso(now - 5400)}}
                st["state"] = {"running": {"startedAt": iso(now - 5395)}}
            if d.profile == "crashloop":
                st["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container=app"}}
                st["lastState"] = {"terminated": {"exitCode": 255, "reason": "Error", "message": "exec /app/server: exec format error",
                                                  "startedAt": iso(now - 200), "finishedAt": iso(now - 199)}}
            if d.profile == "imagepull":
                st["state"] = {"waiting": {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{c["image"]}": not found'}}
                st["containerID"] = st["imageID"] = ""
        cs.append(st)
    nr = {} if ready else {"reason": "ContainersNotReady", "message": f"containers with unready status: [{d.container}]"}
    status = {"phase": "Pending" if d.profile == "imagepull" else "Running", "startTime": t, "hostIP": "127.0.0.1", "podIP": p.ip, "podIPs": [{"ip": p.ip}],
              "containerStatuses": cs, "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": t},
                                                      {"type": "Initialized", "status": "True", "lastTransitionTime": t}] +
              [dict({"type": x, "status": str(ready), "lastTransitionTime": t}, **nr) for x in ("Ready", "ContainersReady")]}
    return pod, {"status": status}


def event(ns, kind, name, reason, msg, typ="Warning", count=1, first=0.0, last=0.0, api="v1", uid="", comp="kubelet"):
    return {"apiVersion": "v1", "kind": "Event", "metadata": {"generateName": name[:40] + ".", "namespace": ns}, "reason": reason, "message": msg, "type": typ,
            "count": count, "firstTimestamp": iso(first), "lastTimestamp": iso(last), "source": {"component": comp},
            "involvedObject": {"apiVersion": api, "kind": kind, "name": name, "namespace": ns, "uid": uid}}


def cert(days_from, days_to, cn):
    """a self-signed certificate valid from..to (days from now, may be in the past)"""
    d = tempfile.mkdtemp()
    f = lambda t: dt.datetime.fromtimestamp(time.time() + t * 86400, dt.timezone.utc).strftime("%Y%m%d%H%M%SZ")  # noqa: E731
    open(f"{d}/index", "w").close()
    open(f"{d}/serial", "w").write("01\n")
    open(f"{d}/c", "w").write(f"[ca]\ndefault_ca=x\n[x]\ndatabase={d}/index\nserial={d}/serial\nnew_certs_dir={d}\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
    run = lambda *c: subprocess.run(c, check=True, capture_output=True)  # noqa: E731
    run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{d}/k", "-out", f"{d}/r", "-subj", f"/CN={cn}")
    run("openssl", "ca", "-batch", "-notext", "-selfsign", "-config", f"{d}/c", "-keyfile", f"{d}/k", "-in", f"{d}/r", "-out", f"{d}/o", "-startdate", f(days_from), "-enddate", f(days_to))
    return open(f"{d}/o", "rb").read(), open(f"{d}/k", "rb").read()


def until(what, missing):
    """Waits until `missing()` is an empty set."""
    for _ in range(300):
        left = missing()
        if not left:
            return
        time.sleep(.2)
    raise TimeoutError(f"{what}: {len(left)} are missing after 60 s, such as {min(left)}: is the controller manager up?")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cm.add_args(ap)
    ap.add_argument("--kubeconfig", default=os.environ.get("KUBECONFIG"))
    ap.add_argument("--truth", help="truth.json of the fill (restart counts)")
    ap.add_argument("--threads", type=int, default=8)
    a = ap.parse_args()
    began = now = time.time()
    api = Api(a.kubeconfig)
    c = cm.build(a.namespaces, a.deployments, a.pods, a.seed, a.days)
    truth = {}
    if a.truth:
        truth = {(t["namespace"], t["deployment"]): t for t in json.load(open(a.truth))["deployments"]}
    ex = cf.ThreadPoolExecutor(a.threads)
    every = lambda f, xs: list(ex.map(f, xs))  # noqa: E731

    def node(n):
        api.post("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": n.name, "annotations": {
            "kwok.x-k8s.io/node": "fake", "metrics.k8s.io/resource-metrics-path": f"/metrics/nodes/{n.name}/metrics/resource"},
            "labels": {"kubernetes.io/hostname": n.name, "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": "lab-a", "type": "kwok"}}})
        r = {"cpu": str(n.cpu), "memory": f"{n.mem // MI}Mi", "pods": "250", "ephemeral-storage": "500Gi"}
        t = iso(now - 40 * 86400)
        api.status(f"/api/v1/nodes/{n.name}", {"status": {"capacity": r, "allocatable": r, "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": n.name}],
            "nodeInfo": {"kubeletVersion": "v1.35.4", "architecture": "amd64", "operatingSystem": "linux", "osImage": "lab", "containerRuntimeVersion": "containerd://2.0.0",
                         "kernelVersion": "6.1", "bootID": "x", "machineID": n.name, "systemUUID": n.name, "kubeProxyVersion": ""},
            "daemonEndpoints": {"kubeletEndpoint": {"Port": int(api.host.split(":")[1]) + 5}},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "", "lastHeartbeatTime": iso(now), "lastTransitionTime": t}] +
                          [{"type": x, "status": "False", "reason": "Ok", "message": "", "lastHeartbeatTime": iso(now), "lastTransitionTime": t} for x in ("MemoryPressure", "DiskPressure", "PIDPressure")]}})
        api.do("PATCH", f"/api/v1/nodes/{n.name}", {"spec": {"taints": None}}, ctype="application/merge-patch+json")
    every(node, c.nodes)

    def ns(n):
        api.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n, "labels": {"team": n}}})
        for _ in range(150):       # the controller manager makes the default service account
            if any(x["metadata"]["name"] == "default" for x in api.do("GET", f"/api/v1/namespaces/{n}/serviceaccounts")["items"]):
                return
            time.sleep(.1)
    every(ns, c.namespaces)
    t_ns = time.time()

    pods = [(d, p) for d in c.deployments for p in d.pods]

    def pod(x):
        d, p = x
        tr = truth.get((d.ns, d.name))
        r = p.restarts or (max(1, round(tr["restarts"] / len(d.pods))) if tr and d.profile == "leak_oom" else 3 if d.profile == "leak_oom" else 0)
        o, st = pod_objects(d, p, a, now, r, c.nodes)
        api.post(f"/api/v1/namespaces/{d.ns}/pods", o)
        if st:
            api.status(f"/api/v1/namespaces/{d.ns}/pods/{p.name}", st)
    every(pod, pods)
    every(lambda d: api.post(f"/api/v1/namespaces/{d.ns}/services", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": d.name, "namespace": d.ns, "labels": {"app": d.name}},
        "spec": {"selector": {"app": d.name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}), c.deployments)
    # The controllers must meet pods before ReplicaSets, and these before Deployments: else they make others of their own, and
    # remove some of both. What they have seen, they share: an EndpointSlice that names a pod tells that it is known.
    addressed = {(d.ns, p.name) for d, p in pods if d.profile != "pending"}
    until("pods in EndpointSlices", lambda: addressed - {
        (s["metadata"]["namespace"], e["targetRef"]["name"])
        for s in api.get("/apis/discovery.k8s.io/v1/endpointslices")["items"] for e in s["endpoints"] or () if "targetRef" in e})
    t_pods = time.time()

    def replica_sets(d):
        rss = ([(d.old_rs, 0, True, 1)] if d.old_rs else []) + [(d.rs, len(d.pods), False, 2 if d.old_rs else 1)]
        for rs, n, old, rev in rss:
            h = rs.rsplit("-", 1)[1]
            l = {"app": d.name, "pod-template-hash": h}
            api.post(f"/apis/apps/v1/namespaces/{d.ns}/replicasets", {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": rs, "namespace": d.ns, "labels": l,
                "annotations": {"deployment.kubernetes.io/revision": str(rev)}}, "spec": {"replicas": n, "selector": {"matchLabels": l},
                "template": {"metadata": {"labels": l}, "spec": {"containers": template(d, old)}}}})
    every(replica_sets, c.deployments)
    owners = {(d.ns, rs) for d in c.deployments for rs in (d.old_rs, d.rs) if rs}
    until("ReplicaSets with their pods", lambda: owners - {
        (r["metadata"]["namespace"], r["metadata"]["name"]) for r in api.get("/apis/apps/v1/replicasets")["items"]
        if r["status"].get("observedGeneration") and r["status"]["replicas"] == r["spec"]["replicas"]})

    def deploy(d):
        api.post(f"/apis/apps/v1/namespaces/{d.ns}/deployments", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": d.name, "namespace": d.ns, "labels": {"app": d.name, "lab/profile": d.profile}},
            "spec": {"replicas": len(d.pods), "selector": {"matchLabels": {"app": d.name}}, "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                     "template": {"metadata": {"labels": {"app": d.name}}, "spec": {"containers": template(d)}}}})
        ev = lambda *x, **k: api.post(f"/api/v1/namespaces/{d.ns}/events", event(d.ns, *x, **k))  # noqa: E731
        p0 = d.pods[0].name
        if d.hpa:
            hb = f"/apis/autoscaling/v2/namespaces/{d.ns}/horizontalpodautoscalers"
            api.post(hb, {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": d.name, "namespace": d.ns},
                "spec": {"minReplicas": d.hpa["min"], "maxReplicas": d.hpa["max"], "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": d.name},
                         "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": d.hpa["target"]}}}]}})
            broken = d.profile == "cyclic"            # <unknown>: the metric cannot be read
            u = 108 if d.profile == "hpa_max" else 66
            cond = [{"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale", "message": "recommended size matches current size", "lastTransitionTime": iso(now - 9000)},
                    {"type": "ScalingActive", "status": "False" if broken else "True", "reason": "FailedGetResourceMetric" if broken else "ValidMetricFound",
                     "message": "the HPA was unable to compute the replica count" if broken else "the HPA was able to compute the replica count", "lastTransitionTime": iso(now - 9000)},
                    {"type": "ScalingLimited", "status": str(d.profile == "hpa_max"), "reason": "TooManyReplicas" if d.profile == "hpa_max" else "DesiredWithinRange", "message": "", "lastTransitionTime": iso(now - 9000)}]
            st = {"currentReplicas": len(d.pods), "desiredReplicas": len(d.pods), "conditions": cond, "lastScaleTime": iso(now - 1800)}
            if not broken:
                st["currentMetrics"] = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": u, "averageValue": q((d.cpu_req or .1) * u / 100)}}}]
            api.status(f"{hb}/{d.name}", {"status": st})
            if d.profile == "hpa_over":
                for i in range(9):
                    n = len(d.pods) + (2 if i % 2 else -1)
                    ev("HorizontalPodAutoscaler", d.name, "SuccessfulRescale", f"New size: {max(1, n)}; reason: cpu resource utilization (percentage of request) {'above' if i % 2 else 'below'} target",
                       typ="Normal", first=now - 7200 * (i + 1), last=now - 7200 * (i + 1), api="autoscaling/v2", comp="horizontal-pod-autoscaler")
            if broken:
                ev("HorizontalPodAutoscaler", d.name, "FailedGetResourceMetric", "failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API",
                   count=412, first=now - 90000, last=now - 60, api="autoscaling/v2", comp="horizontal-pod-autoscaler")
        if d.profile == "leak_oom":
            ev("Pod", p0, "OOMKilling", "Memory cgroup out of memory: Killed process 4711 (java) total-vm:6291456kB, anon-rss:2090000kB", count=3, first=now - 86400 * 4, last=now - 5400, comp="kernel-monitor")
            ev("Pod", p0, "BackOff", f"Back-off restarting failed container app in pod {p0}", count=4, first=now - 86400, last=now - 5390)
        if d.profile == "crashloop":
            ev("Pod", p0, "BackOff", f"Back-off restarting failed container app in pod {p0}", count=2210, first=now - 86400 * 2, last=now - 30)
            ev("Pod", p0, "Failed", "Error: failed to start container \"app\": exec /app/server: exec format error", count=97, first=now - 86400 * 2, last=now - 199)
        if d.profile == "imagepull":
            ev("Pod", p0, "Failed", f'Failed to pull image "{d.image}": rpc error: code = NotFound', count=300, first=now - 86400, last=now - 45)
            ev("Pod", p0, "BackOff", f'Back-off pulling image "{d.image}"', count=900, first=now - 86400, last=now - 20)
        if d.profile == "underprov":
            ev("Pod", p0, "Unhealthy", "Readiness probe failed: context deadline exceeded", count=17, first=now - 86400, last=now - 600)
        if d.profile == "spiky":
            ev("Pod", p0, "FailedMount", "MountVolume.SetUp failed for volume \"config\": configmap \"app-config\" not found", count=2, first=now - 4000, last=now - 3900)
    every(deploy, c.deployments)

    # a pending pod has waited for hours, as everything else here is old; the scheduler keeps the time of a condition that stays
    def waiting_since(p, ns, since):
        path = f"/api/v1/namespaces/{ns}/pods/{p.name}"
        for _ in range(100):
            conditions = api.get(path)["status"].get("conditions", [])
            refused = [x for x in conditions if x["type"] == "PodScheduled" and x["status"] == "False"]
            if refused and refused[0]["lastTransitionTime"] == since:
                return
            if refused:
                api.status(path, {"status": {"conditions": [dict(x, lastTransitionTime=since) for x in conditions]}})
            time.sleep(.2)
        raise TimeoutError(f"pod {ns}/{p.name}: the scheduler has not refused it within 20 s")
    every(lambda x: waiting_since(x[1], x[0].ns, iso(now - 6 * 3600)), [x for x in pods if x[0].profile == "pending"])
    t_dep = time.time()

    # batch work, certificates, RBAC in the first namespace(s)
    n0, n1 = c.namespaces[0], c.namespaces[min(1, len(c.namespaces) - 1)]
    jt = lambda lab: {"metadata": {"labels": lab}, "spec": {"restartPolicy": "Never", "containers": [{"name": "job", "image": "img.lab.example/batch/job:1.0", "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}}}]}}  # noqa: E731
    for nm, sched, sus, lab, last in (("backup-nightly", "0 3 * * *", False, {}, 3 * 86400), ("report-hourly", "7 * * * *", False, {}, 1800), ("tick", "* * * * *", False, {}, 0),
                                      ("flaky-sync", "*/10 * * * *", False, {"lab/job": "fail"}, 26 * 3600), ("paused-etl", "0 1 * * *", True, {}, 40 * 86400)):
        b = f"/apis/batch/v1/namespaces/{n0}/cronjobs"
        api.post(b, {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": nm, "namespace": n0}, "spec": {"schedule": sched, "suspend": sus, "startingDeadlineSeconds": 120,
            "concurrencyPolicy": "Forbid", "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 2, "jobTemplate": {"spec": {"backoffLimit": 1, "template": jt(lab)}}}})
        if last:
            api.status(f"{b}/{nm}", {"status": {"lastScheduleTime": iso(now - 60), "lastSuccessfulTime": iso(now - last)}})
    for i in range(3):
        api.post(f"/apis/batch/v1/namespaces/{n0}/jobs", {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": f"migrate-{i}", "namespace": n0}, "spec": {"template": jt({"lab/job": "fail"} if i == 2 else {}), "backoffLimit": 0}})
    for nm, f, t in (("tls-ok", -10, 80), ("tls-soon", -80, 9), ("tls-expired", -100, -2)):
        crt, key = cert(f, t, f"{nm}.lab.example")
        api.post(f"/api/v1/namespaces/{n1}/secrets", {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": nm, "namespace": n1},
            "data": {"tls.crt": base64.b64encode(crt).decode(), "tls.key": base64.b64encode(key).decode()}})
        svc = next(d.name for d in c.deployments if d.ns == n1)
        api.post(f"/apis/networking.k8s.io/v1/namespaces/{n1}/ingresses", {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": nm, "namespace": n1}, "spec": {
            "tls": [{"hosts": [f"{nm}.lab.example"], "secretName": nm}], "rules": [{"host": f"{nm}.lab.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": svc, "port": {"number": 80}}}}]}}]}})
    # a reader that may see everything the tool needs, and one that may see one namespace only
    api.post(f"/api/v1/namespaces/{n0}/serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "health-reader", "namespace": n0}})
    api.post(f"/api/v1/namespaces/{n0}/serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "narrow-reader", "namespace": n0}})
    rules = [{"apiGroups": ["", "apps", "batch", "autoscaling", "networking.k8s.io", "discovery.k8s.io", "policy", "apiregistration.k8s.io"],
              "resources": ["nodes", "namespaces", "pods", "services", "events", "deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs",
              "horizontalpodautoscalers", "ingresses", "endpointslices", "secrets", "poddisruptionbudgets", "persistentvolumeclaims", "resourcequotas",
              "persistentvolumes", "apiservices"],
              "verbs": ["get", "list", "watch"]}]
    rb = "/apis/rbac.authorization.k8s.io/v1"
    api.post(rb + "/clusterroles", {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "health-reader"}, "rules": rules})
    api.post(rb + "/clusterrolebindings", {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "health-reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "health-reader"}, "subjects": [{"kind": "ServiceAccount", "name": "health-reader", "namespace": n0}]})
    api.post(rb + f"/namespaces/{n0}/rolebindings", {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "narrow-reader", "namespace": n0},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "health-reader"}, "subjects": [{"kind": "ServiceAccount", "name": "narrow-reader", "namespace": n0}]})
    print(f"seed_cluster: {len(c.nodes)} nodes, {len(c.namespaces)} namespaces, {len(c.deployments)} deployments, {len(pods)} pods; {api.calls} API calls; "
          f"namespaces+nodes {t_ns - began:.1f} s, pods {t_pods - t_ns:.1f} s, deployments {t_dep - t_pods:.1f} s, all {time.time() - began:.1f} s")


if __name__ == "__main__":
    main()
