"""What every source is put through in the same way: asked as KEDA asks, and an outage."""

import contextlib
import threading
import time

import grpc

from .grpc_client import refusal
from ..process import wait_until


def value(client, metadata):
    """What KEDA takes from the answer: the float unless it is 0, else the int, which is it rounded up."""
    answer = client.metrics(metadata)
    assert 0 <= answer.metricValue - answer.metricValueFloat < 1
    return answer.metricValueFloat or answer.metricValue


class Values:
    """Asks all the time, and keeps what was answered; a refusal is None."""

    def __init__(self, client, trigger):
        self.seen = []
        self.longest_seconds = 0
        self.is_over = False
        self.thread = threading.Thread(target=self._run, args=(client, trigger))

    def _run(self, client, trigger):
        while not self.is_over:
            began = time.monotonic()
            try:
                self.seen.append(value(client, trigger))
            except Exception:
                self.seen.append(None)
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
            time.sleep(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()


def answers(client, metadata, expected, active, seconds=10):
    """Waits until both calls say so: a reading is up to an interval old."""
    wait_until(lambda: value(client, metadata) == expected and client.is_active(metadata) == active,
               seconds, f"{expected}, {'active' if active else 'inactive'}")


def wait_for_value(client, metadata, expected, seconds=5):
    wait_until(lambda: value(client, metadata) == expected, seconds, f"the value {expected}")


def assert_unavailable(call, metadata, *words):
    code, text = refusal(call, metadata)
    assert code == grpc.StatusCode.UNAVAILABLE, text
    for word in words:
        assert word in text
    return text


def unavailable(client, metadata):
    """Whether both calls refuse; what they refuse with."""
    for call in (client.metrics, client.is_active):
        code, text = refusal(call, metadata)
        if code != grpc.StatusCode.UNAVAILABLE:
            return None
    return text


def outage(client, broker, how, hold_seconds, busy, idle):
    """The broker stops, or freezes with its sockets open, and comes back. `busy` and `idle` are triggers that
    measure something and nothing; a busy one is held for a while, an idle one is refused, and neither is 0."""
    # A broker that has just started may fail the first call.
    expected = {id(metadata): wait_until(lambda metadata=metadata: value(client, metadata), 15, "the first value") for metadata in busy}
    for metadata in busy:
        assert expected[id(metadata)] > 0 and client.is_active(metadata)
    for metadata in idle:
        answers(client, metadata, 0, False)

    broker.kill() if how == "stop" else broker.pause()
    began = time.monotonic()
    for metadata in idle:
        wait_until(lambda: unavailable(client, metadata), 10, "an idle source's refusal")
    for metadata in busy:
        assert (value(client, metadata), client.is_active(metadata)) == (expected[id(metadata)], True)
    for metadata in busy:
        wait_until(lambda: unavailable(client, metadata), hold_seconds + 5, "the end of the hold")
    assert time.monotonic() - began >= hold_seconds - 1  # counted from the first that failed
    requested = time.monotonic()
    for metadata in (*busy, *idle):
        assert unavailable(client, metadata)
    assert time.monotonic() - requested < 1 + len(busy) + len(idle)

    broker.start() if how == "stop" else broker.resume()
    for metadata in busy:
        answers(client, metadata, expected[id(metadata)], True, seconds=30)
    for metadata in idle:
        answers(client, metadata, 0, False, seconds=30)


class Answers:
    """Has the server called in all three ways until it ends, and keeps what was answered: GetMetrics' values, IsActive's, and
    what a stream was sent; a refusal is None. IsActive has a name of its own, as it would repeat GetMetrics' answer."""

    def __init__(self, client, metadata):
        self.client, self.metadata = client, metadata
        self.values, self.active, self.streamed = [], [], []
        self.is_over = False
        self.stream = None
        self.threads = [threading.Thread(target=run) for run in (
            lambda: self._keep_calling(self.values, lambda: value(client, metadata)),
            lambda: self._keep_calling(self.active, lambda: client.is_active(metadata, name="active")),
            self._read_stream)]

    def _keep_calling(self, answers, call):
        while not self.is_over:
            try:
                answers.append(call())
            except grpc.RpcError:
                answers.append(None)
            time.sleep(0.02)

    def _read_stream(self):
        self.stream = self.client.stream_is_active(self.metadata, name="streamed")
        with contextlib.suppress(grpc.RpcError):  # it is cancelled at the end
            for message in self.stream:
                self.streamed.append(message.result)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        wait_until(lambda: self.stream is not None, 10, "the stream")
        self.stream.cancel()
        for thread in self.threads:
            thread.join()

    def assert_never_0(self):
        assert 0 not in self.values, f"GetMetrics: {self.values.index(0)} of {len(self.values)}"
        assert False not in self.active, f"IsActive: {self.active.index(False)} of {len(self.active)}"
        assert False not in self.streamed
        assert any(self.values) and any(self.active) and any(self.streamed)
