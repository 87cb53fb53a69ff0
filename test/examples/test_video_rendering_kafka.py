"""examples/video-rendering-kafka: renderers double each minute up to ten, every viewer is notified by WebSocket, no job is lost."""

import contextlib
import json
import os
import signal

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from support.dashboard import assert_answered
from support.example import Worker, command, play
from support.grpc_client import Client
from support.kafka import Kafka
from support.process import wait_until
from support.server import REPOSITORY, Server

NAME = "video-rendering-kafka"
SECONDS = 90


@pytest.mark.parametrize("chapter, seen", [
    ("render", ["1, 2, 4, 8, 10 replicas, a minute between each two", "both replicas of the status service told the viewers of all 100 jobs",
                "0 jobs were done twice"]),
    ("faults", ["no renderer removed", "at most the double each minute", "the viewers of all 40 jobs", "the group has no lag"])])
def test_the_example_shows_what_it_promises(chapter, seen):
    printed = play(NAME, "--only", chapter)
    assert "Shortened:" in printed
    for words in seen:
        assert words in printed


@pytest.fixture(scope="module")
def broker():
    with Kafka(group_min_session_timeout_ms=1000) as broker:
        command(NAME, "topics.py", KAFKA_BOOTSTRAP=broker.bootstrap)
        yield broker


class Status(Worker):
    """A replica of the status service."""

    def __init__(self, broker):
        super().__init__(NAME, "status.py", KAFKA_BOOTSTRAP=broker.bootstrap, HOST="127.0.0.1", PORT=0)
        self.port = int(self.child.stdout.readline().rsplit(" ", 1)[1])

    def viewer(self, job):
        return connect(f"ws://127.0.0.1:{self.port}/ws?jobId={job}", open_timeout=SECONDS)


def worker(broker):
    return Worker(NAME, KAFKA_BOOTSTRAP=broker.bootstrap, SESSION_SECONDS=4)


def upload(broker, jobs, seconds):
    return command(NAME, "load.py", "--jobs", jobs, "--seconds", seconds, KAFKA_BOOTSTRAP=broker.bootstrap).split()


def lag(broker):
    return sum(broker.end_offsets("videoJob", 10)) - sum(offset or 0 for offset in broker.committed("renderers", "videoJob", 10))


def results(broker):
    return sum(broker.end_offsets("videoJobDone", 1))


def message(socket):
    return json.loads(socket.recv(timeout=SECONDS))


def test_either_replica_reports_a_job_and_a_later_client_is_notified_at_once(broker):
    with Status(broker) as one, Status(broker) as other:
        [job] = upload(broker, 1, 0.5)
        with one.viewer(job) as first, one.viewer(job) as second, other.viewer(job) as third, worker(broker):
            reported = [message(socket) for socket in (first, second, third)]
        assert [each["jobId"] for each in reported] == [job] * 3 and reported[0] == reported[1] == reported[2]
        with Status(broker) as new, new.viewer(job) as late, other.viewer(job) as later:
            assert message(late) == message(later) == reported[0]
        assert one.terminate() == 0


def test_a_client_that_goes_is_forgotten_and_mistakes_are_reported(broker):
    with Status(broker) as status:
        assert requests.get(f"http://127.0.0.1:{status.port}/healthz", timeout=SECONDS).text == "ok\n"
        for path in ("/ws", "/ws?jobId=", "/other?jobId=1", "/ws?jobId=1&jobId=2", "/ws?jobId=" + "x" * 101):
            with pytest.raises(InvalidStatus, match="400"), connect(f"ws://127.0.0.1:{status.port}{path}"):
                pass

        def clients():
            page = requests.get(f"http://127.0.0.1:{status.metrics_port}/metrics", timeout=SECONDS).text
            return next(line for line in page.splitlines() if line.startswith("status_clients "))

        with contextlib.ExitStack() as stack:
            for number in range(50):
                stack.enter_context(status.viewer(f"never-{number}"))
            wait_until(lambda: clients() == "status_clients 50.0", SECONDS, "50 clients")
        wait_until(lambda: clients() == "status_clients 0.0", SECONDS, "no client")


def test_a_worker_ends_after_the_job_that_it_has(broker):
    before = results(broker)
    upload(broker, 20, 2)
    with worker(broker) as renderer:
        wait_until(lambda: results(broker) > before, SECONDS, "a result")
        assert renderer.terminate() == 0
    assert lag(broker) == 20 - (results(broker) - before), "what it has done is committed, and nothing else"
    with worker(broker):
        wait_until(lambda: lag(broker) == 0, SECONDS, "the other jobs")
    assert results(broker) == before + 20, "none was done twice"


def test_the_job_of_a_killed_worker_is_done_by_another_one(broker):
    before = results(broker)
    upload(broker, 10, 1)
    with worker(broker) as renderer:
        wait_until(lambda: results(broker) > before, SECONDS, "a result")
        renderer.child.send_signal(signal.SIGKILL)
    with worker(broker):
        wait_until(lambda: lag(broker) == 0, SECONDS, "all jobs")
    assert 10 <= results(broker) - before <= 12, "at most the job in work and the one before, committed each half second, are done twice"


def test_what_is_no_job_is_passed_over_and_the_next_one_is_done(broker):
    before = results(broker)
    broker.produce("videoJob", 10, 10)  # "work" is no JSON
    broker.produce("videoJobDone", 3, 1)
    [job] = upload(broker, 1, 0)
    with Status(broker) as status, worker(broker), status.viewer(job) as viewer:
        assert message(viewer)["jobId"] == job
        wait_until(lambda: lag(broker) == 0, SECONDS, "no lag")
    assert results(broker) == before + 3 + 1


def test_making_the_topics_again_keeps_the_offsets(broker):
    upload(broker, 10, 0)
    with worker(broker):
        wait_until(lambda: lag(broker) == 0, SECONDS, "no lag")
    command(NAME, "topics.py", KAFKA_BOOTSTRAP=broker.bootstrap)
    assert lag(broker) == 0


def test_every_query_of_the_dashboard_finds_what_it_shows(broker):
    upload(broker, 100, 0.3)
    trigger = {"scaler": "kafka", "bootstrapServers": broker.bootstrap, "topic": "videoJob", "consumerGroup": "renderers"}
    with worker(broker) as renderer, Status(broker) as status, Server(http=True) as server, Client(server.port) as client:
        assert client.metrics(trigger).metricValue > 0
        assert_answered(os.path.join(REPOSITORY, "examples", NAME, "dashboard.json"), "rendering", video_renderer_1=renderer.metrics_port,
                        status_1=status.metrics_port, backlog_0=server.http_port)
