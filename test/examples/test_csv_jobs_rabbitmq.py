"""examples/csv-jobs-rabbitmq: more than 40 rows start five workers at once, and none stops before all is done for 30 s."""

import http.client
import importlib
import json
import os
import re
import subprocess

import pika
import pytest
import requests

from support.pages.dashboard import assert_answered
from support.example import Worker, disk_full_of_rabbitmq, full, play_parts
from support.clients.grpc_client import Client
from support.process import Process, need, wait_until
from support.brokers.rabbitmq import RabbitMQ
from support.server.server import REPOSITORY, Server

NAME = "csv-jobs-rabbitmq"
FOLDER = os.path.join(REPOSITORY, "examples", NAME)
SECONDS = 60


PLAYED = [
    ("", ["five workers on the dashboard", "all 10480 jobs so far are done and acknowledged"]),
    ("backlog,network,bursts", ["while jobs are in work, no worker removed", "no job was interrupted", "the network cut for", "0 -> 1 -> 5 workers once",
                                "all 600 jobs so far are done and acknowledged"]),
    full("service", "POST /upload meanwhile: no connection", "the producer is away, for", "no worker removed", "no job was interrupted"),
    full("slow", "slow network: all 150 jobs so far are done and acknowledged", "no job was interrupted"),
    full("cpu", "CPU stolen: all 150 jobs so far are done and acknowledged", "no job was interrupted"),
    full("disk", "POST /upload: 503", "the disk is full, for", "no worker removed", "no job was interrupted")]


@pytest.mark.nightly
@pytest.mark.parametrize("parts, seen", PLAYED)
def test_the_example_shows_what_it_promises(parts, seen):
    play_parts(NAME, parts, seen)


class Producer(Process):
    name = "producer"

    def __init__(self, url):
        super().__init__()
        self.url, self.port = url, None

    def command(self):
        return ["python", os.path.join(FOLDER, "producer.py")]

    def environment(self):
        return {**os.environ, "RABBITMQ_URL": self.url, "PORT": "0", "HOST": "127.0.0.1"}

    def ready(self):
        found = re.search(r"listening on port (\d+)", self.log())
        self.port = found and int(found[1])
        return found

    def peak_kb(self):
        """The most memory that it has had."""
        with open(f"/proc/{self.child.pid}/status") as file:
            return int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1])

    def post(self, content, path="/upload"):
        """Status and body of the answer."""
        answer = requests.post(f"http://127.0.0.1:{self.port}{path}", data=content, timeout=SECONDS)
        return answer.status_code, answer.json()


@pytest.fixture(scope="module")
def broker():
    with RabbitMQ() as broker:
        broker.declare("csv-jobs", "csv-results")
        yield broker


@pytest.fixture(scope="module")
def producer(broker):
    with Producer(broker.amqp_url()) as producer:
        yield producer


def waiting(broker):
    queues = broker.api("GET", "/queues/%2F?disable_stats=true&enable_queue_totals=true")
    return next(queue["messages"] for queue in queues if queue["name"] == "csv-jobs")


def test_a_file_is_accepted_as_a_whole(broker, producer):
    broker.purge("csv-jobs")
    status, answer = producer.post(b"order,price\n1,2.5\n2,3\n")
    assert (status, answer["jobs"]) == (202, 2)
    wait_until(lambda: waiting(broker) == 2, SECONDS, "two jobs")


def jobs_in(broker, count):
    """What the jobs in the queue are about."""
    wait_until(lambda: waiting(broker) == count, SECONDS, f"{count} jobs")
    with broker.connect() as connection:
        channel = connection.channel()
        found = [json.loads(channel.basic_get("csv-jobs", auto_ack=True)[2]) for _ in range(count)]
    return sorted((job["id"].rpartition("-")[2], job["row"]) for job in found)


TWO_ROWS = [("1", {"order": "1", "price": "2.5"}), ("2", {"order": "2", "price": "3"})]


@pytest.mark.parametrize("content", [b"order,price\n1,2.5\n2,3\n", b"\xef\xbb\xbforder,price\r\n1,2.5\r\n2,3\r\n"],
                         ids=["as it is", "from Excel"])
def test_a_form_with_a_file_is_accepted(broker, producer, content):
    """curl -X POST -F "file=@data.csv": the lines of MIME are no jobs."""
    broker.purge("csv-jobs")
    answer = requests.post(f"http://127.0.0.1:{producer.port}/upload", files={"file": ("data.csv", content)}, timeout=SECONDS)
    assert (answer.status_code, answer.json()["jobs"]) == (202, 2)
    assert jobs_in(broker, 2) == TWO_ROWS


def test_curl_uploads_a_file_of_the_generator(broker, producer, tmp_path):
    curl = need("curl")
    broker.purge("csv-jobs")
    subprocess.run(["python", os.path.join(FOLDER, "generate.py"), "--rows", "30000", "data.csv"], cwd=tmp_path, check=True)
    size = (tmp_path / "data.csv").stat().st_size
    assert size > 500_000  # more than Werkzeug keeps in memory
    done = subprocess.run([curl, "-sS", "-X", "POST", "-F", "file=@data.csv", f"http://localhost:{producer.port}/upload"], cwd=tmp_path,
                          stdout=subprocess.PIPE, check=True, timeout=SECONDS)
    assert json.loads(done.stdout)["jobs"] == 30000
    wait_until(lambda: waiting(broker) == 30000, SECONDS, "all jobs")


def test_uploads_of_the_largest_size_need_less_memory_than_the_producer_may_have(broker):
    """One on each of its eight threads. Short values need the most memory."""
    with open(os.path.join(FOLDER, "manifests", "producer.yaml")) as file:
        limit = int(re.search(r"limits: {memory: (\d+)Mi}", file.read())[1]) * 1024
    content = ",".join(f"column-{number}" for number in range(400)) + ("\n" + ",".join("1" * 400)) * 12_400
    assert 9_900_000 < len(content) < 10_000_000
    broker.purge("csv-jobs")
    with Producer(broker.amqp_url()) as producer:
        before = producer.peak_kb()
        status, answer = producer.post(content)
        assert (status, answer["jobs"]) == (202, 12_400)
        assert before + 8 * (producer.peak_kb() - before) < limit
    broker.purge("csv-jobs")


@pytest.mark.parametrize("files", [{"other": ("data.csv", b"a\n1\n")}, [("file", ("1.csv", b"a\n1\n")), ("file", ("2.csv", b"a\n1\n"))]],
                         ids=["another name", "two files"])
def test_a_form_without_its_one_file_is_refused(broker, producer, files):
    broker.purge("csv-jobs")
    answer = requests.post(f"http://127.0.0.1:{producer.port}/upload", files=files, timeout=SECONDS)
    assert answer.status_code == 400 and "must have one: curl -F" in answer.json()["error"]
    assert waiting(broker) == 0


@pytest.mark.parametrize("content, status, words", [
    (b"", 400, "the file is empty"),
    (b"a,b\n1,2\n1\n", 400, "line 3: not as many columns as in the first line (2)"),
    (b"a,b\n1,2,3\n", 400, "line 2: not as many columns"),
    (b"a,b\n\"1,2\n", 400, "unexpected end of data"),
    (b"a\n\xff\n", 400, "the file is not UTF-8"),
    (b"a,b\n", 400, "no row"),
    (b"a,b,a,b\n1,2,3,4\n", 400, "line 1: the column \"a\" is there 2 times"),
    (b"a,seconds\n1,x\n", 400, "line 2: seconds: \"x\" is no number from 0 to 50"),
    (b"a,seconds\n1,50\n2,50.1\n", 400, "line 3: seconds"),
    (b"a,seconds\n1,-1\n", 400, "seconds"),
    (b"a,seconds\n1,nan\n", 400, "seconds")])
def test_a_file_with_a_mistake_is_refused_as_a_whole(broker, producer, content, status, words):
    broker.purge("csv-jobs")
    found, answer = producer.post(content)
    assert found == status and words in answer["error"]
    assert waiting(broker) == 0


def test_the_page_has_a_form_and_the_command_with_its_own_address(producer):
    url = f"http://127.0.0.1:{producer.port}/"
    page = requests.get(url, timeout=SECONDS)
    assert page.ok and page.headers["Content-Type"].startswith("text/html")
    assert '<input type="file" name="file"' in page.text and f'curl -X POST -F "file=@data.csv" {url}upload' in page.text


def test_a_row_takes_less_than_a_worker_has_to_end():
    with open(os.path.join(FOLDER, "manifests", "worker.yaml")) as file:
        grace = int(re.search(r"terminationGracePeriodSeconds: (\d+)", file.read())[1])
    for program in ("producer.py", "worker.py"):
        with open(os.path.join(FOLDER, program)) as file:
            assert int(re.search(r"^MAX_SECONDS = (\d+)", file.read(), re.MULTILINE)[1]) == 50 < grace


def test_other_requests_are_refused(producer):
    assert producer.post(b"a\n1\n", "/elsewhere")[0] == 404
    for length, status in (("-1", 400), ("10010001", 413)):
        connection = http.client.HTTPConnection("127.0.0.1", producer.port, timeout=SECONDS)
        connection.putrequest("POST", "/upload")
        connection.putheader("Content-Length", length)
        connection.endheaders()
        assert connection.getresponse().status == status, length


def test_without_a_broker_nothing_is_accepted():
    with Producer("amqp://guest:guest@127.0.0.1:1/%2F") as producer:
        status, answer = producer.post(b"a\n1\n")
        assert status == 503 and answer["error"] == "RabbitMQ does not take jobs; nothing was accepted, try again"


def test_while_the_disk_is_full_nothing_is_accepted(broker, producer):
    """RabbitMQ reads nothing of who publishes, and reads it later: what was refused must not appear then."""
    broker.purge("csv-jobs")
    with disk_full_of_rabbitmq(broker):
        status, answer = producer.post(b"a\n1\n2\n")
        assert status == 503 and answer["error"] == "RabbitMQ does not take jobs; nothing was accepted, try again"
    wait_until(lambda: producer.post(b"a\n3\n")[0] == 202, SECONDS, "the alarm's end")
    assert jobs_in(broker, 1) == [("1", {"a": "3"})]


@pytest.fixture
def upload(broker, monkeypatch):
    """Uploads a file of one row to a producer in this process; returns status and body of the answer."""
    broker.purge("csv-jobs")
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setenv("RABBITMQ_URL", broker.amqp_url())
    client = importlib.reload(importlib.import_module("producer")).app.test_client()

    def post():
        answer = client.post("/upload", data=b"a\n1\n")
        return answer.status_code, answer.get_json()

    return post


def lost_after(method):
    """The method, whose response is lost with the connection."""
    def call(self, *arguments):
        method(self, *arguments)
        raise pika.exceptions.StreamLostError("reset by peer")
    return call


def test_a_connection_that_is_lost_after_the_commit_changes_nothing(broker, upload, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(pika.BlockingConnection, "close", lost_after(pika.BlockingConnection.close))
        status, answer = upload()
    assert status == 202, answer
    assert jobs_in(broker, 1) == [("1", {"a": "1"})]


def test_when_the_response_to_the_commit_is_lost_the_producer_does_not_say_that_nothing_was_accepted(broker, upload, monkeypatch):
    channel = pika.adapters.blocking_connection.BlockingChannel
    monkeypatch.setattr(channel, "tx_commit", lost_after(channel.tx_commit))
    status, answer = upload()
    [(job, row)] = jobs_in(broker, 1)
    assert (status, row) == (504, {"a": "1"})
    assert "unknown whether it took the jobs" in answer["error"] and answer["upload"]


def test_a_job_that_nobody_can_do_stops_no_worker(broker, producer):
    broker.purge("csv-jobs")
    bodies = [b"\xff", b"{}", b"[]", b'{"id": 1, "row": {"seconds": "x"}}', b'{"id": 1, "row": {"a": 5}}', b'{"id": 1, "row": {"seconds": "inf"}}',
              b'{"id": 1, "row": {"seconds": "50.1"}}', b'{"id": "\\ud83d", "row": {"a": "5"}}', b'{"id": 1, "row": []}', b"[" * 100000]
    for body in bodies:
        broker.publish("csv-jobs", body=body)
    assert producer.post(b"price\n2\n")[0] == 202
    with Worker(NAME, RABBITMQ_URL=broker.amqp_url()) as worker:
        printed = [worker.child.stdout.readline() for _ in range(len(bodies) + 1)]
    assert all(line.startswith("refused: ") for line in printed[:-1]) and printed[-1].endswith(" done\n")


def test_a_worker_counts_on_after_a_lost_connection(broker, producer):
    broker.purge("csv-jobs")
    with Worker(NAME, RABBITMQ_URL=broker.amqp_url()) as worker:
        lines = iter(worker.child.stdout.readline, "")
        for number in (1, 2):
            assert producer.post(b"price\n2\n")[0] == 202
            assert next(line for line in lines if line.startswith("backlog: done ")) == f"backlog: done {number}\n"
            broker.ctl("close_all_connections", "test")


def test_every_query_of_the_dashboard_finds_what_it_shows(broker, producer):
    broker.purge("csv-jobs")
    assert producer.post("a,seconds\n" + "1,0.2\n" * 300)[0] == 202
    trigger = {"scaler": "rabbitmq", "host": broker.http_url(), "queueName": "csv-jobs", "mode": "QueueLength", "value": "40"}
    with Worker(NAME, RABBITMQ_URL=broker.amqp_url()) as worker, Server(http=True) as server, Client(server.port) as client:
        assert client.metrics(trigger).metricValue > 0
        assert_answered(FOLDER, "csv", csv_worker_1=worker.metrics_port, backlog_0=server.http_port)
