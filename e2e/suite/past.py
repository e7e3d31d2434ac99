"""What a run knows of the past: events that Kubernetes has forgotten, a node that was cordoned, a manifest of a version that is gone."""
import datetime as dt
import json
import os
import time

from .case import scenario

NAMESPACE = "lab-past"
CANARY = "canary-applied-2c40de"


def plant(world):
    """A pod with a Warning event, and a CronJob that was applied as batch/v1beta1; returns the path of the event."""
    world.namespace(NAMESPACE)
    labels = {"app": "api"}
    world.api.post(f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets", {
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "api"},
        "spec": {"serviceName": "api", "replicas": 1, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "api", "image": "img.lab.example/api:1.0"}]}}}})
    world.wait_for_pods(NAMESPACE, 1)
    applied = {"apiVersion": "batch/v1beta1", "kind": "CronJob", "spec": {"env": CANARY}}
    world.api.post(f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs", {
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": "dump", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(applied)}},
        "spec": {"schedule": "0 3 * * *", "suspend": True, "jobTemplate": {"spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "dump", "image": "img.lab.example/dump:1.0"}]}}}}}})
    now = dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.api.post(f"/api/v1/namespaces/{NAMESPACE}/events", {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "api-0.lab"}, "type": "Warning", "reason": "FailedMount",
        "message": "no such volume", "count": 4, "firstTimestamp": now, "lastTimestamp": now,
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": NAMESPACE, "name": "api-0"}})
    return f"/api/v1/namespaces/{NAMESPACE}/events/api-0.lab"


@scenario
def past(world, case):
    """Events are remembered when Kubernetes has forgotten them; a cordoned node and a manifest of a removed API version are told."""
    event = plant(world)
    nodes = sorted(n["metadata"]["name"] for n in world.api.get("/api/v1/nodes")["items"])[-2:]
    try:
        cordon(world, nodes[0], taint=True)
        cordon(world, nodes[1], taint=False)
        judge(world, case, event, nodes[0])
    finally:
        for node in nodes:
            world.api.status(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": None, "taints": None}}, sub="")
        world.api.do("DELETE", f"/api/v1/namespaces/{NAMESPACE}")


def cordon(world, node, taint):
    """As `kubectl cordon`; and the taint that the node lifecycle controller adds, which does not run in the lab."""
    since = (dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    taints = [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": since}]
    world.api.status(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": True, **({"taints": taints} if taint else {})}}, sub="")


def judge(world, case, event, node):
    history = world.path("past-history")
    check = lambda only, *args: world.product.check("--only", only, "--kubeconfig", world.kubeconfig, *args)  # noqa: E731
    events = lambda: check("warning-events", "-n", NAMESPACE, "--history", history)  # noqa: E731
    names = lambda run: {e["name"] for f in run.report.findings if f["subject"]["name"] == "api" for e in f["evidence"]}  # noqa: E731

    first = events()
    case.expect("last" in names(first) and "remembered-from" not in names(first), f"the first run sees the event: {names(first)}")
    world.api.do("DELETE", event)
    time.sleep(1.1)  # runs of one second are one run
    second = events()
    case.expect("remembered-from" in names(second), f"the second run remembers the event: {names(second)}")
    case.expect(not check("warning-events", "-n", NAMESPACE).report.findings, "without a history nobody knows of the event")

    cordoned = check("node-cordoned").report
    case.equal({f["subject"]["name"]: f["severity"] for f in cordoned.findings}, {node: "info"}, "cordoned nodes")
    case.equal(cordoned.unknown("node-cordoned"), 1, "nodes of which nobody knows since when they are cordoned")

    record = world.path("past.ndjson")
    deprecated = check("deprecated-api", "--record", record)
    case.equal({f["subject"]["name"]: f["severity"] for f in deprecated.report.findings}, {"batch/v1beta1 CronJob": "warning"}, "deprecated APIs")
    with open(record) as f:
        case.lacks(f.read() + deprecated.out, CANARY, "recording and report")
    replay = world.product.check("--only", "deprecated-api", "--snapshot", record)
    case.equal(replay.report.findings, deprecated.report.findings, "findings of the replay")
    case.expect(os.listdir(history), "the history is kept")
