"""A ScaledJob makes as many jobs as there are messages, however soon a job takes its message."""

import threading

import pytest

from support.kubernetes.namespace import scaled_job, trigger
from support.server.server import Server
from support.brokers.work import RedisWork

ROUNDS, MESSAGES = 3, 3
POLLS_SECONDS = 8  # four polls of KEDA


class Workers(threading.Thread):
    """Take one message for each job, as soon as it is created."""

    def __init__(self, namespace, source, name):
        super().__init__(daemon=True)
        self.namespace, self.source, self.name = namespace, source, name
        self.stopping = threading.Event()

    def run(self):
        taken = 0
        while not self.stopping.wait(0.05):
            for _ in self.namespace.jobs_of(self.name)[taken:]:
                self.source.call("LPOP", "jobs")
                taken += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()


# Twice beside each other. KEDA starts the streams of a ScaledJob again at each reconciliation, which can make its operator
# panic, and other tests fail (docs/keda.md): external-push not beside them.
@pytest.mark.parametrize("push", [pytest.param(False, id="external", marks=[pytest.mark.core, pytest.mark.first]),
                                  pytest.param(False, id="external, another", marks=pytest.mark.core),
                                  pytest.param(True, id="external-push")])
def test_a_scaled_job_makes_as_many_jobs_as_messages(namespace, push):
    with RedisWork() as source, Server() as server, Workers(namespace, source, "jobs"):
        namespace.apply(scaled_job("jobs", trigger(server, push=push, **source.metadata(1))))
        namespace.wait_for_scaled_job("jobs")
        for number in range(1, ROUNDS + 1):
            source.publish(MESSAGES)
            namespace.wait(lambda: len(namespace.jobs_of("jobs")) >= number * MESSAGES, f"{number * MESSAGES} jobs")
            namespace.stays(POLLS_SECONDS)
            assert len(namespace.jobs_of("jobs")) == number * MESSAGES
        assert not namespace.warnings()
