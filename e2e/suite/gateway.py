"""HTTP servers of the suite that stand in front of a real server: one that fails on demand, one that keeps the
rules of an ARMS gateway, and one that does what a Kubernetes API does for the proxy path of a service.

Each listens on a free port of 127.0.0.1 and forwards what it does not decide itself.
"""
import base64
import http.client
import json
import re
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "host", "content-length"}


class Request:
    """What arrived: method, path, parameters of the address and of the form, headers."""

    def __init__(self, method, target, headers, body):
        parts = urlsplit(target)
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.path = parts.path
        self.address = dict(parse_qsl(parts.query, keep_blank_values=True))
        form = "application/x-www-form-urlencoded" in headers.get("Content-Type", "")
        self.form = dict(parse_qsl(body.decode(), keep_blank_values=True)) if form else {}

    @property
    def query(self):
        """The PromQL expression, from the address or the form."""
        return self.address.get("query", self.form.get("query", ""))

    @property
    def is_range(self):
        return self.path.endswith("/query_range")

    @property
    def is_data(self):
        """A query for data, as opposed to a look at what the server is."""
        return self.is_range or self.path.endswith("/query") and bool(re.search(r"[{(\[]|_", self.query))


class Answer:
    """A whole answer; `cut` sends only that share of the body and then closes the connection."""

    def __init__(self, status, body, headers=None, cut=None):
        self.status, self.cut = status, cut
        self.body = body if isinstance(body, bytes) else body.encode()
        self.headers = {"Content-Type": "application/json", **(headers or {})}


HANG = "accept the request and never answer"
DROP = "close the connection without an answer"


def api_error(status, kind, text):
    return Answer(status, json.dumps({"status": "error", "errorType": kind, "error": text}))


class Gateway:
    """A server in front of `upstream`. `decide(request, gateway)` gives an Answer, HANG, DROP, or None to forward;
    `amend(request, answer)` may change what the real server said."""

    def __init__(self, upstream, decide=None, amend=None, tls=None, upstream_context=None):
        self.upstream = urlsplit(upstream)
        self.decide, self.amend, self.upstream_context = decide, amend, upstream_context
        self.requests = []
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.sockets = set()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self):
                super().setup()
                with gateway.lock:
                    gateway.sockets.add(self.connection)

            def log_message(self, *_):
                pass

            def do_GET(self):
                gateway.handle(self)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass  # a client that goes away is what some scenarios are about

        self.server = Server(("127.0.0.1", 0), Handler)
        scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
            scheme = "https"
        self.port = self.server.server_port
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.die()
        self.server.server_close()

    def die(self):
        """Stops listening and cuts every connection, as a killed server does."""
        if self.ended.is_set():
            return
        self.ended.set()
        self.server.shutdown()
        self.server.socket.close()
        with self.lock:
            for s in self.sockets:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def count(self, wanted):
        with self.lock:
            return sum(1 for r in self.requests if wanted(r))

    def handle(self, handler):
        length = int(handler.headers.get("Content-Length") or 0)
        request = Request(handler.command, handler.path, handler.headers, handler.rfile.read(length))
        with self.lock:
            self.requests.append(request)
        answer = self.decide(request, self) if self.decide else None
        if self.ended.is_set():
            answer = DROP
        if answer is HANG:
            self.ended.wait(600)
            answer = DROP
        if answer is DROP:
            handler.close_connection = True
            return
        if answer is None:
            answer = self.forward(request)
            if self.amend:
                answer = self.amend(request, answer) or answer
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        if answer.cut is not None:
            handler.wfile.write(answer.body[: int(len(answer.body) * answer.cut)])
            handler.wfile.flush()
            handler.close_connection = True
        elif handler.command != "HEAD":
            handler.wfile.write(answer.body)

    def forward(self, request, target=None):
        if self.upstream.scheme == "https":
            connection = http.client.HTTPSConnection(self.upstream.netloc, timeout=60, context=self.upstream_context)
        else:
            connection = http.client.HTTPConnection(self.upstream.netloc, timeout=60)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        # plain bodies: scenarios change them
        headers["Accept-Encoding"] = "identity"
        try:
            connection.request(request.method, target or request.target, request.body, headers)
            response = connection.getresponse()
            kept = {k: v for k, v in response.getheaders() if k.lower() not in HOP_BY_HOP}
            return Answer(response.status, response.read(), kept)
        finally:
            connection.close()


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Arms(Gateway):
    """Keeps the rules of Alibaba Cloud ARMS: Basic auth with the AccessKey, parameters in the address, range queries
    by POST only, whole seconds only; an `arms-prom-server` is a forwarder and knows no queries."""

    PREFIX = "/api/v1/prometheus/0a1b2c3d4e5f/1234567890123456/c0ffee00/ap-southeast-1"

    def __init__(self, upstream, user, password):
        self.authorization = basic(user, password)
        self.broken_rules = []
        super().__init__(upstream, decide=Arms.rule)
        self.endpoint = self.url + self.PREFIX

    def rule(request, self):
        if "arms-prom-server" in request.target:
            return Answer(404, "404 page not found\n", {"Content-Type": "text/plain"})
        if request.headers.get("Authorization") != self.authorization:
            return api_error(401, "unauthorized", "InvalidAccessKeyId")
        if not request.path.startswith(self.PREFIX + "/api/v1/"):
            return Answer(404, "404 page not found\n", {"Content-Type": "text/plain"})
        broken = None
        if request.is_range and request.method != "POST":
            broken = "query_range: only POST is supported"
        if request.path.endswith(("/query", "/query_range")) and "query" not in request.address:
            broken = broken or "parameter `query` is missing in the URL"
        for name in ("start", "end", "time", "step"):
            value = request.address.get(name)
            if value is not None and not re.fullmatch(r"[0-9]+", value):
                broken = broken or f"parameter `{name}`: {value!r} is not an integer"
        if broken:
            self.broken_rules.append(broken)
            return api_error(400, "bad_data", broken)
        return self.forward(request, request.target[len(self.PREFIX):])


class ServiceProxy(Gateway):
    """Passes everything on to a real Kubernetes API, except the proxy path of the service NAMESPACE/NAME, which ends at
    `target`: a real API server refuses to proxy to addresses of the loopback network, the only one that the suite uses."""

    def __init__(self, api, ca, tls, target, namespace, name):
        self.path = re.compile(rf"^/api/v1/namespaces/{namespace}/services/(?:http:)?{name}(?::[a-z0-9-]+)?/proxy(/.*)$")
        self.inner = Gateway(target)
        # no client certificate: the API must see the caller's own token and rights
        super().__init__(api, decide=ServiceProxy.route, tls=tls, upstream_context=ssl.create_default_context(cafile=ca))

    def route(request, self):
        match = self.path.match(request.target)
        if not match:
            return None
        if not request.headers.get("Authorization"):
            return Answer(401, json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Unauthorized", "code": 401}))
        return self.inner.forward(request, match.group(1))

    def __exit__(self, *rest):
        super().__exit__(*rest)
        self.inner.__exit__(*rest)
