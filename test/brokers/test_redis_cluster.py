"""redis-cluster and redis-cluster-streams: three masters and their replicas, failovers and resharding.

BACKLOG_FULL=1 in the environment: 50 failovers, which takes ten minutes; otherwise one of each kind.
"""

import contextlib
import os
import threading
import time

import pytest

from support.certificates import make_certificates, make_root
from support.clients.grpc_client import Client
from support.process import free_port, wait_until
from support.brokers.push import Streams
from support.brokers.redis import Redis, RedisCluster, RedisError, single_node_cluster
from support.server.server import Server
from support.clients.story import Values, answers, unavailable, value

KINDS = ("pause", "kill", "CLUSTER FAILOVER")
FAILOVERS = 50 if os.environ.get("BACKLOG_FULL") else len(KINDS)
RECOVERY_SECONDS = 5  # after the cluster's own

# Keys of three masters, as slots are shared out at first.
KEYS = ["jobs:b", "jobs:a", "jobs:c"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redis-cluster")
    make_certificates(folder)
    return folder


@pytest.fixture(scope="module")
def shop(folder):
    """All over TLS between the nodes; to clients they speak both."""
    with RedisCluster(certificates=folder) as shop:
        yield shop


@pytest.fixture
def redis(shop):
    shop.settle()
    shop.flush()
    return shop


@pytest.fixture
def client():
    with Server(interval="500ms", hold="1s") as server, Client(server.port) as client:
        yield client


def trigger(shop, key="jobs", **metadata):
    return {"scaler": "redis-cluster", "address": ",".join(node.address for node in shop.nodes[:2]), "listName": key,
            **metadata}


def stream(shop, key="orders", **metadata):
    metadata = trigger(shop, **metadata) | {"scaler": "redis-cluster-streams", "stream": key}
    metadata.pop("listName")
    return metadata


def secure(shop, folder, **metadata):
    return {"address": ",".join(node.tls_address for node in shop.nodes[:2]), "brokerTls": "enable", "ca": (folder / "ca.pem").read_text(), **metadata}


def others(redis, key):
    owner = redis.owner(key)
    return [node for node in redis.masters() if node is not owner]


def calls(redis, command):
    total = 0
    for node in redis.nodes:
        with node.connect() as each:
            total += each.calls(command)
    return total


def test_values_of_all_kinds(redis, client, folder):
    for i in range(30):
        redis.call("RPUSH", f"jobs:{i}", *range(i + 1))
    redis.call("SADD", "set", 1, 2)
    redis.call("ZADD", "zset", 1, "a", 2, "b", 3, "c")
    redis.call("HSET", "hash", "a", 1)
    for i in range(8):
        redis.call("XADD", "orders", "*", "job", i)
    with redis.connect("orders") as owner:
        owner.call("XGROUP", "CREATE", "orders", "workers", 0)
        owner.read("orders", "workers", 3)
    redis.call("SET", "text", "a")
    for by in ({}, secure(redis, folder)):
        for i in range(30):
            answers(client, trigger(redis, f"jobs:{i}", **by), i + 1, True)
        for key, count in (("set", 2), ("zset", 3), ("hash", 1), ("nothing", 0)):
            answers(client, trigger(redis, key, **by), count, count > 0)
        answers(client, stream(redis, **by), 8, True)
        answers(client, stream(redis, consumerGroup="workers", **by), 3, True)
        answers(client, stream(redis, consumerGroup="workers", lagCount="1", **by), 5, True)
        answers(client, stream(redis, "nothing", consumerGroup="workers", lagCount="1", **by), 0, False)
        assert "must be a list" in unavailable(client, trigger(redis, "text", **by))
    assert calls(redis, "readonly") == 0


def test_keys_and_queues_of_one_slot(redis, client):
    for i in range(3):  # of three nodes
        redis.call("RPUSH", f"{{{KEYS[i]}}}a", 1, 2)
        redis.call("ZADD", f"{{{KEYS[i]}}}b", 1, "x")
        redis.call("RPUSH", f"{{{KEYS[i]}}}:videos:wait", 1)
        redis.call("ZADD", f"{{{KEYS[i]}}}:videos:prioritized", 1, 2)
    for key in KEYS:
        answers(client, trigger(redis, "", keys=f"{{{key}}}a,{{{key}}}b"), 3, True)
        answers(client, trigger(redis, "", library="bullmq", queueName="videos", prefix=f"{{{key}}}"), 2, True)


def test_what_is_wrong_is_named(redis, client, folder, tmp_path):
    assert "no node of the Redis Cluster answers" in unavailable(client, trigger(redis, address=f"127.0.0.1:{free_port()}"))
    make_root(tmp_path, "another")
    wrong = secure(redis, folder, ca=(tmp_path / "another.pem").read_text())
    assert "TLS handshake failed" in unavailable(client, trigger(redis, **wrong))
    assert "authentication failed" in unavailable(client, trigger(redis, username="nobody", password="sesame"))
    with Redis() as single:
        assert "set scaler to redis or redis-streams" in unavailable(client, trigger(redis, address=single.address))
    node = others(redis, "jobs")[0]
    assert "set scaler to redis-cluster" in unavailable(client, trigger(redis, scaler="redis", address=node.address))


def test_a_node_without_role_is_asked_by_info(client):
    """As Redis Software and Azure have none."""
    with single_node_cluster(config='rename-command ROLE ""') as node, node.connect() as redis:
        redis.call("RPUSH", "jobs", 1, 2)
        at_node = {"scaler": "redis-cluster", "address": node.address, "listName": "jobs"}
        answers(client, at_node, 2, True)
        redis.call("ACL", "SETUSER", "few", "on", ">sesame", "~*", "+llen", "+cluster")
        text = unavailable(client, {**at_node, "username": "few", "password": "sesame"})
        assert "NOPERM" in text and "'info'" in text


def test_the_server_decides_which_databases_there_are(client):
    with single_node_cluster() as node, node.connect() as redis:
        redis.call("RPUSH", "jobs", 1, 2)
        at_node = {"scaler": "redis-cluster", "address": node.address, "listName": "jobs"}
        answers(client, {**at_node, "databaseIndex": "0"}, 2, True)
        assert "which has only database 0: remove databaseIndex" in unavailable(client, {**at_node, "databaseIndex": "1"})


def test_users_with_the_documented_rights(redis):
    """Those of docs/redis.md."""
    rights = ("~jobs* +llen +type +scard +zcard +hlen +xlen +xpending +xinfo +role +ping +info +client|setname "
              "+cluster|slots +asking +client|id +client|tracking +client|caching +subscribe &__redis__:invalidate")
    for node in redis.nodes:
        with node.connect() as admin:
            admin.call("ACL", "SETUSER", "counter", "reset", "on", ">sesame", *rights.split())
    redis.call("RPUSH", "jobs", 1, 2)
    user = {"username": "counter", "password": "sesame"}
    before = calls(redis, "client|caching")
    with Server(interval="30s") as server, Client(server.port) as client:
        answers(client, trigger(redis, **user), 2, True)
        idle = [trigger(redis, key, **user) for key in KEYS]
        with Streams(server, idle) as streams:
            wait_until(lambda: calls(redis, "client|caching") >= before + 3, 10, "the subscriptions")
            for key in KEYS:
                redis.call("RPUSH", key, 1)
            streams.wait_for_pushes([0, 1, 2])


def test_a_slot_that_moves_is_followed_with_its_subscriptions(redis):
    """Also while it moves: a key may be at either node. Each poll is 30 s away."""
    source, slot = redis.owner("jobs"), redis.slot("jobs")
    target = others(redis, "jobs")[0]
    redis.call("RPUSH", "{jobs}:busy", 1, 2, 3)
    with Server(interval="30s") as server, Client(server.port) as slow, \
            Server(interval="100ms") as quick_server, Client(quick_server.port) as quick, \
            Values(quick, trigger(redis, "{jobs}:busy")) as busy:
        answers(quick, trigger(redis, "{jobs}:busy"), 3, True)
        idle = [trigger(redis, key) for key in ("jobs", "{jobs}:later")]
        before = calls(redis, "client|caching")
        with Streams(server, idle) as streams:
            wait_until(lambda: calls(redis, "client|caching") >= before + 2, 10, "the subscriptions")
            for metadata in idle:
                answers(slow, metadata, 0, False)
            redis.begin_move(slot, source, target)
            answers(quick, trigger(redis, "{jobs}:absent"), 0, False)
            redis.move_keys(slot, source, target)
            with target.connect() as there:
                there.call_all([("ASKING",), ("RPUSH", "jobs", 1)])
                answers(quick, trigger(redis, "jobs"), 1, True)
            redis.end_move(slot, target)
            redis.call("RPUSH", "{jobs}:later", 1)
            streams.wait_for_pushes([0, 1])
        assert redis.owner("jobs") is target
    redis.begin_move(slot, target, source)
    redis.move_keys(slot, target, source)
    redis.end_move(slot, source)
    assert set(busy.seen) == {3}


def test_resharding_under_load(redis, client):
    for i in range(20):
        redis.call("RPUSH", f"jobs:{i}", *range(i + 1))
    source, target = redis.masters()[:2]
    with contextlib.ExitStack() as stack:
        seen = [stack.enter_context(Values(client, trigger(redis, f"jobs:{i}"))) for i in range(20)]
        for way in ((source, target), (target, source)):
            redis.settle()
            redis.redis_cli("--cluster", "reshard", redis.address(source), "--cluster-from", redis.id(way[0]), "--cluster-to",
                            redis.id(way[1]), "--cluster-slots", "300", "--cluster-yes")
    assert [set(values.seen) for values in seen] == [{i + 1} for i in range(20)]


def test_a_slot_without_an_owner_fails_its_keys_alone(redis, client):
    owner, slot = redis.owner("jobs"), redis.slot("jobs")
    for key in KEYS:
        redis.call("RPUSH", key, 1)
        answers(client, trigger(redis, key), 1, True)
    answers(client, trigger(redis), 0, False)
    for node in redis.nodes:
        with node.connect() as each:
            each.call("CLUSTER", "DELSLOTS", slot)
    wait_until(lambda: f"has its slot, {slot}" in unavailable(client, trigger(redis)), 10, "a map without the slot")
    with contextlib.ExitStack() as stack:
        seen = [stack.enter_context(Values(client, trigger(redis, key))) for key in KEYS]
        wait_until(lambda: all(len(values.seen) > 20 for values in seen), 20, "answers of the others")
    assert all(set(values.seen) == {1} and values.longest_seconds < 2 for values in seen)
    assert unavailable(client, trigger(redis))
    with owner.connect() as each:
        each.call("CLUSTER", "ADDSLOTS", slot)
    answers(client, trigger(redis), 0, False)


def test_a_slot_that_has_an_owner_again_is_read_where_nothing_else_is(redis, client):
    owner, slot = redis.owner("jobs"), redis.slot("jobs")
    redis.call("RPUSH", "jobs", 1)
    answers(client, trigger(redis), 1, True)
    for node in redis.nodes:
        with node.connect() as each:
            each.call("CLUSTER", "DELSLOTS", slot)
    wait_until(lambda: f"has its slot, {slot}" in unavailable(client, trigger(redis)), 10, "a map without the slot")
    with owner.connect() as each:
        each.call("CLUSTER", "ADDSLOTS", slot)
    answers(client, trigger(redis), 1, True)


class Resharding:
    """Slots that move from one of two masters to the other and back, one after the other; of each a key with as many items
    as its number says, which is read all the time. `seen` has what was answered, None for an error."""

    KEYS = 20

    def __init__(self, redis, client, masters, **by):
        names = [f"moving:{number}" for number in range(10 * self.KEYS)]
        self.keys = [name for name, owner in zip(names, redis.owners(names)) if owner in masters][:self.KEYS]
        self.redis, self.client, self.masters = redis, client, list(masters)
        self.slots = {key: redis.slot(key) for key in self.keys}
        assert not set(self.slots.values()) & {redis.slot(key) for key in KEYS}
        redis.call_all([("RPUSH", key, *range(self.items(key))) for key in self.keys])
        self.triggers = {key: trigger(redis, key, **by) for key in self.keys}
        self.seen = {key: [] for key in self.keys}
        self.moves = self.longest_seconds = 0
        self.is_over = False
        self.threads = [threading.Thread(target=run) for run in (self.move_all, self.read_all)]

    @staticmethod
    def items(key):
        return int(key.partition(":")[2]) + 1

    def move_all(self):
        while not self.is_over:
            target, source = self.masters
            for key in self.keys:
                if not self.is_over:
                    self.move(key, source, target)
            self.masters.reverse()

    def move(self, key, source, target):
        with source.connect() as here, target.connect() as there:
            with contextlib.suppress(RedisError):
                here.call("EXISTS", key)  # refused where the key is there already
                self.redis.begin_move(self.slots[key], source, target)
                self.redis.move_keys(self.slots[key], source, target)
                there.call("WAIT", 1, 1000)
                for each in (there, here):  # others hear of it from these
                    each.call("CLUSTER", "SETSLOT", self.slots[key], "NODE", self.redis.id(target))
                self.moves += 1
        time.sleep(0.05)

    def read_all(self):
        while not self.is_over:
            for key, metadata in self.triggers.items():
                began = time.monotonic()
                try:
                    self.seen[key].append(value(self.client, metadata))
                except Exception:
                    self.seen[key].append(None)
                self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        for thread in self.threads:
            thread.join()


@pytest.mark.parametrize("number", range(FAILOVERS))
def test_a_failover_is_followed(redis, folder, number):
    """Over TLS, while the two other masters exchange slots. No answer is of an old master, none is 0, and keys of other
    nodes notice nothing."""
    tls = secure(redis, folder)
    how = KINDS[number % 3]
    for key in KEYS:
        redis.call("RPUSH", key, *range(4))
    lost, neighbour = KEYS[number % 3], KEYS[(number + 1) % 3]
    old = redis.owner(lost)
    assert redis.owner(neighbour) is not old
    with old.connect() as each:
        each.call("WAIT", 1, 5000)
    before = calls(redis, "client|caching")
    idle = f"{{{lost}}}:idle"
    with Server(interval="500ms", hold="1s") as server, Client(server.port) as client:
        for key in KEYS:
            answers(client, trigger(redis, key, **tls), 4, True)
        with Values(client, trigger(redis, lost, **tls)) as seen, Values(client, trigger(redis, neighbour, **tls)) as near, \
                Streams(server, [trigger(redis, idle, **tls)]) as streams, contextlib.ExitStack() as stack:
            moved = stack.enter_context(Resharding(redis, client, others(redis, lost), **tls))
            wait_until(lambda: calls(redis, "client|caching") > before, 10, "the subscription")
            if how == "CLUSTER FAILOVER":
                fail_over(redis, old)
            else:
                old.kill() if how == "kill" else old.pause()
            wait_until(lambda: redis.owner(lost) not in (None, old), 20, "a new master")
            wait_until(lambda: redis.call("RPUSH", lost, "another"), 10, "an item more")
            recovered = time.monotonic()
            answers(client, trigger(redis, lost, **tls), 5, True, seconds=RECOVERY_SECONDS)
            right_seconds = time.monotonic() - recovered
            since = len(seen.seen)
            if how == "kill":
                old.start()
            elif how == "pause":
                old.resume()
            wait_until(lambda: moved.moves > 0 and sum(map(len, moved.seen.values())) > 5 * moved.KEYS, 20, "answers while slots move")
            stack.close()
            redis.settle()
            redis.call("RPUSH", idle, 1)
            streams.wait_for_pushes([0])
            answers(client, trigger(redis, idle, **tls), 1, True)
            wait_until(lambda: len(seen.seen) > since, 10, "another answer")
        assert set(seen.seen) <= {4, 5, None}
        assert set(seen.seen[since:]) == {5}, "an old master was believed"
        assert set(near.seen) == {4} and near.longest_seconds < 2
        for key, found in moved.seen.items():
            assert set(found) <= {moved.items(key), None}, key
        every = [seen.seen, near.seen, *moved.seen.values()]
        longest = max(seen.longest_seconds, near.longest_seconds, moved.longest_seconds)
        print(f"{how}: {sum(map(len, every))} answers, {sum(found.count(None) for found in every)} of them errors, "
              f"{sum(found.count(None) for found in every[1:])} of these of keys of the other masters; {moved.moves} slots moved; "
              f"right after {right_seconds:.1f} s; the longest call {longest:.1f} s")
        assert moved.moves > 0 and longest < 6


def fail_over(redis, master):
    """By its replica, which asks for it."""
    own = redis.id(master)
    replica = next(node for node, rows in redis.answering() for row in rows
                   if row[2] == "myself,slave" and row[3] == own)
    with replica.connect() as each:
        each.call("CLUSTER", "FAILOVER")
