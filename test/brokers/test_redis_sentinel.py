"""redis-sentinel and redis-sentinel-streams: a master, two replicas and three Sentinels, all over TLS, and failovers.

BACKLOG_FULL=1 in the environment: 50 failovers, which takes ten minutes; otherwise one of each kind.
"""

import contextlib
import os
import time

import pytest

from support.certificates import make_certificates
from support.clients.grpc_client import Client, refusal
from support.process import free_port, wait_until
from support.brokers.push import Streams
from support.brokers.redis import Redis, Sentinel
from support.server.server import Server
from support.clients.story import Values, answers, unavailable

KINDS = ("kill", "pause")
FAILOVERS = 50 if os.environ.get("BACKLOG_FULL") else len(KINDS)
RECOVERY_SECONDS = 5  # after the Sentinels' own


class Shop:
    """The servers; the master is found by asking a Sentinel."""

    def __init__(self, folder):
        self.folder = folder
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        replicating = "tls-replication yes\nrepl-diskless-sync-delay 0\nrepl-timeout 3"
        start = self.stack.enter_context
        first = start(Redis(replicating, self.folder))
        others = [start(Redis(f"{replicating}\nreplicaof 127.0.0.1 {first.tls_port}", self.folder)) for _ in range(2)]
        self.servers = [first, *others]
        wait_until(lambda: self.replicas(first) == 2, 20, "two replicas")
        self.sentinels = [start(Sentinel("shop", first.tls_port, config=replicating.splitlines()[0],
                                         certificates=self.folder)) for _ in range(3)]
        wait_until(lambda: all(self.knows_all(sentinel) for sentinel in self.sentinels), 20, "the Sentinels' view")
        return self

    def __exit__(self, *_):
        for server in self.servers:
            with contextlib.suppress(Exception):
                server.resume()
        self.stack.close()

    @staticmethod
    def replicas(server):
        with server.connect() as redis:
            return redis.call("INFO", "replication").count("state=online")

    @staticmethod
    def knows_all(sentinel):
        with sentinel.connect() as redis:
            known = redis.call("SENTINEL", "MASTER", "shop")
            fields = dict(zip(known[::2], known[1::2]))
            return (fields["num-slaves"], fields["num-other-sentinels"], fields["flags"]) == ("2", "2", "master")

    def master(self):
        with self.sentinels[0].connect() as redis:
            port = int(redis.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "shop")[1])
        return next(server for server in self.servers if server.tls_port == port)

    def call(self, *words):
        """At the master, on a connection of its own: a server that is promoted closes those that it had."""
        with self.master().connect() as redis:
            return redis.call(*words)

    def settle(self):
        wait_until(lambda: all(self.knows_all(sentinel) for sentinel in self.sentinels) and
                   self.replicas(self.master()) == 2, 30, "the end of the failover")

    def trigger(self, sentinels=None, **metadata):
        addresses = ",".join(sentinel.tls_address for sentinel in sentinels or self.sentinels)
        return {"scaler": "redis-sentinel", "address": addresses, "sentinelMaster": "shop", "listName": "jobs",
                "brokerTls": "enable", "ca": (self.folder / "ca.pem").read_text(), **metadata}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redis-sentinel")
    make_certificates(folder)
    with Shop(folder) as shop:
        yield shop


@pytest.fixture
def redis(shop):
    shop.settle()
    with shop.master().connect() as redis:
        redis.call("FLUSHALL")
        yield redis


@pytest.fixture
def client():
    with Server(interval="500ms", hold="1s") as server, Client(server.port) as client:
        yield client


def test_one_sentinel_is_enough(shop, redis, client):
    redis.call("RPUSH", "jobs", *range(4))
    redis.add("orders", 3)
    answers(client, shop.trigger(), 4, True)
    stream = shop.trigger(scaler="redis-sentinel-streams", stream="orders")
    stream.pop("listName")
    answers(client, stream, 3, True)
    redis.call("RPUSH", "bull:videos:wait", "1")
    queue = shop.trigger(library="bullmq", queueName="videos")
    queue.pop("listName")
    answers(client, queue, 1, True)
    one = shop.trigger(shop.sentinels[:1])
    answers(client, one | {"address": f"127.0.0.1:{free_port()},{one['address']}"}, 4, True)


def test_what_nobody_knows_is_named(shop, redis, client):
    text = unavailable(client, shop.trigger(sentinelMaster="store"))
    assert 'no Sentinel names the master "store"' in text and "does not know the master" in text
    text = unavailable(client, shop.trigger(address=f"127.0.0.1:{free_port()}"))
    assert "no Sentinel names the master" in text and "refused" in text
    code, text = refusal(client.metrics, {"scaler": "redis-sentinel", "address": "a:1", "listName": "jobs"})
    assert "sentinelMaster is missing" in text


def test_users_with_the_documented_rights(shop, redis, client):
    """Those of docs/redis.md, and for push notifications of docs/reference.md."""
    at_server = ("~jobs* +llen +type +scard +zcard +hlen +xlen +xpending +xinfo +role +ping +info +select "
                 "+client|setname +client|id +client|tracking +client|caching +subscribe &__redis__:invalidate")
    at_sentinel = ("+sentinel|master +sentinel|get-master-addr-by-name +subscribe &+switch-master +ping +info "
                   "+client|setname")
    for servers, rights in ((shop.servers, at_server), (shop.sentinels, at_sentinel)):
        for server in servers:
            with server.connect() as admin:
                admin.call("ACL", "SETUSER", "counter", "reset", "on", ">sesame", *rights.split())
    redis.call("RPUSH", "jobs", *range(4))
    trigger = shop.trigger(username="counter", password="sesame", sentinelUsername="counter", sentinelPassword="sesame")
    answers(client, trigger, 4, True)
    wrong = unavailable(client, trigger | {"sentinelPassword": "no"})
    assert "no Sentinel names the master" in wrong and "authentication failed" in wrong
    with Server(interval="30s") as server, Streams(server, [trigger | {"listName": "jobs:idle"}]) as streams:
        wait_until(lambda: redis.calls("client|caching") > 0, 10, "the subscription")
        redis.call("RPUSH", "jobs:idle", "a")
        streams.wait_for_pushes([0])


@pytest.mark.parametrize("number", range(FAILOVERS))
def test_a_failover_is_followed(shop, redis, number):
    """Whatever happens to the master, no answer is of an old one. The Sentinels' own failover takes 2 to 4 s."""
    how = KINDS[number % len(KINDS)]
    redis.call("RPUSH", "jobs", *range(4))
    redis.call("WAIT", "2", "5000")
    old = shop.master()
    with Server(interval="500ms", hold="1s") as server, Client(server.port) as client:
        answers(client, shop.trigger(), 4, True)
        idle = shop.trigger(listName="idle")
        with Values(client, shop.trigger()) as witness, Streams(server, [idle]) as streams:
            wait_until(lambda: redis.calls("client|caching") > 0, 10, "the subscription")
            old.kill() if how == "kill" else old.pause()
            wait_until(lambda: shop.master() is not old, 20, "a new master")
            wait_until(lambda: shop.call("ROLE")[0] == "master", 10, "its role")
            wait_until(lambda: shop.call("RPUSH", "jobs", "another"), 10, "an item more")
            recovered = time.monotonic()
            answers(client, shop.trigger(), 5, True, seconds=RECOVERY_SECONDS)
            right_seconds = time.monotonic() - recovered
            since = len(witness.seen)
            old.start() if how == "kill" else old.resume()
            shop.settle()
            shop.call("RPUSH", "idle", "a")
            streams.wait_for_pushes([0])
            answers(client, idle, 1, True)
        assert set(witness.seen) <= {4, 5, None}
        assert set(witness.seen[since:]) <= {5}, "an old master was believed"
        print(f"{how}: {len(witness.seen)} answers, {witness.seen.count(None)} of them errors; right after {right_seconds:.1f} s; "
              f"the longest call {witness.longest_seconds:.1f} s")
        assert witness.longest_seconds < 6


def test_a_server_that_is_monitored_in_the_place_of_another_is_found(tmp_path):
    """The former one lives on, and no failover is reported."""
    make_certificates(tmp_path)
    with Shop(tmp_path) as shop, Redis("tls-replication yes", tmp_path) as other, Server() as server, Client(server.port) as client:
        shop.call("RPUSH", "jobs", *range(4))
        with other.connect() as redis:
            redis.call("RPUSH", "jobs", *range(7))
        answers(client, shop.trigger(), 4, True)
        for sentinel in shop.sentinels:
            with sentinel.connect() as redis:
                redis.call("SENTINEL", "REMOVE", "shop")
                redis.call("SENTINEL", "MONITOR", "shop", "127.0.0.1", other.tls_port, 2)
        answers(client, shop.trigger(), 7, True, seconds=75)


def test_a_master_without_role_is_asked_by_info(client):
    """As Redis Software and Azure have none. A server that is no master is refused as with ROLE."""
    users = "user few on >sesame ~jobs +llen\nuser enough on >sesame ~jobs +llen +info"
    with Redis(f'rename-command ROLE ""\n{users}') as server, Sentinel("shop", server.port, 1) as sentinel, server.connect() as redis:
        redis.call("RPUSH", "jobs", *range(4))
        trigger = {"scaler": "redis-sentinel", "address": sentinel.address, "sentinelMaster": "shop", "listName": "jobs"}
        answers(client, trigger, 4, True)
        answers(client, {**trigger, "username": "enough", "password": "sesame"}, 4, True)
        text = unavailable(client, {**trigger, "username": "few", "password": "sesame"})
        assert "does not allow its user to measure: NOPERM" in text and "'info'" in text
        redis.call("REPLICAOF", "127.0.0.1", free_port())
        wait_until(lambda: "its role is slave" in unavailable(client, trigger), 20, "the refusal")
