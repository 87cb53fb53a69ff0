"""The previous version and this one behind one list of addresses, as during a rollout and a rollback: with every source,
by the same triggers, connections file and secrets."""

import concurrent.futures
import json
import os
import threading

import grpc
import pytest

from support.clients.grpc_client import Client
from support.server.previous import previous
from support.process import free_port, wait_until
from support.server.server import Server, binary
from support.brokers.sources import BUSY, IDLE, PASSWORD, WAITING, all_sources

# As KEDA's client: all addresses in turn, and a call that finds its replica gone goes to the other one, once.
ROUND_ROBIN = [("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
               ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]
SECONDS = 60
# A machine that is busy with ten brokers must not look like an upgrade that fails.
PATIENT = {previous: ["--measure-deadline", "30s", "--call-deadline", "30s"], binary: ["--measure-timeout", "30s", "--call-timeout", "30s"]}
ORDERS = {"upgrade": (previous, binary), "rollback": (binary, previous)}


NEW_KEYS = {"timeout"}  # who sets them cannot go back


@pytest.fixture(scope="module")
def sources():
    with all_sources() as started:
        yield started


def without_new_keys(keys):
    return {key: value for key, value in keys.items() if key not in NEW_KEYS}


@pytest.fixture(scope="module")
def connections(sources, tmp_path_factory):
    """The folder of a connections file, with a secret for each connection."""
    folder = tmp_path_factory.mktemp("connections")
    config = {}
    for source in sources:
        (folder / f"{source.name}.password").write_text(PASSWORD + "\n")
        config[source.name] = {"scaler": source.scaler, **without_new_keys(source.connect_to("127.0.0.1")), "namespaces": ["shop", "billing-*"],
                               "passwordFile": os.fspath(folder / f"{source.name}.password")}
    (folder / "connections.yaml").write_text(json.dumps({"connections": config}))
    return folder


@pytest.fixture
def replica(connections):
    """Starts a replica of a program at a port; all are stopped at the end."""
    running = []

    def start(program, port):
        arguments = [*PATIENT[program], "--listen", f"127.0.0.1:{port}", "--config", os.fspath(connections / "connections.yaml")]
        if running and program is binary:  # it asks the others, which may not know what it asks
            arguments += ["--peers", ",".join(f"127.0.0.1:{server.port}" for server in running)]
        running.append(Server(program=program(), arguments=arguments).start())
        return running[-1]

    yield start
    for server in running:
        server.stop()
        server.remove()


def triggers(sources):
    """A name, the metadata, and what waits: by name of a connection and inline."""
    for source in sources:
        for queue, waiting in WAITING.items():
            yield f"{source.name}, {queue}, named", named(source, queue), waiting
            yield f"{source.name}, {queue}, inline", without_new_keys(source.metadata(queue)), waiting


def named(source, queue):
    return without_new_keys(source.named(queue))


class Poller(threading.Thread):
    """Calls for one trigger again and again as KEDA does in a round; keeps the answers, and what failed twice."""

    def __init__(self, ports, name, metadata, waiting):
        super().__init__(daemon=True)
        self.ports, self.name, self.metadata, self.waiting = ports, name, metadata, waiting
        self.rounds, self.wrong = 0, []
        self.stopping = threading.Event()

    def run(self):
        with Client(*self.ports, options=ROUND_ROBIN) as client:
            while not self.stopping.wait(0.5):
                for call, expected in ((client.metrics, self.waiting), (client.is_active, self.waiting > 0)):
                    found = self._fetch(call)
                    found = getattr(found, "metricValue", found)
                    if found != expected:
                        self.wrong.append(found)
                self.rounds += 1

    def _fetch(self, call):
        for attempt in (1, 2):
            try:
                return call(self.metadata, seconds=SECONDS)
            except grpc.RpcError as error:
                failure = f"{error.code()}: {error.details()}"
        return failure

    def await_rounds(self, count):
        before = self.rounds
        wait_until(lambda: self.rounds >= before + count, SECONDS, f"{count} rounds of {self.name}")


def test_both_answer_alike(sources, replica):
    with Client(replica(previous, free_port()).port) as old, Client(replica(binary, free_port()).port) as new:
        def compare(case):
            name, metadata, waiting = case
            specs = [client.metric_spec(metadata) for client in (old, new)]
            assert specs[0] == specs[1], name
            for client in (old, new):
                for metric in {spec.metricName for spec in specs}:
                    assert client.metrics(metadata, metric, seconds=SECONDS).metricValue == waiting, name
                assert client.is_active(metadata, seconds=SECONDS) == (waiting > 0), name

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(compare, triggers(sources)))


@pytest.mark.parametrize("order", ORDERS)
def test_a_rollout_fails_no_call_and_changes_no_value(order, sources, replica):
    before, after = ORDERS[order]
    ports = [free_port(), free_port()]
    replicas = [replica(before, port) for port in ports]
    pollers = [Poller(ports, *case) for case in triggers(sources)]
    for poller in pollers:
        poller.start()
    for number, port in enumerate(ports):
        for poller in pollers:
            poller.await_rounds(2)
        replicas[number].stop()
        replicas[number] = replica(after, port)
    for poller in pollers:
        poller.await_rounds(5)
        poller.stopping.set()
    for poller in pollers:
        poller.join()
    assert {poller.name: poller.wrong for poller in pollers if poller.wrong} == {}


@pytest.mark.parametrize("order", ORDERS)
def test_streams_come_back_on_the_other_version_and_are_notified_of_work(order, sources, replica):
    before, after = ORDERS[order]
    port = free_port()
    old = replica(before, port)
    adding = [source for source in sources if source.add]
    with Client(port) as client:
        streams = [client.stream_is_active(named(source, BUSY)) for source in sources]
        assert [next(stream).result for stream in streams] == [True] * len(streams)
        idle = [client.stream_is_active(named(source, IDLE)) for source in adding]
        client.metric_spec(named(adding[0], IDLE))  # behind the streams, so they are open
        old.stop()
        assert {stream.code() for stream in (*streams, *idle)} == {grpc.StatusCode.OK}, "so KEDA opens them again at once"
    replica(after, port)
    with Client(port) as client:
        streams = {source.name: client.stream_is_active(named(source, BUSY), seconds=SECONDS) for source in sources}
        assert {name: next(stream).result for name, stream in streams.items()} == dict.fromkeys(streams, True)
