"""A thousand queries of one source over a link of 60 ms one way; $BACKLOG_FAR_AWAY may say how many."""

import os
import time

import pytest

from support.clients.grpc_client import Client
from support.brokers.hanging import ONE_WAY_SECONDS, SOURCES, LongLink, RedisClusterLists, RedisLists, far_away
from support.brokers.hanging_kafka import KafkaGroups
from support.brokers.redis import single_node_cluster
from support.certificates import make_certificates
from support.process import wait_until
from support.clients.rounds import errors, fetch_all, wait_for_readings
from support.clients.story import answers
from support.server.server import Server

MANY = int(os.environ.get("BACKLOG_FAR_AWAY", "1000"))
FIRST_SECONDS = 10  # until all are right, from the first call on
ROUNDS = 4


@pytest.fixture(scope="module", params=[pytest.param(kind, id=kind.title, marks=[] if kind is RedisLists else [pytest.mark.nightly])
                                        for kind in (*SOURCES, RedisClusterLists, KafkaGroups)])
def source(request):
    with far_away(request.param, MANY) as source:
        yield source


def test_all_are_right_within_ten_seconds_and_from_then_on(source):
    triggers = source.triggers()
    expected = [(source.value(number), True) for number in range(MANY)]
    for _ in range(3):  # in one of three times: a machine may stand still for as long
        with Server() as server, Client(server.port) as client:
            began = time.monotonic()
            while errors(answers := fetch_all(client, triggers)) and time.monotonic() - began < FIRST_SECONDS:
                pass
            seconds = time.monotonic() - began
            print(f"{source.title}: all right after {seconds:.1f} s")
            assert errors(answers) or [(answer.value, answer.active) for answer in answers] == expected
            if errors(answers) or seconds >= FIRST_SECONDS:
                continue
            for _ in range(ROUNDS):
                answers = fetch_all(client, triggers)
                assert [(answer.value, answer.active) for answer in answers] == expected, errors(answers)
            return
    pytest.fail(f"after {seconds:.1f} s: {errors(answers)}")


def test_a_redis_cluster_over_tls_of_which_many_addresses_are_listed(tmp_path):
    make_certificates(tmp_path)
    with single_node_cluster(tmp_path) as node, node.connect() as redis, LongLink(node.tls_port, ONE_WAY_SECONDS) as link:
        redis.call("RPUSH", "jobs", 1, 2)
        trigger = {"scaler": "redis-cluster", "address": ",".join([f"127.0.0.1:{link.port}"] * 14), "listName": "jobs",
                   "brokerTls": "enable", "ca": (tmp_path / "ca.pem").read_text()}
        with Server() as server, Client(server.port) as client:
            answers(client, trigger, 2, True, seconds=FIRST_SECONDS)


@pytest.mark.nightly
@pytest.mark.parametrize("source", [RedisClusterLists], indirect=True, ids=["Redis Cluster"])
def test_a_measurement_of_all_keys_is_one_round_trip_to_each_node(source):
    names = [source.trigger(number)["listName"] for number in range(MANY)]
    owners = source.broker.owners(names)

    def counts():
        """Round trips and keys read, of each node."""
        for link, node in zip(source.link.links, source.broker.nodes):
            with node.connect() as redis:
                yield link.round_trips, redis.calls("llen") / owners.count(node)

    triggers = [trigger | {"interval": "1s"} for trigger in source.triggers()]
    with Server() as server, Client(server.port) as client:
        wait_for_readings(client, triggers)
        for _ in range(3):  # in one of three times: a machine that stands still may be sent to in pieces
            before = list(counts())
            wait_until(lambda: all(keys > was[1] + 3 for (_, keys), was in zip(counts(), before)), 60, "three measurements")
            found = [(trips - was[0], keys - was[1]) for (trips, keys), was in zip(counts(), before)]
            print(f"round trips and measurements, by node: {found}")
            if all(trips <= measured + 1 for trips, measured in found):
                return
    pytest.fail(str(found))
