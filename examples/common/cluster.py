"""The real control plane: Kubernetes and KEDA as processes, with the manifests of the example.

The stack of test/e2e has no containers, so a process stands for each pod of the workload, as many as its Deployment wants.
"""

import copy
import os
import queue
import signal
import subprocess
import threading
import time

import requests

from support.stack import Stack, kubectl

GRACE_SECONDS = 60  # from SIGTERM to SIGKILL
OPERATORS = ("monitoring.coreos.com",)  # their kinds are unknown without the operator


class Cluster:
    """Lines as those of a rehearsal are in `lines`."""

    def __init__(self, objects, scaled, server, worker, environment, log):
        self.server, self.command, self.log = server, worker, log
        self.environment = {**os.environ, **environment}
        self.namespace, self.name = scaled["metadata"]["namespace"], scaled["metadata"]["name"]
        self.target = scaled["spec"]["scaleTargetRef"]["name"]
        self.lines, self.stopping = queue.Queue(), threading.Event()
        self.wanted = 0
        self.running, self.ending = [], {}  # children; those that were sent SIGTERM, and when
        self.threads = []
        self.stack = Stack().__enter__()
        try:
            self.stack.api.apply(*self._objects(objects, scaled))
            for target in (self._watch, self._keep_workers, self._state):
                self.threads.append(threading.Thread(target=target, daemon=True))
                self.threads[-1].start()
        except BaseException:
            self.stop()
            raise

    def _objects(self, objects, scaled):
        """As they are, but for the address of the server, which has no Service here."""
        for item in objects:
            if item["apiVersion"].partition("/")[0] in OPERATORS:
                continue
            if (item["kind"], item["metadata"]["name"]) == ("ScaledObject", self.name):
                item = copy.deepcopy(scaled)
                for trigger in item["spec"]["triggers"]:
                    if "scalerAddress" in trigger.get("metadata", {}):
                        trigger["metadata"]["scalerAddress"] = f"127.0.0.1:{self.server.port}"
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

    def _keep_workers(self):
        """As the kubelet does: one that has ended is started again, after a second."""
        failed_at = 0
        while not self.stopping.wait(0.1):
            for child in [child for child in self.running if child.poll() is not None]:
                self.running.remove(child)
                failed_at = time.monotonic()
            while len(self.running) > self.wanted:
                child = self.running.pop()
                child.terminate()
                self.ending[child] = time.monotonic()
            while len(self.running) < self.wanted and time.monotonic() > failed_at + 1:
                self.running.append(subprocess.Popen(self.command, env=self.environment, stdin=subprocess.DEVNULL,
                                                     stdout=self.log, stderr=self.log))
            for child, since in list(self.ending.items()):
                if child.poll() is not None:
                    del self.ending[child]
                elif time.monotonic() > since + GRACE_SECONDS:
                    child.kill()

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
                            "ready": len(self.running)})

    def kubectl(self, *words):
        return kubectl(self.stack.kube, self.stack.folder, "--namespace", self.namespace, *words)

    def workers(self):
        """The process ids of the workers that run now, the oldest first."""
        return [child.pid for child in [*self.running, *self.ending] if child.poll() is None]

    def stop(self):
        if self.stopping.is_set():
            return
        self.stopping.set()
        for thread in self.threads[1:]:  # the watch ends with the API server
            thread.join()
        for child in [*self.running, *self.ending]:
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
            child.wait()
        self.stack.__exit__()
