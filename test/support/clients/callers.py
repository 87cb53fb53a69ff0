"""Those who call for many triggers at a steady pace: no call waits for another, as those of KEDA do not."""

import collections
import threading
import time

import grpc

from .grpc_client import messages, scaled_object

CALL_SECONDS = 20  # longer than the server's own limit


def percentile(numbers, percent):
    return sorted(numbers)[(len(numbers) - 1) * percent // 100] if numbers else float("nan")


class Callers:
    """`triggers` are metadata. `complaint(number, value)` says what is wrong with the value of a trigger, if anything is; all are
    active. `place(number)` is the name and the namespace of its ScaledObject."""

    def __init__(self, client, triggers, complaint, place):
        self.client, self.triggers, self.complaint, self.place = client, triggers, complaint, place
        self.latencies, self.failures, self.wrong = [], [], []
        self.turns = collections.Counter()

    def ref(self, number, metadata):
        name, namespace = self.place(number)
        return scaled_object(metadata, name=name, namespace=namespace)

    def call(self, number, metadata):
        """GetMetrics and IsActive in turn."""
        ref, began = self.ref(number, metadata), time.monotonic()
        self.turns[number] += 1
        if (number + self.turns[number]) % 2:
            future = self.client.stub.IsActive.future(ref, timeout=CALL_SECONDS)
        else:
            future = self.client.stub.GetMetrics.future(messages.GetMetricsRequest(scaledObjectRef=ref), timeout=CALL_SECONDS)
        judged = threading.Event()
        future.add_done_callback(lambda future: (self._judge(future, number, time.monotonic() - began), judged.set()))
        return judged

    def _judge(self, future, number, seconds):
        try:
            answer = future.result()
        except grpc.RpcError as error:
            self.failures.append(f"o{number}: {error.code().name}: {error.details()}")
            return
        self.latencies.append(seconds)
        if hasattr(answer, "result"):
            complaint = None if answer.result else "not active"
        else:
            complaint = self.complaint(number, answer.metricValues[0].metricValueFloat)
        if complaint:
            self.wrong.append(f"o{number}: {complaint}")

    def call_all(self):
        """Twice, so that each is asked both."""
        for _ in range(2):
            self.wait([self.call(number, metadata) for number, metadata in enumerate(self.triggers)])

    @staticmethod
    def wait(calls):
        for judged in calls:
            judged.wait(2 * CALL_SECONDS)

    def forget(self):
        self.latencies, self.failures, self.wrong = [], [], []

    def run(self, seconds, count=None, between=lambda: None):
        """Calls each of the first `count` once per second; `between` is called after each call."""
        triggers = self.triggers[:count]
        began, calls = time.monotonic(), []
        for turn in range(int(seconds * len(triggers))):
            time.sleep(max(0, began + turn / len(triggers) - time.monotonic()))
            calls.append(self.call(turn % len(triggers), triggers[turn % len(triggers)]))
            between()
        self.wait(calls)
