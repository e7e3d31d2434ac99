"""Platforms of images, from a real registry (Debian's docker-registry) behind a gateway that plays what registries do to those who ask."""
import contextlib
import hashlib
import http.client
import json
import os
import socket
import subprocess
import time
from urllib.parse import urlsplit

from .case import scenario, shorten
from .gateway import HANG, Answer, Gateway, basic

NAMESPACE = "lab-registry"
NODE = "registry-arm"
USER, PASSWORD = "reader", "canary-registry-7d20"
# Of the password, by bcrypt, the only kind that the registry takes.
HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuu.wasLetb8l8uY6GxRnrFSgufv.EZFQS\n"
TOKEN = "canary-token-91f3"
OCI = "application/vnd.oci.image"
TAINT = {"key": "lab/arm", "value": "yes", "effect": "NoSchedule"}
TOLERATES = {"tolerations": [{"key": "lab/arm", "operator": "Exists"}]}


class Registry:
    """The real registry, as a process of its own."""

    def __init__(self, program, folder):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        os.makedirs(folder)
        users, config = os.path.join(folder, "htpasswd"), os.path.join(folder, "config.yml")
        with open(users, "w") as f:
            f.write(HTPASSWD)
        with open(config, "w") as f:
            json.dump({"version": "0.1", "log": {"level": "error"}, "http": {"addr": self.host},
                       "storage": {"filesystem": {"rootdirectory": os.path.join(folder, "data")}},
                       "auth": {"htpasswd": {"realm": "lab", "path": users}}}, f)  # JSON is YAML
        with open(os.path.join(folder, "log"), "w") as log:
            self.process = subprocess.Popen([program, "serve", config], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def __enter__(self):
        for _ in range(150):
            with contextlib.suppress(OSError):
                if self.call("GET", "/v2/")[0] == 200:
                    return self
            time.sleep(.1)
        raise TimeoutError("the registry does not answer")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)

    def call(self, method, target, body=None, kind="application/octet-stream"):
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            connection.request(method, target, body, {"Authorization": basic(USER, PASSWORD), "Content-Type": kind})
            answer = connection.getresponse()
            answer.read()
            return answer.status, dict(answer.getheaders())
        finally:
            connection.close()

    def blob(self, repository, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        _, headers = self.call("POST", f"/v2/{repository}/blobs/uploads/")
        at = urlsplit(headers["Location"])
        status, _ = self.call("PUT", f"{at.path}?{at.query}&digest={digest}", data)
        assert status == 201, f"blob of {repository}: {status}"
        return {"mediaType": f"{OCI}.config.v1+json", "digest": digest, "size": len(data)}

    def manifest(self, repository, reference, content, kind):
        data = json.dumps(content).encode()
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        status, _ = self.call("PUT", f"/v2/{repository}/manifests/{reference or digest}", data, kind)
        assert status == 201, f"manifest of {repository}: {status}"
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    def image(self, repository, reference, os_name, architecture, variant=None):
        """One image for one platform."""
        config = {"os": os_name, "architecture": architecture, "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}
        if variant:
            config["variant"] = variant
        descriptor = self.blob(repository, json.dumps(config).encode())
        kind = f"{OCI}.manifest.v1+json"
        return self.manifest(repository, reference, {"schemaVersion": 2, "mediaType": kind, "config": descriptor, "layers": []}, kind)

    def index(self, repository, tag, platforms):
        """An index over images of several platforms, with an attestation beside them as buildx writes it."""
        parts = []
        for os_name, architecture, variant in platforms:
            platform = {"os": os_name, "architecture": architecture, **({"variant": variant} if variant else {})}
            parts.append({**self.image(repository, None, os_name, architecture, variant), "platform": platform})
        parts.append({**self.image(repository, None, "unknown", "unknown"), "platform": {"os": "unknown", "architecture": "unknown"},
                      "annotations": {"vnd.docker.reference.type": "attestation-manifest"}})
        kind = f"{OCI}.index.v1+json"
        self.manifest(repository, tag, {"schemaVersion": 2, "mediaType": kind, "manifests": parts}, kind)

    def fill(self):
        self.index("lab/both", "1", [("linux", "amd64", None), ("linux", "arm64", "v8")])
        self.index("lab/half", "1", [("linux", "amd64", None)])
        self.image("lab/single", "1", "linux", "amd64")


@contextlib.contextmanager
def arm_node(world):
    """A node of another architecture, which takes only pods that tolerate it."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    path = f"/api/v1/nodes/{NODE}"
    room = {"cpu": "4", "memory": "16Gi", "pods": "20"}
    world.api.post("/api/v1/nodes", {
        "apiVersion": "v1", "kind": "Node", "spec": {"taints": [TAINT]},
        "metadata": {"name": NODE, "annotations": {"kwok.x-k8s.io/node": "fake"},
                     "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/arch": "arm64", "kubernetes.io/os": "linux", "type": "kwok"}}})
    try:
        world.api.status(path, {"status": {
            "capacity": room, "allocatable": room,
            "nodeInfo": {"kubeletVersion": "v1.35.4", "architecture": "arm64", "operatingSystem": "linux", "osImage": "lab", "kubeProxyVersion": "",
                         "containerRuntimeVersion": "containerd://2.0.0", "kernelVersion": "6.1", "bootID": "x", "machineID": NODE, "systemUUID": NODE},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "", "lastHeartbeatTime": now, "lastTransitionTime": now}]}})
        yield
    finally:
        world.api.do("DELETE", path)


def pods(world, host):
    """Name, image, node, more of the specification, whether it runs."""
    amd = sorted(n["metadata"]["name"] for n in world.api.get("/api/v1/nodes")["items"] if n["metadata"]["name"] != NODE)[0]
    selects = {"nodeSelector": {"kubernetes.io/arch": "amd64"}, **TOLERATES}
    requires = {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]}]}}}, **TOLERATES}
    return (
        ("both", f"{host}/lab/both:1", amd, TOLERATES, True),
        ("half", f"{host}/lab/half:1", amd, TOLERATES, True),
        ("single", f"{host}/lab/single:1", amd, TOLERATES, True),
        ("tainted", f"{host}/lab/single:1", amd, {}, True),
        ("selects", f"{host}/lab/single:1", amd, selects, True),
        ("requires", f"{host}/lab/single:1", amd, requires, True),
        ("emulated", f"{host}/lab/single:1", NODE, TOLERATES, True),
        ("loops", f"{host}/lab/single:1", NODE, TOLERATES, False),
        ("gone", f"{host}/lab/gone:1", amd, TOLERATES, True),
        ("hub", "nginx:1.27", amd, TOLERATES, True),
    )


def plant(world, host):
    world.namespace(NAMESPACE)
    now = time.time()
    at = lambda ago: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - ago))  # noqa: E731
    for name, image, node, more, runs in pods(world, host):
        world.api.post(f"/api/v1/namespaces/{NAMESPACE}/pods", {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name, "lab/status": "custom"}},
            "spec": {"nodeName": node, "containers": [{"name": "app", "image": image}], **more}})
        state = {"running": {"startedAt": at(3600)}} if runs else {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}
        last = {} if runs else {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": at(200), "finishedAt": at(199)}}
        world.api.status(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}", {"status": {
            "phase": "Running", "startTime": at(3600),
            "conditions": [{"type": t, "status": str(runs), "lastTransitionTime": at(3600)} for t in ("Ready", "ContainersReady")],
            "containerStatuses": [{"name": "app", "image": image, "imageID": "", "ready": runs, "restartCount": 0 if runs else 9, "state": state, "lastState": last}]}})


def wants_token(request, gateway):
    """What Docker Hub and most others do: a token of another address, for one repository."""
    if request.path == "/token":
        if request.headers.get("Authorization") != basic(USER, PASSWORD):
            return Answer(401, "{}")
        return Answer(200, json.dumps({"token": f"{TOKEN}-{request.address.get('scope')}", "expires_in": 300}))
    repository = "/".join(request.path.split("/")[2:4])
    scope = f"repository:{repository}:pull"
    if request.headers.get("Authorization") != f"Bearer {TOKEN}-{scope}":
        challenge = f'Bearer realm="{gateway.url}/token",service="lab, registry",scope="{scope}"'
        return Answer(401, '{"errors": [{"code": "UNAUTHORIZED"}]}', {"WWW-Authenticate": challenge})
    request.headers.replace_header("Authorization", basic(USER, PASSWORD))
    return None


@scenario
def registry(world, case):
    """Platforms of images from a real registry: nodes of two architectures, selectors, taints, tokens, limits, faults."""
    program = os.path.join(os.environ.get("LAB_CACHE", world.lab_dir), "bin", "docker-registry")
    if not os.path.exists(program):
        case.note("left out, there is no docker-registry")
        return
    with Registry(program, world.path("registry")) as real, Gateway(f"http://{real.host}") as gateway, arm_node(world):
        real.fill()
        try:
            plant(world, urlsplit(gateway.url).netloc)
            judge(world, case, gateway)
        finally:
            world.api.do("DELETE", f"/api/v1/namespaces/{NAMESPACE}")


def judge(world, case, gateway):
    host = urlsplit(gateway.url).netloc

    def run(*arguments, password=PASSWORD, more=""):
        config = world.path("registry.yaml")
        with open(config, "w") as f:
            f.write(f"""clusters:
- name: lab
  kubernetes: {{kubeconfig: {json.dumps(world.kubeconfig)}}}
  namespaces: [{NAMESPACE}]
registries:
- {{host: "{host}", username-env: REGISTRY_USER, password-env: REGISTRY_PASSWORD, plain-http: true{more}}}
""")
        gateway.requests.clear()
        form = () if "--dry-run" in arguments else ("--format", "json")
        return world.product.run("check", *form, "--config", config, "--only", "image-architecture,crash-looping", *arguments,
                                 env={"REGISTRY_USER": USER, "REGISTRY_PASSWORD": password}, timeout=300)

    def told(report):
        return {(f["check"], f["severity"], f["subject"]["name"]) for f in report.findings}

    def gaps(report):
        return [g for g in report.gaps if g["scope"] == "lab/registries"]

    everything = {("image-architecture", "warning", "half"), ("image-architecture", "warning", "single"),
                  ("image-architecture", "critical", "loops"), ("crash-looping", "warning", "loops")}
    silent = {("crash-looping", "critical", "loops")}

    record = world.path("registry.ndjson")
    live = run("--record", record)
    case.same_set(told(live.report), everything, "findings with Basic credentials")
    single = next((f for f in live.report.findings if f["subject"]["name"] == "single"), None)
    if case.expect(single, "no finding about `single`"):
        nodes = len(world.api.get("/api/v1/nodes")["items"])
        case.contains(single["summary"], f"is not built for linux/arm64, the platform of 1 of the {nodes} nodes", "summary")
    case.equal([(g["cause"], "1 of 4 images" in g["detail"] and "lab/gone:1: not found" in g["detail"]) for g in gaps(live.report)], [("failed", True)],
               "the gap of an image that is gone")
    case.equal(gateway.count(lambda r: "nginx" in r.target), 0, "questions about Docker Hub")
    case.equal(gateway.count(lambda r: r.method != "GET"), 0, "requests other than GET")
    case.equal(live.report.unknown("image-architecture"), 0, "unknown")
    with open(record, "rb") as f:
        case.expect(PASSWORD.encode() not in f.read(), "the recording holds the password")
    case.lacks(live.out + live.err, PASSWORD, "the report")
    gateway.requests.clear()
    replay = world.product.check("--only", "image-architecture,crash-looping", "--snapshot", record)
    case.equal((replay.report.findings, replay.report.gaps, len(gateway.requests)), (live.report.findings, live.report.gaps, 0), "the replay")

    dry = run("--dry-run")
    case.contains(dry.out, f"platforms of images: {host} (4)", "dry run")
    case.equal(len(gateway.requests), 0, "requests of a dry run")

    gateway.decide = wants_token
    tokens = run()
    case.same_set(told(tokens.report), everything, "findings with tokens")
    case.expect(gateway.count(lambda r: r.path == "/token") >= 4, "a token for each repository")
    case.lacks(tokens.out + tokens.err, TOKEN, "the report")
    for what, decide, password in (("Basic", None, "wrong"), ("tokens", wants_token, "wrong")):
        gateway.decide = decide
        wrong = run(password=password).report
        case.same_set(told(wrong), silent, f"findings with a wrong password, {what}")
        case.equal([g["cause"] in ("unauthorized", "access-denied") for g in gaps(wrong)], [True], f"gap of a wrong password, {what}: {wrong.gap_text()}")

    gateway.decide = lambda request, _: Answer(429, '{"errors": [{"code": "TOOMANYREQUESTS"}]}')
    limited = run().report
    case.same_set(told(limited), silent, "findings of a registry that limits")
    case.equal(["limits how often" in g["detail"] and "4 of 4 images" in g["detail"] for g in gaps(limited)], [True], f"gap of a limit: {limited.gap_text()}")
    case.expect(gateway.count(lambda _: True) <= 4, "asked on after the limit")

    gateway.decide = lambda request, _: HANG
    began = time.monotonic()
    hanging = run(more=", timeout: 1s").report
    case.expect(time.monotonic() - began < 30, "a registry that hangs holds up the run")
    case.equal([g["cause"] for g in gaps(hanging)], ["timeout"], f"gap of a registry that hangs: {hanging.gap_text()}")

    gateway.decide = lambda request, _: Answer(200, b"[" * (5 << 20))
    huge = run().report
    case.equal(["larger than" in g["detail"] for g in gaps(huge)], [True], f"gap of huge manifests: {huge.gap_text()}")
    gateway.decide = lambda request, _: Answer(200, "<html>sign in</html>")
    page = run().report
    case.equal(["cannot be read" in g["detail"] for g in gaps(page)], [True], f"gap of a page for people: {page.gap_text()}")

    gateway.die()
    gone = run()
    case.same_set(told(gone.report), silent, "findings without the registry")
    case.equal([g["cause"] for g in gaps(gone.report)], ["unreachable"], f"gap of a registry that is gone: {gone.report.gap_text()}")
    case.expect("panicked" not in gone.err, shorten(gone.err))
