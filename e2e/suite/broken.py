"""What breaks around a run: volumes that are full or read-only, credentials that miss, edits and signals at a bad moment."""
import json
import os
import re
import signal
import subprocess
import time

from .case import listed, scenario, shorten
from .deployment import NAMESPACE, kubectl
from .gateway import Answer, Gateway
from .image import kernel_refuses
from .product import CLEAN, COULD_NOT_RUN, FINDINGS
from .serve import Served, kept, whole


def on_volume(world, options, *args, seconds=120):
    """Runs the program with a file system of its own at `/volume` of the work folder: (exit code, standard error, files)."""
    folder = world.path("volume")
    os.makedirs(folder, exist_ok=True)
    # What lies there before is whole, and must stay so.
    script = ('set -e; v=$1; o=$2; shift 2; mount -t tmpfs none "$v"; echo before > "$v/latest.html"; echo before > "$v/latest.json"; mkdir "$v/history"; '
              'mount -o "remount,$o" "$v"; set +e; { cat /dev/zero > "$v/rest"; } 2>/dev/null; "$@"; code=$?; cd "$v"; for f in $(ls -A); do echo "FILE $f $(head -c 6 $f 2>/dev/null)"; done; exit $code')
    environment = {"PATH": os.environ["PATH"], "HOME": world.work, "TERM": "dumb"}
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", folder, options, world.product.binary, *map(str, args)],
                          env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)
    files = dict(re.findall(r"^FILE (\S+) (.*)$", done.stdout, re.M))
    return done.returncode, done.stderr, files


@scenario
def bad_volumes(world, case):
    """A volume that is full or read-only: the old report stays whole, the error names file and cause; a history there costs no report."""
    refused = kernel_refuses()
    if refused:
        case.note(f"left out, the kernel gives no mount namespace: {refused}")
        return
    source = ("--prometheus", world.prometheus, "--no-kubernetes", "--at", world.at)
    out = world.path("volume")
    for what, options, words in (("full", "size=16k", "the disk is full"), ("read-only", "ro", "read-only file system")):
        code, err, files = on_volume(world, options, "check", *source, "-o", f"{out}/latest.html", "-o", f"{out}/latest.json")
        case.equal(code, COULD_NOT_RUN, f"{what}: exit code ({shorten(err)})")
        case.contains(err, words, f"{what}: standard error")
        case.contains(err, "latest.html", f"{what}: standard error")
        files.pop("rest", None)  # which filled it
        case.equal(files, {"latest.html": "before", "latest.json": "before", "history": ""}, f"{what}: what lies there after it")

        report = world.path(f"beside-{what}.json")
        code, err, _ = on_volume(world, options, "check", *source, "--history", f"{out}/history", "-o", report)
        case.expect(code in (CLEAN, FINDINGS), f"{what}, history alone: exit {code}: {shorten(err)}")
        with open(report, encoding="utf-8") as f:
            gaps = [g for g in json.load(f)["gaps"] if "history" in g["scope"] or "history" in g["detail"]]
        case.expect(any(words in g["detail"].lower() for g in gaps), f"{what}: no gap tells why it is not remembered: {gaps}")


@scenario
def missing_key(world, case):
    """A Secret that lacks a key: the run ends at once, names the variable and where it is wanted, and tells no value."""
    world.namespace(NAMESPACE)
    kubectl(world, "-n", NAMESPACE, "delete", "secret", "healthcheck", "--ignore-not-found")
    kubectl(world, "-n", NAMESPACE, "create", "secret", "generic", "healthcheck", "--from-literal=PROMETHEUS_USERNAME=canary-user-3d01")
    data = world.api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/healthcheck")["data"]
    case.equal(set(data), {"PROMETHEUS_USERNAME"}, "keys of the Secret")
    config = world.path("missing-key.yaml")
    prometheus = {"url": world.prometheus, "username-env": "PROMETHEUS_USERNAME", "password-env": "PROMETHEUS_PASSWORD"}
    with open(config, "w") as f:
        json.dump({"clusters": [{"name": "lab", "prometheus": prometheus}]}, f)  # JSON is YAML
    environment = {"PROMETHEUS_USERNAME": "canary-user-3d01"}
    run = world.product.run("check", "--config", config, env=environment)
    case.equal(run.code, COULD_NOT_RUN, "exit code")
    case.equal(run.out, "", "standard output")
    for part in ("clusters[0].prometheus.password-env", "PROMETHEUS_PASSWORD", "is not set", "missing-key.yaml"):
        case.contains(run.err, part, "standard error")
    case.lacks(run.err, "canary-user-3d01", "standard error")
    kubectl(world, "-n", NAMESPACE, "delete", "secret", "healthcheck")


@scenario
def edited_meanwhile(world, case):
    """A configuration that is edited while a run is under way: that run keeps what it read, the next one takes the new one."""
    config = world.path("edited.yaml")

    def write(*skipped):
        with open(config, "w") as f:
            json.dump({"clusters": [{"name": "lab", "prometheus": {"url": gateway.url}}], "skip": list(skipped)}, f)

    hold = {"seconds": 0.5}
    with Gateway(world.prometheus, lambda request, gateway: time.sleep(hold["seconds"]) if request.is_range else None) as gateway:
        write("memory-leak")
        with Served(world, "--config", config, "--every", "400d", "--run-at-start") as served:
            served.wait_for(r"run 1 starts", 30)
            world.wait_for(lambda: gateway.count(lambda r: r.is_range) > 0, "the first query of the run", 30)
            write("memory-usage")
            hold["seconds"] = 0
            served.wait_for(r"run 1 took", 120)
            checks = lambda: {c["id"] for c in json.loads(served.get("/report?format=json")[1])["checks"]}  # noqa: E731
            first = checks()
            case.expect("memory-usage" in first and "memory-leak" not in first, "the run that was under way took the new configuration")
            case.equal(served.get("/run", "POST", {"Authorization": "Bearer let-me-run"})[0], 202, "POST /run")
            served.wait_for(r"run 2 took", 120)
            second = checks()
            case.expect("memory-leak" in second and "memory-usage" not in second, "the next run did not take the new configuration")


def until(condition, seconds=60):
    """Waits for it; a run that ends before, or never comes so far, is stopped all the same."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)


@scenario
def stopping_anywhere(world, case):
    """SIGTERM during fetch, render and delivery: exit 0 within the grace, each report is whole; `check` leaves the old file or the new one."""
    reports, config = world.path("stopped-reports"), world.path("stopped.yaml")
    received = []

    def slow_receiver(request, gateway):
        received.append(request.path)
        time.sleep(1)
        return Answer(200, "{}")

    with Gateway(world.prometheus, slow_receiver) as receiver, Gateway(world.prometheus) as prometheus:
        queries = lambda: prometheus.count(lambda r: r.is_range)  # noqa: E731
        with open(config, "w") as f:
            json.dump({"clusters": [{"name": "lab", "prometheus": {"url": prometheus.url}}], "deliver": [{"type": "webhook", "url": f"{receiver.url}/hook"}]}, f)
        args = ["--config", config, "--every", "400d", "--run-at-start", "--reports", reports, "--grace", "10s", "--keep-reports", "1000"]
        with Served(world, *args) as served:
            served.wait_for(r"run 1 took", 120)
        whole_run = queries()
        # After so many queries: within the fetch, and at its end, when it is rendered. Then: while the receiver waits.
        moments = {"fetch": (1, whole_run // 2, whole_run - 1), "render": (whole_run,) * 3, "delivery": (None,) * 3}
        ends, slowest, broken = {}, 0, []
        for phase, turns in moments.items():
            for turn in turns:
                before, sent = queries(), len(received)
                with Served(world, *args) as served:
                    until(lambda: queries() - before >= turn if turn else len(received) > sent)
                    code, seconds = served.stop()
                    case.equal(code, 0, f"{phase}: exit code")
                    how = "abandoned" if "is abandoned" in served.log() else "finished"
                    ends.setdefault(phase, []).append(how)
                    slowest = max(slowest, seconds)
                broken += [why for why in map(whole, kept(reports)) if why]
        case.expect(not broken, f"not whole: {listed(broken)}")
        case.expect(slowest < 12, f"a stop took {slowest:.1f} s, 10 s were given")
        case.expect(len(received) >= 4, f"{len(received)} deliveries began, so no stop met one")
        case.note(f"{'; '.join(f'{phase}: ' + ', '.join(how) for phase, how in ends.items())}; slowest {slowest:.1f} s, {len(kept(reports))} reports whole")

        latest = world.path("stopped-latest.json")
        command = [world.product.binary, "check", "--config", config, "--no-deliver", "-o", latest]
        states = {"old": 0, "new": 0}
        for turn in (1, whole_run - 1, whole_run, whole_run, whole_run):
            with open(latest, "w") as f:
                f.write('"old"')
            before = queries()
            process = subprocess.Popen(command, env={"PATH": os.environ["PATH"], "HOME": world.work}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            until(lambda: queries() - before >= turn or process.poll() is not None)
            time.sleep(0.02 * states["old"])
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            with open(latest, encoding="utf-8") as f:
                states["old" if json.load(f) == "old" else "new"] += 1
        case.expect(states["old"], f"no check was stopped before its report: {states}")
        case.note(f"check: {states['old']} left the old report, {states['new']} had written the new one")
