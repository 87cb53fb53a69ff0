"""SIGTERM: streams end with OK, what began is answered, nothing hangs, and the exit code is 0."""

import signal
import threading
import time

import grpc
import pytest

from support.clients.grpc_client import Client
from support.server.server import Server
from support.clients.triggers import UNREACHABLE

ROUND_ROBIN = [("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
               ("grpc.max_reconnect_backoff_ms", 200)]


@pytest.mark.first
def test_sigterm_ends_streams_with_ok_and_exits_with_zero():
    with Server() as server, Client(server.port) as client:
        streams = [client.stream_is_active(UNREACHABLE) for _ in range(200)]
        specs = client.stream_metric_spec(UNREACHABLE)
        next(specs)
        client.metric_spec(UNREACHABLE)
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert [stream.code() for stream in streams] == [grpc.StatusCode.OK] * len(streams)
        assert list(specs) == [] and specs.code() == grpc.StatusCode.OK
        assert server.child.wait(15) == 0
        assert time.monotonic() - began < 10


@pytest.mark.first
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once(number):
    with Server() as server:
        began = time.monotonic()
        server.signal(number)
        assert server.child.wait(10) == 0
        assert time.monotonic() - began < 5


def test_a_second_sigterm_does_no_harm():
    with Server() as server, Client(server.port) as client:
        client.metric_spec(UNREACHABLE)
        server.signal(signal.SIGTERM)
        try:
            server.signal(signal.SIGTERM)
        except ProcessLookupError:
            pass  # it was faster
        assert server.child.wait(10) == 0


class Load(threading.Thread):
    """Asks without a pause, and asks once more where it is refused, as KEDA does."""

    def __init__(self, *ports):
        super().__init__(daemon=True)
        self.client = Client(*ports, options=ROUND_ROBIN)
        self.answers, self.failures, self.slowest = 0, [], 0
        self.stopping = threading.Event()

    def run(self):
        with self.client:
            while not self.stopping.is_set():
                began = time.monotonic()
                self._fetch()
                self.slowest = max(self.slowest, time.monotonic() - began)

    def _fetch(self):
        for attempt in range(2):
            try:
                assert self.client.metric_spec(UNREACHABLE).metricName == "rabbitmq-orders"
                self.answers += 1
                return
            except grpc.RpcError as error:
                failure = error.code()
        self.failures.append(failure)


def under_load(ports, seconds, action):
    loads = [Load(*ports) for _ in range(8)]
    for load in loads:
        load.start()
    time.sleep(seconds)
    action()
    time.sleep(seconds)
    for load in loads:
        load.stopping.set()
    for load in loads:
        load.join(30)
        assert not load.is_alive(), "a call hangs"
    return loads


def test_with_a_second_replica_sigterm_under_load_loses_no_answer():
    with Server() as first, Server() as second:
        loads = under_load([first.port, second.port], 1.5, lambda: first.signal(signal.SIGTERM))
        assert first.child.wait(15) == 0
        assert [load.failures for load in loads] == [[]] * len(loads)
        assert min(load.answers for load in loads) > 10
        assert max(load.slowest for load in loads) < 3


def test_sigterm_under_load_refuses_cleanly_and_nothing_hangs():
    with Server() as server:
        loads = under_load([server.port], 1, lambda: server.signal(signal.SIGTERM))
        assert server.child.wait(15) == 0
        failures = {failure for load in loads for failure in load.failures}
        assert failures <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        assert min(load.answers for load in loads) > 10
        assert max(load.slowest for load in loads) < 8
