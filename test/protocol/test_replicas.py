"""Several replicas behind one name: clients go round robin over all of them, and one may die at any moment."""

import threading
import time

import grpc
import pytest

from support.clients.grpc_client import Client
from support.process import free_port, wait_until
from support.brokers.redis import Redis
from support.server.server import Server

ROUND_ROBIN = [("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
               ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 200)]
INTERVAL = 0.5
LONG_INTERVAL = 4  # beside which it matters little how busy the machine is
MESSAGES = 100


@pytest.fixture(scope="module")
def redis():
    with Redis() as running:
        yield running


@pytest.fixture
def trigger(redis):
    with redis.connect() as client:
        client.call("DEL", "jobs")
        client.call("RPUSH", "jobs", *range(MESSAGES))
    return {"scaler": "redis", "address": redis.address, "listName": "jobs", "listLength": "5"}


def replica(port, interval=INTERVAL):
    return Server(interval=f"{interval}s", arguments=["--listen", f"127.0.0.1:{port}"]).start()


class Keda(threading.Thread):
    """Calls as KEDA does, and once more where a call is refused; all values that it got.

    A moment lies between the two: a gRPC client that asks again within the millisecond may still hold the connection
    for a good one whose server was killed.
    """

    def __init__(self, ports, trigger):
        super().__init__(daemon=True)
        self.ports, self.trigger = ports, trigger
        self.values, self.failures = [], []
        self.stopping = threading.Event()

    def run(self):
        with Client(*self.ports, options=ROUND_ROBIN) as client:
            while not self.stopping.is_set():
                self._fetch(lambda: self.values.append(client.metrics(self.trigger).metricValueFloat))
                self._fetch(lambda: self.values.append(MESSAGES if client.is_active(self.trigger) else 0))

    def _fetch(self, call):
        for attempt in range(2):
            try:
                return call()
            except grpc.RpcError as error:
                failure = error
                time.sleep(0.1)
        self.failures.append((failure.code(), failure.details()))

    def end(self):
        self.stopping.set()
        self.join()


@pytest.fixture
def replicas(request):
    """Of this interval, where a test is parametrised with one."""
    running = [replica(free_port(), getattr(request, "param", INTERVAL)) for _ in range(2)]
    yield running
    for server in running:
        server.kill()
        server.remove()


def test_no_call_fails_and_no_value_jumps_while_replicas_are_killed_and_come_back(replicas, trigger):
    askers = [Keda([server.port for server in replicas], trigger) for _ in range(4)]
    for caller in askers:
        caller.start()
    wait_until(lambda: all(len(caller.values) > 20 for caller in askers), 20, "the load")
    for number in (0, 1, 0):
        replicas[number].kill()
        time.sleep(0.5)  # the other one serves alone
        port = replicas[number].port
        replicas[number].remove()
        replicas[number] = replica(port)
        before = [len(caller.values) for caller in askers]
        time.sleep(1)  # the channels come back to it
        wait_until(lambda: all(len(caller.values) > count for caller, count in zip(askers, before)), 20, "values for all")
    for caller in askers:
        caller.end()
    assert [caller.failures for caller in askers] == [[]] * len(askers)
    assert {value for caller in askers for value in caller.values} == {MESSAGES}


@pytest.mark.first
@pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)
@pytest.mark.parametrize("replicas", [LONG_INTERVAL], indirect=True)
def test_replicas_answer_alike_up_to_one_interval(replicas, redis, trigger):
    with Client(replicas[0].port) as one, Client(replicas[1].port) as other, redis.connect() as broker:
        clients = [one, other]

        def values():
            return [client.metrics(trigger).metricValueFloat for client in clients]

        assert values() == [MESSAGES] * 2
        for count in range(MESSAGES + 1, MESSAGES + 4):
            time.sleep(0.3 * LONG_INTERVAL)  # in other places of the replicas' rounds
            broker.call("RPUSH", "jobs", count)
            pushed = time.monotonic()
            seen = []
            wait_until(lambda: seen.append(values()) or seen[-1] == [count] * 2, 10, "the new value")
            assert time.monotonic() - pushed < 1.5 * LONG_INTERVAL
            assert {value for pair in seen for value in pair} <= {count - 1, count}
