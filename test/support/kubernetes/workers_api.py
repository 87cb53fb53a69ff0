"""A Kubernetes API of our own, and a worker, for tests of what is read of them."""

import http.server
import json
import ssl
import threading
import urllib.parse

from ..certificates import make_certificate, make_root

TOKEN = "a-token-of-a-service-account"
TARGET = {"group": "apps", "version": "v1", "kind": "Deployment", "resource": "deployments"}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                 "message": "0/3 nodes are available: 3 Insufficient cpu."}


def make_api_certificate(folder):
    """ca.pem, and api.pem with its key."""
    make_root(folder)
    make_certificate(folder, "api")
    return folder


def pod(name, status, annotations=None, job=None):
    owners = [{"kind": "Job", "name": job}] if job else []
    return {"metadata": {"name": name, "uid": f"uid-{name}", "creationTimestamp": "2026-01-02T03:04:05Z",
                         "annotations": annotations or {}, "ownerReferences": owners},
            "spec": {"containers": [{"name": "worker"}]}, "status": status}


def running(address="127.0.0.1", restarts=0):
    return {"phase": "Running", "podIP": address, "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"restartCount": restarts, "state": {"running": {}}}]}


def usage(name, cpu, memory):
    return {"metadata": {"name": name}, "containers": [{"usage": {"cpu": cpu, "memory": memory}}]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802, the name that http.server calls
        path, _, query = self.path.partition("?")
        code, body = self.server.answer(path, dict(urllib.parse.parse_qsl(query)), self.headers)
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


class Peer(http.server.ThreadingHTTPServer):
    """A program calls answer(path, query, headers), which returns a status, and bytes or what becomes JSON."""

    daemon_threads = True

    def __init__(self, certificate=None, key=None):
        """With a certificate it speaks TLS."""
        super().__init__(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_arguments):  # the server under test ends its connections
        pass

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_arguments):
        self.shutdown()
        self.server_close()


class Worker(Peer):
    """The /metrics of a pod."""

    def answer(self, _path, _query, headers):
        assert "Authorization" not in headers
        return 200, b"# TYPE worker_jobs_total counter\nworker_jobs_total 37.0\nworker_jobs_created 1.7e+09\n"


class Api(Peer):
    """Deployment `orders` of the ScaledObject `orders`, and the jobs of the ScaledJob `reports`."""

    def __init__(self, folder, worker_port):
        super().__init__(folder / "api.pem", folder / "api.key")
        self.requests, self.refused, self.log = [], set(), b"one line\n"
        self.hpa = {}
        self.usage = [usage("orders-1", "250m", "64Mi")]
        scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": str(worker_port)}
        self.pods = {
            "app=orders,tier in (back)": [
                pod("orders-1", running(restarts=2), scraped),
                pod("orders-2", {"phase": "Pending", "conditions": [UNSCHEDULABLE]})],
            "scaledjob.keda.sh/name=reports": [pod("reports-x", running(), job="reports-7")]}

    def answer(self, path, query, headers):
        self.requests.append((path, query))
        if headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, {"message": "Unauthorized"}
        if any(word in path for word in self.refused):
            return 403, {"message": "pods is forbidden"}
        selector = query.get("labelSelector")
        if path == "/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects/orders":
            return 200, {"metadata": {"namespace": "shop", "name": "orders"}, "spec": {"scaleTargetRef": {"name": "orders"}, "triggers": []},
                         "status": {"scaleTargetGVKR": TARGET, "hpaName": "keda-hpa-orders"}}
        if path == "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/keda-hpa-orders":
            return 200, {"metadata": {"namespace": "shop", "name": "keda-hpa-orders"}, **self.hpa}
        if path == "/apis/apps/v1/namespaces/shop/deployments/orders/scale":
            return 200, {"status": {"selector": "app=orders,tier in (back)"}}
        if path == "/api/v1/namespaces/shop/pods":
            unwanted = {part.removeprefix("status.phase!=") for part in query.get("fieldSelector", "").split(",")}
            found = [each for each in self.pods[selector] if each["status"].get("phase") not in unwanted]
            more, limit = {"continue": "a-token"}, int(query["limit"])
            return 200, {"metadata": more if len(found) > limit else {}, "items": found[:limit]}
        if path == "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods":
            return 200, {"items": self.usage}
        if path.startswith("/api/v1/namespaces/shop/pods/") and path.endswith("/log"):
            return 200, self.log(query) if callable(self.log) else self.log
        return 404, {"message": "not found"}
