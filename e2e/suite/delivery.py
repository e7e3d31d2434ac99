"""Delivery: a Slack that keeps the documented rules, a real SMTP server (aiosmtpd), and a real Pushgateway where it could be built."""
import contextlib
import email
import email.policy
import glob
import hashlib
import hmac
import json
import mailbox
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request

from .case import scenario, shorten
from .gateway import Answer, Gateway
from .product import CLEAN, COULD_NOT_RUN, FINDINGS

TOKEN = "xoxb-2024-4048-AbCdEfGhIj"
HOOK = "/services/T024BE7LD/B01ABCDEF12/x7Kq2LmPa9wErT4yUiOp0ZcV"
LIMITS = {"header": 150, "section": 3000, "field": 2000, "context": 2000}


class Slack:
    """A workspace with the channel #ops; answers as api.slack.com does, and keeps what it got."""

    def __init__(self):
        self.posts, self.times, self.files, self.script, self.broken = [], [], {}, [], []

    def __call__(self, request, gateway):
        if request.path.startswith("/upload/"):
            return self.bytes(request)
        if self.script:
            return self.script.pop(0)
        if request.path == HOOK:
            return self.webhook(request)
        method = request.path.removeprefix("/api/")
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.no("invalid_auth")
        rule = {"chat.postMessage": self.post, "files.getUploadURLExternal": self.place, "files.completeUploadExternal": self.share}
        return rule[method](request, gateway) if method in rule else self.no("unknown_method")

    @staticmethod
    def no(error, **more):
        return Answer(200, json.dumps({"ok": False, "error": error, **more}))

    @staticmethod
    def yes(**more):
        return Answer(200, json.dumps({"ok": True, **more}))

    def post(self, request, _gateway):
        message = json.loads(request.body)
        now = time.monotonic()
        if self.times and now - self.times[-1] < 0.9:
            return Answer(429, '{"ok":false,"error":"ratelimited"}', {"Retry-After": "1"})
        if message.get("channel") not in ("#ops", "C0OPS"):
            return self.no("channel_not_found")
        wrong = rules(message)
        if wrong:
            self.broken += wrong
            return self.no("invalid_blocks", response_metadata={"messages": wrong})
        if "thread_ts" in message and not (self.posts and message["thread_ts"] == "1700000000.000001"):
            return self.no("thread_not_found")
        self.posts.append(message)
        self.times.append(now)
        return self.yes(channel="C0OPS", ts=f"1700000000.{len(self.posts):06}")

    def place(self, request, gateway):
        name = f"F{len(self.files)}"
        self.files[name] = {"length": int(request.form["length"]), "name": request.form["filename"], "shared": False}
        return self.yes(upload_url=f"{gateway.url}/upload/{name}", file_id=name)

    def bytes(self, request):
        file = self.files.get(request.path.removeprefix("/upload/"))
        if file is None or len(request.body) != file["length"] or "Authorization" in request.headers:
            return Answer(400, "no such upload")
        file["bytes"] = request.body
        return Answer(200, f"OK - {len(request.body)}")

    def share(self, request, _gateway):
        body = json.loads(request.body)
        file = self.files.get(body["files"][0]["id"], {})
        if body.get("channel_id") != "C0OPS" or body.get("thread_ts") != "1700000000.000001" or "bytes" not in file:
            return self.no("file_upload_not_complete")
        file["shared"] = True
        return self.yes(files=body["files"])

    def webhook(self, request):
        message = json.loads(request.body)
        if rules(message):
            return Answer(400, "invalid_blocks", {"Content-Type": "text/html"})
        self.posts.append(message)
        return Answer(200, "ok", {"Content-Type": "text/html"})


def rules(message):
    """What Slack would say is wrong with a message: https://api.slack.com/reference/block-kit/blocks."""
    wrong, blocks = [], message.get("blocks", [])
    if not message.get("text"):
        wrong.append("no text")
    if not 1 <= len(blocks) <= 50:
        wrong.append(f"{len(blocks)} blocks")
    if units(json.dumps({k: message[k] for k in ("text", "blocks")}, ensure_ascii=False, separators=(",", ":"))) >= 9000:
        wrong.append("9,000 characters or more")
    for at, block in enumerate(blocks):
        texts = [(block["type"], block["text"])] if "text" in block else []
        texts += [("field", f) for f in block.get("fields", [])] + [("context", e) for e in block.get("elements", [])]
        if block["type"] not in LIMITS or not texts or len(block.get("fields", [])) > 10 or len(block.get("elements", [])) > 10:
            wrong.append(f"blocks/{at}: {block['type']}")
        wrong += [f"blocks/{at}: {units(t['text'])} characters" for kind, t in texts if not 1 <= units(t["text"]) <= LIMITS[kind]]
    return wrong


def units(text):
    return len(text.encode("utf-16-le")) // 2


def config(world, name, deliver, **more):
    path = world.path(f"{name}.yaml")
    with open(path, "w") as f:
        json.dump({"deliver": deliver, **more}, f)
    return path


def recorded(world):
    """The lab, read once for all scenarios here: what is delivered does not change with who is asked for it."""
    path = world.path("delivery.zst")
    if not os.path.exists(path):
        kubeconfig = world.kubeconfig_for("delivery", world.token("health-reader"))
        done = world.product.run("record", "--prometheus", world.prometheus, "--kubeconfig", kubeconfig, "--cluster", "lab", "--at", world.at,
                                 "-o", path, timeout=600)
        assert done.code == CLEAN, done.err
    return path


def run(world, path, *args, **env):
    report = world.path("delivered.json")
    done = world.product.run("check", "--config", path, "--snapshot", recorded(world), "-o", report, *args, env=env, timeout=600)
    return done, report


def digest(world, path, *args, **env):
    """The digest of the week up to the recording, sent by a configuration."""
    return world.product.run("digest", "--config", path, "--at", world.at, "--deliver", *args, env=env, timeout=600)


def slack_digest(world, case, workspace, entry, history):
    """The entry of digests gets the digest and nothing of a run, once, with its Markdown in the thread."""
    workspace.posts.clear()
    workspace.files.clear()
    path = config(world, "slack-digest", [{**entry, "what": "digest"}, {"type": "file", "path": "of-runs.json"}], history=history)
    left, _ = run(world, path, BOT=TOKEN)
    case.equal((left.code, workspace.posts), (FINDINGS, []), "a run and an entry of digests")
    case.lacks(left.err, "deliver[0]", "what a run says of an entry of digests")
    os.remove(world.path("of-runs.json"))
    dry = digest(world, path, "--dry-run", BOT=TOKEN)
    case.equal(dry.out, "deliver[0]: slack #ops, every digest; a failure fails the run\n", "the dry run")
    done = digest(world, path, BOT=TOKEN)
    case.equal(done.code, CLEAN, f"exit code of the digest ({shorten(done.err)})")
    case.contains(done.out, "# Health digest", "standard output")
    case.expect(not os.path.exists(world.path("of-runs.json")), "a digest and an entry of runs")
    case.equal(workspace.broken, [], "rules of Slack broken by a digest")
    if case.expect(workspace.posts, f"no message: {shorten(done.err)}"):
        case.contains(workspace.posts[0]["text"], "Health digest (lab)", "the message of the digest")
        file = workspace.files.get("F0", {})
        case.expect(file.get("shared") and file.get("bytes", b"").startswith(b"# Health digest"), f"the Markdown in the thread: {file.get('name')}")
        case.equal(file.get("bytes", b"").decode(), done.out, "the Markdown in the thread and on standard output")
        case.note(f"digest: {len(workspace.posts)} messages of {[units(json.dumps(p, ensure_ascii=False)) for p in workspace.posts]} characters")
    posted = len(workspace.posts)
    again = digest(world, path, BOT=TOKEN)
    case.contains(again.err, "not sent: this digest was sent there already", "the same digest again")
    case.equal(len(workspace.posts), posted, "messages after the second time")
    none = digest(world, config(world, "no-digest", [entry], history=history), BOT=TOKEN)
    case.equal(none.code, COULD_NOT_RUN, "exit code without an entry of digests")
    case.contains(none.err, "no entry of `deliver` says `what: digest`", "no entry of digests")


@scenario
def slack(world, case):
    """The lab's report in Slack within its limits, a message a second, the page in the thread; each refusal is explained; the same report, and the same digest, is posted once."""
    with Gateway("http://127.0.0.1:9", workspace := Slack()) as gateway:
        entry = {"type": "slack", "channel": "#ops", "api": f"{gateway.url}/api/", "token-env": "BOT", "on-failure": "fail"}
        history = {"location": world.path("delivery-history")}
        path = config(world, "slack", [entry], history=history)
        done, report = run(world, path, BOT=TOKEN)
        case.equal(done.code, FINDINGS, f"exit code ({shorten(done.err)})")
        case.equal(workspace.broken, [], "rules of Slack broken")
        if case.expect(len(workspace.posts) >= 2, f"{len(workspace.posts)} messages: {shorten(done.err)}"):
            case.contains(workspace.posts[0]["text"], "Health report of lab: critical", "the message")
            case.expect(all(p["thread_ts"] == "1700000000.000001" for p in workspace.posts[1:]), "every further message is in the thread")
            gaps = [b - a for a, b in zip(workspace.times, workspace.times[1:])]
            case.expect(min(gaps, default=1) >= 0.95, f"seconds between messages: {gaps}")
            file = workspace.files.get("F0", {})
            case.expect(file.get("shared") and file.get("bytes", b"").startswith(b"<!doctype html>"), f"the page in the thread: {file.get('name')}")
            sizes = [units(json.dumps(p, ensure_ascii=False)) for p in workspace.posts]
            case.note(f"{len(sizes)} messages of {sizes} characters, page of {file.get('length', 0) / 1024:.0f} KiB")
        posted = len(workspace.posts)
        again, report = run(world, path, BOT=TOKEN)
        case.contains(again.err, "not sent: this report was sent there already", "the same report again")
        case.equal(len(workspace.posts), posted, "messages after the second time")
        case.contains(done.err, "; deliveries: 1 sent; took ", "the closing line of the first time")
        case.contains(again.err, "; deliveries: 1 not needed; took ", "the closing line of the second time")
        slack_digest(world, case, workspace, entry, history)
        plain = config(world, "slack-plain", [entry])
        for answer, expected in (
            (Slack.no("not_in_channel"), "invite it"),
            (Slack.no("channel_not_found"), "check the name"),
            (Slack.no("invalid_auth"), "OAuth & Permissions"),
            (Slack.no("invalid_blocks"), "--format slack"),
            (Answer(400, "bad request"), "answered 400"),
            (Answer(429, "{}", {"Retry-After": "3600"}), "asked to wait 3600 s"),
        ):
            workspace.script = [answer]
            refused, report = run(world, plain, BOT=TOKEN)
            case.equal(refused.code, COULD_NOT_RUN, f"{expected}: exit code by on-failure")
            case.contains(refused.err, expected, "the message of the refusal")
            case.contains(refused.err, "; deliveries: 1 failed; took ", "the closing line of a refusal")
            case.lacks(refused.out + refused.err, TOKEN, "the secret")
            with open(report) as f:
                case.expect(json.load(f)["findings"], f"{expected}: the report is written all the same")
        workspace.script = [Answer(429, "{}", {"Retry-After": "2"})]
        waited, _ = run(world, plain, BOT=TOKEN)
        case.contains(waited.err, "sent: message", "after 429")
        both = config(world, "slack-both", [{**entry, "webhook-env": "HOOK"}])
        posted = len(workspace.posts)
        for answer in (Answer(502, "Bad Gateway"), Answer(504, ""), Slack.no("internal_error")):
            workspace.script = [answer]
            unclear, _ = run(world, both, BOT=TOKEN, HOOK=gateway.url + HOOK)
            case.equal(unclear.code, COULD_NOT_RUN, "exit code of what may have arrived")
            case.contains(unclear.err, "it may have arrived, so it is not sent again", "what may have arrived")
        case.equal(len(workspace.posts), posted, "messages that may have been there already")
        workspace.script = [Slack.no("token_revoked")]
        fell, _ = run(world, both, BOT=TOKEN, HOOK=gateway.url + HOOK)
        case.equal(fell.code, FINDINGS, f"exit code of what arrived by the webhook ({shorten(fell.err)})")
        case.contains(fell.err, "message by the webhook", "a refused token with a webhook")
        case.contains(fell.err, "; deliveries: 1 sent; took ", "the closing line of a fall-back")
        case.lacks(fell.err, HOOK, "the address of the webhook")
    down, _ = run(world, plain, BOT=TOKEN)
    case.equal(down.code, COULD_NOT_RUN, "exit code with nobody there")
    case.contains(down.err, "cannot be reached", "nobody there")
    bare = config(world, "slack-env", [{"type": "slack"}])
    placeholder, _ = run(world, bare, SLACK_WEBHOOK_URL="https://hooks.slack.com/services/XXX/YYY/ZZZ")
    case.equal(placeholder.code, COULD_NOT_RUN, "exit code with a placeholder")
    case.contains(placeholder.err, "placeholder", "a placeholder")
    dry = world.product.run("check", "--config", bare, "--snapshot", recorded(world), "--dry-run", env={"SLACK_BOT_TOKEN": TOKEN, "SLACK_CHANNEL": "#ops"})
    case.contains(dry.out, "deliver[0]: slack #ops, after every run", "the dry run")


@scenario
def webhooks(world, case):
    """A webhook gets the JSON report with a signature that holds; one that fails is a warning, and costs nothing else."""
    got = []

    def receive(request, _gateway):
        got.append(request)
        return Answer(500, "later") if len(got) == 1 else Answer(204, "")

    shutil.copy(os.path.join(os.path.dirname(__file__), "../../docs/templates/daily.md.j2"), world.path("daily.md.j2"))
    with Gateway("http://127.0.0.1:9", receive) as gateway:
        path = config(world, "webhook", [
            {"type": "webhook", "url": "http://127.0.0.1:9/nobody"},
            {"type": "webhook", "url": f"{gateway.url}/in", "secret-env": "KEY"},
            {"type": "file", "path": "reports/{cluster}-{date}.html"},
            {"type": "file", "path": "reports/{cluster}.{format}", "format": "template=daily.md.j2"},
        ])
        done, report = run(world, path, KEY="sesame")
    case.equal(done.code, FINDINGS, "a delivery that fails does not change the exit code")
    case.contains(done.err, "warning: deliver[0]", "the delivery that fails")
    if case.equal(len(got), 2, "requests, the first answered with 500"):
        with open(report, "rb") as f:
            case.equal(got[1].body, f.read(), "the report")
        sign = "sha256=" + hmac.new(b"sesame", got[1].body, hashlib.sha256).hexdigest()
        case.equal(got[1].headers["X-Healthcheck-Signature-256"], sign, "the signature")
        case.equal(got[0].headers["Idempotency-Key"], got[1].headers["Idempotency-Key"], "the key of the repetition")
    files = glob.glob(world.path("reports/lab-*.html"))
    case.equal(len(files), 1, "the dated file")
    with open(world.path("reports/lab.md")) as f:
        case.contains(f.read(), "# Health report: critical", "the file by a template")


@scenario
def mail(world, case):
    """A real SMTP server takes the mail: text, HTML and the page attached, and the digest; a refused recipient and a missing server are explained."""
    python = os.path.join(os.environ.get("LAB_CACHE", ""), "venv/bin/python")
    box, port = world.path("mail"), free_port()
    server = subprocess.Popen(
        [python, "-m", "aiosmtpd", "-n", "-c", "aiosmtpd.handlers.Mailbox", box, "-l", f"127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        entry = {"type": "email", "server": f"127.0.0.1:{port}", "security": "none", "from": "Doctor <doctor@corp.net>", "to": ["sre@corp.net", "ops@corp.net"]}
        path = config(world, "mail", [entry])
        done, _ = run(world, path)
        case.contains(done.err, "sent: mail to 2", "the delivery")
        mails = mails_in(box)
        if case.equal(len(mails), 1, "mails in the box"):
            one = mails[0]
            case.contains(str(one["Subject"]), "Health report of lab: critical", "the subject")
            case.contains(one.get_body(("plain",)).get_content(), "Health report", "the text")
            case.contains(one.get_body(("html",)).get_content(), "<h1>", "the HTML")
            pages = [p for p in one.iter_attachments()]
            case.expect(len(pages) == 1 and pages[0].get_content_type() == "text/html", f"attachments: {[p.get_filename() for p in pages]}")
        history = {"location": world.path("mail-history")}
        run(world, config(world, "mail-history", [], history=history))
        weekly = digest(world, config(world, "mail-digest", [{**entry, "what": "digest", "attach": ["markdown"]}], history=history))
        case.contains(weekly.err, "sent: mail to 2", "the delivery of the digest")
        mails = [m for m in mails_in(box) if "digest" in str(m["Subject"])]
        if case.equal(len(mails), 1, "digests in the box"):
            one = mails[0]
            subject = str(one["Subject"])
            case.expect(re.match(r"Health digest \(lab\), [A-F] \d+: 0 new", subject), f"the subject of the digest: {subject}")
            case.contains(one.get_body(("plain",)).get_content(), "Health digest", "the text of the digest")
            case.contains(one.get_body(("html",)).get_content(), "<h1>", "the HTML of the digest")
            case.equal([p.get_filename() for p in one.iter_attachments()], [f"healthcheck-digest-lab-{world.at[:10]}.md"], "what is attached")
        secure, _ = run(world, config(world, "mail-tls", [{**entry, "security": "starttls", "on-failure": "fail"}]))
        case.equal(secure.code, COULD_NOT_RUN, "exit code where the server has no STARTTLS")
        case.contains(secure.err, "starttls", "a server without STARTTLS")
    finally:
        server.terminate()
        server.wait(10)
    gone, _ = run(world, path)
    case.contains(gone.err, "warning: deliver[0]", "no server")


@scenario
def pushgateway(world, case):
    """A real Pushgateway takes the samples, and those of the next run take their place."""
    program = os.path.join(os.environ.get("LAB_CACHE", ""), "bin/pushgateway")
    if not os.path.exists(program):
        return case.note("skipped: Pushgateway could not be built")
    port = free_port()
    server = subprocess.Popen([program, f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        path = config(world, "push", [{"type": "pushgateway", "url": f"http://127.0.0.1:{port}", "on-failure": "fail"}])
        for _ in range(2):
            done, _ = run(world, path)
            case.expect(done.code in (CLEAN, FINDINGS), f"exit {done.code}: {shorten(done.err)}")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            own = [line for line in answer.read().decode().splitlines() if line.startswith("healthcheck_")]
        case.expect(own and all('job="healthcheck"' in line for line in own), f"samples of the job: {own[:3]}")
        case.note(f"{len(own)} samples")
    finally:
        server.terminate()
        server.wait(10)


def mails_in(box):
    return list(mailbox.Maildir(box, factory=lambda f: email.message_from_binary_file(f, policy=email.policy.default)))


def free_port():
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(.1)
    raise AssertionError(f"nobody listens on port {port}")
