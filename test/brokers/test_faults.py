"""Never a false zero: every source behind a network that fails, in every way, at once.

Seven jobs wait in each. Whatever happens, an answer is seven and active, or an error; and when it is over, the
answer is seven again without anybody's help.
"""

import contextlib
import os
import re
import subprocess
import sysconfig
import threading
import time

import grpc
import pytest

from support.grpc_client import Client
from support.kafka import Kafka
from support.nats import Nats
from support.postgresql import PostgreSQL
from support.process import Unavailable, wait_until
from support.prometheus import Prometheus
from support.proxy import Proxy
from support.rabbitmq import RabbitMQ
from support.redis import Redis
from support.server import Server, binary

WAITING = 7
HOLD_SECONDS = 2
FAULT_SECONDS = 5  # beyond the hold, and a measurement's deadline
CALL_SECONDS = 5 + 2  # our own deadline, on a busy machine
RECOVERY_SECONDS = 30


def redis(stack, proxy):
    broker = stack.enter_context(Redis())
    with broker.connect() as client:
        client.call_all([("RPUSH", "jobs", number) for number in range(WAITING)])
    proxy.target = broker.port
    return {"scaler": "redis", "listName": "jobs", "address": f"{{host}}:{proxy.port}"}


def redis_streams(stack, proxy):
    broker = stack.enter_context(Redis())
    with broker.connect() as client:
        client.add("jobs", WAITING)
        client.call("XGROUP", "CREATE", "jobs", "workers", "0")
    proxy.target = broker.port
    return {"scaler": "redis-streams", "stream": "jobs", "consumerGroup": "workers", "lagCount": "5",
            "address": f"{{host}}:{proxy.port}"}


def nats_jetstream(stack, proxy):
    broker = stack.enter_context(Nats())
    with broker.connect() as client:
        client.create_stream("jobs")
        client.create_consumer("jobs", "workers")
        client.publish("jobs", WAITING)
    proxy.target = broker.port
    return {"scaler": "nats-jetstream", "stream": "jobs", "consumer": "workers",
            "servers": f"nats://{{host}}:{proxy.port}"}


def rabbitmq(stack, broker, proxy, scheme, port):
    proxy.target = port
    return {"scaler": "rabbitmq", "queueName": "jobs", "mode": "QueueLength", "value": "5", "vhostName": "/",
            "host": f"{scheme}://{broker.user}:{broker.password}@{{host}}:{proxy.port}/"}


def postgresql(stack, proxy):
    broker = stack.enter_context(PostgreSQL())
    proxy.target = broker.port
    url = broker.url(port=proxy.port).replace("127.0.0.1", "{host}")
    return {"scaler": "postgresql", "connection": url, "query": f"SELECT {WAITING}", "targetQueryValue": "5"}


def prometheus(stack, proxy):
    broker = stack.enter_context(Prometheus(f"jobs {WAITING}"))
    proxy.target = broker.port
    return {"scaler": "prometheus", "serverAddress": f"http://{{host}}:{proxy.port}", "query": "jobs",
            "threshold": "5"}


def kafka(stack, proxy):
    """The clients find the proxy in the broker's metadata, too, and the helpers go through it as well."""
    broker = Kafka(advertised_listeners=f"PLAINTEXT://127.0.0.1:{proxy.port}")
    stack.enter_context(broker)
    proxy.target = broker.nodes[0].port
    broker.create_topic("jobs")
    broker.produce("jobs", WAITING)
    broker.commit("workers", "jobs", [0, 0, 0])
    return {"scaler": "kafka", "topic": "jobs", "consumerGroup": "workers", "lagThreshold": "5",
            "bootstrapServers": f"127.0.0.1:{proxy.port}"}


class World:
    """All sources, each behind a proxy of its own: {name: metadata} with a place for the host's name."""

    def __init__(self, stack):
        self.proxies = {}
        self.sources = {}
        rabbit = stack.enter_context(RabbitMQ())
        rabbit.declare("jobs")
        rabbit.publish("jobs", WAITING)
        for name, make in (
                ("redis", redis), ("redis-streams", redis_streams), ("nats-jetstream", nats_jetstream),
                ("rabbitmq-amqp", lambda stack, proxy: rabbitmq(stack, rabbit, proxy, "amqp", rabbit.port)),
                ("rabbitmq-http", lambda stack, proxy: rabbitmq(stack, rabbit, proxy, "http", rabbit.management_port)),
                ("postgresql", postgresql), ("prometheus", prometheus), ("kafka", kafka)):
            proxy = self.proxies[name] = stack.enter_context(Proxy())
            self.sources[name] = make(stack, proxy)

    def metadata(self, name, host="127.0.0.1"):
        return {key: value.replace("{host}", host) for key, value in self.sources[name].items()}

    def fail(self, fault):
        for proxy in self.proxies.values():
            proxy.fail(fault)

    def heal(self):
        for proxy in self.proxies.values():
            proxy.heal()


@pytest.fixture(scope="module")
def world():
    with contextlib.ExitStack() as stack:
        yield World(stack)


@pytest.fixture
def server():
    with Server(interval="300ms", hold=f"{HOLD_SECONDS}s") as server:
        yield server


class Witness:
    """Asks for a trigger without a pause, both calls in turn, and notes what it is told and when."""

    def __init__(self, client, metadata):
        self.client = client
        self.metadata = metadata
        self.lies = []
        self.slowest = 0
        self.refused = 0
        self.last_good = 0
        self.stopping = False
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()

    def run(self):
        while not self.stopping:
            self.ask(lambda: self.client.metrics(self.metadata, "").metricValue, WAITING)
            self.ask(lambda: self.client.is_active(self.metadata), True)
            time.sleep(0.02)

    def ask(self, call, truth):
        began = time.monotonic()
        try:
            answer = call()
            if answer != truth:
                self.lies.append(answer)
            self.last_good = time.monotonic()
        except grpc.RpcError as error:
            self.refused += 1
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                self.lies.append((error.code(), error.details()))
        self.slowest = max(self.slowest, time.monotonic() - began)


@contextlib.contextmanager
def witnesses(world, client, host="127.0.0.1", names=None):
    with contextlib.ExitStack() as stack:
        everybody = {name: stack.enter_context(Witness(client, world.metadata(name, host)))
                     for name in names or world.sources}
        wait_until(lambda: all(witness.last_good for witness in everybody.values()), RECOVERY_SECONDS,
                   "a first answer of all")
        yield everybody


def assert_recovery(everybody, since):
    wait_until(lambda: all(witness.last_good > since for witness in everybody.values()), RECOVERY_SECONDS,
               f"all are back, {since}: {[(name, witness.last_good) for name, witness in everybody.items()]}")


def assert_truth(everybody):
    assert {name: witness.lies for name, witness in everybody.items() if witness.lies} == {}
    slow = {name: witness.slowest for name, witness in everybody.items() if witness.slowest > CALL_SECONDS}
    assert slow == {}


@pytest.mark.parametrize("fault", Proxy.FAULTS)
def test_a_failing_network_is_never_a_zero(world, server, fault):
    with Client(server.port) as client, witnesses(world, client) as everybody:
        world.fail(fault)
        try:
            time.sleep(FAULT_SECONDS)
            refused = {name: witness.refused for name, witness in everybody.items()}
        finally:
            healed = time.monotonic()
            world.heal()
        assert_recovery(everybody, healed)
        assert_truth(everybody)
        assert all(refused.values()), refused


def test_an_idle_source_that_fails_is_refused_at_once(world, server):
    """What was inactive may have got work: KEDA is told that nobody knows."""
    with Client(server.port) as client:
        metadata = {**world.metadata("redis"), "listName": "idle"}
        assert client.metrics(metadata).metricValue == 0
        world.proxies["redis"].fail("refuse")
        try:
            began = time.monotonic()
            wait_until(lambda: not is_answered(client, metadata), HOLD_SECONDS, "a refusal")
            assert time.monotonic() - began < HOLD_SECONDS
        finally:
            world.proxies["redis"].heal()
        wait_until(lambda: client.metrics(metadata).metricValue == 0, RECOVERY_SECONDS, "it is back")


def is_answered(client, metadata):
    try:
        client.is_active(metadata)
        return True
    except grpc.RpcError:
        return False


class NamelessServer(Server):
    """In a mount namespace where the machine's names are in a file of the test's, and no name server answers."""

    def __init__(self, **options):
        super().__init__(**options)
        self.hosts = os.path.join(self.folder, "hosts")
        self.resolver = os.path.join(self.folder, "resolv.conf")
        self.set_name("broker.test")
        with open(self.resolver, "w") as file:
            file.write("nameserver 127.0.0.1\n")

    def set_name(self, name):
        with open(self.hosts, "w") as file:
            file.write(f"127.0.0.1 localhost {name}\n")

    def command(self):
        script = f'mount --bind {self.hosts} /etc/hosts && mount --bind {self.resolver} /etc/resolv.conf && exec "$@"'
        own_users = [] if os.geteuid() == 0 else ["--map-root-user"]
        return ["unshare", "--mount", *own_users, "sh", "-c", script, "sh", *super().command()]


# A broker of Kafka's names itself in its metadata, by its address here.
NAMED = ("redis", "redis-streams", "nats-jetstream", "rabbitmq-amqp", "rabbitmq-http", "postgresql", "prometheus")


def test_names_that_cannot_be_looked_up_are_never_a_zero(world):
    with NamelessServer(interval="300ms", hold=f"{HOLD_SECONDS}s") as server, Client(server.port) as client, \
            witnesses(world, client, host="broker.test", names=NAMED) as everybody:
        server.set_name("")
        world.heal()  # whoever is connected has to look the name up again
        time.sleep(FAULT_SECONDS)
        refused = {name: witness.refused for name, witness in everybody.items()}
        back = time.monotonic()
        server.set_name("broker.test")
        assert_recovery(everybody, back)
        assert_truth(everybody)
        # libcurl remembers an address for a minute, so the sources that speak HTTP need not have noticed.
        assert all(count for name, count in refused.items() if name not in ("rabbitmq-http", "prometheus")), refused


FAKETIME = "/usr/lib/{}/faketime/libfaketimeMT.so.1"


class DatedServer(Server):
    """Lives at a date that the test sets: the wall clock is a library's, the others are the machine's."""

    def __init__(self, **options):
        super().__init__(**options)
        self.date = os.path.join(self.folder, "date")
        self.jump("+0")

    def jump(self, offset):
        with open(self.date + ".new", "w") as file:
            file.write(offset + "\n")
        os.rename(self.date + ".new", self.date)

    def environment(self):
        # The sanitizer's runtime has to come first.
        sanitizer = re.findall(r"\S*/lib\S*asan\S*", subprocess.run(["ldd", binary()], capture_output=True, text=True).stdout)
        faketime = FAKETIME.format(sysconfig.get_config_var("MULTIARCH"))
        if not os.path.exists(faketime):
            raise Unavailable(f"{faketime} is not installed")
        return {**super().environment(), "LD_PRELOAD": " ".join([*sanitizer, faketime]),
                "FAKETIME_TIMESTAMP_FILE": self.date, "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def test_a_clock_that_jumps_is_never_a_zero(world):
    with DatedServer(interval="300ms", hold=f"{HOLD_SECONDS}s") as server, Client(server.port) as client, \
            witnesses(world, client) as everybody:
        for offset in ("+1h", "-1h", "+1y", "+0"):
            server.jump(offset)
            jumped = time.monotonic()
            time.sleep(1)
            assert_recovery(everybody, jumped)
        assert_truth(everybody)
        server.jump("+1y")
        world.heal()  # so that something is logged
        year = time.gmtime().tm_year + 1
        wait_until(lambda: f"\n{year}-" in server.log(), RECOVERY_SECONDS, "a line of the year to come")
