"""Kubernetes and KEDA without containers: each component is a process on loopback.

`./dev e2e` builds the programs into build/e2e. The stack has one simulated node whose pods only change their status;
everything else is the real thing: HPA and Job controllers, scheduler, KEDA's operator, metrics adapter and webhooks.
"""

import base64
import contextlib
import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import requests
import yaml

from ..certificates import Authority
from .client import Api
from ..process import Process, Unavailable, free_port, wait_until
from ..server.server import REPOSITORY

E2E = os.path.join(REPOSITORY, "build", "e2e")
HPA_SECONDS = 2  # Kubernetes' default is 15
HPA_WORKERS = 20  # Kubernetes' default is 5: with 60 HPAs at that period each synchronization waits for its turn
KEDA_QPS = 200   # KEDA's default is 20: with it 60 ScaledObjects take two minutes to settle
KEDA_NAME = "keda-operator.keda.svc.cluster.local"
READY_SECONDS = 180  # a busy machine


def program(product, name):
    """`product` is kubernetes or keda; ./dev names the version, and without it there is just one."""
    version = os.environ.get(f"BACKLOG_E2E_{product.upper()}", "*")
    found = sorted(glob.glob(os.path.join(E2E, f"{product}-{version}", name)))
    if not found:
        raise Unavailable(f"{name} is not built: ./dev e2e")
    return found[-1]


def keda_version():
    """(2, 21, 0)"""
    folder = os.path.basename(os.path.dirname(program("keda", "operator")))  # keda-2.21.0, or keda-2.21.0-provoked
    return tuple(map(int, folder.split("-")[1].split(".")))


class Component(Process):
    """One process of the stack. `is_ready` may raise while it is not."""

    start_seconds = READY_SECONDS

    def __init__(self, name, words, is_ready=None, **environment):
        self.name = name
        super().__init__()
        self.words, self.is_ready, self.variables = words, is_ready, environment

    def command(self):
        return self.words

    def environment(self):
        return {**os.environ, **self.variables}

    def ready(self):
        return self.is_ready is None or self.is_ready()


def flags(**values):
    return [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]


class Etcd(Component):
    def __init__(self, kube):
        self.url, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        super().__init__("etcd", [kube, "etcd", "--unsafe-no-fsync", *flags(
            data_dir="data", log_level="warn", listen_client_urls=self.url, advertise_client_urls=self.url,
            listen_peer_urls=peer, initial_advertise_peer_urls=peer, initial_cluster=f"default={peer}")],
            lambda: answers(f"{self.url}/health"))

    def _call(self, method, **arguments):
        response = requests.post(f"{self.url}/v3/kv/{method}", json=arguments, timeout=60)
        response.raise_for_status()
        return response.json()

    def compact(self):
        """As API servers do it every five minutes: of what has been before now nothing can be watched any more."""
        found = self._call("range", key=base64.b64encode(b"/").decode())
        self._call("compaction", revision=found["header"]["revision"], physical=True)


class ApiServer(Component):
    """A kube-apiserver with the certificates in this folder; several may share an etcd. `more` are flags."""

    def __init__(self, kube, folder, etcd, address="127.0.0.1", **more):
        def path(name):
            return os.path.join(folder, name)

        self.port = free_port()
        self.api = Api(f"https://{address}:{self.port}", path("cluster.pem"), path("admin.pem"), path("admin.key"))
        super().__init__("apiserver", [kube, "kube-apiserver", *flags(
            etcd_servers=etcd, bind_address=address, advertise_address=address, secure_port=self.port,
            # The others refuse a loopback address.
            endpoint_reconciler_type="none" if address == "127.0.0.1" else "lease",
            service_cluster_ip_range="10.96.0.0/16", authorization_mode="RBAC",
            tls_cert_file=path("apiserver.pem"), tls_private_key_file=path("apiserver.key"),
            client_ca_file=path("cluster.pem"),
            service_account_issuer="https://kubernetes.default.svc",
            service_account_key_file=path("service-account.pem"),
            service_account_signing_key_file=path("service-account.key"),
            # How the aggregator proves to the metrics adapter who is calling.
            requestheader_client_ca_file=path("front-proxy-authority.pem"),
            requestheader_allowed_names="front-proxy", requestheader_username_headers="X-Remote-User",
            requestheader_group_headers="X-Remote-Group", requestheader_extra_headers_prefix="X-Remote-Extra-",
            proxy_client_cert_file=path("front-proxy.pem"), proxy_client_key_file=path("front-proxy.key"),
            profiling="false", **more)], lambda: self.api.call("GET", "/readyz"))


def kubectl(kube, folder, *arguments):
    """What kubectl prints for the stack in this folder. Tests read the API; this is for what people see."""
    return subprocess.run([kube, "kubectl", "--kubeconfig", os.path.join(folder, "admin.kubeconfig"), *arguments],
                          check=True, timeout=120, stdout=subprocess.PIPE, text=True).stdout


class Restarter(threading.Thread):
    """Starts a component again when it has ended, as a kubelet does: KEDA 2.21.0's operator can panic for a ScaledJob with
    external-push (docs/upstream/8-scaledjob.md)."""

    def __init__(self, component):
        super().__init__(daemon=True)
        self.component, self.stopped = component, threading.Event()

    def run(self):
        while not self.stopped.wait(0.5):
            if self.component.child.poll() is None:
                continue
            print(f"\n{self.component.name} ended and is started again:\n{self.component.log()[-800:]}", file=sys.stderr)
            with contextlib.suppress(RuntimeError, SystemExit):  # once more, half a second later
                self.component.start()

    def stop(self):
        self.stopped.set()
        self.join()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


def answers(url):
    return requests.get(url, timeout=5).ok


class Stack:
    """`with Stack() as stack:` takes about ten seconds. `components` are its processes by name."""

    address = "127.0.0.1"
    controllers = "*,-node-lifecycle-controller,-node-ipam-controller"  # the node has no life cycle, and no address range

    def __init__(self, hpa_seconds=HPA_SECONDS, keda_qps=KEDA_QPS):
        self.hpa_seconds, self.keda_qps = hpa_seconds, keda_qps
        self.kube = program("kubernetes", "kube")
        self.operator, self.adapter, self.webhooks = (program("keda", name) for name in ("operator", "adapter", "webhooks"))
        self.definitions = program("keda", "config")
        self.folder = tempfile.mkdtemp(prefix="backlog-e2e-")
        self.components = {}
        self.api = None

    def __enter__(self):
        try:
            self._certificates()
            self._start_kubernetes()
            self._install_keda()
            self._start_keda()
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        """An API server whose etcd is gone takes minutes to end: nothing of it is kept, so it is killed."""
        self._keep_logs()
        for component in reversed(self.components.values()):
            with contextlib.suppress(ProcessLookupError):
                component.stop(2)
            component.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _keep_logs(self):
        """For the reader of a failed test."""
        folder = os.environ.get("BACKLOG_E2E_LOGS")
        if folder:
            os.makedirs(folder, exist_ok=True)
            for name, component in self.components.items():
                shutil.copy(component.log_path, os.path.join(folder, f"{name}.log"))

    def use_operator(self, variant, names, seconds, **limits):
        """Ends KEDA's operator, which a Restarter starts again: "natural", as it is, or a variant of it that ./dev has built.
        Returns when it has begun to poll these ScaledObjects."""
        operator = self.components["operator"]
        folder = os.path.dirname(self.operator) + ("" if variant == "natural" else f"-{variant}")
        operator.words[0] = os.path.join(folder, "operator")
        operator.words += flags(**limits)  # of a flag given twice the last one counts
        begin = os.path.getsize(operator.log_path)
        operator.stop()

        def reconciled():
            time.sleep(1)  # it shares the machine
            with open(operator.log_path, errors="replace") as log:
                log.seek(begin)
                return {*names} <= {*re.findall(r'Reconciling ScaledObject.*"ScaledObject": {"name":"([^"]+)"', log.read())}
        wait_until(reconciled, seconds, "all ScaledObjects: known to the operator")

    # Certificates.

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _certificates(self):
        self.authority = Authority(self.folder, "cluster")
        front_proxy = Authority(self.folder, "front-proxy-authority")
        local = ("DNS:localhost", "IP:127.0.0.1")
        self.authority.issue("apiserver", "kube-apiserver",
                             (*local, f"IP:{self.address}", "DNS:kubernetes.default.svc", "IP:10.96.0.1"))
        self.authority.issue("admin", "admin/O=system:masters", ())
        self.authority.issue("controller-manager", "system:kube-controller-manager", ())
        self.authority.issue("scheduler", "system:kube-scheduler", ())
        self.authority.issue("service-account", "service-account", ())
        front_proxy.issue("front-proxy", "front-proxy", ())
        # One for KEDA's operator, adapter and webhooks, in a folder as its own rotation makes it.
        names = [f"DNS:{service}.keda.svc{suffix}" for suffix in ("", ".cluster.local")
                 for service in ("keda-operator", "keda-metrics-apiserver", "keda-admission-webhooks")]
        certificate, key = self.authority.issue("keda", "keda", (*local, *names))
        os.mkdir(self._path("certs"))
        for source, name in ((self.authority.certificate, "ca.crt"), (certificate, "tls.crt"), (key, "tls.key")):
            shutil.copy(source, os.path.join(self._path("certs"), name))

    def _ca_bundle(self):
        return base64.b64encode(pathlib.Path(self.authority.certificate).read_bytes()).decode()

    def kubeconfig(self, name, token=None):
        """Writes the file for a client of this name, by its certificate or by a token; returns its path."""
        path = self._path(f"{name}.kubeconfig")
        user = {"token": token} if token else {
            "client-certificate": self._path(f"{name}.pem"), "client-key": self._path(f"{name}.key")}
        with open(path, "w") as file:
            yaml.safe_dump({
                "apiVersion": "v1", "kind": "Config", "current-context": "e2e",
                "clusters": [{"name": "e2e", "cluster": {
                    "server": self.api.server, "certificate-authority-data": self._ca_bundle()}}],
                "users": [{"name": "e2e", "user": user}],
                "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}]}, file)
        return path

    # Kubernetes.

    def _start(self, name, words, is_ready=None, **environment):
        self.components[name] = Component(name, words, is_ready, **environment)
        self.components[name].start()

    def _start_kubernetes(self):
        self.components["etcd"] = etcd = Etcd(self.kube)
        etcd.start()
        self.components["apiserver"] = server = self._api_server(etcd)
        self.api = server.api
        server.start()
        self._start("controller-manager", [self.kube, "kube-controller-manager", *self._controller(), *flags(
            controllers=self.controllers, use_service_account_credentials="true",
            service_account_private_key_file=self._path("service-account.key"), root_ca_file=self.authority.certificate,
            horizontal_pod_autoscaler_sync_period=f"{self.hpa_seconds}s",
            concurrent_horizontal_pod_autoscaler_syncs=HPA_WORKERS)])
        self._start("scheduler", [self.kube, "kube-scheduler", *self._controller("scheduler")])
        self._start_node()

    def _api_server(self, etcd):
        return ApiServer(self.kube, self.folder, etcd.url, self.address)

    def _start_node(self):
        self._start("node", [self.kube, "node", *flags(kubeconfig=self.kubeconfig("admin"))])

    def _controller(self, name="controller-manager"):
        config = self.kubeconfig(name)
        return flags(kubeconfig=config, authentication_kubeconfig=config, authorization_kubeconfig=config,
                     bind_address="127.0.0.1", secure_port=free_port(), leader_elect="false",
                     kube_api_qps=200, kube_api_burst=400, profiling="false")

    # KEDA.

    def _install_keda(self):
        """With the rights that KEDA's own manifests give it, and no more."""
        self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "keda"}})
        for pattern in ("crd/bases/*.yaml", "service_account/service_account.yaml", "rbac/role.yaml", "rbac/role_binding.yaml",
                        "metrics-server/role.yaml", "metrics-server/role_binding.yaml"):
            for path in sorted(glob.glob(os.path.join(self.definitions, pattern))):
                with open(path) as file:
                    self.api.apply(*filter(None, yaml.safe_load_all(file)))
        definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        wait_until(lambda: all(self._condition(item, "Established") for item in self.api.get(definitions)["items"]),
                   READY_SECONDS, "KEDA's definitions: established")

    @staticmethod
    def _condition(item, name):
        return any(found["type"] == name and found["status"] == "True" for found in item["status"]["conditions"])

    def _start_keda(self):
        token = self.api.create(
            "/api/v1/namespaces/keda/serviceaccounts/keda-operator/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 86400}})
        config, certs = self.kubeconfig("keda", token["status"]["token"]), self._path("certs")
        variables = {"KUBECONFIG": config, "POD_NAMESPACE": "keda", "WATCH_NAMESPACE": "",
                     "KEDA_CLUSTER_OBJECT_NAMESPACE": "keda"}
        grpc, operator_health, webhooks_health = free_port(), free_port(), free_port()
        self.operator_metrics = f"127.0.0.1:{free_port()}"
        self._start("operator", [self.operator, *flags(
            leader_elect="false", zap_log_level="info", zap_encoder="console", zap_time_encoding="rfc3339nano",
            metrics_bind_address=self.operator_metrics, health_probe_bind_address=f"127.0.0.1:{operator_health}",
            metrics_service_bind_address=f"127.0.0.1:{grpc}", cert_dir=certs, enable_cert_rotation="false",
            kube_api_qps=self.keda_qps, kube_api_burst=self.keda_qps * 3 // 2)],
            lambda: answers(f"http://127.0.0.1:{operator_health}/readyz"), **variables)
        adapter, webhooks = free_port(), free_port()
        self._start("adapter", [self.adapter, *flags(
            bind_address="127.0.0.1", secure_port=adapter, port=free_port(), lister_kubeconfig=config,
            authentication_kubeconfig=config, authorization_kubeconfig=config, client_ca_file=self.authority.certificate,
            tls_cert_file=f"{certs}/tls.crt", tls_private_key_file=f"{certs}/tls.key", cert_dir=certs,
            metrics_service_address=f"127.0.0.1:{grpc}", metrics_service_grpc_authority=KEDA_NAME)],
            **variables)
        self._start("webhooks", [self.webhooks, *flags(
            metrics_bind_address="0", health_probe_bind_address=f"127.0.0.1:{webhooks_health}", cert_dir=certs,
            port=webhooks)], lambda: answers(f"http://127.0.0.1:{webhooks_health}/readyz"), **variables)
        self._register_adapter(adapter)
        self._register_webhooks(webhooks)

    def _register_adapter(self, port):
        """Endpoints cannot be loopback addresses, but the name that a Service stands for can be localhost."""
        self.api.apply(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "keda-metrics-apiserver", "namespace": "keda"},
             "spec": {"type": "ExternalName", "externalName": "localhost"}},
            {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
             "metadata": {"name": "v1beta1.external.metrics.k8s.io"},
             "spec": {"service": {"name": "keda-metrics-apiserver", "namespace": "keda", "port": port},
                      "group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100,
                      "versionPriority": 100, "caBundle": self._ca_bundle()}})
        path = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.external.metrics.k8s.io"
        wait_until(lambda: self._all_run() and self._condition(self.api.get(path), "Available"), READY_SECONDS,
                   "KEDA's metrics: available")

    def _all_run(self):
        """An exit is not waited out: SystemExit passes wait_until."""
        for name, component in self.components.items():
            if component.child.poll() is not None:
                raise SystemExit(f"{name} ended with {component.child.returncode}:\n{component.log()[-2000:]}")
        return True

    def _register_webhooks(self, port):
        """As KEDA's manifest does, with an address instead of a Service."""
        with open(os.path.join(self.definitions, "webhooks", "validation_webhooks.yaml")) as file:
            [registration] = yaml.safe_load_all(file)
        for webhook in registration["webhooks"]:
            path = webhook["clientConfig"]["service"]["path"]
            webhook["clientConfig"] = {"url": f"https://127.0.0.1:{port}{path}", "caBundle": self._ca_bundle()}
        self.api.apply(registration)
