"""Queues of several keys on a real Redis: keys, and those of job libraries, which are run themselves."""

import itertools
import os
import threading
import time

import celery
import pytest

from support.certificates import make_certificates
from support.clients.grpc_client import Client, refusal
from support.brokers.job_queues import RQ, BullMQ
from support.network.links import LongLink
from support.process import wait_until
from support.brokers.push import Streams
from support.brokers.redis import Redis
from support.server.server import Server
from support.clients.story import Values, answers, unavailable, value

CIRCLES = int(os.environ.get("BACKLOG_CIRCLES", "2000"))
RQ_CIRCLES = int(os.environ.get("BACKLOG_CIRCLES", "50"))  # these are slow
READERS = 4  # each has a connection and a query of its own, so that readings are many
SECONDS = 10
MIB = 1 << 20
NUMBERS = itertools.count()  # of queues: what the server knows of one is of no test before


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redis-queues")
    make_certificates(folder)
    return folder


@pytest.fixture(scope="module")
def shared_broker(certificates):
    with Redis(certificates=certificates) as broker:
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


@pytest.fixture(scope="module")
def server():
    with Server(interval="500ms") as server:
        yield server


@pytest.fixture
def client(server):
    with Client(server.port) as client:
        yield client


@pytest.fixture(params=["bullmq", "bullmq-5"])
def bullmq(request, broker):
    with BullMQ(broker, f"videos-{next(NUMBERS)}", request.param) as library:
        yield library


@pytest.fixture
def rq(broker):
    with RQ(broker, f"videos-{next(NUMBERS)}") as library:
        yield library


def of(broker, metadata, **more):
    return {"scaler": "redis", "address": broker.address, **metadata, **more}


def of_keys(broker, *names, **metadata):
    return of(broker, {"keys": ", ".join(names)}, **metadata)


def in_flight(trigger):
    """The trigger, with a replica for each job in progress."""
    return {**trigger, "inFlightPerReplica": "1"}


# ---- keys

@pytest.mark.first
def test_keys_of_every_kind_are_added(broker, redis, client):
    redis.call("RPUSH", "list", *range(4))
    redis.call("SADD", "set", *range(5))
    redis.call("ZADD", "zset", 1, "a", 2, "b")
    redis.call("HSET", "hash", "a", 1)
    requested = of_keys(broker, "list", "set", "zset", "hash", "none", listLength="3")
    spec = client.metric_spec(requested)
    assert (spec.metricName, spec.targetSize) == ("redis-list", 3)
    answers(client, requested, 12, True)
    redis.call("DEL", "set", "zset", "hash", "list")
    answers(client, requested, 0, False)
    redis.call("RPUSH", "set", *range(3))  # of another kind now
    answers(client, requested, 3, True)


def test_priorities_of_celery(broker, client):
    """By Celery itself: the recipe of docs/redis.md."""
    with celery.Celery("shop", broker=f"redis://{broker.address}/0") as app:
        app.conf.broker_transport_options = {"queue_order_strategy": "priority"}
        for priority in (None, 0, 3, 6, 9, 9):
            app.send_task("render", priority=priority)
    answers(client, of_keys(broker, "celery", "celery\x06\x163", "celery\x06\x166", "celery\x06\x169"), 6, True)


def test_jobs_of_celery_that_are_taken_and_not_acknowledged(broker, redis, client):
    """By Celery's own library, as a worker with acks_late: the recipe of docs/redis-queues.md."""
    with celery.Celery("shop", broker=f"redis://{broker.address}/0") as app, app.connection() as connection:
        for _ in range(3):
            app.send_task("render")
        answers(client, of_keys(broker, "celery", "unacked"), 3, True)
        taken = [connection.SimpleQueue("celery").get(timeout=10)]
        while redis.call("LLEN", "celery") > 0:
            taken.append(connection.SimpleQueue("celery").get(timeout=10))
        assert redis.call("HLEN", "unacked") == 3
        answers(client, of_keys(broker, "celery"), 0, False)
        answers(client, of_keys(broker, "celery", "unacked"), 3, True)
        for job in taken:
            job.ack()
        answers(client, of_keys(broker, "celery", "unacked"), 0, False)


def test_queues_of_sidekiq_and_resque(broker, redis, client):
    for recipe in (["queue:critical", "queue:default"], ["resque:queue:mail", "resque:queue:video"]):
        for count, name in enumerate(recipe, 1):
            redis.call("RPUSH", name, *range(count))
        answers(client, of_keys(broker, *recipe), sum(range(1, len(recipe) + 1)), True)


def test_one_key_without_length_fails_the_trigger_and_is_named(broker, redis, client):
    redis.call("SET", "text", "1234")
    redis.call("RPUSH", "list", "a")
    assert 'key "text" is a string' in unavailable(client, of_keys(broker, "list", "text"))
    answers(client, of_keys(broker, "list"), 1, True)


def test_a_change_of_any_key_is_pushed(broker, redis, server):
    triggers = [of_keys(broker, f"first-{i}", f"second-{i}", f"third-{i}") for i in range(3)]
    with Streams(server, triggers) as streams:
        wait_until(lambda: "tracking_total_keys:9" in redis.call("INFO", "stats"), SECONDS, "all are tracked")
        for number, name in enumerate(("first-0", "second-1", "third-2")):
            redis.call("RPUSH", name, "job")
            streams.wait_for_pushes(range(number + 1))


def test_a_job_between_two_lists_is_always_seen(broker, redis):
    """Moved 20,000 times, while all that reads is never told 0."""
    redis.call("RPUSH", "one", "job")

    def move():
        for _ in range(100):
            redis.call_all([words for _ in range(100) for words in (("LMOVE", "one", "two", "LEFT", "LEFT"),
                                                                    ("LMOVE", "two", "one", "LEFT", "LEFT"))])

    assert always_seen(broker, of_keys(broker, "one", "two"), move) == {1}


def always_seen(broker, trigger, during):
    """What is answered while a function runs."""
    seen = set()
    over = threading.Event()
    with Server(interval="10ms") as server, Client(server.port) as client:
        triggers = [{**trigger, "address": f"{broker.address},other-{number}:1"} for number in range(READERS)]
        for each in triggers:
            client.metrics(each)

        def read():
            while not over.is_set():
                seen.update(value(client, each) for each in triggers)

        reader = threading.Thread(target=read)
        reader.start()
        with broker.connect() as redis:
            before = redis.calls("exec")
            during()
            print(f"{redis.calls('exec') - before} readings")
        over.set()
        reader.join()
    return seen


@pytest.mark.parametrize("metadata, words", [
    ({}, "listName is missing: set it, or keys, or library and queueName"),
    ({"keys": "a,b", "listName": "c"}, "set one of listName and keys"),
    ({"library": "rq", "queueName": "q", "listName": "c"}, "set one of listName and library"),
    ({"keys": "a,,b"}, "keys: number 2 is empty"),
    ({"keys": "a,b,a"}, "keys: number 3 is number 1 again"),
    ({"keys": ",".join(map(str, range(65)))}, "must have at most 64 pieces"),
    ({"library": "bullmq"}, "library needs queueName"),
    ({"library": "bull", "queueName": "q"}, 'library "bull" must be none, bullmq or rq; queueName needs'),
    ({"listName": "c", "queueName": "q"}, "queueName needs library: bullmq or rq"),
    ({"listName": "c", "prefix": "p"}, "prefix needs library: bullmq or rq"),
    ({"keys": "a", "inFlightPerReplica": "1"}, "inFlightPerReplica needs the messages in flight"),
])
def test_wrong_keys_are_named(broker, client, metadata, words):
    _, text = refusal(client.metrics, of(broker, metadata))
    assert words in text


# ---- BullMQ

@pytest.mark.first
def test_bullmq_in_every_state(broker, client, bullmq):
    requested = of(broker, bullmq.trigger())
    assert client.metric_spec(requested).metricName == f"redis-bullmq-{bullmq.queue}"
    answers(client, requested, 0, False)
    bullmq.call("add", {})
    bullmq.call("add", {})
    bullmq.call("add", {"priority": 3})
    bullmq.call("add", {"delay": 3600 * 1000})
    answers(client, requested, 3, True)
    bullmq.call("pause")
    answers(client, requested, 0, False)
    bullmq.call("add", {})
    assert sum(bullmq.call("counts").get(state, 0) for state in ("waiting", "paused", "prioritized")) == 4
    bullmq.call("resume")
    answers(client, requested, 4, True)
    for _ in range(4):
        bullmq.call("take")
    answers(client, requested, 0, False)
    answers(client, in_flight(requested), 4, True)
    bullmq.call("pause")
    answers(client, in_flight(requested), 4, True)
    bullmq.call("resume")
    for _ in range(4):
        bullmq.call("complete")
    answers(client, in_flight(requested), 0, False)
    assert bullmq.call("counts")["delayed"] == 1


def test_bullmq_with_a_prefix(broker, redis, client):
    redis.call("RPUSH", "{jobs}:videos:wait", "1")
    answers(client, of(broker, {"library": "bullmq", "queueName": "videos", "prefix": "{jobs}"}), 1, True)


def test_bullmq_pushes_what_is_added_resumed_and_falls_due(broker, redis, server, bullmq):
    with Streams(server, [of(broker, bullmq.trigger())]) as streams:
        def idle():
            wait_until(lambda: "tracking_total_keys:5" in redis.call("INFO", "stats"), SECONDS, "all keys are tracked")

        for number, (before, now, after) in enumerate((
                ([], ["add", {}], ["take", "complete"]),
                ([], ["add", {"priority": 3}], ["take", "complete"]),
                ([["pause"], ["add", {}]], ["resume"], ["take", "complete"]),
                ([["add", {"delay": 1500}]], None, ["take", "complete"]))):
            for words in before:
                bullmq.call(*words)
            due = time.monotonic() + 1.5
            idle()
            assert len(streams.reported) == number
            if now is not None:
                bullmq.call(*now)
            streams.wait_for_pushes([0] * (number + 1))
            if now is None:
                time.sleep(max(0, due - time.monotonic()))  # it may count shortly before it is due
            for words in after:
                bullmq.call(words)


def test_jobs_that_fall_due_all_the_time_are_counted_at_a_redis_far_away(broker, redis):
    """A reply takes 1.6 s, and each 50 ms a job falls due, which no worker takes."""
    now_ms = int(time.time() * 1000)
    redis.call("ZADD", "bull:far:delayed", *itertools.chain.from_iterable(
        ((now_ms + 50 * number) * 0x1000, number) for number in range(2000)))
    with LongLink(broker.port, 0.8) as link, Server() as server, Client(server.port) as client:
        requested = {"scaler": "redis", "address": f"127.0.0.1:{link.port}", "library": "bullmq", "queueName": "far"}
        with Values(client, requested) as values:
            wait_until(lambda: any(values.seen), SECONDS, "an answer")
        counted = next(filter(None, values.seen))
        due = (time.time() * 1000 - now_ms) / 50
        assert due - 100 < counted < due + 40  # some are counted a second or two before they are due


@pytest.mark.parametrize("bullmq", ["bullmq"], indirect=True)
def test_a_job_that_circles_in_bullmq_is_never_read_as_none(broker, bullmq):
    """As often as $BACKLOG_CIRCLES says."""
    bullmq.call("add", {})
    began = time.monotonic()
    seen = always_seen(broker, in_flight(of(broker, bullmq.trigger())), lambda: bullmq.call("circle", CIRCLES))
    print(f"{CIRCLES} circles in {time.monotonic() - began:.0f} s")
    assert seen == {1}


@pytest.mark.parametrize("bullmq", ["bullmq"], indirect=True)
def test_keys_and_libraries_over_tls(broker, redis, client, server, certificates, bullmq, rq):
    secure = {"address": broker.tls_address, "brokerTls": "enable", "ca": (certificates / "ca.pem").read_text()}
    triggers = [of_keys(broker, "one", "two", **secure), of(broker, bullmq.trigger(), **secure), of(broker, rq.trigger(), **secure)]
    for requested in triggers:
        answers(client, requested, 0, False)
    with Streams(server, triggers) as streams:
        wait_until(lambda: "tracking_total_keys:12" in redis.call("INFO", "stats"), SECONDS, "all keys are tracked")
        redis.call("RPUSH", "two", "a")
        bullmq.call("add", {})
        rq.call("add")
        streams.wait_for_pushes([0, 1, 2])
    for requested in triggers:
        answers(client, requested, 1, True)
    bullmq.call("take")
    answers(client, triggers[1], 0, False)
    answers(client, in_flight(triggers[1]), 1, True)


# ---- RQ

@pytest.mark.first
def test_rq_in_every_state(broker, client, rq):
    requested = of(broker, rq.trigger())
    assert client.metric_spec(requested).metricName == f"redis-rq-{rq.queue}"
    answers(client, requested, 0, False)
    rq.call("add")
    rq.call("add", 0)
    rq.call("add_in", 3600)
    answers(client, requested, 2, True)
    rq.call("suspend")
    answers(client, requested, 0, False)
    rq.call("resume")
    answers(client, requested, 2, True)
    rq.call("take")
    answers(client, requested, 1, True)
    answers(client, in_flight(requested), 1, True)
    rq.call("end")
    rq.call("take")
    answers(client, requested, 0, False)
    answers(client, in_flight(requested), 1, True)
    rq.call("end")
    wait_until(lambda: rq.call("counts")["queued"] == 1, SECONDS, "the job is retried")
    answers(client, requested, 1, True)


def test_a_job_that_circles_in_rq_is_never_read_as_none(broker, rq):
    """As often as $BACKLOG_CIRCLES says. A job that was just taken is in two keys for a moment."""
    rq.call("add_circling", RQ_CIRCLES)
    seen = always_seen(broker, in_flight(of(broker, rq.trigger())), lambda: rq.call("circle", RQ_CIRCLES))
    rq.call("end")
    assert {1} <= seen <= {1, 2}


def test_rq_pushes_what_is_added_and_falls_due(broker, redis, server, rq):
    with Streams(server, [of(broker, rq.trigger())]) as streams:
        def idle():
            wait_until(lambda: "tracking_total_keys:5" in redis.call("INFO", "stats"), SECONDS, "all keys are tracked")

        idle()
        rq.call("add")
        streams.wait_for_pushes([0])
        rq.call("take")
        rq.call("end")
        rq.call("add_in", 2)
        idle()
        assert len(streams.reported) == 1
        streams.wait_for_pushes([0, 0])
        assert rq.call("counts") == {"queued": 0, "scheduled": 1}
        rq.call("schedule")
        assert rq.call("counts") == {"queued": 1, "scheduled": 0}


def test_queues_with_long_names_take_little_memory(broker):
    """Of a Redis that stands still, too, and then goes on: each has seven commands and five tracked keys."""
    with Server(program=os.environ.get("BACKLOG_RELEASE"), arguments=["--max-triggers", "800"]) as server, Client(server.port) as client:
        before = server.resident_bytes()
        streams, most = [], 0
        def sampled(seconds):
            nonlocal most
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                most = max(most, server.resident_bytes() - before)
                time.sleep(0.05)
        while not any(stream.done() for stream in streams):
            streams += [client.stream_is_active(of(broker, {"scaler": "redis", "library": "bullmq", "prefix": "p" * 256,
                                                            "queueName": f"{len(streams) + number}".ljust(1020, "q")}),
                                                name=f"o{len(streams) + number}") for number in range(100)]
            sampled(0.3)
        broker.pause()
        sampled(3)
        broker.resume()
        sampled(2)
        for stream in streams:
            stream.cancel()
        print(f"{len(streams)} queues with long names: {most / MIB:.1f} MiB")
        assert most <= 24 * MIB
