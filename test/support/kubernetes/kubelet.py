"""What a kubelet and metrics-server serve, for the simulated node: logs of pods and what they use. No container has written or
used anything, but the API server passes them on as real ones."""

import pathlib
import tempfile

from ..certificates import make_certificate, make_root
from .client import Api
from .workers_api import Peer, usage

NODE = "/api/v1/nodes/simulated/status"
METRICS = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"


class Kubelet(Peer):
    """`with Kubelet(api, namespace)`: of that namespace's pods, whose metrics every client of the API server may list that has the
    right. The API server calls it by the node's address, and by an APIService."""

    def __init__(self, api: Api, namespace):
        self.api, self.namespace = api, namespace
        with tempfile.TemporaryDirectory() as folder:
            make_root(pathlib.Path(folder))
            make_certificate(pathlib.Path(folder), "own", names="IP:127.0.0.1,DNS:localhost")
            super().__init__(f"{folder}/own.pem", f"{folder}/own.key")

    def __enter__(self):
        super().__enter__()
        self._patch_node([{"type": "InternalIP", "address": "127.0.0.1"}], self.server_port)
        self.api.apply(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "metrics-server", "namespace": self.namespace},
             "spec": {"type": "ExternalName", "externalName": "localhost"}},
            {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1beta1.metrics.k8s.io"},
             "spec": {"service": {"name": "metrics-server", "namespace": self.namespace, "port": self.server_port},
                      "group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
                      "insecureSkipTLSVerify": True}})
        return self

    def __exit__(self, *arguments):
        self.api.delete(METRICS)
        self._patch_node([], 0)
        super().__exit__(*arguments)

    def _patch_node(self, addresses, port):
        self.api.patch(NODE, {"status": {"addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}})

    def log_of(self, namespace, pod, container, lines):
        return f"the log of {namespace}/{pod}/{container}, its last {lines} lines\n"

    def use_of(self, _pod):
        """CPU and memory."""
        return "125m", "32Mi"

    def answer(self, path, query, _headers):
        words = path.strip("/").split("/")
        if words[0] == "containerLogs":
            return 200, self.log_of(*words[1:], query["tailLines"]).encode()
        if path == "/apis/metrics.k8s.io/v1beta1":
            return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "metrics.k8s.io/v1beta1", "resources": [
                {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]}]}
        if path == f"/apis/metrics.k8s.io/v1beta1/namespaces/{self.namespace}/pods":
            pods = self.api.call("GET", f"/api/v1/namespaces/{self.namespace}/pods",
                                 params={"labelSelector": query.get("labelSelector", "")}).json()["items"]
            return 200, {"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {},
                         "items": [usage(pod["metadata"]["name"], *self.use_of(pod["metadata"]["name"])) for pod in pods]}
        return 404, {"kind": "Status", "code": 404, "message": "the simulated kubelet has no such page"}
