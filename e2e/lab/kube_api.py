"""A small client of a Kubernetes API, for a kubeconfig that kube-up wrote (client certificate). Standard library only."""
import base64
import http.client
import json
import re
import shutil
import ssl
import tempfile
import threading
import time


class Api:
    """One cluster, as the user of the kubeconfig at `path`; may be used from many threads."""

    def __init__(self, path):
        with open(path) as f:
            text = f.read()
        self.host = re.search(r'server: "?https://([^"}\s]+)', text).group(1)
        folder = tempfile.mkdtemp()
        try:
            files = {}
            for key in ("certificate-authority-data", "client-certificate-data", "client-key-data"):
                files[key] = f"{folder}/{key}"
                with open(files[key], "wb") as f:
                    f.write(base64.b64decode(re.search(key + r": ([A-Za-z0-9+/=]+)", text).group(1)))
            self.context = ssl.create_default_context(cafile=files["certificate-authority-data"])
            self.context.load_cert_chain(files["client-certificate-data"], files["client-key-data"])
        finally:
            shutil.rmtree(folder)
        self.local = threading.local()
        self.calls = 0

    def do(self, method, path, body=None, ok=(200, 201, 202), ctype="application/json"):
        """The decoded answer; None when what was to be created is there already. Retries what may pass."""
        data = json.dumps(body) if body is not None else None
        for attempt in range(6):
            try:
                connection = getattr(self.local, "connection", None)
                if connection is None:
                    connection = self.local.connection = http.client.HTTPSConnection(self.host, context=self.context, timeout=60)
                connection.request(method, path, data, {"Content-Type": ctype})
                response = connection.getresponse()
                answer = response.read()
            except (http.client.HTTPException, OSError):
                self.local.connection = None
                if attempt == 5:
                    raise
                time.sleep(.2)
                continue
            self.calls += 1
            if response.status in ok:
                return json.loads(answer) if answer else None
            if response.status == 409 and method == "POST":
                return None
            # a namespace is not ready before its service account is there
            passing = response.status in (429, 500, 503) or response.status == 403 and b"serviceaccount" in answer
            if not passing or attempt == 5:
                raise RuntimeError(f"{method} {path}: {response.status} {answer[:400].decode(errors='replace')}")
            time.sleep(.5 * (attempt + 1))

    def get(self, path):
        return self.do("GET", path)

    def post(self, path, body):
        return self.do("POST", path, body)

    def status(self, path, body, sub="/status"):
        return self.do("PATCH", path + sub, body, ctype="application/merge-patch+json")
