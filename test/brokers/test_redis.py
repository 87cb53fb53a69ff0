"""redis and redis-streams against a real Redis, through the server and KEDA's calls."""

import concurrent.futures
import queue
import threading
import time

import grpc
import pytest

from support.clients.grpc_client import Client, refusal
from support.process import free_port, wait_until
from support.brokers.redis import Redis
from support.server.server import Server
from support.clients.story import answers, outage, unavailable, value
from support.network.tap import Tap

INTERVAL_SECONDS = 0.5
HOLD_SECONDS = 3
MANY = 1000


@pytest.fixture(scope="module")
def shared_broker():
    with Redis() as broker:
        yield broker


@pytest.fixture
def broker(shared_broker):
    yield shared_broker
    with shared_broker.connect() as redis:
        redis.call("FLUSHALL")


@pytest.fixture
def redis(broker):
    with broker.connect() as redis:
        yield redis


@pytest.fixture
def client():
    interval = f"{INTERVAL_SECONDS * 1000:.0f}ms"
    with Server(interval=interval, hold=f"{HOLD_SECONDS}s") as server, Client(server.port) as client:
        yield client


def of_list(broker, name, **metadata):
    return {"scaler": "redis", "address": broker.address, "listName": name, **metadata}


def of_stream(broker, stream="orders", **metadata):
    return {"scaler": "redis-streams", "address": broker.address, "stream": stream, **metadata}


def of_pending(broker, stream="orders", group="workers", **metadata):
    return of_stream(broker, stream, consumerGroup=group, **metadata)


def of_lag(broker, stream="orders", group="workers", **metadata):
    return of_stream(broker, stream, consumerGroup=group, lagCount="5", **metadata)


def fill_one_of_each_kind(redis):
    redis.call("RPUSH", "list", *range(4))
    redis.call("SADD", "set", *range(5))
    redis.call("ZADD", "zset", *[word for i in range(6) for word in (i, f"member-{i}")])
    redis.call("HSET", "hash", *[word for i in range(7) for word in (f"field-{i}", i)])


@pytest.mark.first
def test_length_target_and_strict_activation(broker, redis, client):
    requested = of_list(broker, "jobs:high", listLength="3", activationListLength="1")
    spec = client.metric_spec(requested)
    assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == ("redis-jobs-high", 3, 3)

    answers(client, requested, 0, False)
    redis.call("RPUSH", "jobs:high", "a")
    answers(client, requested, 1, False)
    redis.call("RPUSH", "jobs:high", "b")
    answers(client, requested, 2, True)


def test_every_kind_of_collection_and_none(broker, redis, client):
    fill_one_of_each_kind(redis)
    for name, expected in {"list": 4, "set": 5, "zset": 6, "hash": 7, "none": 0}.items():
        answers(client, of_list(broker, name), expected, expected > 0)
    assert redis.calls("eval") == 0


@pytest.mark.first
def test_a_key_without_length_fails_alone(broker, redis, client):
    fill_one_of_each_kind(redis)
    redis.call("SET", "text", "1234")
    redis.add("orders")
    answers(client, of_list(broker, "list"), 4, True)
    assert 'key "text" is a string' in unavailable(client, of_list(broker, "text"))
    assert "scaler redis-streams" in unavailable(client, of_list(broker, "orders"))
    answers(client, of_list(broker, "set"), 5, True)


def test_a_key_that_becomes_another_kind_is_followed(broker, redis, client):
    for command, expected in (("RPUSH", 3), ("SADD", 2), ("RPUSH", 3)):
        redis.call("DEL", "jobs")
        redis.call(command, "jobs", "a", "a", "b")
        answers(client, of_list(broker, "jobs"), expected, True)


def test_a_stream_counts_all_its_entries(broker, redis, client):
    requested = of_stream(broker, streamLength="2", activationLagCount="3")
    spec = client.metric_spec(requested)
    assert (spec.metricName, spec.targetSize) == ("redis-streams-orders", 2)
    answers(client, requested, 0, False)
    entries = redis.add("orders", 4)
    answers(client, requested, 4, True)
    redis.call("XDEL", "orders", entries[0])
    answers(client, requested, 3, False)


@pytest.mark.first
def test_pending_entries_are_those_delivered_and_not_acknowledged(broker, redis, client):
    requested = of_pending(broker, pendingEntriesCount="2")
    assert client.metric_spec(requested).targetSize == 2
    redis.add("orders", 7)
    redis.call("XGROUP", "CREATE", "orders", "workers", "0")
    answers(client, requested, 0, False)
    delivered = redis.read("orders", "workers", 3)
    answers(client, requested, 3, True)
    redis.call("XACK", "orders", "workers", *delivered[:2])
    answers(client, requested, 1, True)


def test_a_missing_group_has_no_pending_entries(broker, redis, client):
    redis.add("orders", 3)
    assert "NOGROUP" in unavailable(client, of_pending(broker))
    assert "NOGROUP" in unavailable(client, of_pending(broker, stream="none"))
    redis.call("XGROUP", "CREATE", "orders", "workers", "0")
    answers(client, of_pending(broker), 0, False)


@pytest.mark.first
def test_lag_is_what_the_group_was_not_given(broker, redis, client):
    requested = of_lag(broker)
    assert client.metric_spec(requested).targetSize == 5
    answers(client, requested, 0, False)  # no stream
    redis.add("orders", 7)
    answers(client, requested, 7, True)  # no group: the first worker makes it
    redis.call("XGROUP", "CREATE", "orders", "others", "$")
    redis.call("XGROUP", "CREATE", "orders", "workers", "0")
    redis.read("orders", "workers", 3)
    answers(client, requested, 4, True)
    answers(client, of_lag(broker, group="others"), 0, False)
    redis.read("orders", "workers", 4)
    answers(client, requested, 0, False)


def test_a_policy_starts_the_worker_that_makes_the_group(broker, redis, client):
    requested = of_lag(broker, scaleDownWhenIdle="30s", inFlightPerReplica="5")
    answers(client, requested, 0, False)  # no stream
    redis.add("orders", 7)
    answers(client, requested, 2, True)
    redis.call("XGROUP", "CREATE", "orders", "workers", "0")
    redis.read("orders", "workers", 7)
    answers(client, requested, 2, True)


def test_a_policy_that_is_added_does_not_decide_by_a_reading_without_consumers(broker, redis, client):
    """One worker has taken all, and the last reading, which is fresh, does not say so."""
    requested = of_lag(broker, interval="60s")
    redis.add("orders", 42)
    redis.call("XGROUP", "CREATE", "orders", "workers", "0")
    redis.read("orders", "workers", 40)
    assert value(client, requested) == 2
    assert value(client, {**requested, "scaleDownWhenIdle": "30s", "maxWait": "60s", "ratePerReplica": "measured"}) == 1


def test_the_lag_of_a_group_made_behind_the_entries(broker, redis, client):
    redis.add("orders", 3)
    redis.call("XGROUP", "CREATE", "orders", "workers", "$")
    redis.call("XGROUP", "CREATE", "orders", "others", "$", "ENTRIESREAD", 3)
    redis.add("orders", 2)
    wait_until(lambda: "XGROUP CREATE at $" in unavailable(client, of_lag(broker)), HOLD_SECONDS + 5, "the error")
    answers(client, of_lag(broker, group="others"), 2, True)


def test_a_lag_that_redis_cannot_report_is_no_zero(broker, redis, client):
    """It answers NULL; KEDA takes that for 0, and the workers are gone."""
    entries = redis.add("orders", 7)
    redis.call("XGROUP", "CREATE", "orders", "workers", "0")
    answers(client, of_lag(broker), 7, True)

    redis.call("XGROUP", "SETID", "orders", "workers", entries[2])
    wait_until(lambda: unavailable(client, of_lag(broker)), HOLD_SECONDS + 5, "the end of the hold")
    assert "does not know the lag" in unavailable(client, of_lag(broker))
    answers(client, of_pending(broker), 0, False)
    answers(client, of_stream(broker), 7, True)
    redis.read("orders", "workers", 100)
    answers(client, of_lag(broker), 0, False)

    more = redis.add("orders", 3)
    answers(client, of_lag(broker), 3, True)
    redis.call("XDEL", "orders", more[1])
    wait_until(lambda: unavailable(client, of_lag(broker)), HOLD_SECONDS + 5, "the end of the hold")


def trim_behind_a_group(redis):
    """Redis 7.0 reports a lag of 4, and then of 3 for ever."""
    redis.add("orders", 5)
    redis.call("XGROUP", "CREATE", "orders", "workers", "0")
    redis.read("orders", "workers", 1)
    redis.call("XTRIM", "orders", "MAXLEN", 1)


@pytest.mark.first
def test_a_lag_is_never_more_than_the_stream_has(broker, redis, client):
    trim_behind_a_group(redis)
    answers(client, of_lag(broker), 1, True)
    redis.read("orders", "workers", 5)
    answers(client, of_lag(broker), 0, False)


@pytest.mark.first
def test_nothing_waits_behind_a_group_at_the_last_entry(broker, redis, client):
    """Whatever Redis counts: ENTRIESREAD may be any number, and so may the group's position."""
    entries = redis.add("orders", 10)
    for read in (0, 3, 10, 100):
        redis.call("XGROUP", "CREATE", "orders", f"read-{read}", "$", "ENTRIESREAD", read)
    redis.call("XGROUP", "CREATE", "orders", "beyond", f"{int(entries[-1].split('-')[0]) + 1000}-0")
    redis.call("XGROUP", "CREATE", "orders", "deleted", entries[4])
    redis.call("XDEL", "orders", *entries[5:])
    for group in ("read-0", "read-3", "read-10", "read-100", "beyond", "deleted"):
        answers(client, of_lag(broker, group=group), 0, False)
    redis.call("DEL", "orders")
    redis.add("orders", 1)
    redis.call("XGROUP", "CREATE", "orders", "workers", "0")
    redis.call("XDEL", "orders", redis.read("orders", "workers", 1)[0], *redis.add("orders", 2))
    answers(client, of_lag(broker), 0, False)  # it is empty


@pytest.mark.first
def test_a_group_that_redis_believes_to_be_ahead_is_named_with_the_remedy(broker, redis, client):
    last = redis.add("orders", 10)[-1]
    redis.call("XGROUP", "CREATE", "orders", "workers", "$", "ENTRIESREAD", 100)
    answers(client, of_lag(broker), 0, False)
    redis.add("orders", 2)
    text = wait_until(lambda: unavailable(client, of_lag(broker)), 10, "the refusal")
    assert "it believes that the group has read 100 of 12 entries (a wrong ENTRIESREAD" in text
    assert "XGROUP SETID orders workers $ corrects" in text and f"with {last} in place of $" in text
    redis.call("XGROUP", "SETID", "orders", "workers", last)
    redis.read("orders", "workers", 2)
    redis.add("orders", 3)
    wait_until(lambda: value(client, of_lag(broker)) == 3, 10, "the lag")
    redis.call("XGROUP", "SETID", "orders", "workers", "$", "ENTRIESREAD", 1000)
    redis.add("orders", 1)
    wait_until(lambda: "1000 of 16" in unavailable(client, of_lag(broker)), HOLD_SECONDS + 5, "the end of the hold")
    redis.call("XGROUP", "SETID", "orders", "workers", "$")
    answers(client, of_lag(broker), 0, False)


def test_entries_that_are_too_large_to_be_looked_at_wait_all_the_same(broker, redis, client):
    """Those of XINFO STREAM: its first and last one are more than a reply may have."""
    redis.call_all([("XADD", "orders", "*", "image", "x" * 1_500_000) for _ in range(3)])
    redis.call("XGROUP", "CREATE", "orders", "workers", "0")
    redis.call("XGROUP", "CREATE", "orders", "others", "0")
    redis.read("orders", "others", 1)
    for _ in range(3):
        answers(client, of_lag(broker), 3, True)
        answers(client, of_lag(broker, group="others"), 2, True)


def test_a_stream_with_too_many_groups_fails_alone(broker, redis):
    """Each has 13 elements in the reply, of at most 65,536."""
    groups, rounds = 6000, 10
    redis.call("XGROUP", "CREATE", "orders", "workers", "$", "MKSTREAM")
    redis.call_all([("XGROUP", "CREATE", "orders", f"group-{number}", "$") for number in range(groups)])
    redis.call("RPUSH", "jobs", *range(3))
    with Server(interval="100ms") as server, Client(server.port) as client:
        answers(client, of_list(broker, "jobs"), 3, True)
        for _ in range(rounds):
            assert "the reply is too large" in unavailable(client, of_lag(broker))
            answers(client, of_list(broker, "jobs"), 3, True)
            time.sleep(0.2)
        assert "connection failed" not in server.log()


def test_a_list_that_changes_a_second_before_a_round_is_right_in_it(broker, redis):
    """With default settings, at KEDA's pollingInterval of 5."""
    changes = [("RPUSH", *"abcdefg"), ("LPOP", 3), ("DEL",), ("RPUSH", *"ab"), ("LPOP", 1)]
    lengths = [7, 4, 0, 2, 1]
    with Server() as server, Client(server.port) as client:
        assert value(client, of_list(broker, "jobs")) == 0
        for change, length in zip(changes, lengths):
            time.sleep(4)
            redis.call(change[0], "jobs", *change[1:])
            time.sleep(1)
            assert value(client, of_list(broker, "jobs")) == length
            assert client.is_active(of_list(broker, "jobs")) == (length > 0)


def test_a_key_that_is_no_stream_is_an_error_in_every_mode(broker, redis, client):
    redis.call("RPUSH", "orders", "a")
    for requested in (of_stream(broker), of_pending(broker), of_lag(broker)):
        assert "WRONGTYPE" in unavailable(client, requested)


class OneRoundTrip(Tap):
    """Once it holds, it forwards no reply before all requests have been sent: a client that waits for one reply before it
    sends the next request gets nothing in time."""

    def __init__(self, port, question, questions):
        super().__init__(port)
        self.question, self.questions = question, questions
        self.holding = False
        self.answering = False
        self.trips = 0
        self.max_senders = 0  # of the questions of one round trip

    def passes(self, data, to_broker):
        if to_broker:
            if self.answering:
                self.forget()
                self.answering = False
            super().passes(data, to_broker)
        elif self.holding and not self.answering:
            wait_until(lambda: self.count(self.question) == self.questions, 1.5, "all questions before an answer")
            self.trips += 1
            self.max_senders = max(self.max_senders, self.senders(self.question))
            self.answering = True
        else:
            self.answering = True


@pytest.mark.parametrize("of, length, question", [(of_list, "listLength", "LLEN"),
                                                  pytest.param(of_stream, "streamLength", "XLEN", marks=pytest.mark.nightly)])
def test_a_thousand_triggers_share_one_connection_and_one_round_trip(broker, redis, client, of, length, question):
    add = ("RPUSH", "job") if of is of_list else ("XADD", "*", "job", "x")
    redis.call_all([(add[0], f"key-{i}", *add[1:]) for i in range(0, MANY, 100) for _ in range(i // 100 + 1)])
    expected = [i // 100 + 1 if i % 100 == 0 else 0 for i in range(MANY)]
    # Twice as many triggers as questions: two targets for each key.
    with OneRoundTrip(broker.port, question.encode(), MANY) as tap, concurrent.futures.ThreadPoolExecutor(16) as pool:
        requested = [of(broker, f"key-{i}", **{length: target, "address": f"127.0.0.1:{tap.port}"})
                 for target in "57" for i in range(MANY)]

        def fetch():
            return list(pool.map(lambda metadata: value(client, metadata), requested))
        assert fetch() == 2 * expected
        time.sleep(2 * INTERVAL_SECONDS)  # asked for in one beat from now on

        calls, began = redis.calls(question.lower()), time.monotonic()
        tap.holding = True
        wait_until(lambda: tap.trips == 5, 20, "five measurements")
        measurements = (redis.calls(question.lower()) - calls) / MANY
        print(f"{len(requested)} triggers: {measurements:.1f} measurements of {MANY} keys in {tap.trips} round trips")
        assert measurements <= (time.monotonic() - began) / INTERVAL_SECONDS + 2
        tap.holding = False  # a call may find a length that is not fresh any more, and has it queried alone
        assert fetch() == 2 * expected
        assert tap.max_senders == 1  # another may stand by, should this one be silent for 250 ms


def test_a_stream_is_queried_once_for_the_lag_of_all_its_groups(broker, redis, client):
    redis.add("orders", 100)
    redis.add("other", 7)
    for i in range(100):
        redis.call("XGROUP", "CREATE", "orders", f"group-{i}", "0")
        if i > 0:
            redis.read("orders", f"group-{i}", i)
    requested = [of_lag(broker, group=f"group-{i}") for i in range(101)] + [of_lag(broker, "other"), of_lag(broker, "none")]
    expected = [*range(100, 0, -1), 100, 7, 0]
    assert [value(client, metadata) for metadata in requested] == expected

    calls, began = redis.calls("xinfo|groups"), time.monotonic()
    time.sleep(5 * INTERVAL_SECONDS)
    made = redis.calls("xinfo|groups") - calls
    assert 3 <= made <= 3 * ((time.monotonic() - began) / INTERVAL_SECONDS + 1)  # three streams
    assert [value(client, metadata) for metadata in requested] == expected


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_an_outage_is_never_zero_and_ends_by_itself(client, how):
    with Redis() as broker:
        with broker.connect() as redis:
            redis.call("RPUSH", "busy", *range(7))
            redis.add("orders", 5)
            redis.call("SAVE")
        outage(client, broker, how, HOLD_SECONDS, busy=[of_list(broker, "busy"), of_stream(broker)],
               idle=[of_list(broker, "idle")])


def state_of(replica):
    with replica.connect() as redis:
        return redis.call("ROLE")[3]


NOT_CONNECTED = "is a replica that is not connected to its master (state connect"


def test_an_empty_replica_without_its_master_is_no_zero(client):
    with Redis(f"replicaof 127.0.0.1 {free_port()}") as replica, replica.connect() as redis:
        assert redis.call("LLEN", "jobs") == 0  # replica-serve-stale-data
        for requested in (of_list(replica, "jobs"), of_stream(replica)):
            assert NOT_CONNECTED in unavailable(client, requested)


def test_a_replica_that_loses_its_master_is_an_outage(client):
    with Redis("repl-diskless-sync-delay 0") as master, Redis(f"replicaof 127.0.0.1 {master.port}") as replica:
        busy, idle = of_list(replica, "jobs", hold="1h"), of_list(replica, "idle")
        with master.connect() as redis:
            redis.call("RPUSH", "jobs", *range(4))
        wait_until(lambda: state_of(replica) == "connected", 20, "a synchronized replica")
        answers(client, busy, 4, True)
        answers(client, idle, 0, False)

        master.kill()
        wait_until(lambda: NOT_CONNECTED in unavailable(client, idle), 10, "the refusal of what was idle")
        with replica.connect() as redis:
            redis.call("CONFIG", "SET", "replica-read-only", "no")
            redis.call("FLUSHALL")  # as after a synchronization that broke off
        for restart in (lambda: None, lambda: (replica.stop(), replica.start())):
            restart()
            time.sleep(4 * INTERVAL_SECONDS)
            assert value(client, busy) == 4 and client.is_active(busy)

        master.start()
        wait_until(lambda: state_of(replica) == "connected", 30, "a synchronized replica")
        answers(client, idle, 0, False, 20)
        with master.connect() as redis:
            redis.call("RPUSH", "jobs", "a")
        answers(client, busy, 5, True)


def test_a_master_that_is_made_a_replica_is_an_outage(client):
    with Redis() as broker, broker.connect() as redis:
        busy, idle = of_list(broker, "jobs", hold="1h"), of_stream(broker)
        redis.call("RPUSH", "jobs", *range(4))
        answers(client, busy, 4, True)
        answers(client, idle, 0, False)
        redis.call("REPLICAOF", "127.0.0.1", free_port())
        wait_until(lambda: NOT_CONNECTED in unavailable(client, idle), 10, "the refusal of what was idle")
        assert value(client, busy) == 4 and client.is_active(busy)
        redis.call("REPLICAOF", "NO", "ONE")
        answers(client, idle, 0, False, 20)


def test_an_empty_replica_without_its_master_is_no_zero_where_there_is_no_role(client):
    with Redis('rename-command ROLE ""') as broker, broker.connect() as redis:
        answers(client, of_list(broker, "jobs"), 0, False)
        redis.call("REPLICAOF", "127.0.0.1", free_port())
        wait_until(lambda: "not connected to its master (state down)" in unavailable(client, of_list(broker, "jobs")), 10,
                   "the refusal")


def test_what_the_right_to_role_is_for(client):
    users = "\n".join(f"user {name} on >secret ~jobs -@all +llen {right}" for name, right in (("few", ""), ("enough", "+role")))
    with Redis(f"replicaof 127.0.0.1 {free_port()}\n{users}") as replica:
        answers(client, of_list(replica, "jobs", username="few", password="secret"), 0, False)
        assert NOT_CONNECTED in unavailable(client, of_list(replica, "jobs", username="enough", password="secret"))


def test_each_trigger_has_its_own_interval_and_of_those_that_ask_the_same_the_least_counts(broker, redis, client):
    redis.call("RPUSH", "seldom", "a")
    redis.call("RPUSH", "often", "a")
    seldom, often = (of_list(broker, name, interval="1h") for name in ("seldom", "often"))
    for requested in (seldom, often, of_list(broker, "often")):
        assert value(client, requested) == 1
    redis.call("RPUSH", "seldom", "b")
    redis.call("RPUSH", "often", "b")
    wait_until(lambda: value(client, often) == 2, 10, "the reading for the other trigger")
    assert value(client, seldom) == 1


def test_each_trigger_has_its_own_hold(client):
    with Redis() as broker:
        with broker.connect() as redis:
            redis.call("RPUSH", "jobs", "a")
        held, not_held = (of_list(broker, "jobs", hold=hold) for hold in ("1h", "0s"))
        assert value(client, held) == value(client, not_held) == 1
        broker.kill()
        wait_until(lambda: unavailable(client, not_held), 10, "the refusal")
        time.sleep(HOLD_SECONDS + 1)  # what a trigger without a hold of its own has
        assert value(client, held) == 1 and client.is_active(held)


def test_a_hold_goes_on_after_a_connection_was_missing():
    """In an outage it leaves the connections file, and is back."""
    with Redis() as broker:
        connections = f"connections:\n  shop: {{scaler: redis, address: {broker.address}}}\n"
        requested = {"scaler": "redis", "connectionName": "shop", "listName": "jobs"}
        with broker.connect() as redis:
            redis.call("RPUSH", "jobs", *range(37))
        with Server(config=connections) as server, Client(server.port) as client:
            answers(client, requested, 37, True)
            broker.stop()
            answers(client, requested, 37, True)
            server.write_config("connections: {}\n")
            wait_until(lambda: "shop" in refusal(client.metrics, requested)[1], 10, "an error")
            server.write_config(connections)
            answers(client, requested, 37, True)
            assert value(client, requested) == 37
            broker.start()
            with broker.connect() as redis:
                redis.call("RPUSH", "jobs", "more")
            answers(client, requested, 38, True)


def test_namespaces_share_one_connection(broker, redis):
    """It takes one place, and its memory counts once."""
    requested = of_list(broker, "jobs")
    redis.call("RPUSH", "jobs", *range(3))
    with Server() as server, Client(server.port) as client, concurrent.futures.ThreadPoolExecutor(16) as pool:
        name = client.metric_spec(requested).metricName
        values = pool.map(lambda number: client.metrics(requested, name, namespace=f"shop-{number}").metricValue, range(1100))
        assert set(values) == {3}
        assert len(redis.connections()) == 1


def test_an_outage_is_answered_with_the_largest_value_of_the_minutes_before():
    """The HPA scales down to a value that is repeated for longer than its stabilization window."""
    with Redis() as broker, Server(interval=f"{INTERVAL_SECONDS}s") as server, Client(server.port) as client:
        busy, idle = of_list(broker, "busy"), of_list(broker, "idle")
        with broker.connect() as redis:
            for length in (3, 40, 15, 4):
                redis.call("DEL", "busy")
                redis.call("RPUSH", "busy", *range(length))
                wait_until(lambda want=length: value(client, busy) == want, 10, "the reading")
            assert value(client, idle) == 0
            broker.kill()
        wait_until(lambda: unavailable(client, idle), 10, "the refusal of what was idle")
        wait_until(lambda: value(client, busy) == 40, 10, "the held answer")
        assert client.is_active(busy)


def test_a_busy_server_is_not_taken_for_a_dead_one(broker, redis):
    redis.call("RPUSH", "jobs", "a", "b")
    with Server(interval="500ms", arguments=["--measure-timeout", "4s"]) as server, Client(server.port) as client:
        answers(client, of_list(broker, "jobs"), 2, True)
        before = redis.connections()[0].split()[0]
        for _ in range(3):
            broker.pause()
            time.sleep(2.8)
            broker.resume()
            time.sleep(0.5)
            assert value(client, of_list(broker, "jobs")) == 2
        assert redis.connections()[0].split()[0] == before


def test_a_server_that_hangs_up_on_the_silent_is_connected_to_again():
    with Redis("timeout 2") as broker, Server(interval="6s") as server, Client(server.port) as client:
        requested = of_list(broker, "none")
        ends = time.monotonic() + 21
        while time.monotonic() < ends:
            assert value(client, requested) == 0  # refused, had a measurement failed
            time.sleep(0.1)
        assert "connection failed" not in server.log() and "reconnecting" not in server.log()


@pytest.mark.first
def test_an_item_in_an_idle_list_is_pushed(broker, redis, client):
    pushed = queue.Queue()
    watched = {"list": of_list(broker, "jobs"), "stream": of_lag(broker)}
    streams = {name: client.stream_is_active(metadata) for name, metadata in watched.items()}

    def read(name):
        try:
            for answer in streams[name]:
                pushed.put((name, answer.result))
        except grpc.RpcError as error:
            pushed.put((name, error.code()))

    for name in watched:
        threading.Thread(target=read, args=(name,), daemon=True).start()
    with pytest.raises(queue.Empty):
        pushed.get(timeout=2)  # `false` is never pushed

    for name, add in (("list", lambda: redis.call("RPUSH", "jobs", "a")), ("stream", lambda: redis.add("orders"))):
        began = time.monotonic()
        add()
        assert pushed.get(timeout=5) == (name, True)
        print(f"{name}: pushed after {1000 * (time.monotonic() - began):.0f} ms")
        assert time.monotonic() - began < 1
        streams[name].cancel()
        assert pushed.get(timeout=5) == (name, grpc.StatusCode.CANCELLED)


def test_databases_are_separate(broker, redis, client):
    redis.call("RPUSH", "jobs", "a")
    redis.call("SELECT", 5)
    redis.call("RPUSH", "jobs", *range(6))
    answers(client, of_list(broker, "jobs"), 1, True)
    answers(client, of_list(broker, "jobs", databaseIndex="5"), 6, True)
    assert "DB index is out of range" in unavailable(client, of_list(broker, "jobs", databaseIndex="99"))


def test_host_and_port_and_a_list_of_addresses(broker, redis, client):
    redis.call("RPUSH", "jobs", "a", "b")
    requested = of_list(broker, "jobs", host="127.0.0.1", port=str(broker.port))
    del requested["address"]
    answers(client, requested, 2, True)
    answers(client, of_list(broker, "jobs", address=f"{broker.address}, 127.0.0.1:1"), 2, True)


USERS = """
requirepass root-secret
user counter on >counter-secret ~jobs* -@all +llen
"""


@pytest.fixture(scope="module")
def guarded():
    with Redis(USERS) as broker:
        with broker.connect() as redis:
            redis.call("AUTH", "root-secret")
            redis.call("RPUSH", "jobs", *range(4))
        yield broker


def test_a_password(guarded, client):
    answers(client, of_list(guarded, "jobs", password="root-secret"), 4, True)
    answers(client, of_list(guarded, "jobs", passwordFromEnv="root-secret"), 4, True)


def test_a_missing_right_is_reported_of_one_key_alone(guarded, client):
    counter = {"username": "counter", "password": "counter-secret"}
    answers(client, of_list(guarded, "jobs", **counter), 4, True)
    text = unavailable(client, of_list(guarded, "other", **counter))
    assert "does not allow its user to measure: NOPERM" in text and "secret" not in text
    answers(client, of_list(guarded, "jobs", **counter), 4, True)


@pytest.mark.parametrize("login", [
    {"password": "open-sesame"},
    {"username": "counter", "password": "open-sesame"},
    {"username": "sesame", "password": "open-sesame"},
])
def test_a_wrong_password_is_reported_without_it(guarded, client, login):
    text = unavailable(client, of_list(guarded, "jobs", **login))
    assert guarded.address in text and "check username and password" in text
    assert "sesame" not in text


def test_a_missing_password_is_reported(guarded, client):
    assert "needs a password" in unavailable(client, of_list(guarded, "jobs"))


def test_an_unneeded_password_does_no_harm(broker, redis, client):
    redis.call("RPUSH", "jobs", "a")
    answers(client, of_list(broker, "jobs", password="needless"), 1, True)


@pytest.mark.parametrize("login", [{}, {"password": "needless"}], ids=["default user", "password"])
def test_a_server_without_a_connection_left_says_so(client, login):
    with Redis("maxclients 1") as broker, broker.connect() as only:
        only.call("PING")
        assert "has no connection left: ERR max number of clients" in unavailable(client, of_list(broker, "jobs", **login))


def test_a_named_connection(guarded, tmp_path):
    (tmp_path / "password").write_text("counter-secret\n")
    config = f"""
connections:
  shop:
    scaler: redis
    address: {guarded.address}
    username: counter
    passwordFile: {tmp_path}/password
"""
    with Server(config=config) as server, Client(server.port) as named:
        answers(named, {"scaler": "redis", "connectionName": "shop", "listName": "jobs"}, 4, True)


def test_a_node_of_a_cluster_is_named_as_such(client):
    with Redis(f"cluster-enabled yes\ncluster-port {free_port()}") as node:
        assert "its Redis Cluster is not complete" in unavailable(client, of_list(node, "jobs"))


def mistakes(client, metadata):
    code, text = refusal(client.metrics, metadata)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    return text


def test_all_mistakes_are_reported_at_once(broker, client):
    requested = of_list(broker, "jobs", listLenght="3", activationListLength="few", tls="yes", sentinelMaster="m")
    text = mistakes(client, requested)
    for words in ('unknown key "listLenght": did you mean "listLength"?', 'activationListLength "few"',
                  "tls",
                  "sentinelMaster is not supported here: set scaler to redis-sentinel"):
        assert words in text
    assert client.metric_spec(requested).targetSize == 5


def test_keda_s_own_channel_may_have_tls(broker, client):
    answers(client, of_list(broker, "none", enableTLS="true", unsafeSsl="true"), 0, False)


@pytest.mark.parametrize("interval", [None, "5s"])
def test_the_default_interval_written_out_changes_nothing(broker, redis, interval):
    """A quick query is measured for a call that comes half a second after the last one."""
    with Server(interval=interval) as server, Client(server.port) as client:
        for length in range(1, 4):
            redis.call("RPUSH", "jobs", "job")
            assert value(client, of_list(broker, "jobs")) == length
            time.sleep(0.7)
