"""Queries that are not replied to, among many that are: nobody else notices, and they are right again soon after.

With default settings. BACKLOG_FULL=1 in the environment: a Redis Cluster, too, which takes a minute more.
"""

import os
import time

import pytest

from support.clients.grpc_client import Client
from support.brokers.hanging import SOURCES, RedisClusterLists, RedisLists
from support.brokers.hanging_kafka import KafkaGroups
from support.pages.page import await_metric, get, metric
from support.process import wait_until
from support.brokers.push import Streams
from support.clients.rounds import fetch_all, errors
from support.server.server import Server
from support.clients.story import value

MANY = 1000
FEW = 60
ROUNDS = 5
FRESH_SECONDS = 120  # where a source cannot keep up, as this one may while it is found out what hangs

FULL = [RedisClusterLists] if os.environ.get("BACKLOG_FULL") else []

ALL = [*SOURCES, *FULL, KafkaGroups]

kinds = pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.title)


def assert_right(source, numbers, answers):
    wrong = [(number, answer) for number, answer in zip(numbers, answers)
             if (answer.value, answer.active) != (source.value(number), True)]
    assert not wrong, f"{len(wrong)} of {len(answers)}: {wrong[:3]} {errors(answers)}"


def assert_hanging(source, numbers, answers):
    if source.is_answered:
        assert_right(source, numbers, answers)
    else:
        assert all(answer.value is None for answer in answers)


def split(count):
    """Each tenth hangs."""
    hanging = [number for number in range(count) if number % 10 == 5]
    return hanging, [number for number in range(count) if number % 10 != 5]


def wait_for_all(source, client, numbers, seconds):
    """Asks round after round until each was right once; an answer is right or an error meanwhile. Returns how long
    it took."""
    began = time.monotonic()
    left = list(numbers)
    while left:
        answers = fetch_all(client, source.triggers(left))
        good = [(number, answer) for number, answer in zip(left, answers) if answer.value is not None]
        if good:
            assert_right(source, *zip(*good))
        left = [number for number, answer in zip(left, answers) if answer.value is None]
        assert not left or time.monotonic() - began < seconds, f"{len(left)} of {len(numbers)}: {errors(answers)}"
    return time.monotonic() - began


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.title, marks=[] if kind is RedisLists else [pytest.mark.nightly]) for kind in ALL])
@pytest.mark.timeout(600)
def test_a_hundred_of_a_thousand_hang_and_recover(kind):
    hanging, others = split(MANY)
    with kind(MANY) as source, Server() as server, Client(server.port) as client:
        wait_for_all(source, client, others, 20)
        source.hang(hanging)
        for number in others[:ROUNDS]:
            answers = fetch_all(client, source.triggers())
            assert_right(source, others, [answers[number] for number in others])
            assert_hanging(source, hanging, [answers[number] for number in hanging])
            if source.is_writable:
                source.publish(number)
            wait_until(lambda: value(client, source.trigger(number)) == source.value(number), FRESH_SECONDS, "the message")
        source.recover()
        seconds = wait_for_all(source, client, hanging, source.recovery_seconds(len(hanging)))
        print(f"{source.title}: all right {seconds:.1f} s after the recovery")
        assert seconds < source.recovery_seconds(len(hanging))
        answers = fetch_all(client, source.triggers())
        assert_right(source, range(MANY), answers)


@kinds
def test_a_query_that_hangs_from_the_first_call_on_delays_no_other(kind):
    hanging, others = split(FEW)
    with kind(FEW) as source, Server() as server, Client(server.port) as client:
        source.hang(hanging)
        answers = fetch_all(client, source.triggers())
        assert_hanging(source, hanging, [answers[number] for number in hanging])
        wait_for_all(source, client, others, 20)
        answers = fetch_all(client, source.triggers())
        assert_right(source, others, [answers[number] for number in others])


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind.is_pushed], ids=lambda kind: kind.title)
def test_a_message_is_pushed_while_another_query_hangs(kind):
    idle, hanging = range(5), 7
    with kind(10) as source, Server(interval="60s", http=True) as server, Client(server.port) as client:
        for number in idle:
            source.empty(number)
        source.await_empty(idle)
        with Streams(server, source.triggers(idle)) as streams:
            await_metric(server, len(idle), "backlog_subscribed_queries" if source.subscribes else "backlog_queries",
                         **({} if source.subscribes else {"scaler": "rabbitmq", "state": "ok"}))
            time.sleep(source.settle_seconds)
            source.hang([hanging])
            assert_hanging(source, [hanging], fetch_all(client, source.triggers([hanging])))
            for count, number in enumerate(idle, 1):
                source.publish(number)
                streams.wait_for_pushes(idle[:count], source.push_seconds)


@pytest.mark.parametrize("kind", [kind for kind in SOURCES if not kind.is_answered], ids=lambda kind: kind.title)
@pytest.mark.parametrize("how", ["pause", "restart"])
def test_a_broker_that_stands_still_or_is_restarted_while_queries_hang(kind, how):
    """What was measured before is held; nothing is ever wrong."""
    hanging, others = split(FEW)
    with kind(FEW) as source, Server(http=True) as server, Client(server.port) as client:
        wait_for_all(source, client, others, 20)
        source.hang(hanging)
        fetch_all(client, source.triggers(hanging))
        source.broker.pause() if how == "pause" else source.broker.stop()
        wait_until(lambda: holds(source, client, others) and has_noticed(server), 30, "the outage")
        if how == "pause":
            source.broker.resume()
        else:
            source.broker.start()
            source.connect()
        if source.is_writable:
            source.publish(others[0])
        wait_until(lambda: value(client, source.trigger(others[0])) == source.value(others[0]), 30, "the message")
        source.recover()
        wait_for_all(source, client, hanging, source.recovery_seconds(len(hanging)))
        assert_right(source, range(FEW), fetch_all(client, source.triggers()))


def has_noticed(server):
    return metric(get(server, "/metrics").text, "backlog_connection_attempts_total", result="failure")


def holds(source, client, numbers):
    assert_right(source, numbers, fetch_all(client, source.triggers(numbers)))
    return True
