"""Scenarios at the edge of a cluster: TLS servers, TLS Secrets, and names in DNS. Certificates are made while the suite runs, so
that they are judged now, and not at the instant at which the suite began."""
import base64
import contextlib
import json
import os
import socket
import ssl
import subprocess
import threading

from .case import scenario
from .gateway import Answer, Gateway
from .product import COULD_NOT_RUN
from .scenarios import ran, refused

NAMESPACE = "certs"
WITHOUT_ROUTES = "vault"
CHECK = "certificate-expiring"


class Authority:
    """A root with an intermediate below it, and certificates of either, by openssl."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        authority = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
        self.openssl("req", "-x509", *self.key("root"), "-out", "root.crt", "-days", "3650", "-subj", "/CN=lab root", *authority)
        self.sign("intermediate", "root", 1800, "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n", "lab intermediate")

    def path(self, name):
        return os.path.join(self.folder, name)

    def text(self, name):
        with open(self.path(name)) as f:
            return f.read()

    def openssl(self, *args):
        subprocess.run(["openssl", *map(str, args)], cwd=self.folder, check=True, capture_output=True, timeout=60)

    @staticmethod
    def key(name):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"

    def sign(self, name, issuer, days, extensions, subject=None):
        with open(self.path(f"{name}.ext"), "w") as f:
            f.write(extensions)
        self.openssl("req", *self.key(name), "-out", f"{name}.csr", "-subj", f"/CN={subject or name}")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.crt", "-CAkey", f"{issuer}.key", "-CAcreateserial",
                     "-days", days, "-extfile", f"{name}.ext", "-out", f"{name}.crt")

    def server(self, name, days, names, with_intermediate=True, more=""):
        """A certificate for a server; `NAME.pem` is what it sends."""
        self.sign(name, "intermediate", days, f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n{more}")
        chain = self.text(f"{name}.crt") + (self.text("intermediate.crt") if with_intermediate else "")
        with open(self.path(f"{name}.pem"), "w") as f:
            f.write(chain)
        return self.path(f"{name}.pem"), self.path(f"{name}.key")

    def endless(self, name, names):
        """A chain of 400 certificates: more than a handshake may hold (64 KiB)."""
        certificate, key = self.server(name, 80, names)
        with open(certificate, "a") as f:
            f.write(self.text("intermediate.crt") * 400)
        return certificate, key


class TlsServer:
    """A TLS server on a port of its own that does nothing beyond the handshake; without a certificate it takes connections and
    never says a word."""

    def __init__(self, certificate=None, port=0):
        self.asked = 0
        self.ended = False
        self.held = []
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self.socket = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port = self.socket.getsockname()[1]
        self.name = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while not self.ended:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.asked += 1
            if not self.context:
                self.held.append(connection)
                continue
            with contextlib.suppress(OSError):
                connection.settimeout(10)
                self.context.wrap_socket(connection, server_side=True).close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        for s in (self.socket, *self.held):
            s.close()


def configured(world, name, **more):
    """A configuration of the lab's cluster, and what else is given."""
    path = world.path(f"{name}.yaml")
    cluster = {"name": "lab", "kubernetes": {"kubeconfig": world.kubeconfig}}
    with open(path, "w") as f:
        json.dump({"clusters": [{**cluster, **more.pop("cluster", {})}], **more}, f)
    return path


def found(report, check=CHECK):
    """(kind, name) of every finding of a check, with its severity."""
    return {(f["subject"]["kind"], f["subject"]["name"]): f["severity"] for f in report.findings if f["check"] == check}


def tls_secret(world, name, certificate, key):
    b64 = lambda text: base64.b64encode(text.encode()).decode()  # noqa: E731
    world.api.post(f"/api/v1/namespaces/{NAMESPACE}/secrets", {
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": name},
        "data": {"tls.crt": b64(certificate), "tls.key": b64(key)}})


def ingress(world, name, host, secret=None, annotations=None):
    backend = {"service": {"name": "api", "port": {"number": 80}}}
    tls = [{"hosts": [host], "secretName": secret}] if secret else []
    world.api.post(f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/ingresses", {
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {"tls": tls, "rules": [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]}})


def prepared(world):
    """The authority, and a namespace with TLS Secrets that Ingresses use; made once."""
    if "edge" not in world.memory:
        authority = Authority(world.path("authority"))
        world.namespace(NAMESPACE)
        world.memory["edge"] = authority
    return world.memory["edge"]


@contextlib.contextmanager
def planted(world):
    """What is planted in the namespace goes away again: other scenarios look at the whole cluster."""
    try:
        yield prepared(world)
    finally:
        world.api.do("DELETE", f"/api/v1/namespaces/{NAMESPACE}/secrets")
        world.api.do("DELETE", f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/ingresses")


@scenario
def tls_servers(world, case):
    """TLS servers that are asked: 80 and 9 days left, expired, another host, no intermediate, silent, 400 certificates; and nobody is asked on request."""
    authority = prepared(world)
    here = "IP:127.0.0.1"
    issuer = "authorityInfoAccess=caIssuers;URI:http://ca.lab.example/1.crt\n"
    with contextlib.ExitStack() as servers:
        start = lambda *args: servers.enter_context(TlsServer(*args))  # noqa: E731
        fine = start(authority.server("fine", 80, here))
        soon = start(authority.server("soon", 9, here))
        expired = start(authority.server("expired", -1, here))
        other = start(authority.server("other", 80, "IP:192.0.2.1"))
        alone = start(authority.server("alone", 80, here, False, issuer))
        silent = start()
        endless = start(authority.endless("endless", here))
        every = [fine, soon, expired, other, alone, silent, endless]
        names = [s.name for s in every]
        trust = {"SSL_CERT_FILE": authority.path("root.crt")}
        path = configured(world, "tls-servers", certificates={"servers": names})
        run = world.product.check("--config", path, "-n", WITHOUT_ROUTES, env=trust)
        if not ran(case, run, "seven servers"):
            return
        report = run.report
        host = {s.name: found(report).get(("Host", s.name)) for s in every}
        case.equal(host, {fine.name: None, soon.name: "warning", expired.name: "critical", other.name: "critical",
                          alone.name: "warning", silent.name: None, endless.name: None}, "severity by server")
        case.equal((report.checks[CHECK]["ok"], report.unknown(CHECK)), (1, 2), "in order, unknown")
        case.contains(report.all_gaps, f"{endless.name} (its chain of certificates is larger than 64 KiB", "gaps name the server with a chain without end")
        told = {f["subject"]["name"]: f["summary"] for f in report.findings if f["check"] == CHECK}
        case.contains(told.get(alone.name, ""), "intermediate certificate CN=lab intermediate", "the server without intermediate")
        case.contains(told.get(other.name, ""), "192.0.2.1", "the server of another host")
        case.contains(report.all_gaps, f"{silent.name} (no answer within", "gaps name the silent server")
        plan = world.product.run("check", "--config", path, "-n", WITHOUT_ROUTES, "--dry-run")
        case.contains(plan.out, f"TLS handshake: {names[0]}", "--dry-run")

        counted = sum(s.asked for s in every)
        skipped = world.product.check("--config", path, "-n", WITHOUT_ROUTES, env={**trust, "SKIP_TLS_CHECK": "true"})
        if ran(case, skipped, "SKIP_TLS_CHECK"):
            case.equal(found(skipped.report), {}, "findings with SKIP_TLS_CHECK")
            case.contains(skipped.report.gap_text(), "N/A: certificates are not looked at: SKIP_TLS_CHECK is set", "gaps with SKIP_TLS_CHECK")
        path = configured(world, "tls-nobody", certificates={"ask": False, "servers": names})
        run = world.product.check("--config", path, "-n", WITHOUT_ROUTES, "--skip", "memory-leak", env=trust)
        ran(case, run, "ask: false")
        run = world.product.check("--config", configured(world, "tls-skip", certificates={"servers": names}), "-n", WITHOUT_ROUTES, "--skip", CHECK, env=trust)
        if ran(case, run, "--skip"):
            case.expect(CHECK not in run.report.checks, "a check that is skipped has no counts")
        case.equal(sum(s.asked for s in every), counted, "connections of runs that ask nobody")
        run = world.product.check("--config", path, env={"SKIP_TLS_CHECK": "perhaps"})
        refused(case, run, "SKIP_TLS_CHECK=perhaps", "SKIP_TLS_CHECK: expected `true` or `false`, got `perhaps`")


@scenario
def tls_secrets(world, case):
    """TLS Secrets on the real API, used by Ingresses: 80 and 9 days left, expired, broken; a recording says the same."""
    with planted(world) as authority:
        for name, days in (("stored-fine", 80), ("stored-soon", 9), ("stored-expired", -1)):
            host = f"{name}.lab.invalid"
            authority.server(name, days, f"DNS:{host}")
            tls_secret(world, name, authority.text(f"{name}.pem"), authority.text(f"{name}.key"))
            ingress(world, name, host, name)
        tls_secret(world, "stored-broken", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no key")
        ingress(world, "stored-broken", "stored-broken.lab.invalid", "stored-broken")
        # A controller that has not loaded what its Secret holds, which was issued later.
        old = authority.server("served-old", 40, "DNS:localhost")
        authority.server("stored-new", 80, "DNS:localhost")
        tls_secret(world, "stored-new", authority.text("stored-new.pem"), authority.text("stored-new.key"))
        ingress(world, "stored-new", "localhost", "stored-new")
        recording = world.path("certificates.ndjson.zst")
        with contextlib.ExitStack() as servers:
            served = None
            try:
                served = servers.enter_context(TlsServer(old, 443))
            except OSError as error:
                case.note(f"port 443 is not to be had ({error.strerror}): served against stored is left out")
            run = world.product.check("--kubeconfig", world.kubeconfig, "-n", NAMESPACE, "--record", recording,
                                      env={"SSL_CERT_FILE": authority.path("root.crt")})
        if not ran(case, run, "TLS Secrets"):
            return
        if served:
            case.equal(found(run.report).get(("Host", "localhost:443")), "warning", "a server that shows an older certificate")
        secrets = {name: severity for (kind, name), severity in found(run.report).items() if kind == "Secret"}
        case.equal(secrets, {"stored-soon": "warning", "stored-expired": "critical", "stored-broken": "warning"}, "severity by Secret")
        silent = 4 if served else 5
        case.equal(run.report.unknown(CHECK), silent, "hosts that cannot be reached are unknown")
        case.contains(run.report.all_gaps, f"{silent} of 5 TLS servers gave no certificate", "gaps")
        again = world.product.check("--snapshot", recording)
        case.equal(again.out, run.out, "the report of the recording")


@scenario
def tls_at_scale(world, case):
    """Two hundred TLS servers of which a third is silent; the note tells the time."""
    authority = prepared(world)
    certificate = authority.server("scale", 80, "IP:127.0.0.1")
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(TlsServer(None if i % 3 == 0 else certificate)) for i in range(200)]
        path = configured(world, "tls-scale", certificates={"servers": [s.name for s in servers]})
        bare = world.product.check("--config", configured(world, "tls-none"), "-n", WITHOUT_ROUTES, "--only", CHECK,
                                   env={"SKIP_TLS_CHECK": "true"})
        run = world.product.check("--config", path, "-n", WITHOUT_ROUTES, "--only", CHECK,
                                  env={"SSL_CERT_FILE": authority.path("root.crt")})
        if not ran(case, run, "200 servers"):
            return
        silent = sum(s.context is None for s in servers)
        case.contains(run.report.all_gaps, f"{silent} of 200 TLS servers gave no certificate", "gaps")
        case.equal(sum(s.asked for s in servers), 200, "connections")
        case.equal((run.report.checks[CHECK]["ok"], run.report.unknown(CHECK)), (200 - silent, silent), "in order, unknown")
        case.note(f"200 servers, {silent} silent: {run.seconds:.1f} s, without asking {bare.seconds:.1f} s, "
                  f"{run.report.json['cost']['peak_rss_bytes'] / 2**20:.0f} MiB")


@scenario
def hosts(world, case):
    """Names of a file: served by an Ingress, or not, with the requests that an ingress controller counts."""
    with planted(world):
        ingress(world, "forex", "forex.lab.invalid", annotations={"external-dns.alpha.kubernetes.io/hostname": "forex.lab.invalid,old.lab.invalid"})
        with open(world.path("dns.yaml"), "w") as f:
            f.write("- name: forex.lab.invalid\n  type: A\n  value: 192.0.2.1\n- name: forex-ui.lab.invalid\n  type: CNAME\n  value: lb.lab.invalid\n"
                    "- name: powercard.lab.invalid\n- name: mail.lab.invalid\n  type: MX\n  value: mx\n")
        counts = {"forex-ui.lab.invalid": "20593", "powercard.lab.invalid": "3570", "forex.lab.invalid": "9"}

        def decide(request, _gateway):
            if "nginx_ingress_controller_requests" not in request.query:
                return None
            result = [{"metric": {"host": host}, "value": [world.at_unix, count]} for host, count in counts.items()]
            return Answer(200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}))

        for what, gateway in (("nobody counts", contextlib.nullcontext()), ("counted", Gateway(world.prometheus, decide))):
            with gateway as front:
                url = front.url if front else world.prometheus
                path = configured(world, "hosts", cluster={"prometheus": {"url": url}, "namespaces": [NAMESPACE]}, hosts={"files": ["dns.yaml"]})
                run = world.product.check("--config", path, "--only", "host-without-route", "--at", world.at)
            if not ran(case, run, what):
                continue
            loud = "warning" if front else "info"
            case.equal(found(run.report, "host-without-route"), {("Host", "forex-ui.lab.invalid"): loud, ("Host", "powercard.lab.invalid"): loud,
                                                                ("Host", "old.lab.invalid"): "info"}, f"{what}: hosts")
            case.equal(run.report.gaps, [], f"{what}: gaps")
            case.equal(run.report.checks["host-without-route"]["ok"], 1, f"{what}: hosts in order")
            if front:
                told = {f["subject"]["name"]: f["summary"] for f in run.report.findings}
                case.contains(told.get("forex-ui.lab.invalid", ""), "20593 requests", "the summary")
        with open(world.path("dns.yaml"), "a") as f:
            f.write("- type: A\n")
        run = world.product.check("--config", path)
        case.equal(run.code, COULD_NOT_RUN, "exit code for a record without name")
        case.contains(run.err, "dns.yaml:11: expected the `name` of the record", "standard error")
