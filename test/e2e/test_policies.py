"""Options that choose the replicas, through KEDA and the HPA, with real workers beside the simulated node."""

import contextlib
import os
import random
import subprocess
import sys
import threading

import pytest

from support.kubernetes.namespace import trigger
from support.process import wait_until
from support.server.server import Server
from support.brokers.work import RedisStreamsWork

SECONDS = 120


class Workers(contextlib.AbstractContextManager):
    """A process for each replica of a deployment. Which one is stopped does not depend on what it does, as in a ReplicaSet."""

    def __init__(self, namespace, deployment, log_path, *arguments):
        self.namespace, self.deployment, self.log_path = namespace, deployment, log_path
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        self.command = [sys.executable, "-m", "support.brokers.stream_worker", *map(str, arguments), str(log_path)]
        self.environment = {**os.environ, "PYTHONPATH": root}
        self.children = []
        self.stopping = threading.Event()
        self.log_path.touch()
        self.thread = threading.Thread(target=self.follow)
        self.thread.start()

    def follow(self):
        generator = random.Random(7)
        while not self.stopping.wait(0.1):
            wanted = self.namespace.replicas(self.deployment) or 0
            while len(self.children) < wanted:
                self.children.append(subprocess.Popen(self.command, stdin=subprocess.DEVNULL, env=self.environment))
            while len(self.children) > wanted:
                child = self.children.pop(generator.randrange(len(self.children)))
                child.terminate()
                child.wait()

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        for child in self.children:
            child.kill()
            child.wait()

    def last(self, word):
        """When that last happened, of time.monotonic()."""
        return max(float(line.split()[0]) for line in self.log_path.read_text().splitlines() if line.split()[2] == word)

    def count(self, word):
        return sum(line.split()[2] == word for line in self.log_path.read_text().splitlines())


def publish(source, seconds):
    with source.broker.connect() as client:
        client.call_all([("XADD", "orders", "*", "seconds", f"{one:.1f}") for one in seconds])


@pytest.mark.core
def test_a_burst_has_its_workers_at_once_and_none_is_stopped_at_work(namespace, tmp_path):
    """Up to 40 jobs that wait are one worker's. More have five, all of which stay until nothing is left."""
    generator = random.Random(15)
    options = {"interval": "1s", "steps": "41=5", "scaleDownWhenIdle": "4s"}
    with RedisStreamsWork() as source, Server() as server:
        namespace.scale("jobs", trigger(server, push=True, **source.metadata(1000), **options))
        namespace.wait_until_ready("jobs")
        with Workers(namespace, "jobs", tmp_path / "log", source.broker.port, "orders", "workers") as workers:
            publish(source, [1] * 8)
            namespace.wait_for_replicas("jobs", 1)
            wait_until(lambda: workers.count("done") >= 1, SECONDS, "a job is done")
            assert namespace.history("jobs")[-1] == 1
            publish(source, [generator.uniform(0.5, 4) for _ in range(50)])
            burst = namespace.wait_for_replicas("jobs", lambda number: number > 1)
            wait_until(lambda: workers.count("done") == 58, SECONDS, "all jobs are done")
            namespace.wait_for_replicas("jobs", 0)
        history = namespace.history("jobs", burst)
        assert history[0] == 5 and history == sorted(history, reverse=True), history  # 5, perhaps 1 by the HPA, 0 by KEDA
        lowered = next(change.at for change in namespace.changes if change[1:4] == ("Deployment", "jobs", "replicas")
                       and change.at > burst and change.value < 5)
        assert lowered > workers.last("done")
        assert workers.count("killed") == 0 and workers.count("done") == 58
