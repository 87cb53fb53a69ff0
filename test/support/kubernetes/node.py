"""A real node, in the machine that tools/pods makes: containerd, kubelet and kube-proxy, CoreDNS and KEDA in pods."""

import contextlib
import json
import os
import pathlib
import subprocess

import requests
import yaml

from .cluster import Cluster
from .engine import BUILD_SECONDS, NAME, PODS
from .stack import Stack, flags
from ..process import need, wait_until
from ..server.server import REPOSITORY

ADDRESS = "10.0.2.100"  # slirp4netns gives it to this machine
DNS = "10.96.0.10"
PODS_CIDR = "10.244.0.0/24"
SECONDS = 600  # a busy machine is no failure
SHIMS = pathlib.Path(REPOSITORY, "test", "pods", "bin")
MANIFESTS = pathlib.Path(REPOSITORY, "test", "pods", "manifests")
CONTAINERD = pathlib.Path("/run/containerd/containerd.sock")

CONTAINERD_CONFIG = f"""
version = 2
root = "{PODS}/run/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  # Where root lacks CAP_SYS_RESOURCE no process can get a lower oom_score_adj than its parent.
  restrict_oom_score_adj = true
  disable_apparmor = true
  sandbox_image = "{NAME}/pause:1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/run/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/run/registries"
"""
REGISTRIES = f'[host."http://{NAME}"]\ncapabilities = ["pull", "resolve"]\n'  # in the place of every registry
CNI = {"cniVersion": "0.4.0", "name": "pods", "plugins": [{
    "type": "bridge", "bridge": "pods", "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": {
        "type": "host-local", "dataDir": "/run/ipam", "ranges": [[{"subnet": PODS_CIDR}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}


class NodeStack(Stack):
    """The control plane of Stack and one real node; KEDA is not installed here."""

    address = ADDRESS
    controllers = "*,-node-ipam-controller"

    def _certificates(self):
        super()._certificates()
        self.authority.issue("kubelet", "system:node:node/O=system:nodes", (f"IP:{ADDRESS}", "DNS:node"))
        self.authority.issue("kube-proxy", "system:kube-proxy", ())

    def _api_server(self, etcd):
        server = super()._api_server(etcd)
        server.words += flags(
            authorization_mode="Node", enable_admission_plugins="NodeRestriction", kubelet_preferred_address_types="InternalIP",
            kubelet_certificate_authority=self._path("cluster.pem"), kubelet_client_certificate=self._path("admin.pem"),
            kubelet_client_key=self._path("admin.key"))
        return server

    def _start_node(self):
        self.kubeconfig("admin")
        self._write("/run/cni/pods.conflist", json.dumps(CNI))
        self._write("/run/registries/_default/hosts.toml", REGISTRIES)
        config = self._write(self._path("containerd.toml"), CONTAINERD_CONFIG)
        # The plugin that kubelets call is the last to start.
        self._start("containerd", [need("containerd"), "--config", config],
                    lambda: "Start streaming server" in self.components["containerd"].log())
        config = self._write(self._path("kubelet.yaml"), yaml.safe_dump(self._kubelet()))
        self._start("kubelet", [self.kube, "kubelet", *flags(
            config=config, kubeconfig=self.kubeconfig("kubelet"), hostname_override="node", node_ip=ADDRESS)])
        config = self._write(self._path("kube-proxy.yaml"), yaml.safe_dump(self._proxy()))
        self._start("kube-proxy", [self.kube, "kube-proxy", *flags(config=config)])
        wait_until(lambda: self._condition(self.api.get("/api/v1/nodes/node"), "Ready"), SECONDS, "the node: Ready")

    @staticmethod
    def _write(path, text):
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(path).write_text(text)
        return path

    def _kubelet(self):
        """For control groups of either version. A node that is nearly full evicts nothing."""
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "address": ADDRESS, "readOnlyPort": 0, "healthzPort": 0, "failCgroupV1": False, "failSwapOn": False, "cgroupDriver": "cgroupfs",
            "containerRuntimeEndpoint": f"unix://{CONTAINERD}", "clusterDomain": "cluster.local", "clusterDNS": [DNS],
            "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": self._path("cluster.pem")}},
            "tlsCertFile": self._path("kubelet.pem"), "tlsPrivateKeyFile": self._path("kubelet.key"),
            "makeIPTablesUtilChains": False, "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
            "evictionHard": {"memory.available": "100Mi", **{f"{fs}.{what}": "1%" for fs in ("nodefs", "imagefs")
                                                             for what in ("available", "inodesFree")}},
            "serializeImagePulls": False,
            "syncFrequency": "10s"}  # default: 1 min; so soon volumes have new contents of a Secret

    def _proxy(self):
        """It leaves the connections that the kernel tracks as they are."""
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables",
            "clientConnection": {"kubeconfig": self.kubeconfig("kube-proxy")}, "clusterCIDR": PODS_CIDR, "hostnameOverride": "node",
            "bindAddress": ADDRESS, "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}}

    def _install_keda(self):
        pass

    def _start_keda(self):
        pass


class NodeCluster(Cluster):
    """kubectl and helm, and a shell as a user has it: `docker`, `kubectl`, `helm` and `kind` are this cluster's."""

    seconds = SECONDS + 10  # kubectl itself gives up sooner, and says why

    def __init__(self, stack):
        super().__init__({"folder": stack.folder, "kube": stack.kube})
        self.stack, self.api = stack, stack.api
        self.environment = {**os.environ, "PATH": f"{SHIMS}:{os.environ['PATH']}", "KUBECONFIG": self.config, "KUBE": self.kube,
                            "DOCKER": need("docker")}

    def shell(self, script, cwd):
        """What it printed, its errors included; each command must succeed."""
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=cwd, env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=BUILD_SECONDS)
        print(f"{script}\n{done.stdout}")
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    @contextlib.contextmanager
    def forward(self, script, port, cwd):
        """While `kubectl port-forward` runs: the address that the port has here."""
        child = subprocess.Popen(["bash", "-euc", f"exec {script}"], cwd=cwd, env=self.environment, stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: requests.get(f"http://localhost:{port}/", timeout=5), SECONDS, script)
            yield f"http://localhost:{port}"
        finally:
            child.terminate()
            child.wait(30)

    def manifest(self, name):
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", MANIFESTS / f"{name}.yaml")

    def rolled_out(self, namespace, *names):
        for name in names:
            self.kubectl("rollout", "status", name, "--namespace", namespace, "--timeout", f"{SECONDS}s")

    def install_keda(self):
        """By its own manifests, which are its release's, and with certificates of its own."""
        found = self.kubectl("kustomize", os.path.join(self.stack.definitions, "default")).stdout
        self.kubectl("apply", "--server-side", "-f", "-", text=found)
        self.rolled_out("keda", *(f"deployment/{name}" for name in ("keda-operator", "keda-metrics-apiserver", "keda-admission")))
        self.kubectl("wait", "--for=condition=Available", "apiservice/v1beta1.external.metrics.k8s.io", f"--timeout={SECONDS}s")

    def pods(self, namespace, selector):
        """That are not about to end."""
        found = self.get("pods", "--namespace", namespace, "--selector", selector)["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def process(self, pod):
        """The id of the first process of the pod's container."""
        container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        for path in sorted(pathlib.Path("/proc").glob("[0-9]*/cgroup"), key=lambda path: int(path.parent.name)):
            with contextlib.suppress(OSError):
                if container in path.read_text():
                    return int(path.parent.name)
        raise AssertionError(f"no process of {container}")
