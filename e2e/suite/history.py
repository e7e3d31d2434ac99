"""History in an object store: moto's server, which speaks the protocol of S3, and a gateway in front of it for what goes wrong."""
import concurrent.futures
import contextlib
import json
import os
import re
import socket
import subprocess
import time
import urllib.request

from .case import scenario, shorten
from .gateway import DROP, HANG, Answer, Gateway
from .product import COULD_NOT_RUN, FINDINGS, TOO_LITTLE_DATA

KEY_ID, KEY = "AKIA2E0TESTKEY00HIST", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYHISTORYKEY"
BUCKET = "health"
DAY_MS = 86_400_000


@contextlib.contextmanager
def moto(world):
    """A server of its own, with an empty bucket."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = os.path.join(os.environ.get("LAB_CACHE", ""), "venv/bin/moto_server")
    with open(world.path("moto.log"), "wb") as log:
        process = subprocess.Popen([server, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                ask(url, BUCKET, "PUT")
                break
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def ask(url, path, method="GET"):
    # moto keeps buckets by the account that a signature names; it does not look at the signature itself.
    signed = f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    request = urllib.request.Request(f"{url}/{path}", method=method, headers={"Authorization": signed})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def keys(url):
    listed = ask(url, f"{BUCKET}?list-type=2&max-keys=1000")
    return re.findall(r"<Key>([^<]+)</Key>", listed)


def access(url):
    return {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": KEY, "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": url}


def sample(world, fixture, day):
    """A recorded snapshot, as if it were taken some days later."""
    path = world.path(f"history-{fixture}-{day}.ndjson")
    if not os.path.exists(path):
        with open(os.path.join(os.path.dirname(__file__), "../../fixtures", fixture, "snapshot.ndjson")) as f:
            head, rest = f.readline(), f.read()
        head = json.loads(head)
        head["taken_at"] += day * DAY_MS
        head["window"]["end"] += day * DAY_MS
        with open(path, "w") as f:
            f.write(json.dumps(head) + "\n" + rest)
    return path


def check(world, url, day, *args, fixture="demo", place="s3://health/runs"):
    history = [] if "--config" in args else ["--history", place]
    return world.product.check("--snapshot", sample(world, fixture, day), *history, *args, env=access(url), timeout=300)


def own_gaps(report):
    return [g for g in report.gaps if g["scope"].endswith("/history")]


@scenario
def history_s3(world, case):
    """Runs are remembered in an S3-compatible store and told apart from it; two writers at once lose nothing; retention; a digest."""
    with moto(world) as url:
        first = check(world, url, 0).report
        case.equal(own_gaps(first), [], "gaps of the first run")
        case.equal(first.json["changes"]["before"], [], "the first run is compared with nothing")
        second = check(world, url, 1).report
        case.expect(len(second.json["changes"]["before"]) == 1, f"the second run is compared with the first: {second.json['changes']['before']}")
        score = first.json["clusters"][0]["score"]["points"]
        case.equal(second.json["clusters"][0]["score_before"]["points"], score, "the score of the run before")
        states = {f["state"] for f in second.findings}
        case.expect(states and states <= {"ongoing", "worse", "better"}, f"the same findings are not new: {states}")
        case.equal(check(world, url, 1).report.json, second.json, "the same run again")
        stored = keys(url)
        case.equal(len(stored), 2, f"objects of two runs: {stored}")
        case.expect(all(re.fullmatch(r"runs/[a-z-]+-[0-9a-f]{8}/\d{8}T\d{6}Z-[0-9a-f]{16}\.ndjson\.zst", k) for k in stored), f"names: {stored}")

        # Two programs that look at different things at the same second, over twelve days, all at the same time.
        jobs = [(day, only) for day in range(2, 14) for only in ("memory-usage", "oom-killed")]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            done = list(pool.map(lambda job: check(world, url, job[0], "--only", job[1]), jobs))
        case.equal([g for d in done for g in own_gaps(d.report)], [], "gaps of writers at once")
        case.equal(len(keys(url)), 2 + len(jobs), "objects after all writers")
        case.equal(own_gaps(check(world, url, 14).report), [], "each of them can be read")

        end = sample_time(world, 14)
        digest = world.product.run("digest", "--history", "s3://health/runs", "--at", end, "--format", "json", env=access(url))
        case.equal(digest.code, 0, f"exit code of the digest ({shorten(digest.err)})")
        [cluster] = json.loads(digest.out)["clusters"]
        case.equal(cluster["runs"], 7, "runs of the week, one a second")
        case.expect(cluster["open"], "what is open is told")
        case.equal(cluster["score"]["points"], score, "the score at the end of the week")
        before = cluster.get("score_before", {}).get("points")
        case.equal(before, score, "the score before, of the last run of the same checks and not of one that was asked for one check")
        none = world.product.run("digest", "--history", "s3://health/elsewhere", "--at", end, env=access(url))
        case.equal(none.code, TOO_LITTLE_DATA, "exit code of a digest without runs")

        config = world.path("history-s3.yaml")
        with open(config, "w") as f:
            json.dump({"history": {"location": "s3://health/runs", "keep-runs": 5}}, f)
        kept = check(world, url, 15, "--config", config).report
        case.equal(own_gaps(kept), [], "gaps of the run that tidies up")
        left = keys(url)
        case.equal(len(left), 5, "objects that are kept")
        case.expect(any("20261205T" in k for k in left), f"the newest is among them: {left}")
        case.note(f"{len(jobs)} runs by 8 writers at once, {len(left)} objects kept of {3 + len(jobs) + 1}")


def sample_time(world, day):
    """An hour after a sample."""
    with open(sample(world, "demo", day)) as f:
        seconds = json.loads(f.readline())["taken_at"] / 1000 + 3600
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@scenario
def history_s3_faults(world, case):
    """A store that is down, refuses, fails, hangs or has no such bucket: the report is whole, says why, and shows no credentials."""
    trouble = {"answer": None}
    with moto(world) as url, Gateway(url, lambda _request, _gateway: trouble["answer"]) as gateway:
        check(world, gateway.url, 0)
        whole = world.product.check("--snapshot", sample(world, "demo", 1)).report
        refused = Answer(403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", {"Content-Type": "application/xml"})
        for name, answer, cause, words in (
            ("500", Answer(500, "<Error><Code>InternalError</Code></Error>"), "failed", "the store answered 500 Internal Server Error: InternalError"),
            ("403", refused, "access-denied", "AccessDenied, Access Denied"),
            ("cut", DROP, "unreachable", "error sending request"),
            ("slow", HANG, "timeout", "timed out"),
        ):
            trouble["answer"] = answer
            unheard(case, name, check(world, gateway.url, 1, "-vv"), whole, cause, words)
        trouble["answer"] = None
        unheard(case, "no bucket", check(world, gateway.url, 1, place="s3://nobody/runs"), whole, "nothing-matches", "NoSuchBucket")
        required = world.path("history-required.yaml")
        with open(required, "w") as f:
            json.dump({"history": {"location": "s3://health/runs", "required": True}}, f)
        trouble["answer"] = refused
        strict = check(world, gateway.url, 1, "--config", required)
        case.equal(strict.code, COULD_NOT_RUN, "exit code where a history is required")
        case.contains(strict.err, "the report is written all the same", "a history that is required")
        case.expect(strict.report.findings, "the report where a history is required")
        told = world.product.run("digest", "--history", "s3://health/runs", env=access(gateway.url))
        case.equal(told.code, COULD_NOT_RUN, "exit code of a digest that is refused")
        case.contains(told.err, "Access Denied", "a digest that is refused")
        case.lacks(told.out + told.err, KEY, "the secret key")
        trouble["answer"] = None
        case.equal(own_gaps(check(world, gateway.url, 1).report), [], "when all is well again")
    unheard(case, "down", check(world, gateway.url, 1), whole, "unreachable", "error sending request")


def unheard(case, name, run, whole, cause, words):
    """A run whose history could not be asked: what it found is what another run found."""
    gaps = own_gaps(run.report)
    case.equal(run.code, FINDINGS, f"{name}: exit code ({shorten(run.err)})")
    case.equal({g["cause"] for g in gaps}, {cause}, f"{name}: causes of {gaps}")
    for gap in gaps:
        case.contains(gap["detail"], words, f"{name}: detail")
    found = [f["fingerprint"] for f in run.report.findings]
    case.equal(found, [f["fingerprint"] for f in whole.findings], f"{name}: findings")
    for secret in (KEY, KEY_ID):
        case.lacks(run.out + run.err, secret, f"{name}: credentials")
    case.note(f"{name}: {run.seconds:.0f} s")
