"""Options of JVMs that come from ConfigMaps, as a real API server gives these out."""
from .case import scenario

NAMESPACE = "lab-jvm"
CANARY = "canary-jvm-5b0e"


def key(variable, name, key):
    return {"name": variable, "valueFrom": {"configMapKeyRef": {"name": name, "key": key}}}


# Name, environment, whole ConfigMaps, words.
WORKLOADS = (
    ("register", [key("JAVA_OPTS", "options", "heap")], [], ["java", "-jar", "/app.jar"]),
    ("all", [], [{"configMapRef": {"name": "options"}}], ["java", "-jar", "/app.jar"]),
    ("referred", [key("HEAP", "options", "amount"), {"name": "JAVA_TOOL_OPTIONS", "value": "-Xmx$(HEAP)"}], [], ["java", "-jar", "/app.jar"]),
    ("overruled", [key("JAVA_TOOL_OPTIONS", "options", "heap")], [], ["java", "-Xmx512m", "-jar", "/app.jar"]),
    ("circle", [{"name": "JAVA_OPTS", "value": "$(JAVA_OPTS) -Xss1m"}], [], ["java", "-jar", "/app.jar"]),
    ("missing", [key("JAVA_OPTS", "nowhere", "heap")], [], ["java", "-jar", "/app.jar"]),
    ("secret", [{"name": "JAVA_OPTS", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}], [], ["java", "-jar", "/app.jar"]),
)


@scenario
def jvm_options(world, case):
    """Heaps that ConfigMaps set are judged, what cannot be read is unknown by name, and without the right a gap says so."""
    world.namespace(NAMESPACE)
    try:
        world.api.post(f"/api/v1/namespaces/{NAMESPACE}/configmaps", {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "options"},
            "data": {"heap": "-Xmx1024m", "amount": "1g", "JDK_JAVA_OPTIONS": f"-Xmx1g -Dpassword={CANARY}", "PASSWORD": CANARY}})
        for name, env, env_from, command in WORKLOADS:
            labels = {"app": name}
            container = {"name": "app", "image": f"img.lab.example/jvm/{name}:1.0", "command": command, "env": env, "envFrom": env_from,
                         "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "1280Mi"}}}
            world.api.post(f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets", {
                "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name},
                "spec": {"serviceName": name, "replicas": 1, "selector": {"matchLabels": labels},
                         "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}})
        world.wait_for_pods(NAMESPACE, len(WORKLOADS))
        judge(world, case)
    finally:
        world.api.do("DELETE", f"/api/v1/namespaces/{NAMESPACE}")


def judge(world, case):
    alone = ("--only", "jvm-heap-headroom", "-n", NAMESPACE)
    record = world.path("jvm.ndjson")
    live = world.product.check(*alone, "--kubeconfig", world.kubeconfig, "--record", record)
    report = live.report
    flags = {f["subject"]["name"]: next((e["value"] for e in f["evidence"] if e["name"] == "heap-flag"), None) for f in report.findings}
    case.equal(flags, {"register": "-Xmx1024m (ConfigMap options)", "all": "-Xmx1g (ConfigMap options)", "referred": "-Xmx1g (ConfigMap options)"},
               "flags that set a heap too large")
    case.equal((report.judged("jvm-heap-headroom"), report.unknown("jvm-heap-headroom")), (4, 3), "judged and unknown")
    with open(record) as f:
        case.lacks(f.read(), CANARY, "the recording")
    case.lacks(live.out, CANARY, "the report")
    replay = world.product.check(*alone[:2], "--snapshot", record)
    case.equal(replay.report.findings, report.findings, "findings of the replay")
    text = world.product.run("check", "--format", "markdown", *alone, "--kubeconfig", world.kubeconfig).out
    for part in ("which is not defined before them", "ConfigMap nowhere, which does not have it", "Secret s, and Secrets are not read"):
        case.contains(text, part, "the report for people")
    reader = world.kubeconfig_for("health-reader", world.token("health-reader"))
    forbidden = world.product.check(*alone, "--kubeconfig", reader).report
    case.expect(any(g["cause"] == "access-denied" and "not allowed to get configmaps nowhere, options" in g["detail"] for g in forbidden.gaps),
                f"gaps without the right: {forbidden.gap_text()}")
    case.equal((forbidden.findings, forbidden.unknown("jvm-heap-headroom") >= 5), ([], True), "judged without the right")
    dry = world.product.run("check", "--dry-run", *alone, "--kubeconfig", world.kubeconfig)
    case.contains(dry.out, "right: get configmaps", "dry run")
