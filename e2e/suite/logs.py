"""Logs of pods, which kwok serves from files that this writes: every form, long and binary lines, bounds, and rights."""
import datetime as dt
import json
import os

from .case import scenario
from .product import CLEAN, FINDINGS

NAMESPACE = "lab-logs"
CANARY = "canary-log-77b3e1"
WORKLOADS = ("json", "text", "stack", "binary", "nginx", "big")
# Bytes of the large log.
BIG = 256 << 20


def line(seconds, text):
    """A line as a container runtime writes it to its file (CRI)."""
    at = dt.datetime.now(dt.timezone.utc) - dt.timedelta(hours=2) + dt.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode() + b" stdout F " + text + b"\n"


def lines(name):
    """The lines of a workload's log."""
    if name == "json":
        for n in range(1500):
            yield json.dumps({"level": "error", "logger": "shop.apm", "msg": f"cannot send event {n} to http://apm-server.apm:8200/intake",
                              "password": CANARY, "error": f"token={CANARY}"}).encode()
            yield json.dumps({"level": "info", "msg": f"cart {n} is paid"}).encode()
    elif name == "text":
        for n in range(150):
            yield f"2026-11-20 01:00:00,123 ERROR [main] com.shop.Cart - order {n} of customer {n * 31} is lost".encode()
            yield b"2026-11-20 01:00:00,124 INFO [main] com.shop.Cart - retry after ERROR"
    elif name == "stack":
        for n in range(120):
            yield f"2026-11-20 01:00:00,123 ERROR [main] com.shop.Pay - payment {n} failed".encode()
            yield b"java.sql.SQLTransientConnectionException: pool is empty"
            yield from (b"\tat com.shop.Pay.run(Pay.java:%d)" % i for i in range(30))
            yield b"Caused by: java.net.SocketTimeoutException: ERROR in words"
            yield b"\t... 12 more"
    elif name == "binary":
        yield b"\x00\xff\xfe\x80\x1b[31m" * 200
        yield b"ERROR " + b"x" * (10 << 20)
        for n in range(110):
            yield b"ERROR \xf0\x9f broken \xff frame %d" % n
    elif name == "nginx":
        for n in range(300):
            yield b'198.51.100.7 - - [20/Nov/2026:01:00:00 +0000] "GET /wp-login.php?token=%s HTTP/1.1" 404 153 "-" "-"' % CANARY.encode()
        for n in range(223):
            yield (b'2026/11/20 01:00:00 [error] 29#29: *%d open() "/srv/.env" failed (2: No such file or directory), '
                   b'client: 198.51.100.7, server: _, request: "GET /.env HTTP/1.1"' % n)


def write(path, name):
    with open(path, "wb") as out:
        if name == "big":
            text = b"2026-11-20 01:00:00.123 INFO 1 --- [nio-8080-exec-3] c.shop.cart.CartController : cart 42 of customer 17 handled in 3 ms"
            block = line(0, text) * 4999 + line(0, b"ERROR cannot reach ledger-0.ledger:5432")
            for _ in range(BIG // len(block)):
                out.write(block)
        else:
            for n, text in enumerate(lines(name)):
                out.write(line(n / 1000, text))


def plant(world):
    folder = os.path.join(world.kube_dir, "logs")
    os.makedirs(folder, exist_ok=True)
    for name in WORKLOADS:
        write(os.path.join(folder, f"{name}.log"), name)
    world.namespace(NAMESPACE)
    for name in WORKLOADS:
        labels = {"app": name}
        resources = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}}
        container = {"name": name, "image": f"img.lab.example/logs/{name}:1.0", "resources": resources}
        world.api.post(f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets", {
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name},
            "spec": {"serviceName": name, "replicas": 1, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}})
    world.wait_for_pods(NAMESPACE, len(WORKLOADS))


@scenario
def logs(world, case):
    """Errors in pods' logs are found by pattern and server, scans are set apart, secrets stay outside, and nothing is read unasked."""
    plant(world)
    try:
        judge(world, case)
    finally:
        world.api.do("DELETE", f"/api/v1/namespaces/{NAMESPACE}")
        for name in WORKLOADS:
            os.remove(os.path.join(world.kube_dir, "logs", f"{name}.log"))


def judge(world, case):
    config = world.path("logs.yaml")
    with open(config, "w") as f:
        f.write("logs: {bytes-of-container: 1Gi, bytes: 2Gi}\n")
    # The log of the large workload alone takes a while where the program is not optimized.
    alone = ("--only", "error-logs", "--kubeconfig", world.kubeconfig, "-n", NAMESPACE)
    run = world.product.check("--config", config, *alone, timeout=300)
    report = run.report
    case.equal(run.code, CLEAN, "exit code of warnings")
    told = {f["subject"]["name"]: f for f in report.findings}
    case.equal({name: f["severity"] for name, f in told.items()},
               {"json": "warning", "text": "info", "stack": "info", "binary": "info", "nginx": "info", "big": "info"}, "findings")
    for name, part in (
        ("json", "1500 errors"), ("json", "apm-server.apm:8200"), ("text", "order <*> of customer <*> is lost"),
        ("stack", "pool is empty"), ("nginx", "523 requests"), ("nginx", "/.env"), ("big", "ledger-0.ledger:5432"),
    ):
        if name in told:
            case.contains(told[name]["summary"].replace(",", ""), part, f"summary of {name}")
    if "stack" in told:
        errors = next(e["value"] for e in told["stack"]["evidence"] if e["name"] == "errors")
        case.equal(errors, 120, "errors of the stack traces: one each")
    case.lacks(run.out, CANARY, "the report")
    case.equal(report.unknown("error-logs"), 0, "workloads that were not judged")
    cost = report.json["cost"]
    case.note(f"{cost['bytes'] / 1e6:.0f} MB in {run.seconds:.1f} s, {cost['bytes'] / 1e6 / run.seconds:.0f} MB/s, peak {cost['peak_rss_bytes'] / 2**20:.0f} MiB")
    case.expect(cost["peak_rss_bytes"] < 64 << 20, f"peak memory {cost['peak_rss_bytes'] >> 20} MiB, expected below 64 MiB")

    record = world.path("logs.ndjson")
    live = world.product.check("--logs", "--set", "error-logs.info-count=10", "--record", record, "--kubeconfig", world.kubeconfig, "-n", NAMESPACE, timeout=300)
    with open(record) as f:
        case.lacks(f.read(), CANARY, "the recording")
    replay = world.product.check("--logs", "--set", "error-logs.info-count=10", "--snapshot", record)
    case.equal(replay.report.findings, live.report.findings, "findings of the replay")
    big = next((f for f in live.report.findings if f["check"] == "error-logs" and f["subject"]["name"] == "big"), None)
    case.expect(big and any(e["name"] == "read-bytes" for e in big["evidence"]), "a log beyond its bound is said to be cut")

    plain = world.product.check("--kubeconfig", world.kubeconfig, "-n", NAMESPACE)
    case.expect("error-logs" not in plain.report.checks, "logs are read though nobody asked")
    forbidden = world.product.check(*alone[:2], "-n", NAMESPACE, "--kubeconfig", world.kubeconfig_for("health-reader", world.token("health-reader")))
    case.expect(any(g["cause"] == "access-denied" and "pods/log" in g["detail"] for g in forbidden.report.gaps), f"gaps without the right: {forbidden.report.gap_text()}")
    case.equal((forbidden.report.judged("error-logs"), forbidden.report.unknown("error-logs") > 0), (0, True), "judged without the right")
    dry = world.product.run("check", "--dry-run", "--logs", "--kubeconfig", world.kubeconfig, "-n", NAMESPACE)
    case.contains(dry.out, "right: get pods/log", "dry run")
    case.contains(dry.out, "logs of 6 containers", "dry run")
    case.expect(dry.code in (CLEAN, FINDINGS), f"dry run: exit {dry.code}")
