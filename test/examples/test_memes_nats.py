"""examples/memes-nats: the first meme starts a worker at once, 1,000 start ten, none is lost and none is stored twice."""

import os

import pytest

from support.dashboard import assert_answered
from support.example import Worker, command, play
from support.grpc_client import Client
from support.nats import Nats
from support.process import wait_until
from support.server import REPOSITORY, Server

NAME = "memes-nats"
SECONDS = 60


def test_the_example_shows_what_it_promises():
    printed = play(NAME)
    assert "Shortened:" in printed
    for words in ("1 meme, 1 worker", "37 memes, 8 workers and never more", "1,000 memes, 10 workers", "no worker removed",
                  "all 1038 memes so far are stored, each once"):
        assert words in printed


@pytest.fixture
def broker():
    with Nats() as broker:
        command(NAME, "streams.py", NATS_URL=broker.url, ACK_WAIT_SECONDS=5)
        yield broker


def state(broker):
    """Jobs that wait, that are worked on, and memes."""
    with broker.connect() as client:
        makers = client.run(client.jetstream.consumer_info("MEMES", "makers"))
        return makers.num_pending, makers.num_ack_pending, client.run(client.jetstream.stream_info("MEMES_DONE")).state.messages


def test_a_worker_ends_after_the_job_that_it_has(broker):
    command(NAME, "stress.py", "--jobs", 2, "--seconds", 3, NATS_URL=broker.url)
    with Worker(NAME, NATS_URL=broker.url, ACK_WAIT_SECONDS=5) as worker:
        wait_until(lambda: state(broker) == (1, 1, 0), SECONDS, "a job in work")
        assert worker.terminate() == 0
    assert state(broker) == (1, 0, 1)


def test_a_job_longer_than_the_ack_wait_is_done_by_one_worker(broker):
    command(NAME, "stress.py", "--jobs", 1, "--seconds", 8, NATS_URL=broker.url)
    with Worker(NAME, NATS_URL=broker.url, ACK_WAIT_SECONDS=5), Worker(NAME, NATS_URL=broker.url, ACK_WAIT_SECONDS=5):
        wait_until(lambda: state(broker) == (0, 0, 1), SECONDS, "the meme")
    with broker.connect() as client:
        assert client.run(client.jetstream.consumer_info("MEMES", "makers")).delivered.consumer_seq == 1


def test_what_is_no_job_is_dropped_and_the_next_one_is_done(broker):
    with broker.connect() as client:
        for data in (b"", b"{", b"[]", b'{"id": 1}', b'{"id": 1, "text": "a", "seconds": "long"}'):
            client.run(client.jetstream.publish("memes.jobs", data))
    command(NAME, "stress.py", "--jobs", 1, "--seconds", 0, NATS_URL=broker.url)
    with Worker(NAME, NATS_URL=broker.url):
        wait_until(lambda: state(broker) == (0, 0, 1), SECONDS, "the meme")


def test_making_the_streams_again_keeps_what_is_in_them(broker):
    command(NAME, "stress.py", "--jobs", 3, NATS_URL=broker.url)
    command(NAME, "streams.py", NATS_URL=broker.url, ACK_WAIT_SECONDS=5)
    assert state(broker) == (3, 0, 0)


def test_every_query_of_the_dashboard_finds_what_it_shows(broker):
    command(NAME, "stress.py", "--jobs", 200, "--seconds", 0.2, NATS_URL=broker.url)
    trigger = {"scaler": "nats-jetstream", "servers": broker.url, "stream": "MEMES", "consumer": "makers", "lagThreshold": "5"}
    with Worker(NAME, NATS_URL=broker.url) as worker, Server(http=True) as server, Client(server.port) as client:
        assert client.metrics(trigger).metricValue > 0
        assert_answered(os.path.join(REPOSITORY, "examples", NAME, "dashboard.json"), "memes",
                        meme_worker_1=worker.metrics_port, backlog_0=server.http_port)
