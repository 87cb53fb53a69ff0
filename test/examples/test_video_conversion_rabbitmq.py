"""examples/video-conversion-rabbitmq: 37 jobs make 8 workers, none make 0, and no fault loses a job."""

import os

import pytest

from support.dashboard import assert_answered
from support.example import Worker, command, play
from support.grpc_client import Client
from support.process import wait_until
from support.rabbitmq import RabbitMQ
from support.server import REPOSITORY, Server

NAME = "video-conversion-rabbitmq"
SECONDS = 60


@pytest.mark.parametrize("chapters", ["timeline,load", "kill,latency,cpu,restart"])
def test_the_example_shows_what_it_promises(chapters):
    printed = play(NAME, "--only", chapters)
    assert "Shortened:" in printed


@pytest.fixture(scope="module")
def rabbitmq():
    with RabbitMQ() as broker:
        yield broker


@pytest.fixture
def broker(rabbitmq):
    rabbitmq.declare("videos", "converted")
    rabbitmq.purge("videos")
    rabbitmq.purge("converted")
    return rabbitmq


def load(broker, jobs, seconds):
    return command(NAME, "load.py", "--jobs", jobs, "--seconds", seconds, RABBITMQ_URL=broker.amqp_url())


def messages(broker):
    """Jobs that wait, jobs that are worked on, and results."""
    queues = {queue["name"]: queue for queue in broker.api("GET", "/queues/%2F?disable_stats=true&enable_queue_totals=true")}
    jobs = queues["videos"]
    return jobs["messages_ready"], jobs["messages_unacknowledged"], queues["converted"]["messages"]


def test_a_worker_ends_after_the_job_that_it_has(broker):
    load(broker, 2, 3)
    with Worker(NAME, RABBITMQ_URL=broker.amqp_url()) as worker:
        wait_until(lambda: messages(broker) == (1, 1, 0), SECONDS, "a job in work")
        assert worker.terminate() == 0
    wait_until(lambda: messages(broker) == (1, 0, 1), SECONDS, "a result, and the other job")


def test_a_worker_waits_for_a_broker_that_is_away(broker):
    with Worker(NAME, RABBITMQ_URL="amqp://guest:guest@127.0.0.1:1/%2F") as worker:
        assert "trying again" in worker.child.stdout.readline()
        assert worker.terminate() == 0


def test_a_job_that_nobody_can_do_stops_no_worker(broker):
    for body in (b"convert this", b"{}", b"7"):
        broker.publish("videos", body=body)
    load(broker, 1, 0)
    with Worker(NAME, RABBITMQ_URL=broker.amqp_url()) as worker:
        printed = [worker.child.stdout.readline() for _ in range(4)]
    assert all(line.startswith("refused: ") for line in printed[:3]) and printed[3].endswith(" converted\n")


def test_every_query_of_the_dashboard_finds_what_it_shows(broker):
    load(broker, 300, 0.2)
    trigger = {"scaler": "rabbitmq", "host": broker.http_url(), "queueName": "videos", "mode": "QueueLength", "value": "5"}
    with Worker(NAME, RABBITMQ_URL=broker.amqp_url()) as worker, Server(http=True) as server, Client(server.port) as client:
        assert client.metrics(trigger).metricValue > 0
        assert_answered(os.path.join(REPOSITORY, "examples", NAME, "dashboard.json"), "video",
                        video_worker_1=worker.metrics_port, backlog_0=server.http_port)
