"""A Kubernetes API of our own, over HTTPS, which serves single objects."""

import base64
import http.server
import json
import ssl
import threading
import time

PLURALS = {"ScaledObject": "scaledobjects", "ScaledJob": "scaledjobs", "TriggerAuthentication": "triggerauthentications",
           "ClusterTriggerAuthentication": "clustertriggerauthentications", "Secret": "secrets", "ConfigMap": "configmaps"}


def path_of(kind, name, namespace="shop"):
    group = "/api/v1" if kind in ("Secret", "ConfigMap") else "/apis/keda.sh/v1alpha1"
    where = "" if kind.startswith("Cluster") else f"/namespaces/{namespace}"
    return f"{group}{where}/{PLURALS[kind]}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802, the name that http.server calls
        server = self.server
        server.requests.append((time.monotonic(), self.path))
        server.answering.wait()
        if self.headers["Authorization"] != f"Bearer {server.token}":
            self.reply(401, {"kind": "Status", "reason": "Unauthorized", "message": "Unauthorized"})
        elif self.path in server.refused:
            self.reply(server.refused[self.path], {"kind": "Status", "message": f"{self.path} is forbidden"})
        elif server.status:
            self.reply(server.status, {"kind": "Status", "message": "too many requests"})
        elif self.path in server.objects:
            self.reply(200, server.objects[self.path])
        else:
            name = self.path.rsplit("/", 1)[1]
            self.reply(404, {"kind": "Status", "reason": "NotFound", "message": f"{name} not found", "details": {"name": name}})

    def reply(self, status, item):
        body = json.dumps(item).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


class FakeKubernetes(http.server.ThreadingHTTPServer):
    daemon_threads = True
    token = "a-token"

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects, self.requests, self.refused, self.status = {}, [], {}, None
        self.answering = threading.Event()
        self.answering.set()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "api.pem", folder / "api.key")
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, *_arguments):  # the server under test ends its connections
        pass

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_arguments):
        self.answering.set()
        self.shutdown()
        self.server_close()

    def put(self, kind, name, namespace="shop", **parts):
        metadata = {"name": name} if kind.startswith("Cluster") else {"name": name, "namespace": namespace}
        self.objects[path_of(kind, name, namespace)] = {"kind": kind, "metadata": metadata, **parts}

    def delete(self, kind, name, namespace="shop"):
        del self.objects[path_of(kind, name, namespace)]

    def scaled(self, *triggers, name="orders", namespace="shop", kind="ScaledObject"):
        """Each trigger is its metadata and its authenticationRef, or None."""
        items = [{"type": "external-push", "metadata": metadata, **({"authenticationRef": ref} if ref else {})}
                 for metadata, ref in triggers]
        self.put(kind, name, namespace, spec={"triggers": items})

    def secret(self, name, namespace="shop", **values):
        self.put("Secret", name, namespace,
                 data={key: base64.b64encode(value.encode()).decode() for key, value in values.items()})

    def authentication(self, name, secret, *parameters, namespace="shop", kind="TriggerAuthentication"):
        """Each parameter is the key of the same name in the Secret."""
        self.put(kind, name, namespace, spec={"secretTargetRef": [{"parameter": each, "name": secret, "key": each}
                                                                  for each in parameters]})

    def times(self, path):
        return [at for at, requested in list(self.requests) if requested == path]
