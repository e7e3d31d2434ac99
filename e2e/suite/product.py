"""The program under test: runs it, and reads its JSON report."""
import json
import os
import subprocess
import time

SEVERITIES = {"info": 0, "warning": 1, "critical": 2}
CLEAN, FINDINGS, COULD_NOT_RUN, TOO_LITTLE_DATA = 0, 1, 2, 3


class Crash(Exception):
    """The program panicked, was killed by a signal, or did not end in time."""


class Report:
    """A JSON report, with the look-ups that scenarios need."""

    def __init__(self, text):
        self.text = text
        self.json = json.loads(text)
        self.findings = self.json["findings"]
        # The suite looks at one instant for minutes, and its cluster lives on; and the hosts of the lab lead nowhere. The
        # report says so, rightly.
        known = (("clock-skew", "tells what is now"), ("partial", "TLS servers gave no certificate"))
        self.all_gaps = json.dumps(self.json["gaps"], ensure_ascii=False)
        self.gaps = [g for g in self.json["gaps"] if not any(g["cause"] == cause and words in g["detail"] for cause, words in known)]
        self.checks = {c["id"]: c for c in self.json["checks"]}

    def rows(self, skip_kinds=()):
        """(check, severity, namespace, kind, name, pod, container) of every finding."""
        return {
            (f["check"], f["severity"]) + tuple(f["subject"].get(k) or "" for k in ("namespace", "kind", "name", "pod", "container"))
            for f in self.findings if f["subject"].get("kind") not in skip_kinds
        }

    def about(self, namespace, name, check=None):
        """Findings about a workload, or about a pod of it or an autoscaler that bears its name."""
        return [
            f for f in self.findings
            if f["subject"].get("namespace") == namespace and (check is None or f["check"] == check)
            and (f["subject"].get("name") == name or (f["subject"].get("pod") or f["subject"].get("name") or "").startswith(name + "-"))
        ]

    def gap_text(self):
        return "\n".join(json.dumps(g, ensure_ascii=False) for g in self.gaps)

    def judged(self, check):
        """How many subjects the check came to a verdict about."""
        return self.checks[check]["ok"] + self.checks[check]["problem"]

    def unknown(self, check):
        return self.checks[check]["unknown"]


class Run:
    """One call of the program that has ended."""

    def __init__(self, args, code, out, err, seconds):
        self.args, self.code, self.out, self.err, self.seconds = args, code, out, err, seconds

    @property
    def report(self):
        try:
            return Report(self.out)
        except (ValueError, KeyError) as error:
            raise AssertionError(f"no JSON report ({error}); exit {self.code}, standard error: {self.err[:1500]}") from None


class Product:
    """The binary, called with an environment of its own (no proxies, no kubeconfig of the caller)."""

    def __init__(self, binary, home):
        self.binary = binary
        self.home = home
        self.calls = 0

    def run(self, *args, env=None, timeout=120):
        # TERM=dumb and no terminal: no progress, no colours
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": self.home, "TERM": "dumb", "RUST_BACKTRACE": "1", **(env or {})}
        began = time.monotonic()
        self.calls += 1
        try:
            done = subprocess.run([self.binary, *map(str, args)], env=environment, stdin=subprocess.DEVNULL, cwd=self.home,
                                  capture_output=True, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            tail = (error.stderr or b"")[-500:].decode(errors="replace")
            raise Crash(f"did not end within {timeout} s: {' '.join(map(str, args))}; standard error ends with {tail!r}") from None
        out, err = done.stdout.decode(), done.stderr.decode()
        run = Run(args, done.returncode, out, err, time.monotonic() - began)
        if done.returncode < 0 or "panicked at" in err or done.returncode == 101:
            raise Crash(f"exit {done.returncode} for {' '.join(map(str, args))}: {err[-1500:]}")
        if done.returncode not in (CLEAN, FINDINGS, COULD_NOT_RUN, TOO_LITTLE_DATA):
            raise Crash(f"undocumented exit code {done.returncode} for {' '.join(map(str, args))}: {err[-800:]}")
        return run

    def check(self, *args, **options):
        """`healthcheck check --format json ...`"""
        return self.run("check", "--format", "json", *args, **options)
