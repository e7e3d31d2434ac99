"""Options of JVMs that come from ConfigMaps, as a real API server gives these out; and metrics of JVMs, as exporters name them."""
import json
import re

from .case import scenario
from .deployment import call, tool

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
    for part in ("which is not defined before them", "ConfigMap nowhere, which does not exist", "Secret s, and Secrets are not read"):
        case.contains(text, part, "the report for people")
    reader = world.kubeconfig_for("health-reader", world.token("health-reader"))
    forbidden = world.product.check(*alone, "--kubeconfig", reader).report
    case.expect(any(g["cause"] == "access-denied" and "not allowed to get configmaps nowhere, options" in g["detail"] for g in forbidden.gaps),
                f"gaps without the right: {forbidden.gap_text()}")
    case.equal((forbidden.findings, forbidden.unknown("jvm-heap-headroom") >= 5), ([], True), "judged without the right")
    dry = world.product.run("check", "--dry-run", *alone, "--kubeconfig", world.kubeconfig)
    case.contains(dry.out, "right: get configmaps", "dry run")


# --- metrics -----------------------------------------------------------------------------------------------------------

HEAP = {"G1 Eden Space": (100, -1), "G1 Survivor Space": (50, -1), "G1 Old Gen": (550, 1000)}
REST = {"Metaspace": 120, "Compressed Class Space": 12, "CodeHeap": 20}
BUFFERS = {"direct": 30, "mapped": 500}


def micrometer(**more):
    for pool, (used, most) in HEAP.items():
        yield "jvm_memory_used_bytes", {"area": "heap", "id": pool, **more}, used
        yield "jvm_memory_max_bytes", {"area": "heap", "id": pool, **more}, most
    for pool, used in REST.items():
        yield "jvm_memory_used_bytes", {"area": "nonheap", "id": pool, **more}, used
    for pool, used in BUFFERS.items():
        yield "jvm_buffer_memory_used_bytes", {"id": pool, **more}, used
    yield "jvm_threads_live_threads", more, 40


def jmx(used="jvm_memory_used_bytes", most="jvm_memory_max_bytes", **more):
    yield used, {"area": "heap", **more}, 700
    yield most, {"area": "heap", **more}, 1000
    yield used, {"area": "nonheap", **more}, 140
    for pool, bytes_used in BUFFERS.items():
        yield "jvm_buffer_pool_used_bytes", {"pool": pool, **more}, bytes_used
    yield "jvm_threads_current", more, 40


def opentelemetry():
    for pool, (used, most) in HEAP.items():
        labels = {"jvm_memory_type": "heap", "jvm_memory_pool_name": pool}
        yield "jvm_memory_used_bytes", labels, used
        if most > 0:
            yield "jvm_memory_limit_bytes", labels, most
    for pool, used in REST.items():
        yield "jvm_memory_used_bytes", {"jvm_memory_type": "non_heap", "jvm_memory_pool_name": pool}, used
    for pool, used in BUFFERS.items():
        yield "jvm_buffer_memory_used_bytes", {"jvm_buffer_pool_name": pool}, used
    for daemon in ("true", "false"):
        yield "jvm_thread_count", {"jvm_thread_daemon": daemon, "jvm_thread_state": "runnable"}, 20


# The same JVM, by each exporter and by several at once.
EXPORTERS = {
    "micrometer": [*micrometer()],
    "twice": [*micrometer(job="a"), *micrometer(job="b")],
    "jmx": [*jmx()],
    "before-1.0": [*jmx("jvm_memory_bytes_used", "jvm_memory_bytes_max")],
    "opentelemetry": [*opentelemetry()],
    "micrometer-and-jmx": [*micrometer(), *jmx(job="jmx")],
    "micrometer-and-opentelemetry": [*micrometer(), *opentelemetry()],
    "jmx-and-opentelemetry": [*jmx(), *opentelemetry()],
}
EXPECTED = {"jvm-heap-used": 700, "jvm-heap-max": 1000, "jvm-beside-heap": 170, "jvm-threads": 40}


@scenario
def jvm_exporters(world, case):
    """The queries of JVMs give the same of one JVM, whichever exporters tell of it (promtool)."""
    dry = world.product.run("check", "--dry-run", "--only", "jvm-heap-headroom", "--prometheus", world.prometheus, "-n", world.namespaces[0], "--at", world.at)
    queries = dict(re.findall(r"^ +(jvm-[a-z-]+): 1 range query: (.+)$", dry.out, re.M))
    case.equal(set(queries), set(EXPECTED), "queries of a dry run")

    def of(pod, labels):
        pairs = {"namespace": world.namespaces[0], "pod": pod, "container": "app", **labels}
        return "{" + ",".join(f'{name}="{value}"' for name, value in pairs.items()) + "}"

    path = world.path("jvm-exporters.yaml")
    with open(path, "w") as f:
        json.dump({"evaluation_interval": "1m", "tests": [{  # JSON is YAML
            "interval": "1m",
            "input_series": [{"series": name + of(pod, labels), "values": f"{value}x3"} for pod, all_of in EXPORTERS.items() for name, labels, value in all_of],
            "promql_expr_test": [
                {"expr": queries.get(name, "1"), "eval_time": "2m", "exp_samples": [{"labels": of(pod, {}), "value": value} for pod in EXPORTERS]}
                for name, value in EXPECTED.items()]}]}, f)
    try:
        call(tool("promtool"), "test", "rules", path)
    except RuntimeError as error:
        case.fail(str(error))
    case.note(f"{len(EXPORTERS)} sets of exporters, {len(EXPECTED)} queries")
