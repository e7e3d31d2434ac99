"""Scenarios of `serve`: faults on a schedule, killed programs, load on the report, election of a leader."""
import itertools
import json
import os
import random
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

from .case import listed, scenario, shorten
from .deployment import account
from .gateway import DROP, HANG, Gateway

FILES = {f"report.{ending}" for ending in ("html", "json", "md", "txt", "yaml", "csv", "xml", "sarif", "prom")}
# Runs of `schedule-faults`, and programs that `kill-nine` kills.
# Enough to see that it works; HEALTHCHECK_E2E_ENDURANCE=1 is for figures, and takes a quarter of an hour.
ENDURANCE = bool(os.environ.get("HEALTHCHECK_E2E_ENDURANCE"))
RUNS, KILLS = (100, 50) if ENDURANCE else (20, 10)


class Served:
    """A `healthcheck serve` under way."""

    def __init__(self, world, *args, env=None):
        self.log_path = world.path(f"serve-{time.monotonic_ns()}.log")
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": world.work, "HEALTHCHECK_RUN_TOKEN": "let-me-run", **(env or {})}
        with open(self.log_path, "wb") as log:
            command = [world.product.binary, "serve", "--listen", "127.0.0.1:0", *map(str, args)]
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=world.work)
        self.address = None

    def __enter__(self):
        self.address = self.wait_for(r"listening on http://([0-9.:]+)", 60)[1]
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def log(self):
        with open(self.log_path, encoding="utf-8") as f:
            return f.read()

    def wait_for(self, pattern, seconds):
        """Waits until the log has it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(pattern, self.log())
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"never logged {pattern!r}: {shorten(self.log()[-1500:])}")

    def get(self, page, method="GET", headers=None):
        """(status, body); 0 where nobody answers."""
        request = urllib.request.Request(f"http://{self.address}{page}", method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def metrics(self):
        """{series: value}"""
        lines = self.get("/metrics")[1].decode().splitlines()
        pairs = [line.rsplit(" ", 1) for line in lines if line and not line.startswith("#")]
        return {name: float(value) for name, value in pairs}

    def stop(self, seconds=40):
        """SIGTERM; the exit code, and how long it took."""
        began = time.monotonic()
        self.process.terminate()
        return self.process.wait(seconds), time.monotonic() - began


def whole(folder):
    """Why a kept report is not whole; nothing when it is."""
    names = set(os.listdir(folder))
    if names != FILES:
        return f"{folder}: has {sorted(names)}"
    with open(os.path.join(folder, "report.json"), encoding="utf-8") as f:
        json.load(f)
    with open(os.path.join(folder, "report.html"), encoding="utf-8") as f:
        return None if f.read().rstrip().endswith("</html>") else f"{folder}: report.html has no end"


def kept(folder):
    """The finished reports of a folder; beside them lies what was delivered, where there is no history."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(os.path.join(folder, n) for n in names if not n.startswith(".") and n != "deliveries")


def outcomes(metrics):
    return [int(metrics.get(f'healthcheck_runs_total{{outcome="{o}"}}', 0)) for o in ("report", "failure", "abandoned")]


@scenario
def schedule_faults(world, case):
    """Many runs while Prometheus fails a third of the time: a report or a clear failure each, never two at once, no leak."""
    reports = world.path("fault-reports")
    decide = lambda request, gateway: DROP if int(time.monotonic() / 5) % 3 == 0 else None  # noqa: E731
    with Gateway(world.prometheus, decide) as gateway:
        args = ["--prometheus", gateway.url, "--no-kubernetes", "--every", "1s", "--run-at-start", "--reports", reports, "--keep-reports", "5"]
        with Served(world, *args, "--history", world.path("fault-history")) as served:
            samples, end = {}, time.monotonic() + 1500  # by runs ended: least memory and fewest handles, be a run under way or not
            while time.monotonic() < end:
                m = served.metrics()
                if not m:
                    continue
                done = sum(outcomes(m))
                now = (m["process_resident_memory_bytes"], m["process_open_fds"])
                samples[done] = tuple(map(min, samples.get(done, now), now))
                if done >= RUNS:
                    break
                time.sleep(0.1)
            ok, failed, abandoned = outcomes(served.metrics())
            case.expect(ok + failed >= RUNS, f"only {ok + failed} runs ended in time")
            case.expect(failed >= RUNS // 10 and ok >= RUNS // 10, f"{ok} reports and {failed} failures: the faults did not bite")
            case.equal(abandoned, 0, "abandoned runs")
            code, seconds = served.stop()
            case.equal(code, 0, "exit code after SIGTERM")
            events = re.findall(r" run (\d+) (starts|took|failed|is abandoned)(.*)", served.log())
            for (first, what, _), (second, end_of, words) in zip(events[::2], events[1::2]):
                case.expect(first == second and what == "starts" and end_of != "starts", f"runs overlap: {first} {what}, {second} {end_of}")
                case.expect(end_of != "failed" or "cannot" in words, f"a failure that says nothing: {words}")
            half = sorted(k for k in samples if k >= RUNS // 2)
            early, late = half[: len(half) // 2], half[len(half) // 2 :]
            case.expect(len(early) >= RUNS // 8, f"resources were seen after {half} runs only")
            mean = lambda runs, which: sum(samples[r][which] for r in runs) / max(1, len(runs))  # noqa: E731
            grown = mean(late, 0) / max(1, mean(early, 0)) - 1
            case.expect(grown < (0.05 if ENDURANCE else 0.25), f"resident memory grew by {grown:.1%} over the second half of the runs")
            # A few runs see the connections to Prometheus, at most four, open or not as it happens; one more a run is seen all the same.
            case.expect(mean(late, 1) <= mean(early, 1) + (1 if ENDURANCE else 4), f"open handles grew from {mean(early, 1):.1f} to {mean(late, 1):.1f}")
            case.expect(len(kept(reports)) <= 5, f"{len(kept(reports))} reports are kept, 5 wanted")
            case.note(f"{ok} reports, {failed} failures; RSS {mean(early, 0) / 2**20:.1f} to {mean(late, 0) / 2**20:.1f} MiB ({grown:+.1%}), handles {mean(early, 1):.1f} to {mean(late, 1):.1f}; stopped in {seconds:.1f} s")


@scenario
def kill_nine(world, case):
    """Killed at random moments, history and reports are readable each time, and nothing is lost but the run."""
    reports, history = world.path("killed-reports"), world.path("killed-history")
    chance, before, broken = random.Random(42), set(), []
    during = 0
    args = ["--prometheus", world.prometheus, "--no-kubernetes", "--every", "1s", "--run-at-start", "--reports", reports, "--history", history]
    began = time.monotonic()
    with Served(world, *args, "--keep-reports", "1000") as served:
        served.wait_for(r"run 1 took", 120)
    of_run = time.monotonic() - began
    for _ in range(KILLS):
        with Served(world, *args, "--keep-reports", "1000") as served:
            time.sleep(chance.uniform(0, 2.5 * of_run))
            served.process.kill()
            served.process.wait()
            during += len(re.findall(r" run \d+ starts", served.log())) > len(re.findall(r" run \d+ (?:took|failed)", served.log()))
        now = set(kept(reports))
        broken += [why for why in map(whole, now - before) if why]
        broken += [f"{gone} is lost" for gone in before - now]
        before = now
        runs = [os.path.join(place, n) for place, _, names in os.walk(history) for n in names if n.endswith(".zst")]
        if runs:
            tested = subprocess.run(["zstd", "-q", "-t", *runs], capture_output=True, text=True)
            broken += [tested.stderr.strip()] if tested.returncode else []
    case.expect(not broken, f"not readable: {listed(broken)}")
    case.expect(during >= KILLS // 5, f"only {during} of {KILLS} were killed during a run")
    case.expect(before, "no report was kept at all")
    after = world.product.check("--prometheus", world.prometheus, "--no-kubernetes", "--history", history)
    case.expect("/history" not in after.report.gap_text(), f"the history has a gap: {shorten(after.report.gap_text())}")
    with Served(world, "--prometheus", world.prometheus, "--no-kubernetes", "--every", "400d", "--reports", reports) as served:
        case.equal(served.get("/report?format=json")[0], 200, "the report of the killed ones, shown by the next one")
    case.note(f"{during} of {KILLS} killed during a run, {len(before)} reports and {len(runs)} entries of history whole")


def load(address, seconds, answers, wrong):
    """Asks for the report over one connection as fast as it answers."""
    request = b"GET /report HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
    host, port = address.rsplit(":", 1)
    end, stream = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            if stream is None:
                stream = socket.create_connection((host, int(port)), timeout=10)
                reader = stream.makefile("rb")
            began = time.monotonic()
            stream.sendall(request)
            status = reader.readline()
            fields = dict(line.decode().lower().rstrip().split(": ", 1) for line in iter(reader.readline, b"\r\n"))
            body = reader.read(int(fields["content-length"]))
            answers.append(time.monotonic() - began)
            if b" 200 " not in status or not body.startswith(b"\x1f\x8b"):
                wrong.append(status)
            if fields.get("connection") == "close":
                stream = None
        except (OSError, ValueError, KeyError) as error:
            wrong.append(repr(error))
            stream = None


@scenario
def report_under_load(world, case):
    """/report answers while runs go on (500 a second with HEALTHCHECK_E2E_ENDURANCE), and slow or greedy clients cost nobody else anything."""
    args = ["--prometheus", world.prometheus, "--kubeconfig", world.kubeconfig, "--cluster", "lab", "--every", "1s", "--run-at-start"]
    with Served(world, *args) as served:
        served.wait_for(r"run 1 took", 120)
        host, port = served.address.rsplit(":", 1)
        slow = []
        for _ in range(700):  # more than there is room for: the oldest of them give way
            s = socket.create_connection((host, int(port)))
            s.sendall(b"GET /report HTTP/1.1\r\nX-Slow: ")
            slow.append(s)
        asked = time.monotonic()
        case.equal(served.get("/healthz")[0], 200, "/healthz beside 700 clients that never end their request")
        case.expect(time.monotonic() - asked < 1, f"/healthz took {time.monotonic() - asked:.1f} s, a probe waits 1 s")
        before = sum(outcomes(served.metrics()))
        answers, wrong, seconds = [], [], 10
        threads = [threading.Thread(target=load, args=(served.address, seconds, answers, wrong)) for _ in range(4)]
        began = time.monotonic()
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        rate = len(answers) / (time.monotonic() - began)
        runs = sum(outcomes(served.metrics())) - before
        case.expect(rate >= (500 if ENDURANCE else 100), f"{rate:.0f} answers a second")
        case.expect(not wrong, f"answers that are no report: {listed(list(map(str, wrong)))}")
        case.expect(runs >= 1, "no run ended while the load went on, so it says nothing")
        slowest = sorted(answers)[int(len(answers) * 0.99)] if answers else 0
        for s in slow:
            s.settimeout(20)
            try:
                while s.recv(4096):
                    pass
            except TimeoutError:
                case.fail("a client that never ends its request was not sent away")
                break
            except OSError:
                pass
        status, _ = served.get("/run", "POST")
        case.equal(status, 401, "POST /run without the token")
        case.lacks(served.log() + served.get("/metrics")[1].decode(), "let-me-run", "log and metrics")
        case.note(f"{rate:.0f} requests a second over {runs} runs, 99 % within {slowest * 1000:.0f} ms, {len(served.get('/report')[1]) / 1024:.0f} KiB")


@scenario
def stopping(world, case):
    """SIGTERM while Prometheus hangs: not ready at once, the run is abandoned within the grace, exit 0."""
    with Gateway(world.prometheus, lambda request, gateway: HANG if request.is_data else None) as gateway:
        with Served(world, "--prometheus", gateway.url, "--no-kubernetes", "--every", "400d", "--run-at-start", "--grace", "8s") as served:
            served.wait_for(r"run 1 starts", 30)
            case.equal(served.get("/readyz")[0], 200, "/readyz before")
            case.equal(served.get("/report")[0], 503, "/report before the first one")
            answer = served.get("/run", "POST", {"Authorization": "Bearer let-me-run"})
            case.equal(answer[0], 409, "POST /run while one is under way")
            served.process.terminate()
            served.wait_for(r"SIGTERM: stopping", 5)
            case.equal(served.get("/readyz")[0], 503, "/readyz while it stops")
            began = time.monotonic()
            case.equal(served.process.wait(20), 0, "exit code")
            case.expect(time.monotonic() - began < 10, f"it took {time.monotonic() - began:.1f} s, 8 s were given")
            case.contains(served.log(), "run 1 is abandoned", "log")


def leaders(programs):
    return [name for name, p in programs.items() if p.process.poll() is None and p.metrics().get("healthcheck_leader") == 1]


@scenario
def leader_election(world, case):
    """Two programs and one lease: one runs, the other shows its reports; killed, it is followed; no run is done twice."""
    reports = world.path("led-reports")
    _, kubeconfig = account(world, "leader", "--lease", "default/healthcheck-e2e")

    def program(name):
        args = ["--prometheus", world.prometheus, "--kubeconfig", kubeconfig, "--cluster", "lab", "--every", "4s", "--reports", reports]
        return Served(world, *args, "--lease", "default/healthcheck-e2e", "--lease-identity", name).__enter__()

    started = []
    try:
        programs = {name: program(name) for name in ("one", "two")}
        started += programs.values()
        end = time.monotonic() + 30
        while not leaders(programs) and time.monotonic() < end:
            time.sleep(0.2)
        first = leaders(programs)
        if not case.equal(len(first), 1, "leaders at the start"):
            return
        (leader,) = first
        other = {"one": "two", "two": "one"}[leader]
        programs[leader].wait_for(r"run 2 took", 60)
        end = time.monotonic() + 30
        while programs[other].get("/report")[0] != 200 and time.monotonic() < end:
            time.sleep(0.5)
        case.equal(programs[other].get("/report")[0], 200, "/report of the follower")
        status, words = programs[other].get("/run", "POST", {"Authorization": "Bearer let-me-run"})
        case.equal(status, 409, "POST /run at the follower")
        case.contains(words.decode(), leader, "POST /run at the follower")
        case.expect(" run 1 starts" not in programs[other].log(), "the follower ran, too")
        lease = world.api.get("/apis/coordination.k8s.io/v1/namespaces/default/leases/healthcheck-e2e")
        case.equal(lease["spec"]["holderIdentity"], leader, "holder of the lease")
        programs[leader].process.kill()
        killed = time.monotonic()
        end = killed + 40
        while leaders(programs) != [other] and time.monotonic() < end:
            time.sleep(0.1)
        took = time.monotonic() - killed
        case.expect(10 <= took <= 20, f"the other one leads after {took:.1f} s; the lease lasts 15 s")
        programs[other].wait_for(r"run 2 took", 60)
        back = program(leader)
        started.append(back)
        time.sleep(5)
        case.equal(leaders({"back": back, other: programs[other]}), [other], "leaders when the killed one is back")
        code, _ = programs[other].stop()
        case.equal(code, 0, "exit code of the leader that stops")
        given = time.monotonic()
        while leaders({"back": back}) != ["back"] and time.monotonic() < given + 20:
            time.sleep(0.1)
        case.expect(time.monotonic() - given <= 5, f"a lease that was given back was taken after {time.monotonic() - given:.1f} s")
        back.wait_for(r"run 1 took", 60)
        dues = [re.findall(r"run \d+ starts, due at (\S+)", p.log()) for p in started]
        twice = [due for a, b in itertools.combinations(dues, 2) for due in set(a) & set(b)]
        # The run that the kill cut short is done again; it has no report of the first.
        cut = len(re.findall(r" starts", programs[leader].log())) - len(re.findall(r" took", programs[leader].log()))
        case.expect(len(twice) <= cut, f"done twice: {listed(twice)}")
        case.note(f"followed after {took:.1f} s, {sum(map(len, dues))} runs, {len(kept(reports))} reports")
    finally:
        for p in started:
            p.__exit__()
