"""A ScaledJob's jobs that are quicker than its polls: each poll starts jobs for what it counted, and nothing is counted
twice.

With default settings.
"""

import time

import pytest

from support.grpc_client import Client
from support.redis import Redis
from support.server import Server

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
    trigger = {"scaler": "redis", "address": broker.address, "listName": "jobs"}
    counted = []
    with Server() as server, Client(server.port) as client:
        for arrived in arriving:
            began = time.monotonic()
            if arrived:
                broker.client.call("RPUSH", "jobs", *range(arrived))
            waiting = client.metrics(trigger).metricValue
            assert client.is_active(trigger) == (waiting > 0)
            for _ in range(waiting):
                broker.client.call("LPOP", "jobs")
            counted.append(waiting)
            time.sleep(max(0, began + POLL_SECONDS - time.monotonic()))  # the pace of KEDA's polls
    assert counted == arriving
    assert sum(counted) == MESSAGES and len(counted) == POLLS
