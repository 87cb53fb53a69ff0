"""A ScaledJob's jobs that are quicker than its polls: each poll starts jobs for what it counted, and nothing is counted
twice.

With default settings.
"""

import time

import pytest

from support.clients.grpc_client import Client
from support.brokers.redis import Redis
from support.server.server import Server

MESSAGES = 9
POLLS = 6
POLL_SECONDS = 2


@pytest.fixture
def broker():
    with Redis() as broker, broker.connect() as client:
        broker.client = client
        yield broker


@pytest.mark.parametrize("arriving", [[9, 0, 0, 0, 0, 0], [3, 0, 3, 0, 3, 0], [0, 2, 2, 2, 2, 1]])
def test_nine_messages_are_nine_jobs(broker, arriving):
    """One poll is GetMetrics and IsActive; its jobs take what it counted before the next poll comes."""
    for _ in range(5):
        counted, slowest_seconds = count(broker, arriving)
        # A reading is the present for ten times as long as it took: where that is a poll, one is counted twice.
        if slowest_seconds < POLL_SECONDS / 10:
            break
        broker.client.call("DEL", "jobs")
    assert counted == arriving
    assert sum(counted) == MESSAGES and len(counted) == POLLS


def count(broker, arriving):
    """What each poll counted, and how long the slowest took."""
    trigger = {"scaler": "redis", "address": broker.address, "listName": "jobs"}
    counted, slowest_seconds = [], 0
    with Server() as server, Client(server.port) as client:
        for arrived in arriving:
            began = time.monotonic()
            if arrived:
                broker.client.call("RPUSH", "jobs", *range(arrived))
            requested = time.monotonic()
            waiting = client.metrics(trigger).metricValue
            slowest_seconds = max(slowest_seconds, time.monotonic() - requested)
            assert client.is_active(trigger) == (waiting > 0)
            for _ in range(waiting):
                broker.client.call("LPOP", "jobs")
            counted.append(waiting)
            time.sleep(max(0, began + POLL_SECONDS - time.monotonic()))  # the pace of KEDA's polls
    return counted, slowest_seconds
