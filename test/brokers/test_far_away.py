"""A thousand queries of one source over a link of 60 ms one way."""

import time

import pytest

from support.grpc_client import Client
from support.hanging import SOURCES, far_away
from support.hanging_kafka import KafkaGroups
from support.rounds import fetch_all, errors
from support.server import Server

MANY = 1000
FIRST_SECONDS = 10  # until all are right, from the first call on
ROUNDS = 4


@pytest.fixture(scope="module", params=[*SOURCES, KafkaGroups], ids=lambda kind: kind.title)
def source(request):
    with far_away(request.param, MANY) as source:
        yield source


def test_all_are_right_within_ten_seconds_and_from_then_on(source):
    triggers = source.triggers()
    expected = [(source.value(number), True) for number in range(MANY)]
    with Server() as server, Client(server.port) as client:
        began = time.monotonic()
        while errors(answers := fetch_all(client, triggers)):
            assert time.monotonic() - began < FIRST_SECONDS, errors(answers)
        seconds = time.monotonic() - began
        print(f"{source.title}: all right after {seconds:.1f} s")
        assert [(answer.value, answer.active) for answer in answers] == expected
        assert seconds < FIRST_SECONDS
        for _ in range(ROUNDS):
            answers = fetch_all(client, triggers)
            assert [(answer.value, answer.active) for answer in answers] == expected, errors(answers)
