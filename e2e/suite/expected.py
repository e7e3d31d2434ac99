"""What a true report says about each profile of the lab's model, and what may stand at a workload beside that."""
from .lab import BROKEN_HPA
from .product import SEVERITIES
from .rules import Rules

# profile -> (check, least severity); a check that the program does not have yet is not asked for
FOUND = {
    "overprov": [("memory-overprovisioned", "info"), ("cpu-overprovisioned", "info")],
    "leak": [("memory-leak", "warning")],
    "leak_oom": [("memory-leak", "warning"), ("oom-killed", "warning")],
    "underprov": [("memory-usage", "critical"), ("memory-underprovisioned", "warning")],
    "throttled": [("cpu-underprovisioned", "warning"), ("cpu-throttled", "warning")],
    "idle": [("memory-overprovisioned", "info"), ("cpu-overprovisioned", "info")],
    "nolimits": [("requests-missing", "info")],
    "java": [("memory-usage", "warning")],
    "java_tight": [("memory-usage", "critical"), ("memory-underprovisioned", "warning"), ("jvm-heap-headroom", "warning")],
    "hpa_max": [("hpa-at-max", "warning")],
    "crashloop": [("crash-looping", "warning"), ("image-architecture", "warning")],
    "imagepull": [("image-pull-failing", "warning")],
    "pending": [("pod-unschedulable", "warning")],
}
# profile -> checks that may fire above info there because the model really has the trouble
# (written into the objects or the series by the lab), though no profile is named after it
ALSO = {
    "leak": {"memory-usage", "memory-underprovisioned"},
    "leak_oom": {"memory-usage", "memory-underprovisioned", "restarts", "crash-looping", "warning-events"},
    "underprov": {"warning-events"},        # readiness probes that fail
    "spiky": {"warning-events"},            # FailedMount
    "throttled": {"cpu-throttled"},
    # throttled 14 %: nothing in the cluster says that it is batch work, so the bound of a service holds
    "batch_thr": {"cpu-throttled"},
    "hpa_max": {"hpa-under-scaled"},        # two replicas, pinned, at 108 % of the target
    "crashloop": {"restarts", "pod-not-running", "warning-events", "image-architecture", "requests-missing"},
    "imagepull": {"pod-not-running", "warning-events"},
    "pending": {"pod-not-running", "warning-events", "requests-missing"},
}
# what the suite plants beside the model (lab.py)
PLANTED = {
    BROKEN_HPA: {"hpa-metrics-unknown", "warning-events"},
    ("vault", "keeper"): {"requests-missing"},
    ("payments", "tls-soon"): {"certificate-expiring"},
    ("payments", "tls-expired"): {"certificate-expiring"},
    ("shop", "backup-nightly"): {"cronjob-stale"},
}
LEAKING = {"leak", "leak_oom"}
# jobs that the lab makes fail
FAILING_JOBS = ("flaky-sync", "migrate-2")


def wanted(world):
    """(namespace, name, profile, check, least severity) of everything that a true report holds."""
    rows = []
    for d in world.truth:
        for check, severity in FOUND.get(d["profile"], []):
            if check == "hpa-at-max" and d["hpa"]["max"] <= d["hpa"]["min"]:
                continue  # max = min is a fixed size, not an autoscaler at its end
            rows.append((d["namespace"], d["deployment"], d["profile"], check, severity))
    rows.append((*BROKEN_HPA, "planted autoscaler", "hpa-metrics-unknown", "warning"))
    return rows


def missing(world, report, checks=None, namespaces=None):
    """Texts for what a true report should hold and this one does not."""
    texts = []
    for namespace, name, profile, check, severity in wanted(world):
        if check not in report.checks or checks is not None and check not in checks:
            continue
        if namespaces is not None and namespace not in namespaces:
            continue
        found = report.about(namespace, name, check)
        if not found:
            texts.append(f"{check} at {namespace}/{name} ({profile}) is not found")
        elif max(SEVERITIES[f["severity"]] for f in found) < SEVERITIES[severity]:
            texts.append(f"{check} at {namespace}/{name} ({profile}) is {found[0]['severity']}, expected {severity}")
    return texts


def false_alarms(world, report):
    """Texts for findings above info that neither the model nor the literal rule explains."""
    rules = world.memory.setdefault("rules", Rules(world))
    profile = {(d["namespace"], d["deployment"]): d["profile"] for d in world.truth}
    texts = []
    for f in report.findings:
        subject, check = f["subject"], f["check"]
        where = f"{subject.get('namespace')}/{subject.get('kind')}/{subject.get('name')}"
        p = profile.get((subject.get("namespace"), subject.get("name")))
        if f["severity"] == "info":
            if check == "memory-leak" and p not in LEAKING:
                texts.append(f"memory-leak (info) at {where} ({p}), which does not leak: {f['summary']}")
            continue
        if p is not None and (check in ALSO.get(p, ()) or any(check == c for c, _ in FOUND.get(p, ()))):
            continue
        if check in PLANTED.get((subject.get("namespace"), subject.get("name")), ()):
            continue
        if any(job in str(subject.get("name")) + str(subject.get("pod")) for job in FAILING_JOBS):
            continue
        if rules.says(f):
            continue
        texts.append(f"{check} ({f['severity']}) at {where} ({p or 'not in the model'}): {f['summary']}")
    return texts


def leak_texts(world, report):
    """Texts for leaks that are missed or invented; for runs where only the series are whole."""
    return missing(world, report, checks={"memory-leak"}) + [
        t for t in false_alarms(world, report) if t.startswith("memory-leak")]
