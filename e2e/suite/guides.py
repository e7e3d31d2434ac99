"""The commands of all other documents, each run as a reader would, with a configuration as the documents describe it."""
import glob
import json
import os
import shutil

from .case import scenario
from .documents import DEPLOYMENT, README, ROOT, RUNBOOK, Lab, commands

# Why a command is not run here; the key is a part of it.
NOT_RUN = {
    "bench/leaks": "a measurement, which builds a release of its own",
    "rbac --all --lease NAMESPACE/NAME": "DEPLOYMENT.md has it with names",
}
# What a reader puts in: a part of a command, and what it is in the lab.
PUT_IN = [
    ("--snapshot FILE", lambda lab: "--snapshot recording.ndjson.zst"),
    ("--config FILE", lambda lab: "--config healthcheck.yaml"),
    ("config init", lambda lab: "config init new.yaml"),
    ("config import", lambda lab: "config import --thresholds thresholds.yaml"),
    ("explain CHECK", lambda lab: "explain memory-leak"),
    (" ...", lambda lab: " --config healthcheck.yaml"),
    ("/var/lib/healthcheck", lambda lab: "served"),
    ("-n pigo-web", lambda lab: f"-n {lab.world.namespaces[0]}"),
]
# Commands that a text only names, and what they are given.
NAMED = {
    "healthcheck digest": "healthcheck digest --config healthcheck.yaml",
    "healthcheck digest --deliver": "healthcheck digest --config healthcheck.yaml --deliver",
    "healthcheck check --logs": "healthcheck check --config healthcheck.yaml --logs",
    "healthcheck leaks": "healthcheck leaks --input cases.ndjson",
    "healthcheck serve": "healthcheck serve --config healthcheck.yaml --every 1h",
}


def written(lab):
    """The files that the documents speak of."""
    source = {"prometheus": {"url": lab.world.prometheus}, "kubernetes": {"context": "prod"}}
    config = {
        "clusters": [{"name": "prod", "namespaces": [lab.world.namespaces[0]], **source}],
        "history": {"location": "history"},
        "deliver": [{"type": "file", "path": "out-{date}.json"}, {"type": "file", "what": "digest", "path": "digest-{date}.md"}],
    }
    lab.write("healthcheck.yaml", json.dumps(config))
    lab.write("fleet.yaml", json.dumps(config))
    shutil.copy(os.path.join(ROOT, "docs", "templates", "daily.md.j2"), lab.clone)
    lab.write("thresholds.yaml", "memory:\n  usage: {warning: 65, critical: 0.9}\n")
    start, values = 1_780_000_000, [2**28 + 2**20 * hour for hour in range(72)]
    pod = {"pod": "api-0", "start_unix": start, "values": values}
    lab.write("cases.ndjson", json.dumps({"id": "api", "step_s": 3600, "limit_bytes": 2**30, "series": [pod]}) + "\n")
    lab.write("memory.csv", "".join(f"{start + 3600 * hour},{value}\n" for hour, value in enumerate(values)))


@scenario
def guides(world, case):
    """Every command of the documents besides README, DEPLOYMENT and RUNBOOK is run, or has a reason."""
    lab = Lab(world, "guide", NOT_RUN, PUT_IN)
    written(lab)
    first = lab.sh("healthcheck check --config healthcheck.yaml --record recording.ndjson.zst")
    case.expect(first.returncode in (0, 1), f"a recording: {first.stderr}")
    documents = sorted(os.path.relpath(path, ROOT) for path in glob.glob(os.path.join(ROOT, "docs", "*.md")))
    every = [c for document in documents if document not in (README, DEPLOYMENT, RUNBOOK) for c in commands(document)]
    for command in every:
        command.text = NAMED.get(command.text, command.text)
    ran = [c for c in every if lab.run(case, c)]
    unused = [part for part in NOT_RUN if not any(part in c.text for c in every)]
    case.equal(unused, [], "reasons for commands that no document has")
    case.expect(len(ran) >= 25, f"only {len(ran)} commands were found to run")
    case.note(f"{len(ran)} commands of {len({c.document for c in every})} documents run, {len(every) - len(ran)} not")
