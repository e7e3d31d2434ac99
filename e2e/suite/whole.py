"""What belongs to the whole cluster: a volume that cannot be reclaimed, a namespace that cannot be deleted, an API that nobody answers for, pods on nodes."""
import time

from .case import scenario

NAMESPACE = "lab-held"
VOLUME = "/api/v1/persistentvolumes"
GUARD = f"/api/v1/namespaces/{NAMESPACE}/configmaps/guarded"
APIS = "/apis/apiregistration.k8s.io/v1/apiservices"
API = "v1.held.lab.example"
FINALIZER = "lab.example/guard"


def plant(world):
    """All of it is made by the servers themselves: the controller manager cannot delete folders of nodes outside of /tmp, nor a
    ConfigMap with a finalizer; the API server finds no Service."""
    for name, policy in (("lab-undeletable", "Delete"), ("lab-kept", "Retain")):
        world.api.post(VOLUME, {
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
            "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": policy,
                     "hostPath": {"path": f"/lab/{name}"}, "claimRef": {"namespace": "default", "name": f"gone-{name}", "uid": "00000000-0000-0000-0000-000000000001"}}})
    world.namespace(NAMESPACE)
    world.api.post(GUARD.rsplit("/", 1)[0], {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "guarded", "finalizers": [FINALIZER]}})
    world.api.do("DELETE", f"/api/v1/namespaces/{NAMESPACE}")
    phase = lambda name: world.api.get(f"{VOLUME}/{name}")["status"].get("phase")  # noqa: E731
    world.wait_for(lambda: (phase("lab-undeletable"), phase("lab-kept")) == ("Failed", "Released"), "the phases of the volumes")
    held = lambda: [c["type"] for c in world.api.get(f"/api/v1/namespaces/{NAMESPACE}")["status"].get("conditions", []) if c["status"] == "True"]  # noqa: E731
    world.wait_for(lambda: "NamespaceFinalizersRemaining" in held(), "the conditions of the namespace")
    world.api.post(APIS, {
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": API},
        "spec": {"group": "held.lab.example", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1,
                 "service": {"namespace": "default", "name": "gone"}}})
    down = lambda: any(c["status"] == "False" for c in world.api.get(f"{APIS}/{API}").get("status", {}).get("conditions", []))  # noqa: E731
    world.wait_for(down, "the condition of the APIService")
    time.sleep(1.1)  # what is of this second has lasted for no time


@scenario
def whole_cluster(world, case):
    """Volumes that cannot be reclaimed or are kept, a namespace that waits for a finalizer, an API without server, pods of nodes by all namespaces."""
    try:
        plant(world)
        judge(world, case)
    finally:
        world.api.do("DELETE", f"{APIS}/{API}", ok=(200, 202, 404))
        world.api.do("PATCH", GUARD, {"metadata": {"finalizers": None}}, ok=(200, 404), ctype="application/merge-patch+json")
        world.api.do("DELETE", f"/api/v1/namespaces/{NAMESPACE}", ok=(200, 202, 404, 409))
        for name in ("lab-undeletable", "lab-kept"):
            world.api.do("DELETE", f"{VOLUME}/{name}", ok=(200, 202, 404))


def judge(world, case):
    checks = "volume-failed", "namespace-terminating", "api-service-unavailable", "node-pods-near-limit"
    now = ["volume-failed.grace=0s", "volume-failed.unused=0s", "namespace-terminating.after=0s", "api-service-unavailable.lasting=0s", "node-pods-near-limit.near=1%"]
    arguments = [part for check in checks for part in ("--only", check)] + [part for value in now for part in ("--set", value)]
    run = lambda *more: world.product.check(*arguments, "--kubeconfig", world.kubeconfig, *more)  # noqa: E731

    record = world.path("whole.ndjson")
    report = run("-A", "--record", record).report
    # Namespaces of the scenarios before may still be going.
    going = lambda f: f["check"] == "namespace-terminating" and f["subject"]["name"] != NAMESPACE  # noqa: E731
    found = {(f["check"], f["subject"]["name"]): f for f in report.findings if f["check"] != "node-pods-near-limit" and not going(f)}
    case.equal({key: f["severity"] for key, f in found.items()}, {
        ("volume-failed", "lab-undeletable"): "warning", ("volume-failed", "lab-kept"): "info",
        ("namespace-terminating", NAMESPACE): "warning", ("api-service-unavailable", API): "warning",
    }, "what is wrong in the whole cluster")
    for key, words in ((("volume-failed", "lab-undeletable"), "host_path deleter"), (("volume-failed", "lab-kept"), "1024 MiB that nobody uses"),
                       (("namespace-terminating", NAMESPACE), FINALIZER), (("api-service-unavailable", API), "ServiceNotFound")):
        case.contains(found.get(key, {}).get("summary", ""), words, " ".join(key))

    on_node = {}
    for pod in world.api.get("/api/v1/pods")["items"]:
        if pod["spec"].get("nodeName") and pod["status"].get("phase") not in ("Succeeded", "Failed"):
            on_node[pod["spec"]["nodeName"]] = on_node.get(pod["spec"]["nodeName"], 0) + 1
    told = {f["subject"]["name"]: next(e["value"] for e in f["evidence"] if e["name"] == "pods-on-node") for f in report.findings if f["check"] == "node-pods-near-limit"}
    # The lab's CronJobs start and end pods meanwhile.
    apart = {node: (told.get(node), n) for node, n in on_node.items() if abs(told.get(node, 0) - n) > 3 and n >= 3}
    case.equal(apart, {}, "pods on nodes: told, and there")

    replay = world.product.check(*arguments, "--snapshot", record)
    case.equal(replay.report.findings, report.findings, "findings of the replay")

    chosen = run("-n", "default").report
    nodes = len(world.api.get("/api/v1/nodes")["items"])
    case.equal(chosen.unknown("node-pods-near-limit"), nodes, "nodes whose pods a run over chosen namespaces cannot count")
    names = {f["subject"]["name"] for f in chosen.findings}
    case.equal(names, {"lab-undeletable", "lab-kept", API}, "what a run over one namespace tells: volumes of its claims, APIs, no other namespace")
