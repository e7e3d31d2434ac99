"""The commands of README, DEPLOYMENT and RUNBOOK, each run as a reader would, in a fresh clone with a cluster and a server."""
import json
import os
import re
import shlex
import shutil
import subprocess
import time

from .case import scenario, shorten
from .deployment import NAMESPACE, ROOT, as_in_a_pod, call, ended, kubectl, nothing_left, pods_of, run_pod, tool, without_monitoring_kinds
from .image import built, kernel_refuses

README, DEPLOYMENT, RUNBOOK = "README.md", "docs/DEPLOYMENT.md", "docs/RUNBOOK.md"
PROGRAMS = ("healthcheck", "kubectl", "helm", "docker", "cargo")
# Why a command is not run here; every other one is. The key is a part of it.
NOT_RUN = {
    "docker buildx build --platform": "there is no registry here; the scenario `image` builds that stage with buildah, and does here, timed",
    "docker buildx build --target sbom": ".ci/run makes that list with the same program",
    "docker buildx imagetools inspect": "there is no registry here; the scenario `image` compares the architecture of image and program",
    "docker cp": "there is no Docker here; the program is the one that the suite was given",
    "cargo install": "the program is the one that the suite was given",
    "kubectl -n healthcheck cp": "kwok only plays the pod that reads the volume, which the API server takes",
    "docker login": "there is no registry here",
    "cargo test --workspace": ".ci/run does before this suite",
    "cargo add healthcore": "the crate is not published yet",
}
# What a reader puts in: a part of a command, and what it is in the lab.
PUT_IN = [
    ("cargo run --release --", lambda lab: "healthcheck"),  # it is the program that the suite was given
    ("http://127.0.0.1:9090", lambda lab: lab.world.prometheus),
    # Where it lets nobody proxy to a loopback address, as in the lab, the API server forwards a port.
    ("service-proxy:monitoring/prometheus:9090", lambda lab: "port-forward:monitoring/prometheus-0:9090"),
    ("-n shop", lambda lab: f"-n {lab.world.namespaces[0]}"),
    ("pay-*", lambda lab: f"{lab.world.namespaces[1][:4]}*"),
    ("job/NAME", lambda lab: "job/first"),
    ("job NAME", lambda lab: "job first"),
    # There is none where the CronJob is.
    ("deployment/healthcheck-serve", lambda lab: "job/first"),
    ("deployment healthcheck-serve", lambda lab: "cronjob healthcheck"),
    ("pod NAME", lambda lab: f"pod {lab.pod}"),
    ("--history DIR", lambda lab: "--history history"),
    ("--config FILE", lambda lab: "--config deploy/kustomize/overlays/prod/healthcheck.yaml"),
    ("create secret ...", lambda lab: f"-n {NAMESPACE} create secret generic healthcheck --from-env-file=credentials.env"),
    ("healthcheck config init", lambda lab: "healthcheck config init new.yaml"),
    ("helm uninstall", lambda lab: f"helm uninstall healthcheck -n {NAMESPACE}"),
    # Of January there are no samples.
    ("2026-01-31T01:00:00Z", lambda lab: lab.world.at),
]
# Exit codes of commands that answer by them; a part of the command. All others end with 0.
ANSWERS = {
    "healthcheck check": {0, 1},
    "healthcheck merge": {0, 1},
    "healthcheck rbac --check": {0, 1},
    "--cluster NAME": {0, 1},
}
# Those that stay are stopped as Kubernetes does it.
STAYS = "healthcheck serve"
THRESHOLDS = "memory:\n  leak: {slope_mb_per_hour: 12}\n  usage: {warning: 65, critical: 0.9}\n"
QUERIES = 'memory_usage: container_memory_working_set_bytes{namespace="{namespace}"}\n'


class Command:
    """A command of a document, with the heading that it stands under."""

    def __init__(self, document, heading, text):
        self.document, self.heading, self.text = document, heading, text

    def __str__(self):
        return f"{self.document}, {self.heading}: {self.text}"


def commands(document):
    """Every command of a document, in its order: lines of its `sh` blocks, and code within text that begins with a program."""
    with open(os.path.join(ROOT, document), encoding="utf-8") as f:
        text = f.read()
    found, heading = [], document
    parts = re.finditer(r"^#+ (?P<heading>[^\n]+)$|^```(?P<language>\w*)\n(?P<block>.*?)^```|(?<!`)`(?P<code>[^`]+)`", text, re.M | re.S)
    for part in parts:
        if part["heading"]:
            heading = part["heading"]
        elif part["language"] == "sh":
            lines = part["block"].replace("\\\n", " ").splitlines()
            found += [Command(document, heading, line) for line in map(without_comment, lines) if line]
        elif part["code"] and " " in part["code"] and part["code"].split()[0] in PROGRAMS:
            found.append(Command(document, heading, " ".join(part["code"].split())))
    return found


def without_comment(line):
    return " ".join(re.sub(r"\s{2,}#.*$", "", line).split())


class Lab:
    """A reader: a clone, a home with a kubeconfig, and a shell that has the programs."""

    def __init__(self, world, name="reader", not_run=NOT_RUN, put_in=PUT_IN):
        self.world, self.not_run, self.put_in = world, not_run, put_in
        self.clone, self.home = world.path(f"{name}-clone"), world.path(name)
        self.pod = "none"
        self.seconds = {}
        for folder in (self.clone, os.path.join(self.home, ".kube"), os.path.join(self.home, ".docker"), os.path.join(self.home, "bin")):
            os.makedirs(folder)
        files = call("git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
        for file in filter(lambda file: os.path.isfile(os.path.join(ROOT, file)), files):
            os.makedirs(os.path.dirname(os.path.join(self.clone, file)), exist_ok=True)
            shutil.copy(os.path.join(ROOT, file), os.path.join(self.clone, file))
        for program, path in (("healthcheck", world.product.binary), ("kubectl", tool("kubectl")), ("helm", tool("helm"))):
            os.symlink(path, os.path.join(self.home, "bin", program))
        shutil.copy(world.kubeconfig, os.path.join(self.home, ".kube", "config"))
        context = self.sh("kubectl config current-context").stdout.strip()
        self.sh(f"kubectl config rename-context {shlex.quote(context)} prod")
        self.write(".docker/config.json", '{"auths": {"registry.example": {"auth": "bm9ib2R5Om5vdGhpbmc="}}}', self.home)

    def write(self, path, text, folder=None):
        with open(os.path.join(folder or self.clone, path), "w", encoding="utf-8") as f:
            f.write(text)

    def sh(self, text):
        environment = {"PATH": f"{self.home}/bin:{os.environ['PATH']}", "HOME": self.home, "TERM": "dumb", "PROMETHEUS_URL": self.world.prometheus}
        return subprocess.run(["bash", "-o", "pipefail", "-c", text], cwd=self.clone, env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=180)

    def run(self, case, command):
        """Runs a command with what a reader puts in; whether it was one that is run."""
        if any(part in command.text for part in self.not_run):
            return False
        text = command.text
        for part, of in self.put_in:
            text = text.replace(part, of(self))
        if text.startswith(STAYS):
            text = f"timeout -s TERM --preserve-status 5 {text}"
        began = time.monotonic()
        done = self.sh(text)
        self.seconds[command.heading] = self.seconds.get(command.heading, 0) + time.monotonic() - began
        wanted = next((codes for part, codes in ANSWERS.items() if part in text), {0})
        case.expect(done.returncode in wanted, f"{command}: exit {done.returncode}: {shorten(done.stderr or done.stdout, 400)}")
        case.lacks(done.stderr, "panicked at", str(command))
        return True


def volume(world, claim):
    """The share that the storage class of the manifests would make."""
    kubectl(world, "delete", "persistentvolume", "nas", "--ignore-not-found", "--timeout=60s")
    world.api.post("/api/v1/persistentvolumes", {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "nas"},
        "spec": {"capacity": {"storage": "20Gi"}, "accessModes": ["ReadWriteMany"], "hostPath": {"path": "/nas"},
                 "storageClassName": "alibabacloud-cnfs-nas", "persistentVolumeReclaimPolicy": "Retain",
                 "claimRef": {"namespace": NAMESPACE, "name": claim}}})


def edited(lab):
    """What step 4 tells a reader to edit: the address of the metrics server."""
    path = "deploy/kustomize/overlays/prod/healthcheck.yaml"
    with open(os.path.join(lab.clone, path), encoding="utf-8") as f:
        text = f.read()
    lab.write(path, text.replace("http://prometheus-server.monitoring.svc:9090", lab.world.prometheus))


def report_of(lab, case, job, what):
    """Runs the program as the pod of a Job, which kwok only plays, and looks for the report; its log is what kwok shows."""
    world = lab.world
    world.wait_for(lambda: any(map(ended, pods_of(world, job))), f"the end of the Job {job}", 60)
    pod = pods_of(world, job)[0]
    reports = world.path(f"reports-{job}")
    os.makedirs(reports, exist_ok=True)
    began = time.monotonic()
    with as_in_a_pod(world, NAMESPACE, "healthcheck") as possible:
        if not possible:
            case.note(f"{what}: no account of a pod can be made here, so no report was")
            return pod
        run = run_pod(world, pod, reports)
    case.equal(run.code, 0, f"{what}: exit code ({shorten(run.err)})")
    for name in ("latest.html", "latest.md", "latest.json"):
        path = os.path.join(reports, name)
        case.expect(os.path.exists(path) and os.path.getsize(path) > 1000, f"{what}: {name} is missing or empty")
    lab.seconds[what] = time.monotonic() - began
    log(world, run.err.splitlines())
    return pod


def scheduled(lab, case):
    """The first report by the schedule itself, which is set to the next minute."""
    world, began = lab.world, time.monotonic()
    set_to = json.dumps({"spec": {"schedule": "* * * * *", "timeZone": "Etc/UTC"}})
    kubectl(world, "-n", NAMESPACE, "patch", "cronjob", "healthcheck", "-p", set_to)
    path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
    fired = lambda: [j["metadata"]["name"] for j in world.api.get(path)["items"] if re.fullmatch(r"healthcheck-\d+", j["metadata"]["name"])]  # noqa: E731
    world.wait_for(fired, "a Job by the schedule", 100)
    kubectl(world, "-n", NAMESPACE, "patch", "cronjob", "healthcheck", "-p", json.dumps({"spec": {"suspend": True}}))
    lab.seconds["wait for the schedule"] = time.monotonic() - began
    report_of(lab, case, fired()[0], "scheduled report")


def build_image(lab, case):
    """Step 1 without a registry: the stage that makes the image, around the program under test."""
    refused = kernel_refuses()
    if refused:
        case.note(f"no image, the kernel gives no mount namespace: {refused}")
        return
    began = time.monotonic()
    with built(lab.world, lab.world.product.binary):
        lab.seconds["1. An image (10 minutes, once)"] = time.monotonic() - began


def log(world, lines=()):
    """What kwok shows as the log of the program's pods, which it only plays."""
    folder = os.path.join(world.kube_dir, "logs")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "healthcheck.log"), "w", encoding="utf-8") as f:
        f.writelines(f"{world.at} stderr F {line}\n" for line in lines)


def a_job_that_fails(lab, case, steps):
    """The command by which a reader waits for the first Job ends for one that fails, too."""
    world = lab.world
    waits = [c for c in steps if "wait job/first" in c.text]
    if not case.equal(len(waits), 1, "commands that wait for the first Job"):
        return
    job = json.loads(kubectl(world, "-n", NAMESPACE, "create", "job", "broken", "--from=cronjob/healthcheck", "--dry-run=client", "-o", "json"))
    job["spec"]["backoffLimit"] = 0
    job["spec"]["template"]["metadata"]["labels"]["lab/job"] = "fail"
    kubectl(world, "create", "-f", "-", stdin=json.dumps(job))
    began = time.monotonic()
    done = lab.sh(waits[0].text.replace("first", "broken").replace("10m", "60s"))
    case.equal(done.returncode, 0, f"waiting for a Job that fails, after {time.monotonic() - began:.0f} s: {shorten(done.stderr, 400)}")
    shown = kubectl(world, "-n", NAMESPACE, "get", "job", "broken", "--no-headers").split()[1]
    case.expect(shown.startswith("Fail"), f"the Job that was to fail is {shown}")
    kubectl(world, "-n", NAMESPACE, "delete", "job", "broken")


@scenario
def documents(world, case):
    """Every command of README, DEPLOYMENT and RUNBOOK is run, or has a reason; from a clone to the first scheduled report, timed."""
    lab = Lab(world)
    nothing_left(world)
    # A reader's cluster need not have the Prometheus operator.
    without_monitoring_kinds(world)
    log(world)
    volume(world, "healthcheck-reports")
    deployment, runbook, readme = commands(DEPLOYMENT), commands(RUNBOOK), commands(README)
    steps = [c for c in deployment if re.match(r"\d\. ", c.heading)]
    ways_out = [c for c in deployment if c.heading == "Taking it away" and "helm" not in c.text]
    chart = [c for c in deployment if c.heading == "With Helm"] + [c for c in deployment if c.text == "helm uninstall"]
    rest = [c for c in deployment if c not in steps + ways_out + chart]
    ran = []

    def go(some):
        ran.extend(c for c in some if lab.run(case, c))

    build_image(lab, case)
    lab.write("credentials.env", re.search(r"```text\n(.*?)```", read(DEPLOYMENT), re.S)[1])
    lab.write("thresholds.yaml", THRESHOLDS)
    lab.write("promql_queries.yaml", QUERIES)
    edited(lab)
    go(steps)
    a_job_that_fails(lab, case, steps)
    lab.pod = report_of(lab, case, "first", "first report")["metadata"]["name"]
    scheduled(lab, case)
    timed = dict(lab.seconds)
    go(rest)
    go(runbook)
    go(readme)
    go(ways_out)
    names = [n["metadata"]["name"] for n in world.api.get("/api/v1/namespaces")["items"]]
    case.expect(NAMESPACE not in names, "the namespace is there after all was taken away")
    volume(world, "healthcheck-reports")
    lab.write("my-values.yaml", json.dumps({"config": {"clusters": [{"name": "lab", "kubernetes": {}, "prometheus": {"url": world.prometheus}}]}}))
    go(chart)
    nothing_left(world)

    every = deployment + runbook + readme
    left = [c for c in every if c not in ran]
    case.expect(len(ran) >= 50, f"only {len(ran)} commands were found to run")
    unused = [part for part in NOT_RUN if not any(part in c.text for c in every)]
    case.equal(unused, [], "reasons for commands that no document has")
    case.note(f"{len(ran)} commands run, {len(left)} not ({'; '.join(sorted({p for c in left for p in NOT_RUN if p in c.text}))})")
    case.note("from a clone to the first scheduled report: " + ", ".join(f"{what} {s:.1f} s" for what, s in timed.items()) + f"; {sum(timed.values()):.0f} s in all")


def read(document):
    with open(os.path.join(ROOT, document), encoding="utf-8") as f:
        return f.read()
