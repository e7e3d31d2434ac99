"""The scenarios, in the order in which they run."""
import contextlib
import gzip
import json
import os
import shutil
import ssl
import subprocess
import time

from .case import listed, scenario, shorten
from .expected import LEAKING, false_alarms, missing, wanted
from .gateway import DROP, HANG, Answer, Arms, Gateway, ServiceProxy, api_error, basic
from .lab import CANARIES, PROMETHEUS_POD, PROMETHEUS_SERVICE
from .product import CLEAN, COULD_NOT_RUN, FINDINGS, TOO_LITTLE_DATA, Report

OBJECT_CHECKS = {"oom-killed", "crash-looping", "image-pull-failing", "pod-unschedulable", "requests-missing", "hpa-at-max", "hpa-metrics-unknown"}
METRIC_CHECKS = {"memory-leak", "memory-usage", "memory-overprovisioned", "memory-underprovisioned", "cpu-overprovisioned", "cpu-underprovisioned"}
# Where a pod finds the token of its service account.
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# The lab's CronJobs start a pod every minute, so two runs do not see the same pods of jobs.
MOVING = ("Job", "CronJob", "Pod")


def nothing_missing(case, world, report, what, **which):
    gone = missing(world, report, **which)
    case.expect(not gone, f"{what}: {listed(gone)}")


def ran(case, run, what):
    """A run that came to a report."""
    return case.expect(run.code in (CLEAN, FINDINGS, TOO_LITTLE_DATA), f"{what}: exit {run.code}, expected a report; standard error: {shorten(run.err)}")


def refused(case, run, what, *parts):
    """A run that could not start: exit 2, no report, an error that helps."""
    case.equal(run.code, COULD_NOT_RUN, f"{what}: exit code (standard error: {shorten(run.err)})")
    case.equal(run.out.strip(), "", f"{what}: standard output")
    case.expect(run.err.strip(), f"{what}: nothing on standard error")
    for part in parts:
        case.contains(run.err, part, f"{what}: standard error")


def same_findings(case, got, want, what):
    case.same_set(got.rows(MOVING), want.rows(MOVING), what)


# --- what is true of the lab -----------------------------------------------------------------------------------------


@scenario
def truth(world, case):
    """Everything that is wrong in the lab is found, and nothing healthy is flagged above info."""
    run = world.whole()
    report = run.report
    case.equal(run.code, FINDINGS, "exit code of a cluster with critical problems")
    nothing_missing(case, world, report, "not in the report")
    wrong = false_alarms(world, report)
    case.expect(not wrong, f"flagged wrongly: {listed(wrong)}")
    asked = sum(row[3] in report.checks for row in wanted(world))
    case.expect(asked >= 25, f"only {asked} expectations apply: are checks missing from the report?")
    case.equal(report.gaps, [], "gaps of a run with every right")
    case.equal(report.json["verdict"], "critical", "verdict")
    young = [d for d in world.profiles("young") if report.about(d["namespace"], d["deployment"], "memory-leak")]
    case.expect(not young, "a leak is claimed of a pod that is 2 hours old")
    case.expect(report.unknown("memory-leak") >= len(world.profiles("young")), "2 hours of history should be unknown to memory-leak")
    cost = report.json["cost"]
    case.expect(0 < cost["prometheus_queries"] <= 60, f"{cost['prometheus_queries']} Prometheus queries for 100 pods, at most 60 wanted for 1,000")
    case.note(f"{len(report.findings)} findings, {cost['prometheus_queries']} queries, {run.seconds:.1f} s, {cost['peak_rss_bytes'] / 2**20:.0f} MiB")


@scenario
def joined_traps(world, case):
    """Cgroups without a container, pause containers, several series a pod, and an unscraped node are not subjects."""
    report = world.whole().report
    containers = {f["subject"].get("container") for f in report.findings} - {None}
    case.expect("POD" not in containers and "" not in containers, f"containers of the report: {sorted(containers)}")
    names = {f["subject"].get("name") for f in report.findings}
    pods = {p for d in world.truth for p in d["pods"]}
    case.expect(not (names & pods - {None}), f"pods of a Deployment as subjects of their own: {sorted(names & pods)[:5]}")
    for d in world.profiles("rollout"):
        case.expect(not report.about(d["namespace"], d["deployment"], "memory-leak"), f"a rollout is taken for a leak: {d['deployment']}")
    summary = report.json["clusters"]
    case.equal(len(summary), 1, "clusters")
    case.expect(summary[0]["workloads"] >= len(world.truth) and summary[0]["pods"] >= 100, f"workloads and pods: {summary[0]}")


@scenario
def json_contract(world, case):
    """The JSON report has the documented shape: fields, units, order, and fingerprints that stay."""
    report = world.whole().report
    top = {"format", "tool", "taken_at", "window", "lang", "verdict", "clusters", "findings", "checks", "gaps", "cost"}
    case.equal(top - set(report.json), set(), "fields that the report lacks")
    case.equal(report.json["format"].get("name"), "healthcheck-report", "format.name")
    case.equal((report.json["window"]["end"], report.json["window"]["step_s"]), (world.at, 300), "end and step of the window")
    case.equal(report.json["lang"], "en", "lang")
    order = {"critical": 0, "warning": 1, "info": 2}
    ranks = [order[f["severity"]] for f in report.findings]
    case.expect(ranks == sorted(ranks), "findings are not sorted by severity")
    for f in report.findings:
        where = f"{f['check']} at {f['subject'].get('name')}"
        case.equal({"check", "severity", "subject", "summary", "evidence", "advice", "fingerprint"} - set(f), set(), f"{where}: fields that are missing")
        case.equal({"cluster", "namespace", "kind", "name"} - set(f["subject"]), set(), f"{where}: fields of the subject that are missing")
        case.expect(f["summary"].strip() and "{" not in f["summary"], f"{where}: summary {f['summary']!r}")
        for e in f["evidence"]:
            case.expect({"name", "value", "unit"} <= set(e), f"{where}: evidence {e}")
            case.expect(e.get("unit") not in ("bytes", "cores", "seconds", "ratio") or isinstance(e["value"], (int, float)), f"{where}: evidence {e} is no number in base units")
        for a in f["advice"]:
            case.expect({"action", "text"} <= set(a), f"{where}: advice {a}")
    prints = [f["fingerprint"] for f in report.findings]
    case.equal(len(prints), len(set(prints)), "distinct fingerprints")
    for c in report.json["checks"]:
        case.expect({"id", "ok", "problem", "unknown"} <= set(c), f"check {c}")
    counted = {c["id"]: c["problem"] for c in report.json["checks"]}
    for check in {f["check"] for f in report.findings}:
        case.expect(counted.get(check, 0) > 0, f"{check} has findings and counts no problem")
    again = world.product.check("--prometheus", world.prometheus, "--kubeconfig", world.kubeconfig, "-A", "--at", world.at).report
    stay = lambda r: {f["fingerprint"] for f in r.findings if f["subject"]["kind"] not in MOVING}  # noqa: E731
    case.same_set(stay(again), stay(report), "fingerprints of a second run")


@scenario
def formats(world, case):
    """Several formats in one run, each whole, each about the same findings."""
    files = {name: world.path(f"whole.{name}") for name in ("json", "markdown", "text")}
    pairs = [x for name, path in files.items() for x in ("--format", name, "-o", path)]
    run = world.product.run("check", "--prometheus", world.prometheus, "--kubeconfig", world.kubeconfig, "-A", "--at", world.at, *pairs)
    ran(case, run, "three formats in one run")
    texts = {name: open(path).read() for name, path in files.items()}
    report = Report(texts["json"])
    same_findings(case, report, world.whole().report, "json file against json on standard output")
    for name in ("markdown", "text"):
        case.expect("\x1b" not in texts[name], f"{name} in a file has escape codes")
        for d in world.profiles("leak", "leak_oom", "crashloop", "pending"):
            case.contains(texts[name], d["deployment"], name)
    case.contains(texts["markdown"], "|", "markdown has tables")


# --- rights ----------------------------------------------------------------------------------------------------------


@scenario
def read_only(world, case):
    """The read-only service account sees what an administrator sees."""
    kubeconfig = world.kubeconfig_for("health-reader", world.token("health-reader"))
    run = world.product.check("--prometheus", world.prometheus, "--kubeconfig", kubeconfig, "-A", "--at", world.at)
    ran(case, run, "health-reader")
    same_findings(case, run.report, world.whole().report, "health-reader against administrator")
    case.equal(run.report.gaps, [], "gaps of health-reader")


@scenario
def one_namespace(world, case):
    """An account of one namespace: its own namespace is right, the rest are gaps that name what was refused."""
    kubeconfig = world.kubeconfig_for("narrow-reader", world.token("narrow-reader"))
    own, other = world.namespaces[:2]
    source = ("--prometheus", world.prometheus, "--kubeconfig", kubeconfig, "--at", world.at)

    run = world.product.check(*source, "-n", own)
    if ran(case, run, f"-n {own}"):
        want = {r for r in world.whole().report.rows(MOVING) if r[2] == own}
        case.same_set({r for r in run.report.rows(MOVING) if r[2] == own}, want, f"findings of {own}")
        elsewhere = {r[2] for r in run.report.rows() if r[2] not in ("", own)}
        case.equal(elsewhere, set(), f"-n {own}: namespaces of the findings beside it")

    run = world.product.check(*source, "-n", own, "-n", other)
    if ran(case, run, f"-n {own} -n {other}"):
        want = {r for r in world.whole().report.rows(MOVING) if r[2] == own}
        case.same_set({r for r in run.report.rows(MOVING) if r[2] == own}, want, f"findings of {own} beside a forbidden namespace")
        gaps = run.report.gap_text()
        for part in ("list", "pods", "deployments", other):
            case.contains(gaps, part, f"gaps of -n {own} -n {other}")
        case.expect(run.report.unknown("crash-looping") + run.report.unknown("memory-usage") > 0 or run.report.about(other, world.profiles("imagepull")[0]["deployment"]),
                    f"{other} is neither judged nor unknown")

    run = world.product.check(*source, "-A")
    if ran(case, run, "-A with the rights of one namespace"):
        gaps = run.report.gap_text()
        for part in ("list", "pods"):
            case.contains(gaps, part, "gaps of -A")
        case.contains(gaps, "forbidden", "gaps of -A")
        # the metrics are whole, so what they tell must still be found
        nothing_missing(case, world, run.report, "-A with the rights of one namespace", checks={"memory-leak"})


@scenario
def in_cluster(world, case):
    """Without a kubeconfig the token of the pod's service account counts, as in a pod."""
    parents = ("/var/run/secrets", "/var/run/secrets/kubernetes.io", SERVICE_ACCOUNT)
    made = next((folder for folder in parents if not os.path.exists(folder)), None)
    try:
        os.makedirs(SERVICE_ACCOUNT)
    except OSError as error:
        case.note(f"skipped: {SERVICE_ACCOUNT} cannot be made here ({error.strerror})")
        return
    try:
        shutil.copy(world.ca, os.path.join(SERVICE_ACCOUNT, "ca.crt"))
        for name, text in (("token", world.token("health-reader")), ("namespace", world.namespaces[0])):
            with open(os.path.join(SERVICE_ACCOUNT, name), "w") as f:
                f.write(text)
        host, port = world.api_url.removeprefix("https://").split(":")
        env = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        run = world.product.check("--prometheus", world.prometheus, "-A", "--at", world.at, env=env)
    finally:
        shutil.rmtree(made)
    if ran(case, run, "in-cluster"):
        case.equal(run.report.json["clusters"][0].get("objects_from"), world.whole().report.json["clusters"][0].get("objects_from"), "source of objects")
        same_findings(case, run.report, world.whole().report, "in-cluster against a kubeconfig")


@scenario
def victoria_metrics(world, case):
    """The same series in a VictoriaMetrics give the same findings, with the same number of queries."""
    if not os.path.exists(world.victoria_metrics):
        case.note("skipped: VictoriaMetrics was not built")
        return
    vm_up = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lab", "vm-up")
    path = f"{os.path.dirname(world.victoria_metrics)}:{os.environ['PATH']}"
    fill = f"--namespaces 5 --deployments 30 --pods 100 --seed 1 --step 30 --end {world.window_end:.0f}"
    up = lambda *args: subprocess.run([vm_up, *args], env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=300)  # noqa: E731
    filled = up("--fill", fill)
    if not case.equal(filled.returncode, 0, f"VictoriaMetrics comes up: {shorten(filled.stderr)}"):
        return
    try:
        url = next(word for word in filled.stdout.split() if word.startswith("http://"))
        run = world.product.check("--prometheus", url, "--kubeconfig", world.kubeconfig, "-A", "--at", world.at)
        alone = world.product.check("--prometheus", url, "-A", "--at", world.at)
        dry = world.product.run("check", "--dry-run", "--prometheus", url, "--prometheus-matcher", 'cluster="none"', "-A", "--at", world.at)
    finally:
        up("--down")
    if ran(case, run, "VictoriaMetrics"):
        same_findings(case, run.report, world.whole().report, "VictoriaMetrics against Prometheus")
        case.equal(run.report.json["cost"]["prometheus_queries"], world.whole().report.json["cost"]["prometheus_queries"], "queries")
        case.equal(run.report.gaps, world.whole().report.gaps, "gaps")
    if ran(case, alone, "VictoriaMetrics alone"):
        nothing_missing(case, world, alone.report, "VictoriaMetrics alone", checks=METRIC_CHECKS)
    case.contains(dry.out, "the server has series of kube_pod_info, but none that matches cluster", "what a wrong matcher is told")


@scenario
def without_kubernetes(world, case):
    """Prometheus alone: workloads come from kube-state-metrics, and the report says so."""
    run = world.product.check("--prometheus", world.prometheus, "-A", "--at", world.at)
    if not ran(case, run, "Prometheus alone"):
        return
    report = run.report
    nothing_missing(case, world, report, "Prometheus alone", checks=METRIC_CHECKS | {"requests-missing", "oom-killed", "crash-looping", "image-pull-failing", "hpa-at-max"})
    wrong = false_alarms(world, report)
    case.expect(not wrong, f"Prometheus alone, flagged wrongly: {listed(wrong)}")
    whole = {r for r in world.whole().report.rows(MOVING) if r[0] in ("memory-leak", "memory-usage") and r[2] in world.namespaces}
    case.same_set({r for r in report.rows(MOVING) if r[0] in ("memory-leak", "memory-usage")}, whole, "leaks and usage with and without the API")
    # what only the API tells is unknown, not healthy
    case.equal(report.judged("warning-events"), 0, "workloads that warning-events judged without events")
    pending = world.profiles("pending")[0]
    case.expect(report.about(pending["namespace"], pending["deployment"], "pod-unschedulable") or report.unknown("pod-unschedulable") > 0,
                "pod-unschedulable calls a pending pod healthy, whose scheduling no metric tells")
    for name in ("markdown", "text"):
        run = world.product.run("check", "--prometheus", world.prometheus, "-A", "--at", world.at, "--format", name)
        case.contains(run.out, "kube-state-metrics", f"{name} says where the workloads come from")


@scenario
def without_prometheus(world, case):
    """Kubernetes alone: what objects tell is right, and what needs metrics is unknown, never healthy."""
    run = world.product.check("--kubeconfig", world.kubeconfig, "-A", "--at", world.at)
    if not ran(case, run, "Kubernetes alone"):
        return
    report = run.report
    nothing_missing(case, world, report, "Kubernetes alone", checks=OBJECT_CHECKS)
    for check in METRIC_CHECKS & set(report.checks):
        case.equal(report.judged(check), 0, f"subjects that {check} judged without metrics")
        case.expect(report.unknown(check) > 0, f"{check} counts no unknown")
    wrong = false_alarms(world, report)
    case.expect(not wrong, f"Kubernetes alone, flagged wrongly: {listed(wrong)}")


# --- a Prometheus that misbehaves ------------------------------------------------------------------------------------


def behind(world, case, decide=None, amend=None, *extra, kubernetes=True, timeout=120):
    """A run through a gateway that misbehaves; gives the run and the gateway."""
    with Gateway(world.prometheus, decide, amend) as gateway:
        kube = ("--kubeconfig", world.kubeconfig) if kubernetes else ()
        run = world.product.check("--prometheus", gateway.url, *kube, "-A", "--at", world.at, *extra, timeout=timeout)
    return run, gateway


def partial(case, world, run, what, *parts):
    """A report with gaps that name the trouble; what objects tell is still found."""
    if not ran(case, run, what):
        return
    report = run.report
    case.expect(report.gaps, f"{what}: no gap")
    for part in parts:
        case.contains(report.gap_text(), part, f"{what}: gaps")
    nothing_missing(case, world, report, what, checks=OBJECT_CHECKS)
    wrong = false_alarms(world, report)
    case.expect(not wrong, f"{what}, flagged wrongly: {listed(wrong)}")


@scenario
def prometheus_dies(world, case):
    """The server is killed after two range queries, and after the first look at it."""
    for after in (2, 0):
        def decide(request, gateway):
            if request.is_range and gateway.count(lambda r: r.is_range) > after:
                gateway.die()
                return DROP
        run, _ = behind(world, case, decide)
        partial(case, world, run, f"killed after {after} range queries")
        if run.out:
            case.expect(any(run.report.unknown(c) for c in METRIC_CHECKS & set(run.report.checks)), f"killed after {after}: nothing is unknown")


@scenario
def prometheus_hangs(world, case):
    """The server takes the connection and never answers: the time-out holds, and the run ends."""
    def decide(request, gateway):
        return HANG if request.is_range else None
    run, gateway = behind(world, case, decide, None, "--timeout", "1s", timeout=300)
    partial(case, world, run, "hangs on range queries", "tim")
    case.note(f"{run.seconds:.1f} s for {gateway.count(lambda r: r.is_range)} requests that hung, --timeout 1s")
    case.expect(run.seconds < 90, f"hangs: the run took {run.seconds:.0f} s with --timeout 1s")
    run, _ = behind(world, case, lambda r, g: HANG, None, "--timeout", "1s", kubernetes=False, timeout=300)
    refused(case, run, "the only source hangs from the start")


@scenario
def prometheus_429(world, case):
    """Every query is refused once with 429: it is asked again, and nothing is lost."""
    seen = set()

    def decide(request, gateway):
        key = (request.path, request.query, request.form.get("start"), request.address.get("start"))
        if request.is_data and key not in seen:
            seen.add(key)
            return Answer(429, "too many requests\n", {"Content-Type": "text/plain", "Retry-After": "0"})
    run, gateway = behind(world, case, decide)
    if ran(case, run, "429 once for every query"):
        same_findings(case, run.report, world.whole().report, "429 once for every query")
        case.equal(run.report.gaps, [], "gaps after retries that worked")
        case.expect(gateway.count(lambda r: r.is_data) >= 2 * len(seen), "every query should have been asked twice")


@scenario
def prometheus_503(world, case):
    """503 for every data query, then for one metric only: only what needs it is unknown."""
    run, gateway = behind(world, case, lambda r, g: Answer(503, "upstream connect error", {"Content-Type": "text/plain"}) if r.is_data else None, timeout=300)
    partial(case, world, run, "503 for every query", "503")
    tries = gateway.count(lambda r: r.is_data)
    case.expect(tries <= 300, f"503 for every query: {tries} requests")

    run, _ = behind(world, case, lambda r, g: Answer(503, "") if "container_cpu_usage_seconds_total" in r.query else None)
    partial(case, world, run, "503 for CPU only", "503")
    if run.out:
        nothing_missing(case, world, run.report, "503 for CPU only", checks={"memory-leak", "memory-usage", "memory-overprovisioned"})
        for check in ("cpu-overprovisioned", "cpu-underprovisioned"):
            case.equal(run.report.judged(check), 0, f"503 for CPU only: subjects that {check} judged")
            case.expect(run.report.unknown(check) > 0, f"503 for CPU only: {check} counts no unknown")


@scenario
def prometheus_half_body(world, case):
    """The connection breaks in the middle of every answer."""
    def amend(request, answer):
        if request.is_range:
            answer.cut = 0.5
    run, _ = behind(world, case, None, amend, timeout=300)
    partial(case, world, run, "half a body")
    if run.out:  # a series that arrived whole counts, one that was cut or never came is unknown
        for check in ("memory-leak", "memory-usage"):
            case.expect(0 < run.report.judged(check) < world.whole().report.judged(check), f"half a body: {check} judged {run.report.judged(check)} subjects")
            case.expect(run.report.unknown(check) > world.whole().report.unknown(check), f"half a body: {check} counts {run.report.unknown(check)} unknown")

    def whole_but_shorter(request, answer):  # valid HTTP, broken JSON
        if request.is_range:
            answer.body = answer.body[: len(answer.body) // 2]
    run, _ = behind(world, case, None, whole_but_shorter, timeout=300)
    partial(case, world, run, "half a document")


@scenario
def prometheus_error_in_200(world, case):
    """200 with status "error", and 200 with a page for people."""
    def decide(request, gateway):
        if request.is_range:
            return api_error(200, "execution", "query processing would load too many samples into memory")
    run, _ = behind(world, case, decide)
    partial(case, world, run, "200 with status error", "too many samples")
    run, _ = behind(world, case, lambda r, g: Answer(200, "<html><title>Sign in</title></html>", {"Content-Type": "text/html"}) if r.is_data else None)
    partial(case, world, run, "200 with a page")
    run, _ = behind(world, case, lambda r, g: Answer(200, "<html><title>Sign in</title></html>", {"Content-Type": "text/html"}), kubernetes=False)
    refused(case, run, "the only source is a page for people")


@scenario
def prometheus_warnings(world, case):
    """Warnings in an answer: the data count, and the report carries the warning."""
    text = "store gateway 10.0.0.7 did not answer: partial response"

    def amend(request, answer):
        if request.is_range and answer.status == 200 and "container_memory_working_set_bytes" in request.query:
            body = json.loads(answer.body)
            body["warnings"] = [text]
            answer.body = json.dumps(body).encode()
    run, _ = behind(world, case, None, amend)
    if ran(case, run, "warnings"):
        case.contains(run.report.gap_text(), "partial response", "gaps of an answer with warnings")
        nothing_missing(case, world, run.report, "an answer with warnings", checks={"memory-leak"})


@scenario
def prometheus_is_the_only_source(world, case):
    """Nothing else is left: a dead server from the start is exit 2, one that dies later is a report with gaps or exit 2."""
    with Gateway(world.prometheus) as gateway:
        dead = gateway.url
    run = world.product.check("--prometheus", dead, "-A", "--at", world.at)
    refused(case, run, "nothing listens", dead.rsplit(":", 1)[1])
    run, _ = behind(world, case, lambda r, g: Answer(503, "") if r.is_range else None, kubernetes=False, timeout=300)
    if run.code != COULD_NOT_RUN:
        case.expect(run.report.gaps, "503 for every range query of the only source: no gap")
        case.expect(run.report.json["verdict"] != "healthy", "503 for every range query of the only source: verdict healthy")
    run = world.product.check("--prometheus", dead, "--kubeconfig", world.kubeconfig, "-A", "--at", world.at)
    partial(case, world, run, "nothing listens, with Kubernetes")


@scenario
def prometheus_odd_values(world, case):
    """NaN, infinities, integer times, and series without labels in an answer do no harm."""
    def amend(request, answer):
        if request.is_range and answer.status == 200:
            body = json.loads(answer.body)
            for i, series in enumerate(body["data"]["result"]):
                for j, point in enumerate(series["values"]):
                    point[0] = int(point[0])
                    if (i + j) % 11 == 0:
                        point[1] = ("NaN", "+Inf", "-Inf")[(i + j) % 3]
            body["data"]["result"].append({"metric": {}, "values": [[world.at_unix, "1"]]})
            answer.body = json.dumps(body).encode()
    run, _ = behind(world, case, None, amend)
    if ran(case, run, "odd values"):
        nothing_missing(case, world, run.report, "odd values", checks={"memory-leak", "oom-killed"})
        for bad in ("NaN", "Infinity"):
            case.lacks(run.out, bad, "the JSON report")


# --- ways to a Prometheus --------------------------------------------------------------------------------------------


@scenario
def credentials(world, case):
    """Basic auth, bearer, tenant header, path prefix, own CA: all from environment or files."""
    def decide(request, gateway):
        if request.headers.get("Authorization") not in accepted:
            return Answer(401, "Unauthorized\n", {"Content-Type": "text/plain"})
        if request.headers.get("X-Scope-OrgID") != "team-1":
            return Answer(401, "no org id\n", {"Content-Type": "text/plain"})
        if not request.path.startswith("/prometheus/api/v1/"):
            return Answer(404, "404 page not found\n", {"Content-Type": "text/plain"})
        return gateway.forward(request, request.target[len("/prometheus"):])

    accepted = {basic("doctor", "pass-phrase-17"), "Bearer token-of-a-reader-23"}
    with Gateway(world.prometheus, decide, tls=world.server_tls) as gateway:
        base = ("--prometheus", gateway.url + "/prometheus/", "-A", "--at", world.at)
        full = (*base, "--prometheus-ca", world.ca, "--prometheus-header", "X-Scope-OrgID: team-1")
        for what, env in (("Basic", {"PROMETHEUS_USERNAME": "doctor", "PROMETHEUS_PASSWORD": "pass-phrase-17"}), ("bearer", {"PROMETHEUS_TOKEN": "token-of-a-reader-23"})):
            run = world.product.check(*full, env=env)
            if ran(case, run, what):
                nothing_missing(case, world, run.report, what, checks={"memory-leak"})
        for what, args, env in (
            ("no credentials", full, {}),
            ("a wrong password", full, {"PROMETHEUS_USERNAME": "doctor", "PROMETHEUS_PASSWORD": "wrong-pass-99"}),
            ("a wrong token", full, {"PROMETHEUS_TOKEN": "wrong-token-99"}),
        ):
            run = world.product.check(*args, env=env)
            refused(case, run, what, "401")
            for secret in ("wrong-pass-99", "wrong-token-99", "pass-phrase-17"):
                case.lacks(run.err, secret, f"{what}: standard error")
        run = world.product.check(*base, "--prometheus-header", "X-Scope-OrgID: team-1", env={"PROMETHEUS_TOKEN": "token-of-a-reader-23"})
        refused(case, run, "a server whose CA is unknown", "certificate")
        case.lacks(run.err, "token-of-a-reader-23", "standard error")


@scenario
def arms(world, case):
    """An ARMS gateway: the dialect keeps its rules and finds the same."""
    user, password = "LTAI5tLabAccessKey", "lab-access-key-secret-61"
    keys = {"PROMETHEUS_USERNAME": user, "PROMETHEUS_PASSWORD": password}
    with Arms(world.prometheus, user, password) as gateway:
        run = world.product.check("--dialect", "arms", "--prometheus", gateway.endpoint, "--kubeconfig", world.kubeconfig, "-A", "--at", world.at, env=keys)
        if ran(case, run, "ARMS"):
            same_findings(case, run.report, world.whole().report, "ARMS against Prometheus")
            case.equal(run.report.gaps, [], "gaps through ARMS")
        case.equal(gateway.broken_rules, [], "rules of the gateway that were broken")
        case.expect(gateway.count(lambda r: r.is_range) > 0, "no range query reached the gateway")
        run = world.product.check("--dialect", "arms", "--prometheus", gateway.endpoint, "-A", "--at", world.at, env=keys)
        if ran(case, run, "ARMS without Kubernetes"):
            nothing_missing(case, world, run.report, "ARMS without Kubernetes", checks={"memory-leak", "memory-usage"})
        run = world.product.check("--dialect", "arms", "--prometheus", gateway.endpoint, "-A", "--at", world.at)
        refused(case, run, "ARMS without AccessKey", "PROMETHEUS_USERNAME")
        run = world.product.check("--dialect", "arms", "--prometheus", gateway.endpoint, "-A", "--at", world.at, env={**keys, "PROMETHEUS_PASSWORD": "wrong-key-77"})
        refused(case, run, "ARMS with a wrong AccessKey", "401")
        case.lacks(run.err, "wrong-key-77", "standard error")
        forwarder = gateway.url + "/arms-prom-server"
        for dialect in ("arms", "prometheus"):
            run = world.product.check("--dialect", dialect, "--prometheus", forwarder, "-A", "--at", world.at, env=keys)
            refused(case, run, f"the forwarder of ARMS, dialect {dialect}", "arms-prom-server", "api/v1/prometheus/")


@scenario
def port_forward(world, case):
    """Prometheus through a port-forward to a pod (kwok ends it at the real server)."""
    through_pod(world, case, f"port-forward:{PROMETHEUS_POD}:9090", "port-forward")


@scenario
def exec_in_pod(world, case):
    """Prometheus through commands in a pod (kwok runs them on this machine, so the port is the real server's)."""
    port = world.prometheus.rsplit(":", 1)[1]
    through_pod(world, case, f"exec:{PROMETHEUS_POD}:{port}", "exec")


@scenario
def unknown_way(world, case):
    """A way to Prometheus that is none is refused, with those that are."""
    run = world.product.check("--prometheus-via", "carrier-pigeon:monitoring/prometheus-0", "--kubeconfig", world.kubeconfig)
    refused(case, run, "an unknown way", "port-forward", "service-proxy", "exec")


def through_pod(world, case, via, way):
    run = world.product.check("--prometheus-via", via, "--kubeconfig", world.kubeconfig, "-A", "--at", world.at, timeout=300)
    if not ran(case, run, via):
        return
    same_findings(case, run.report, world.whole().report, f"{via} against the direct address")
    case.equal(run.report.gaps, [], f"gaps of {via}")
    case.contains(run.out, way, "the report says how Prometheus was reached")
    case.note(f"{run.seconds:.1f} s")
    # a pod that is not there, and an account without the right
    for what, args in (
        ("a pod that is not there", ("--prometheus-via", via.replace("prometheus-0", "prometheus-7"), "--kubeconfig", world.kubeconfig)),
        ("no right", ("--prometheus-via", via, "--kubeconfig", world.kubeconfig_for("health-reader", world.token("health-reader")))),
    ):
        run = world.product.check(*args, "-A", "--at", world.at, timeout=300)
        partial(case, world, run, f"{via}: {what}", "prometheus")


@scenario
def service_proxy(world, case):
    """Prometheus through the proxy path of the API server."""
    via = f"service-proxy:{PROMETHEUS_SERVICE}"
    with ServiceProxy(world.api_url, world.ca, world.server_tls, world.prometheus, "monitoring", "prometheus") as front:
        kubeconfig = world.kubeconfig_for("through-front", world.token("health-reader"), server=front.url)
        run = world.product.check("--prometheus-via", via, "--kubeconfig", kubeconfig, "-A", "--at", world.at)
        if ran(case, run, via):
            same_findings(case, run.report, world.whole().report, f"{via} against the direct address")
            case.contains(run.out, "service-proxy", "the report says how Prometheus was reached")
    # the real API server has no address of the service that it would proxy to, and the account lacks the right
    for what, path in (("real API server", world.kubeconfig), ("no right", world.kubeconfig_for("health-reader", world.token("health-reader")))):
        run = world.product.check("--prometheus-via", via, "--kubeconfig", path, "-A", "--at", world.at)
        partial(case, world, run, f"{via}: {what}", "prometheus")


# --- record, replay, secrets -----------------------------------------------------------------------------------------


@scenario
def record_and_replay(world, case):
    """A recorded run gives the same report byte for byte, as often as it is replayed."""
    snapshot = world.path("recorded.ndjson.zst")
    live = {name: world.path(f"live.{name}") for name in ("json", "markdown")}
    pairs = [x for name, path in live.items() for x in ("--format", name, "-o", path)]
    run = world.product.run("check", "--prometheus", world.prometheus, "--kubeconfig", world.kubeconfig, "-A", "--at", world.at, "--record", snapshot, *pairs)
    if not ran(case, run, "check --record"):
        return
    live_code = run.code
    replayed = []
    for turn in (1, 2):
        files = {name: world.path(f"replay{turn}.{name}") for name in live}
        pairs = [x for name, path in files.items() for x in ("--format", name, "-o", path)]
        run = world.product.run("check", "--snapshot", snapshot, *pairs)
        case.equal(run.code, live_code, "exit code of the replay")
        replayed.append({name: open(path, "rb").read() for name, path in files.items()})
    case.expect(replayed[0] == replayed[1], "two replays differ")
    for name, path in live.items():
        recorded = open(path, "rb").read()
        case.expect(recorded == replayed[0][name], f"{name}: live and replay differ: {first_difference(recorded, replayed[0][name])}")
    size = os.path.getsize(snapshot) if os.path.isfile(snapshot) else sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(snapshot) for f in fs)
    case.note(f"snapshot of {size / 2**20:.1f} MiB")

    only = world.path("only.ndjson")  # not compressed
    run = world.product.run("record", "--prometheus", world.prometheus, "--kubeconfig", world.kubeconfig, "-A", "--at", world.at, "-o", only)
    if case.equal(run.code, 0, f"record: exit code (standard error: {shorten(run.err)})"):
        run = world.product.check("--snapshot", only)
        same_findings(case, run.report, world.whole().report, "record, then check --snapshot")


def first_difference(a, b):
    a, b = a.decode().splitlines(), b.decode().splitlines()
    for i, (x, y) in enumerate(zip(a, b)):
        if x != y:
            at = next((k for k, (p, q) in enumerate(zip(x, y)) if p != q), min(len(x), len(y)))
            return f"line {i + 1}: {x[max(0, at - 60):at + 80]!r} against {y[max(0, at - 60):at + 80]!r}"
    return f"{len(a)} against {len(b)} lines"


@scenario
def broken_snapshots(world, case):
    """A snapshot that is cut, foreign, empty or missing is refused with the reason."""
    for name in ("whole.ndjson", "whole.ndjson.zst"):
        broken_snapshot(world, case, name)
    refused(case, world.product.check("--snapshot", world.path("nowhere.ndjson")), "a snapshot that is not there", "nowhere.ndjson")


def broken_snapshot(world, case, name):
    snapshot, path = world.path(name), world.path("broken-" + name)
    run = world.product.run("record", "--prometheus", world.prometheus, "--kubeconfig", world.kubeconfig, "-n", world.namespaces[0], "--at", world.at, "-o", snapshot)
    if not case.equal(run.code, 0, f"record: exit code (standard error: {shorten(run.err)})"):
        return
    if not case.expect(os.path.exists(snapshot), "record wrote nothing"):
        return
    data = open(snapshot, "rb").read()
    for what, content in (("cut in half", data[: len(data) // 2]), ("cut by two bytes", data[:-2]), ("empty", b""), ("a picture", b"\x89PNG\r\n\x1a\n" + bytes(200)),
                          ("some JSON", b'{"hello": "world"}\n')):
        with open(path, "wb") as f:
            f.write(content)
        refused(case, world.product.check("--snapshot", path), f"{name}: a snapshot that is {what}", "broken-" + name)


@scenario
def redaction(world, case):
    """Secrets of the cluster and credentials of the run are in no output and no recording."""
    user, password, token = "doctor", "pass-phrase-17", world.token("health-reader")
    kubeconfig = world.kubeconfig_for("health-reader", token)
    secrets = {**CANARIES, "password of Prometheus": password, "token of the API": token, "Basic header": basic(user, password).split()[1]}
    snapshots = {who: world.path(f"redacted-{who}.ndjson.zst") for who in ("reader", "administrator")}

    def decide(request, gateway):
        if request.headers.get("Authorization") != basic(user, password):
            return Answer(401, f"who are you? {request.headers.get('Authorization')}", {"Content-Type": "text/plain"})

    outputs = {}
    with Gateway(world.prometheus, decide) as gateway:
        # the administrator may read secrets too, and still none may show
        for who, path in (("reader", kubeconfig), ("administrator", world.kubeconfig)):
            files = {name: world.path(f"redacted-{who}.{name}") for name in ("json", "markdown", "text")}
            pairs = [x for name, file in files.items() for x in ("--format", name, "-o", file)]
            env = {"PROMETHEUS_USERNAME": user, "PROMETHEUS_PASSWORD": password, "RUST_LOG": "trace"}
            run = world.product.run("check", "--prometheus", gateway.url, "--kubeconfig", path, "-A", "--at", world.at, "--record", snapshots[who], *pairs, env=env)
            ran(case, run, who)
            case.expect("keeper" in open(files["json"]).read(), f"{who}: the workload with the secrets is not in the report, so this scenario shows nothing")
            outputs.update({f"{who}: {name}": open(file).read() for name, file in files.items()})
            outputs[f"{who}: standard output"], outputs[f"{who}: standard error"] = run.out, run.err
            outputs[f"{who}: snapshot"] = unpacked(snapshots[who])
            outputs[f"{who}: dry run"] = "".join((lambda r: (r.out, r.err))(world.product.run("check", "--dry-run", "--prometheus", gateway.url, "--kubeconfig", path, "-A", env=env)))
        run = world.product.check("--prometheus", gateway.url, "-A", env={"PROMETHEUS_USERNAME": user, "PROMETHEUS_PASSWORD": password + "x", "RUST_LOG": "trace"})
        outputs["refused credentials"] = run.out + run.err
        run = world.product.check("--prometheus", gateway.url.replace("//", f"//{user}:{password}@"), "-A", "--at", world.at)
        outputs["credentials in the address"] = run.out + run.err
    for where, text in outputs.items():
        for what, secret in secrets.items():
            case.expect(secret not in text, f"{where} holds the {what}")
    case.contains(outputs["reader: snapshot"], "keeper", "the unpacked snapshot is readable (or this scenario shows nothing)")


def unpacked(path):
    """The text of a snapshot, file or folder, whatever it is packed with."""
    if os.path.isdir(path):
        return "".join(unpacked(os.path.join(d, f)) for d, _, files in os.walk(path) for f in files)
    data = open(path, "rb").read()
    if data[:4] == b"\x28\xb5\x2f\xfd":
        data = subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout
    elif data[:2] == b"\x1f\x8b":
        data = subprocess.run(["gzip", "-dc", path], capture_output=True, check=True, stdin=subprocess.DEVNULL).stdout
    return data.decode(errors="replace")


# --- exit codes and bad input ----------------------------------------------------------------------------------------


@scenario
def exit_codes(world, case):
    """--fail-on decides between 0 and 1; nothing else does."""
    base = ("--prometheus", world.prometheus, "--kubeconfig", world.kubeconfig, "--at", world.at)
    for fail_on, want in (("never", CLEAN), ("warning", FINDINGS), ("critical", FINDINGS)):
        case.equal(world.product.check(*base, "-A", "--fail-on", fail_on).code, want, f"exit with --fail-on {fail_on}")
    case.equal(world.product.check(*base, "-n", "monitoring").code in (CLEAN, TOO_LITTLE_DATA), True, "exit of a namespace without trouble is 0, or 3 without data")
    # standard output that is closed early is no failure
    shell = f"'{world.product.binary}' check --prometheus {world.prometheus} -A --at {world.at} --fail-on never | head -c 10 >/dev/null; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=120)
    case.equal(done.stdout.strip(), "0", f"exit with a closed pipe (standard error: {shorten(done.stderr)})")


@scenario
def bad_input(world, case):
    """Each wrong input is refused with exit 2 and an error that names the value and the way out."""
    check = world.product.check
    good = ("--prometheus", world.prometheus, "-A")
    refused(case, check(), "no source at all", "--prometheus")
    refused(case, check("--prometheus", "127.0.0.1:9090", "-A"), "an address without scheme", "http")
    refused(case, check("--prometheus", "ftp://127.0.0.1:9090", "-A"), "an address of another scheme", "ftp")
    refused(case, check("--prometheus", "http://", "-A"), "an address without host")
    refused(case, check("--prometheus", "http://127.0.0.1:1/", "-A"), "an address where nothing listens", "127.0.0.1:1")
    refused(case, check("--prometheus", "http://no-such-host.invalid:9090", "-A"), "a host that does not exist", "no-such-host.invalid")
    refused(case, check("--snapshot", world.path("x"), "--prometheus", world.prometheus), "a snapshot and a server")
    refused(case, check(*good, "--step", "0s"), "step 0", "step")
    refused(case, check(*good, "--step", "5 parsecs"), "a step that is no duration", "5 parsecs")
    refused(case, check(*good, "--lookback", "10m", "--step", "5m"), "a look-back of two steps", "lookback")
    refused(case, check(*good, "--at", "yesterday"), "a time that is none", "yesterday")
    refused(case, check(*good, "--timeout", "-1s"), "a negative time-out")
    refused(case, check(*good, "--dialect", "influx"), "an unknown dialect", "arms")
    refused(case, check(*good, "--only", "memory-leek"), "an unknown check", "memory-leak")
    refused(case, check(*good, "--set", "memory-leak.min-slop=5"), "an unknown parameter", "memory-leak")
    refused(case, check(*good, "--set", "memory-leak.min-slope=512MB/h/"), "a wrong unit", "512MB/h/")
    refused(case, check(*good, "--prometheus-header", "no colon here"), "a header without colon", "header")
    refused(case, check(*good, "--prometheus-ca", world.path("no-ca.pem")), "a CA file that is not there", "no-ca.pem")
    refused(case, check(*good, "--no-such-flag"), "an unknown flag", "--no-such-flag")
    refused(case, check(*good, "-o", "/proc/no/such/place/report.json"), "an output that cannot be written", "/proc/no/such/place")


@scenario
def bad_kubeconfigs(world, case):
    """Kubeconfigs that are missing, broken or refused; with Prometheus beside them, the rest is still done."""
    check = world.product.check
    broken = world.path("broken.kubeconfig")
    with open(broken, "w") as f:
        f.write("apiVersion: v1\nclusters: [ {name: \n")
    refused(case, check("--kubeconfig", world.path("nowhere.kubeconfig"), "-A"), "a kubeconfig that is not there", "nowhere.kubeconfig")
    refused(case, check("--kubeconfig", broken, "-A"), "a kubeconfig that is not YAML", "broken.kubeconfig")
    refused(case, check("--kubeconfig", world.kubeconfig, "--context", "no-such-context", "-A"), "a context that is not there", "no-such-context")

    garbage = world.kubeconfig_for("garbage", "eyJhbGciOiJub25lIn0.e30.")
    refused(case, check("--kubeconfig", garbage, "-A"), "a token that is none", "credentials")
    expired = world.kubeconfig_for("expired", world.expired_token("health-reader"))
    refused(case, check("--kubeconfig", expired, "-A"), "a token that ran out an hour ago", "credentials", "expired")
    foreign_ca = world.path("foreign-ca.crt")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", world.path("foreign.key"), "-out", foreign_ca, "-days", "2", "-subj", "/CN=foreign"],
                   check=True, capture_output=True)
    foreign = world.kubeconfig_for("foreign", world.token("health-reader"), ca=foreign_ca)
    refused(case, check("--kubeconfig", foreign, "-A"), "an API server of another CA", "certificate")
    nowhere = world.kubeconfig_for("nowhere", world.token("health-reader"), server="https://127.0.0.1:1")
    refused(case, check("--kubeconfig", nowhere, "-A"), "an API server where nothing listens", "127.0.0.1:1")
    for name, path in (("garbage token", garbage), ("expired token", expired), ("foreign CA", foreign), ("no server", nowhere)):
        run = check("--prometheus", world.prometheus, "--kubeconfig", path, "-A", "--at", world.at)
        if ran(case, run, f"{name}, with Prometheus"):
            case.expect(run.report.gaps, f"{name}, with Prometheus: no gap")
            nothing_missing(case, world, run.report, f"{name}, with Prometheus", checks={"memory-leak"})
            case.lacks(run.out + run.err, world.token("health-reader"), f"{name}: output")


@scenario
def selections(world, case):
    """Namespaces by name and glob; one that matches nothing is said, never healthy."""
    base = ("--prometheus", world.prometheus, "--kubeconfig", world.kubeconfig, "--at", world.at)
    glob = world.namespaces[0][:3] + "*"
    run = world.product.check(*base, "-n", glob)
    if ran(case, run, glob):
        want = {r for r in world.whole().report.rows(MOVING) if r[2] == world.namespaces[0]}
        case.same_set({r for r in run.report.rows(MOVING) if r[2]}, want, f"-n {glob}")
    run = world.product.check(*base, "-n", "no-such-namespace")
    case.expect(run.code in (COULD_NOT_RUN, TOO_LITTLE_DATA), f"-n no-such-namespace: exit {run.code}, expected 2 or 3")
    case.contains(run.err + run.out, "no-such-namespace", "-n no-such-namespace: output")
    if run.out:
        case.expect(run.report.json["verdict"] == "unknown", f"-n no-such-namespace: verdict {run.report.json['verdict']}")
    run = world.product.check("--prometheus", world.prometheus, "--at", world.at, "-n", "no-such-namespace")
    case.expect(run.code in (COULD_NOT_RUN, TOO_LITTLE_DATA), f"-n no-such-namespace, Prometheus alone: exit {run.code}")


@scenario
def dry_run(world, case):
    """--dry-run prints queries and rights, and asks for no data."""
    with Gateway(world.prometheus) as gateway:
        run = world.product.run("check", "--dry-run", "--prometheus", gateway.url, "--kubeconfig", world.kubeconfig, "-A", "--at", world.at)
        ran(case, run, "--dry-run")
        case.equal(gateway.count(lambda r: r.is_range), 0, "range queries of a dry run")
    for part in ("container_memory_working_set_bytes", "list", "pods"):
        case.contains(run.out, part, "--dry-run")


@scenario
def without_servers(world, case):
    """What needs no server works without one, and as a kubectl plugin."""
    report = world.whole().report
    for args, parts in (
        (("--version",), ("healthcheck",)),
        (("--help",), ("check", "demo", "record", "explain")),
        (("list",), tuple(report.checks)),
        *((("explain", check), (check,)) for check in report.checks),
        (("config", "init", "-"), ("clusters",)),
        (("config", "schema"), ("$schema",)),
        (("completions", "bash"), ("healthcheck",)),
        (("man",), (".TH",)),
    ):
        run = world.product.run(*args)
        case.equal(run.code, CLEAN, f"{' '.join(args)}: exit code (standard error: {shorten(run.err)})")
        for part in parts:
            case.contains(run.out, part, " ".join(args))
    run = world.product.run("demo", "--format", "json")
    case.expect(run.code in (CLEAN, FINDINGS) and run.report.findings, f"demo: exit {run.code}, standard error: {shorten(run.err)}")
    json.loads(world.product.run("config", "schema").out)
    refused(case, world.product.run("explain", "memory-leek"), "explain of a check that is not there", "memory-leak")

    plugins = world.path("plugins")
    os.makedirs(plugins, exist_ok=True)
    os.symlink(world.product.binary, os.path.join(plugins, "kubectl-healthcheck"))
    path = f"{plugins}:{os.environ['PATH']}:{os.path.join(os.environ.get('LAB_CACHE', ''), 'bin')}"
    done = subprocess.run(["kubectl", "healthcheck", "list"], capture_output=True, text=True, timeout=60, env={**os.environ, "PATH": path})
    case.equal(done.returncode, 0, f"kubectl healthcheck list: exit code ({shorten(done.stderr)})")
    case.contains(done.stdout, "memory-leak", "kubectl healthcheck list")


@scenario
def plain_series(world, case):
    """`leaks` on series taken from the server by hand says of every workload what the check says."""
    step, start = 300, world.at_unix - 7 * 86400
    series = world.prometheus_range('container_memory_rss{container="app"}', start, world.at_unix, step)
    lines = []
    for d in world.truth:
        pods = []
        for labels, points in series:
            if labels["namespace"] == d["namespace"] and labels["pod"] in d["pods"]:
                values = [None] * ((world.at_unix - start) // step + 1)
                for at, value in points:
                    values[int((at - start) // step)] = value
                pods.append({"pod": labels["pod"], "start_unix": start, "values": values})
        if pods:
            lines.append({"id": d["deployment"], "step_s": step, "limit_bytes": d["mem_limit"], "start_unix": start,
                          "end_unix": world.at_unix, "series": pods})
    path = world.path("series.ndjson.gz")
    with gzip.open(path, "wt") as f:
        f.write("".join(json.dumps(line) + "\n" for line in lines) + "no case\n")
    run = world.product.run("leaks", "--input", path)
    case.equal(run.code, CLEAN, f"leaks: exit code (standard error: {shorten(run.err)})")
    answers = [json.loads(line) for line in run.out.splitlines()]
    case.equal([a["id"] for a in answers], [line["id"] for line in lines] + [None], "answers in the order of the cases")
    case.expect("error" in answers[-1], f"a line that is no case: {answers[-1]}")
    profile = {d["deployment"]: d["profile"] for d in world.truth}
    leaking = {name for name in profile if profile[name] in LEAKING and any(line["id"] == name for line in lines)}
    case.same_set({a["id"] for a in answers[:-1] if a["leak"]}, leaking, "leaks among plain series")


@scenario
def many_clusters(world, case):
    """A configuration with a cluster that is well and one that is out of reach: both are in the report."""
    config = world.path("clusters.yaml")
    clusters = [{"name": "lab", "kubernetes": {"kubeconfig": world.kubeconfig}, "prometheus": {"url": world.prometheus}},
                {"name": "lost", "prometheus": {"url": "http://127.0.0.1:1"}}]
    with open(config, "w") as f:
        json.dump({"clusters": clusters}, f)  # JSON is YAML
    run = world.product.check("--config", config, "-A", "--at", world.at)
    if ran(case, run, "one cluster of two"):
        case.equal([c["name"] for c in run.report.json["clusters"]], ["lab", "lost"], "clusters of the report")
        case.contains(run.report.gap_text(), "lost", "gaps")
        same_findings(case, run.report, world.whole().report, "the cluster that is well")
    with open(config, "w") as f:
        json.dump({"clusters": [{"name": "lab", "prometheus": {"urll": world.prometheus}}]}, f)
    refused(case, world.product.check("--config", config, "-A"), "an unknown key", "urll", "url", "clusters.yaml")


@scenario
def two_control_planes(world, case):
    """Two real API servers in one run: both are reported; with one stopped it is a gap, and the other is whole."""
    path = world.path("two.yaml")
    with open(path, "w") as f:
        json.dump({
            "profiles": {"calm": {"checks": {"requests-missing": {"enabled": False}}}},
            "clusters": [
                {"name": "second", "kubernetes": {"kubeconfig": world.second()},
                 "namespaces": ["*", {"name": "edge", "checks": {"memory-usage": {"enabled": False}}}]},
                {"name": "lab", "extends": "calm", "kubernetes": {"kubeconfig": world.kubeconfig}, "prometheus": {"url": world.prometheus}},
            ]}, f)
    run = world.product.check("--config", path, "--at", world.at)
    ran(case, run, "two clusters")
    both = run.report
    case.equal([c["name"] for c in both.json["clusters"]], ["second", "lab"], "clusters, in the order of the file")
    of = lambda report, name: [f for f in report.findings if f["subject"]["cluster"] == name]  # noqa: E731
    missing = [f for f in of(both, "second") if f["check"] == "requests-missing" and f["subject"]["name"] == "jobs"]
    if case.expect(missing, "the Deployment without requests in the second cluster is not found"):
        case.equal(missing[0]["class"], {"name": "runner", "origin": "image"}, "class of a gitlab-runner")
    case.expect(not any(f["check"] == "requests-missing" for f in of(both, "lab")), "a check that a profile switches off runs")
    edge = [n for n in both.json["clusters"][0]["namespaces"] if n["name"] == "edge"]
    case.expect(edge and (edge[0]["workloads"], edge[0]["pods"]) == (1, 2), f"summary of the namespace: {edge}")
    nothing_missing(case, world, both, "not in the report of both", checks=(METRIC_CHECKS | OBJECT_CHECKS) - {"requests-missing"})

    world.kube_up("--down")
    run = world.product.check("--config", path, "--at", world.at)
    ran(case, run, "one of two clusters stopped")
    one = run.report
    case.equal([c["name"] for c in one.json["clusters"]], ["second", "lab"], "clusters, in the order of the file")
    case.expect(any(g["scope"].startswith("second") and g["cause"] == "unreachable" for g in one.gaps), f"no gap tells of the stopped cluster: {one.gap_text()}")
    rows = lambda report: {(f["check"], f["subject"]["namespace"], f["subject"]["name"]) for f in of(report, "lab") if f["subject"]["kind"] not in MOVING}  # noqa: E731
    case.same_set(rows(one), rows(both), "findings of the cluster that is up")
    case.equal(one.json["clusters"][0]["pods"], 0, "pods of the stopped cluster")
    case.note(f"both in {both.json['cost']['seconds']} s, with one stopped in {run.seconds:.1f} s")


@scenario
def fleet_at_once(world, case):
    """Four clusters of 100 pods in 13 namespaces in one run say what each says alone; the note tells the times, bare and with 200 ms added to every answer."""
    more = [f"lab-more-{i}" for i in range(13 - len(world.namespaces))]
    for name in more:
        world.namespace(name)
        labels = {"app": "one"}
        resources = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}}
        world.api.post(f"/apis/apps/v1/namespaces/{name}/statefulsets", {
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "one"},
            "spec": {"serviceName": "one", "replicas": 1, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels}, "spec": {"containers": [{"name": "one", "image": "img.lab.example/one:1.0", "resources": resources}]}}}})
    try:
        for name in more:
            world.wait_for_pods(name, 1)
        fleet_and_alone(world, case)
    finally:
        for name in more:
            world.api.do("DELETE", f"/api/v1/namespaces/{name}")


def fleet_and_alone(world, case):
    def slow(_request, _gateway):
        time.sleep(.2)

    api = {"tls": world.server_tls, "upstream_context": ssl.create_default_context(cafile=world.ca)}
    for what, decide in (("bare", None), ("slow", slow)):
        with contextlib.ExitStack() as gateways:
            clusters = []
            for i in range(4):
                prometheus, kubernetes = world.prometheus, world.api_url
                if decide:
                    prometheus = gateways.enter_context(Gateway(world.prometheus, decide)).url
                    kubernetes = gateways.enter_context(Gateway(world.api_url, decide, **api)).url
                kubeconfig = world.kubeconfig_for(f"{what}{i}", world.token("health-reader"), server=kubernetes)
                clusters.append({"name": f"c{i}", "kubernetes": {"kubeconfig": kubeconfig}, "prometheus": {"url": prometheus}})
            path = world.path(f"{what}.yaml")
            with open(path, "w") as f:
                json.dump({"clusters": clusters}, f)
            alone = [world.product.check("--config", path, "--cluster", f"c{i}", "--at", world.at) for i in range(4)]
            before = os.times()
            fleet = world.product.check("--config", path, "--at", world.at)
            after = os.times()
        if not ran(case, fleet, what):
            continue
        # All four are one cluster: by its address, or by the uid of its namespace kube-system.
        another = "by another address" if decide else "both are"
        twice = [g for g in fleet.report.gaps if "is the same cluster as c0" in g["detail"] and another in g["detail"]]
        case.equal([g["scope"] for g in twice], ["c1", "c2", "c3"], f"{what}: told twice")
        # How sure a leak is depends on how many containers the whole report judges.
        rows = lambda report: {(f["subject"]["cluster"], f["check"], f["subject"]["namespace"], f["subject"]["name"])  # noqa: E731
                               for f in report.findings if f["subject"]["kind"] not in MOVING and f["check"] != "memory-leak"}
        case.same_set(rows(fleet.report), set().union(*(rows(run.report) for run in alone)), f"{what}: in the fleet and alone")
        seconds = [run.report.json["cost"]["seconds"] for run in alone]
        took, peak = fleet.report.json["cost"]["seconds"], fleet.report.json["cost"]["peak_rss_bytes"] / 2**20
        highest = max(run.report.json["cost"]["peak_rss_bytes"] for run in alone) / 2**20
        # One Prometheus and one API server answer for all four, and the gateways are Python: their work, too, is done on the
        # processors of this machine, where a fleet has servers of its own.
        own = after.children_user + after.children_system - before.children_user - before.children_system
        gateways = after.user + after.system - before.user - before.system
        case.note(f"{what}: {took:.2f} s, {took / max(seconds):.2f} x the slowest alone, {took / sum(seconds):.2f} x all in turn, "
                  f"{peak:.0f} MiB against {highest:.0f} MiB alone; CPU of its own {own:.2f} s, of the gateways {gateways:.2f} s")
