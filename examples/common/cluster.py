"""The real control plane: Kubernetes and KEDA as processes, with the manifests of the example.

The stack of test/e2e has no containers, so a process stands for each pod of the workload. With --http the server also lists the pods,
by the rights that the chart gives it, and what the API server asks a kubelet and metrics-server for is read of the processes.
"""

import contextlib
import copy
import os
import queue
import signal
import subprocess
import threading
import time

import requests

from support.charts.chart import render_all
from support.kubernetes.kubelet import Kubelet
from support.kubernetes.client import ApiError
from support.kubernetes.pod_server import PodServer, api_token
from support.process import Unavailable, free_port
from support.server.server import Server
from support.kubernetes.stack import Stack, kubectl

from .faults import descendants

GRACE_SECONDS = 60  # from SIGTERM to SIGKILL
RESTART_SECONDS, LOOK_SECONDS = 1, 2
OPERATORS = ("monitoring.coreos.com", "autoscaling.k8s.io")  # their kinds are unknown without the operator
TICKS = os.sysconf("SC_CLK_TCK")


def used_by(pid):
    """Seconds of CPU time and bytes of memory of a process, and of what it has started."""
    seconds = memory = 0
    for each in descendants(pid):
        with contextlib.suppress(OSError):  # it may end meanwhile
            with open(f"/proc/{each}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
            seconds += sum(map(int, fields[11:15])) / TICKS  # its own, and of children that have ended
            memory += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return seconds, memory


class Pod:
    """A process in its place: started again when it ends, as a kubelet does."""

    def __init__(self, command, environment, log):
        self.command, self.environment, self.log = command, environment, log
        self.ended, self.before, self.used = None, (time.monotonic(), 0.0), ("0", "0")
        self._start()

    def _start(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def is_alive(self):
        return self.child.poll() is None

    def keep(self):
        if self.is_alive():
            self.ended = None
        elif self.ended is None:
            self.ended = time.monotonic()
        elif time.monotonic() > self.ended + RESTART_SECONDS:
            self._start()

    def end(self):
        self.child.terminate()
        self.ended = time.monotonic()

    def is_over(self):
        """After end()."""
        if self.is_alive() and time.monotonic() > self.ended + GRACE_SECONDS:
            self.child.kill()
        return not self.is_alive()

    def kill(self):
        if self.is_alive():
            self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def use(self):
        """As metrics-server says it: memory, and CPU since the last look, some seconds ago."""
        then, former = self.before
        now = time.monotonic()
        if now >= then + LOOK_SECONDS:
            seconds, memory = used_by(self.child.pid)
            self.before = now, seconds
            self.used = f"{max(0, seconds - former) / (now - then) * 1e9:.0f}n", f"{memory // 1024}Ki"
        return self.used


class ProcessKubelet(Kubelet):
    """What the API server asks about the pods, of the processes that stand for them."""

    def __init__(self, api, namespace, pods):
        super().__init__(api, namespace)
        self.pods_of_processes = pods

    def log_of(self, _namespace, pod, _container, lines):
        with open(self.pods_of_processes[pod].log, errors="replace") as file:
            return "".join(file.readlines()[-int(lines):])

    def use_of(self, pod):
        found = self.pods_of_processes.get(pod)
        return found.use() if found else ("0", "0")


class Cluster:
    """Lines as those of a rehearsal are in `lines`. Worker logs are in `folder`, POD.log."""

    def __init__(self, folder, namespace, http):
        self.folder, self.namespace, self.http = folder, namespace, http
        self.lines, self.stopping = queue.Queue(), threading.Event()
        self.wanted = 0
        self.pods, self.ending = {}, []
        self.threads, self.kubelet = [], None
        self.stack = Stack().__enter__()
        try:
            self.stack.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            if http:
                self.kubelet = ProcessKubelet(self.stack.api, namespace, self.pods).__enter__()
        except BaseException:
            self.stop()
            raise

    def make_server(self, arguments, **options):
        """The Backlog server, not started; with --http it has the account and the rights that the chart gives it."""
        if not self.http:
            return Server(arguments=arguments, **options)
        if os.geteuid() != 0:
            raise Unavailable("--e2e with --http needs root, which mounts the server's account where a pod has it")
        api, account = self.stack.api, {"namespace": "scaling", "name": "backlog"}  # as render_all has it
        objects = render_all({"workers": {"namespaces": [self.namespace]}, "serviceAccount": {"name": account["name"]}})
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": account["namespace"]}},
                  {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": dict(account)},
                  *(item for item in objects if item["kind"] in ("Role", "RoleBinding")))
        return PodServer(self.stack.authority.certificate, int(api.server.rpartition(":")[2]), api_token(api, **account), http=False,
                         arguments=[*arguments, "--workers", self.namespace], **options)

    def scale(self, objects, scaled, server, worker, environment):
        """Applies the example's objects; a process `worker` runs for each pod of the ScaledObject's target. Called again, at zero
        replicas, it replaces them."""
        self.server, self.command, self.environment = server, worker, {**os.environ, **environment}
        self.name, self.target = scaled["metadata"]["name"], scaled["spec"]["scaleTargetRef"]["name"]
        self.labels = next(item["spec"]["selector"]["matchLabels"] for item in objects
                           if (item["kind"], item["metadata"]["name"]) == ("Deployment", self.target))
        self.stack.api.apply(*self._objects(objects, scaled))
        if not self.threads:
            for target in (self._watch, self._keep_workers, self._state):
                self.threads.append(threading.Thread(target=target, daemon=True))
                self.threads[-1].start()

    def _objects(self, objects, scaled):
        """As they are, but for the address of the server, which has no Service here. Claims get the volumes that a cluster makes."""
        for item in objects:
            if item["apiVersion"].partition("/")[0] in OPERATORS:
                continue
            metadata = item["metadata"]
            if (item["kind"], metadata["name"]) == ("ScaledObject", self.name):
                item = copy.deepcopy(scaled)
                for trigger in item["spec"]["triggers"]:
                    if "scalerAddress" in trigger.get("metadata", {}):
                        trigger["metadata"]["scalerAddress"] = f"127.0.0.1:{self.server.port}"
            if item["kind"] == "PersistentVolumeClaim":
                yield {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"{self.namespace}-{metadata['name']}"}, "spec": {
                    "accessModes": item["spec"]["accessModes"], "capacity": item["spec"]["resources"]["requests"],
                    "hostPath": {"path": "/none"}, "claimRef": {"namespace": self.namespace, "name": metadata["name"]}}}
            yield item

    def _watch(self):
        def see(change, item):
            if item["metadata"]["name"] != self.target or change == "DELETED":
                return
            before, self.wanted = self.wanted, item["spec"].get("replicas", 1)
            if before != self.wanted:
                who = "KEDA" if 0 in (before, self.wanted) else "HPA"
                self.lines.put({"type": "change", "at": time.time(), "from": before, "to": self.wanted, "why": who})
        self.stack.api.watch(f"/apis/apps/v1/namespaces/{self.namespace}/deployments", see, self.stopping)

    def _running(self):
        """The names of the target's pods that run and are not about to end."""
        pods = self.stack.api.get(f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        return [pod["metadata"]["name"] for pod in pods if pod["status"].get("phase") == "Running"
                and "deletionTimestamp" not in pod["metadata"] and self.labels.items() <= pod["metadata"].get("labels", {}).items()]

    def _start(self, name):
        environment, port = dict(self.environment), free_port()
        if self.http:
            environment["METRICS_PORT"] = str(port)
            path = f"/api/v1/namespaces/{self.namespace}/pods/{name}"
            with contextlib.suppress(ApiError):  # it may be gone again
                self.stack.api.patch(path, {"metadata": {"annotations": {"prometheus.io/port": str(port)}}})
                self.stack.api.patch(f"{path}/status", {"status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}})
        self.pods[name] = Pod(self.command, environment, os.path.join(self.folder, f"{name}.log"))

    def _keep_workers(self):
        while not self.stopping.wait(0.2):
            try:
                running = self._running()
            except (requests.RequestException, ApiError):
                continue
            for name in [name for name in self.pods if name not in running]:
                self.pods[name].end()
                self.ending.append(self.pods.pop(name))
            for name in running:
                if name in self.pods:
                    self.pods[name].keep()
                else:
                    self._start(name)
            self.ending = [pod for pod in self.ending if not pod.is_over()]

    def _state(self):
        """What Backlog answers KEDA, each second: of the trigger that wants most replicas."""
        url = f"http://127.0.0.1:{self.server.http_port}/api/triggers/{self.namespace}/{self.name}"
        while not self.stopping.wait(1):
            value, error = None, None
            try:
                triggers = [trigger for trigger in requests.get(url, timeout=5).json() if not trigger["superseded"]]
                highest = max(triggers, key=lambda trigger: trigger["now"].get("replicas") or 0)
                value = highest["now"].get("value")
                error = next((trigger["now"]["error"] for trigger in triggers if trigger["now"].get("error")), None)
            except (requests.RequestException, KeyError, ValueError):
                pass  # KEDA has not called yet
            self.lines.put({"type": "state", "value": value, "error": error, "replicas": self.wanted,
                            "ready": sum(pod.is_alive() for pod in list(self.pods.values()))})

    def kubectl(self, *words):
        return kubectl(self.stack.kube, self.stack.folder, "--namespace", self.namespace, *words)

    def workers(self):
        """The process ids of the workers that run now, the oldest first."""
        return [pod.child.pid for pod in [*self.ending, *self.pods.values()] if pod.is_alive()]

    def listed(self):
        """The rows of workers that the server's dashboard shows, as a rehearsal has them."""
        url = f"http://127.0.0.1:{self.server.http_port}/api/workers"
        return [{**worker, "state": worker["state"].lower(), "log": f"/api/workers/{self.namespace}/{worker['pod']}/log"}
                for item in requests.get(url, timeout=30).json()["objects"] for worker in item["workers"]]

    def stop(self):
        if self.stopping.is_set():
            return
        self.stopping.set()
        for thread in self.threads[1:]:  # the watch ends with the API server
            thread.join()
        for pod in [*self.pods.values(), *self.ending]:
            pod.kill()
        if self.kubelet:
            self.kubelet.__exit__(None, None, None)
        self.stack.__exit__()
