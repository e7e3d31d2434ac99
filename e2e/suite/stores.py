"""History in the other object stores: Azurite (Microsoft's own stand-in for Azure Blob Storage), fake-gcs-server for Google Cloud
Storage, and moto behind a gateway that keeps the rules of Alibaba Cloud OSS. Credentials are those that the program uses
there, and each signature is checked."""
import base64
import contextlib
import datetime
import email.utils
import hashlib
import hmac
import json
import os
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from urllib.parse import parse_qsl, quote, urlsplit

from .case import scenario, shorten
from .edge import Authority
from .gateway import Answer, Gateway
from .history import BUCKET, KEY, KEY_ID, keys, moto, own_gaps, sample, sample_time


def tool(*parts):
    return os.path.join(os.environ.get("LAB_CACHE", ""), *parts)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def server(world, name, command, is_up):
    """A server until the end of the block, up as soon as `is_up` does not fail."""
    with open(world.path(f"{name}.log"), "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=world.path(""))
    try:
        for attempt in range(300):
            try:
                is_up()
                break
            except OSError:
                if attempt == 299 or process.poll() is not None:
                    raise
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)


def send(url, method="GET", headers=None, body=None):
    request = urllib.request.Request(url, body, headers or {}, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def remembers(world, case, place, env, stored, bad):
    """What a history does in any store: it lists, gets, puts and deletes. `stored()` is the names of what lies there; `bad` is
    an environment with wrong credentials, with the cause that is told."""
    def check(day, *args, env=env, place=place):
        history = [] if "--config" in args else ["--history", place]
        return world.product.check("--snapshot", sample(world, "demo", day), *history, *args, env=env, timeout=300)

    first = check(0)
    case.equal(own_gaps(first.report), [], f"gaps of the first run ({shorten(first.err)})")
    case.equal(first.report.json["changes"]["before"], [], "the first run is compared with nothing")
    second = check(1).report
    case.equal(own_gaps(second), [], "gaps of the second run")
    case.equal(len(second.json["changes"]["before"]), 1, "the second run is compared with the first")
    case.expect({f["state"] for f in second.findings} <= {"ongoing", "worse", "better"}, "the same findings are not new")
    case.equal(check(1).report.json, second.json, "the same run again")
    names = stored()
    case.equal(len(names), 2, f"objects of two runs: {names}")
    case.expect(all(re.fullmatch(r"runs/[a-z-]+-[0-9a-f]{8}/\d{8}T\d{6}Z-[0-9a-f]{16}\.ndjson\.zst", n) for n in names), f"names: {names}")

    digest = world.product.run("digest", "--history", place, "--at", sample_time(world, 1), "--format", "json", env=env)
    case.equal(digest.code, 0, f"exit code of the digest ({shorten(digest.err)})")
    [cluster] = json.loads(digest.out)["clusters"]
    case.equal(cluster["runs"], 2, "runs of the digest")

    config = world.path(f"history-{place.split(':')[0]}.yaml")
    with open(config, "w") as f:
        json.dump({"history": {"location": place, "keep-runs": 2}}, f)
    for day in (2, 3):
        case.equal(own_gaps(check(day, "--config", config).report), [], f"gaps of day {day}")
    left = stored()
    case.equal(len(left), 2, f"objects that are kept: {left}")
    case.expect(not set(left) & set(names), f"the oldest are gone: {left}")

    nowhere = place.replace("health/", "nobody/")
    gaps = own_gaps(check(4, place=nowhere).report)
    case.equal({g["cause"] for g in gaps}, {"nothing-matches"}, f"causes of {nowhere}: {gaps}")
    environment, cause = bad
    refused = check(4, env=environment)
    case.equal({g["cause"] for g in own_gaps(refused.report)}, {cause}, f"causes with wrong credentials: {own_gaps(refused.report)}")
    case.expect(refused.report.findings, "the report without its history")
    for run in (first, refused, digest):
        for secret in (KEY, AZURE_KEY, "BEGIN PRIVATE KEY"):
            case.lacks(run.out + run.err, secret, "credentials")
    case.equal(own_gaps(check(4).report), [], "when all is well again")


# --- Azure Blob Storage ------------------------------------------------------------------------------------------------

ACCOUNT, AZURE_KEY = "healthlab", base64.b64encode(hashlib.sha512(b"the key of the lab").digest()).decode()


def azure(base, method, path, query=""):
    """A request of the suite itself, signed with the shared key as Azure documents it."""
    headers = {"x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    parameters = "".join(f"\n{name}:{value}" for name, value in sorted(parse_qsl(query)))
    signed = "".join(f"\n{name}:{value}" for name, value in sorted(headers.items()))
    # The type of what is sent is the fifth of eleven headers that are signed by their place; the others are empty.
    kind = "application/octet-stream" if method == "PUT" else ""
    text = f"{method}{5 * chr(10)}{kind}{6 * chr(10)}{signed}\n/{ACCOUNT}{urlsplit(base).path}{path}{parameters}"
    signature = hmac.digest(base64.b64decode(AZURE_KEY), text.encode(), "sha256")
    if kind:
        headers["Content-Type"] = kind
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}"
    return send(f"{base}{path}?{query}", method, headers, b"" if method == "PUT" else None)


@scenario
def history_azure(world, case):
    """Runs are remembered in Azure Blob Storage (Azurite, which checks the signature of the account's key)."""
    program = tool("azurite/node_modules/.bin/azurite-blob")
    if not os.path.exists(program):
        return case.note("left out, there is no Azurite")
    port = free_port()
    base = f"http://127.0.0.1:{port}/{ACCOUNT}"
    folder = world.path("azurite")
    os.makedirs(folder, exist_ok=True)
    os.environ["AZURITE_ACCOUNTS"] = f"{ACCOUNT}:{AZURE_KEY}"
    command = [program, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", folder, "--skipApiVersionCheck", "--disableTelemetry"]
    with server(world, "azurite", command, lambda: socket.create_connection(("127.0.0.1", port), 1).close()):
        azure(base, "PUT", f"/{BUCKET}", "restype=container")

        def stored():
            return re.findall(r"<Name>([^<]+)</Name>", azure(base, "GET", f"/{BUCKET}", "comp=list&restype=container"))

        env = {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": AZURE_KEY, "AZURE_STORAGE_ENDPOINT": base}
        other = {**env, "AZURE_STORAGE_ACCOUNT_KEY": base64.b64encode(b"another key").decode()}
        remembers(world, case, f"az://{BUCKET}/runs", env, stored, (other, "access-denied"))


# --- Google Cloud Storage ----------------------------------------------------------------------------------------------


def service_account(world, name):
    """A service account as its file has it, and the file with its public key."""
    key, public, path = world.path(f"{name}.key"), world.path(f"{name}.pub"), world.path(f"{name}.json")
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
    with open(key) as f:
        account = {"type": "service_account", "private_key": f.read(), "private_key_id": name, "client_email": "doctor@lab.iam.gserviceaccount.com"}
    with open(path, "w") as f:
        json.dump(account, f)
    return path, public


def is_signed(world, token, public):
    """Whether a token is one that the owner of the key signed for Cloud Storage, and is valid now."""
    def decoded(part):
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    try:
        head, claims, signature = token.split(".")
        path = world.path("token.sig")
        with open(path, "wb") as f:
            f.write(decoded(signature))
        verified = subprocess.run(["openssl", "dgst", "-sha256", "-verify", public, "-signature", path], input=f"{head}.{claims}".encode(), capture_output=True)
        said = json.loads(decoded(claims))
    except ValueError:
        return False
    in_time = said["iat"] - 60 <= time.time() < said["exp"]
    return verified.returncode == 0 and in_time and said["scope"].endswith("/auth/cloud-platform") and said["iss"] == "doctor@lab.iam.gserviceaccount.com"


@scenario
def history_gcs(world, case):
    """Runs are remembered in Google Cloud Storage (fake-gcs-server), with the tokens that a service account signs."""
    program = tool("bin/fake-gcs-server")
    if not os.path.exists(program):
        return case.note("left out, there is no fake-gcs-server")
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    command = [program, "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-public-host", f"127.0.0.1:{port}", "-backend", "memory", "-data", ""]
    account, public = service_account(world, "account")
    stranger, _ = service_account(world, "stranger")
    lock = threading.Lock()

    def rule(request, gateway):
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        with lock:
            known = kind == "Bearer" and is_signed(world, token, public)
        if not known:
            return Answer(401, "<Error><Code>AuthenticationRequired</Code></Error>", {"Content-Type": "application/xml"})
        if request.method != "PUT":
            return None
        # Of the XML API fake-gcs-server knows all but a plain PUT: it takes one that looks like that of a signed address, and
        # answers as the JSON API does, without the header.
        answer = gateway.forward(request, f"{request.target}?X-Goog-Algorithm=GOOG4-RSA-SHA256")
        if answer.status == 200:
            answer.headers["ETag"] = json.loads(answer.body)["etag"]
        return answer

    def amend(_request, answer):
        """A bucket that is not there is no failure of Google's server."""
        if answer.status == 500 and b"no bucket named" in answer.body:
            return Answer(404, "<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist.</Message></Error>", {"Content-Type": "application/xml"})
        return answer

    with server(world, "fake-gcs", command, lambda: send(f"{base}/storage/v1/b?project=lab")), Gateway(base, rule, amend) as gateway:
        send(f"{base}/storage/v1/b?project=lab", "POST", {"Content-Type": "application/json"}, json.dumps({"name": BUCKET}).encode())

        def stored():
            return [o["name"] for o in json.loads(send(f"{base}/storage/v1/b/{BUCKET}/o")).get("items", [])]

        env = {"GOOGLE_APPLICATION_CREDENTIALS": account, "GOOGLE_BASE_URL": gateway.url}
        other = {**env, "GOOGLE_APPLICATION_CREDENTIALS": stranger}
        remembers(world, case, f"gs://{BUCKET}/runs", env, stored, (other, "unauthorized"))
        case.expect(gateway.count(lambda r: r.headers.get("Authorization")) > 0, "no request carried a token")


# --- Alibaba Cloud OSS -------------------------------------------------------------------------------------------------

REGION = "cn-hangzhou"
OSS_HOST, OSS_HOST_WITHIN = (f"s3.oss-{REGION}{network}.aliyuncs.com" for network in ("", "-internal"))


class Tunnel:
    """A proxy for HTTPS that leads every connection to one TLS server, and remembers where they were meant to go."""

    def __init__(self, port):
        self.port_behind, self.asked = port, set()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with contextlib.suppress(OSError), client:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                byte = client.recv(1)
                if not byte:
                    return
                head += byte
            self.asked.add(head.split()[1].decode())
            behind = socket.create_connection(("127.0.0.1", self.port_behind))
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=self.pass_on, args=(behind, client), daemon=True).start()
            self.pass_on(client, behind)

    @staticmethod
    def pass_on(source, to):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                to.sendall(data)
        with contextlib.suppress(OSError):
            to.shutdown(socket.SHUT_WR)


def signature(request, secret):
    """Signature version 4 of a request, as its own header says what is signed: its scope, and whether it is right."""
    given = dict(re.findall(r"(\w+)=([^,\s]+)", request.headers.get("Authorization", "")))
    if not given:
        return None, False
    key_id, day, region, service, last = given["Credential"].split("/")
    names = given["SignedHeaders"].split(";")
    headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in names)
    query = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in sorted(request.address.items()))
    payload = request.headers["x-amz-content-sha256"]
    if payload != "UNSIGNED-PAYLOAD" and payload != hashlib.sha256(request.body).hexdigest():
        return region, False
    canonical = "\n".join([request.method, request.path, query, headers, ";".join(names), payload])
    text = "\n".join(["AWS4-HMAC-SHA256", request.headers["x-amz-date"], f"{day}/{region}/{service}/{last}", hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, last):
        key = hmac.digest(key, part.encode(), "sha256")
    right = hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), given["Signature"])
    return region, right and "host" in names and key_id == KEY_ID


class Oss(Gateway):
    """What OSS asks of who speaks the protocol of S3: the bucket in the name of the host, and a signature for its region."""

    def __init__(self, upstream, tls):
        self.broken_rules = []
        super().__init__(upstream, decide=Oss.rule, tls=tls)

    def rule(request, self):
        def no(status, code):
            self.broken_rules.append(code)
            return Answer(status, f"<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>by the rules of OSS</Message></Error>", {"Content-Type": "application/xml"})

        bucket, _, host = request.headers.get("Host", "").partition(".")
        if host not in (OSS_HOST, OSS_HOST_WITHIN):
            return no(403, "SecondLevelDomainForbidden")
        region, right = signature(request, KEY)
        if region != REGION:
            return no(400, "AuthorizationHeaderMalformed")
        if not right:
            return no(403, "SignatureDoesNotMatch")
        return self.forward(request, f"/{bucket}{request.target}")


@scenario
def history_oss(world, case):
    """Runs are remembered in Alibaba Cloud OSS: at its own addresses, the bucket in the host, each request signed for the region."""
    certificate = Authority(world.path("oss")).server("oss", 80, f"DNS:*.{OSS_HOST},DNS:*.{OSS_HOST_WITHIN}")
    with moto(world) as url, Oss(url, certificate) as oss, Tunnel(oss.port) as tunnel:
        env = {"OSS_REGION": REGION, "OSS_ACCESS_KEY_ID": KEY_ID, "OSS_ACCESS_KEY_SECRET": KEY, "HTTPS_PROXY": tunnel.url,
               "SSL_CERT_FILE": world.path("oss/root.crt")}
        other = {**env, "OSS_ACCESS_KEY_SECRET": "another"}
        remembers(world, case, f"oss://{BUCKET}/runs", env, lambda: keys(url), (other, "unauthorized"))
        within = {**env, "OSS_REGION": f"oss-{REGION}-internal"}
        inside = world.product.check("--snapshot", sample(world, "demo", 5), "--history", f"oss://{BUCKET}/runs", env=within, timeout=300)
        case.equal(own_gaps(inside.report), [], "gaps of a run within the network of the region")
        case.equal(set(oss.broken_rules), {"SignatureDoesNotMatch"}, "rules of OSS that were broken, the wrong secret apart")
        case.equal(tunnel.asked, {f"{BUCKET}.{OSS_HOST}:443", f"nobody.{OSS_HOST}:443", f"{BUCKET}.{OSS_HOST_WITHIN}:443"}, "hosts that were asked")
