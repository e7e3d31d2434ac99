"""Logs from Loki: a server that keeps the rules that Loki documents for `query_range`, in front of nothing.

It is no Loki: it knows selectors of `=` and `=~` only. What it keeps of the real one: nanoseconds as texts, the start in the
span and the end not, the newest lines first, at most 5,000 lines a page, streams that are split by the level of a line, tenants.
"""
import json
import re
import time

from .case import scenario
from .gateway import Answer, Gateway, basic
from .product import COULD_NOT_RUN, TOO_LITTLE_DATA

NAMESPACE = "lab-loki"
TENANT, USER, PASSWORD = "team-a", "reader", "canary-loki-3f81"
MOST_LINES = 5000
CANARY = "canary-line-91c4"


class Loki(Gateway):
    """`kept` are (unix nanoseconds, labels, line)."""

    def __init__(self, kept):
        self.kept = sorted(kept, key=lambda entry: -entry[0])
        super().__init__("http://127.0.0.1:1", decide=Loki.answer)

    def answer(request, self):
        if request.headers.get("Authorization") != basic(USER, PASSWORD):
            return Answer(401, "unauthorized\n", {"Content-Type": "text/plain"})
        if request.headers.get("X-Scope-OrgID") != TENANT:
            return Answer(401, "no org id\n", {"Content-Type": "text/plain"})
        if request.path != "/loki/api/v1/query_range":
            return Answer(404, "404 page not found\n", {"Content-Type": "text/plain"})
        limit = int(request.address.get("limit", 100))
        if limit > MOST_LINES:
            return Answer(400, f"max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {MOST_LINES})\n",
                          {"Content-Type": "text/plain"})
        matchers = re.findall(r'(\w+)(=~|=)"((?:[^"\\]|\\.)*)"', request.query)
        start, end = int(request.address["start"]), int(request.address["end"])
        streams = {}
        for at, labels, line in self.kept:
            if not start <= at < end or not all(fits(labels, *m) for m in matchers):
                continue
            level = "error" if "ERROR" in line else "unknown"
            streams.setdefault((tuple(sorted(labels.items())), level), []).append([str(at), line])
            limit -= 1
            if limit == 0:
                break
        result = [{"stream": {**dict(labels), "detected_level": level}, "values": values} for (labels, level), values in streams.items()]
        return Answer(200, json.dumps({"status": "success", "data": {"resultType": "streams", "result": result, "stats": {}}}))


def fits(labels, name, operator, value):
    value = value.replace('\\\\', '\\').replace('\\"', '"')
    have = labels.get(name, "")
    return have == value if operator == "=" else re.fullmatch(value, have) is not None


def lines(now):
    """A workload that floods, one with stack traces of which a pod is gone, and one of another namespace."""
    def of(name, pod, namespace=NAMESPACE):
        return {"namespace": namespace, "pod": pod, "container": name}
    for n in range(12_000):
        yield now - n * 10**9, of("flood", "flood-0"), f"2026-11-20 ERROR cannot send event {n} to http://apm-server.apm:8200/intake token={CANARY}"
    for n in range(150):
        at = now - 3600 * 10**9 - n * 10**9
        pod = f"trace-{n % 2}"  # trace-1 is gone
        for i, line in enumerate((f"2026-11-20 ERROR payment {n} failed", "java.sql.SQLTransientConnectionException: pool is empty",
                                  "\tat com.shop.Pay.run(Pay.java:7)", "Caused by: java.net.SocketTimeoutException: ERROR in words")):
            yield at + i, of("trace", pod), line
    for n in range(500):
        yield now - n * 10**9, of("flood", "flood-0", "elsewhere"), "ERROR of another namespace"


@scenario
def loki(world, case):
    """Loki is read first: pages, tenants, credentials, pods that are gone, runs in the past; the API for what it has nothing of."""
    world.namespace(NAMESPACE)
    try:
        for name in ("flood", "trace", "silent"):
            labels = {"app": name}
            container = {"name": name, "image": f"img.lab.example/loki/{name}:1.0"}
            world.api.post(f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets", {
                "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name},
                "spec": {"serviceName": name, "replicas": 1, "selector": {"matchLabels": labels},
                         "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}})
        world.wait_for_pods(NAMESPACE, 3)
        now = time.time_ns() - 2 * 10**9  # a run ends with a whole second
        with Loki(lines(now)) as server:
            judge(world, case, server, now)
    finally:
        world.api.do("DELETE", f"/api/v1/namespaces/{NAMESPACE}")


def judge(world, case, server, now):
    def run(*arguments, more="", tenant=TENANT):
        config = world.path("loki.yaml")
        with open(config, "w") as f:
            f.write(f"""clusters:
- name: lab
  kubernetes: {{kubeconfig: {json.dumps(world.kubeconfig)}}}
  namespaces: [{NAMESPACE}]
  loki:
    url: {server.url}/
    username-env: LOKI_USER
    password-env: LOKI_PASSWORD
    headers: [{{name: X-Scope-OrgID, value-env: LOKI_TENANT}}]
{more}logs: {{}}
""")
        env = {"LOKI_USER": USER, "LOKI_PASSWORD": PASSWORD, "LOKI_TENANT": tenant}
        form = () if "--dry-run" in arguments else ("--format", "json")
        return world.product.run("check", *form, "--config", config, "--only", "error-logs", *arguments, env=env, timeout=300)

    whole = run()
    report = whole.report
    told = {f["subject"]["name"]: f for f in report.findings}
    evidence = lambda name, key: next((e["value"] for e in told[name]["evidence"] if e["name"] == key), None)  # noqa: E731
    case.same_set(set(told), {"flood", "trace"}, "workloads with errors")
    if {"flood", "trace"} <= set(told):
        case.equal((evidence("flood", "errors"), evidence("trace", "errors")), (12_000, 150), "errors: each line and each trace once")
        case.contains(told["flood"]["summary"], "apm-server.apm:8200", "summary of flood")
        case.contains(told["trace"]["summary"], "pool is empty", "summary of trace")
    for secret in (CANARY, PASSWORD, TENANT):
        case.lacks(whole.out + whole.err, secret, "the report")
    pages = server.count(lambda r: "flood" in r.query)
    # The first is small, to see how long lines are; no page is larger than Loki gives.
    case.expect(3 <= pages <= 5, f"{pages} pages of 12,000 lines")
    case.expect(all(r.method == "GET" for r in server.requests), "something else than GET was sent")

    past = run("--at", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now / 1e9 - 1800)))
    case.same_set({f["subject"]["name"] for f in past.report.findings}, {"flood", "trace"}, "findings of a run in the past")

    denied = run(tenant="nobody").report
    case.expect(any(g["scope"] == "lab/loki" and g["cause"] == "unauthorized" and "no org id" in g["detail"] for g in denied.gaps),
                f"gaps of a wrong tenant: {denied.gap_text()}")
    case.equal(denied.findings, [], "findings of a wrong tenant")
    nothing = run(more="    selector: '{ns=\"{namespace}\", pod=~\"{pod_pattern}\", container=\"{container}\"}'\n").report
    case.expect(any("check `loki.selector`" in g["detail"] for g in nothing.gaps), f"gaps of a wrong selector: {nothing.gap_text()}")
    broken = run(more="    selector: 'app'\n")
    case.equal(broken.code, COULD_NOT_RUN, "exit code of a selector that is none")
    case.contains(broken.err, "clusters[0].loki: loki selector: expected a selector of LogQL", "what it says")
    dry = run("--dry-run")
    case.contains(dry.out, f'{{namespace="{NAMESPACE}", pod=~"flood-[0-9]+", container="flood"}}', "dry run")

    server.die()
    gone = run()
    case.expect(any(g["scope"] == "lab/loki" and g["cause"] == "unreachable" for g in gone.report.gaps), f"gaps of a Loki that is gone: {gone.report.gap_text()}")
    # kwok has no logs of these pods either.
    case.equal(gone.code, TOO_LITTLE_DATA, "exit code without any logs")
