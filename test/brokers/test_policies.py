"""Policies against real brokers, with real workers, through the model of KEDA and the HPA in real time.

BACKLOG_FULL=1 in the environment: 20 rises and falls with jobs of 5 to 60 s, which takes most of an hour; otherwise three
with jobs a tenth as long, and KEDA and the HPA ten times as fast.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.request

import grpc
import pytest

from support.clients.grpc_client import Client
from support.brokers.nats import Nats
from support.brokers.postgresql import PostgreSQL
from support.process import wait_until
from support.brokers.prometheus import Prometheus
from support.brokers.redis import Redis
from support.server.server import Server, binary

FULL = bool(os.environ.get("BACKLOG_FULL"))
SPEED = 1 if FULL else 10
ROUNDS = 20 if FULL else 3
LONGEST_JOB = 60 / SPEED
SECONDS = 120
IDLE_SECONDS = 30 / SPEED

OBJECT = """\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: jobs, namespace: shop}}
spec:
  pollingInterval: 10
  cooldownPeriod: 10
  maxReplicaCount: 20
  advanced: {{horizontalPodAutoscalerConfig: {{behavior: {{scaleDown: {{stabilizationWindowSeconds: 0}}}}}}}}
  triggers:
    - type: external-push
      metadata:
        scalerAddress: "127.0.0.1:{port}"
        scaler: redis-streams
        address: "{redis}"
        stream: jobs
        consumerGroup: workers
        interval: 1s
{options}
"""


@pytest.fixture
def broker():
    with Redis() as broker:
        with broker.connect() as client:
            client.call("XGROUP", "CREATE", "jobs", "workers", "$", "MKSTREAM")
        yield broker


@pytest.fixture
def server():
    with Server() as server:
        yield server


class Rehearsal:
    """KEDA and the HPA with workers; `lines` are what it printed so far."""

    def __init__(self, folder, broker, server, *arguments, environment=None, more="", **options):
        self.log_path = folder / "workers.log"
        self.log_path.touch()
        path = folder / "object.yaml"
        text = "\n".join(f'        {key}: "{value}"' for key, value in {"lagCount": 2, **options}.items())
        path.write_text(OBJECT.format(port=server.port, redis=broker.address, options=text) + more)
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        worker = f"exec {sys.executable} -m support.brokers.stream_worker {broker.port} jobs workers {self.log_path}"
        self.lines = []
        self.child = subprocess.Popen(
            [binary(), "rehearse", "-f", str(path), "--speed", str(SPEED), "--output", "json", "--worker", worker, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root, **(environment or {})})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.terminate()
        self.child.stdout.read()
        self.child.wait(SECONDS)
        self.child.stdout.close()

    def until(self, condition, what):
        """Reads lines until one fulfils the condition, and returns it. What hangs is ended by the test's time-out."""
        for line in self.child.stdout:
            self.lines.append(json.loads(line))
            if condition(self.lines[-1]):
                return self.lines[-1]
        raise AssertionError(f"it ended before {what}; the last lines: {self.lines[-5:]}")

    def count(self, word):
        return sum(line.split()[2] == word for line in self.log_path.read_text().splitlines())


def publish(broker, seconds):
    """A job for each, which takes so long."""
    with broker.connect() as client:
        client.call_all([("XADD", "jobs", "*", "seconds", f"{one:.2f}") for one in seconds])


def replicas(count):
    return lambda line: line["type"] == "state" and line["replicas"] == count


def reaches(count):
    return lambda line: line["type"] == "state" and line["replicas"] >= count


def job_lengths(count, generator):
    return [generator.uniform(LONGEST_JOB / 12, LONGEST_JOB) for _ in range(count)]


def test_no_busy_worker_is_removed(broker, server, tmp_path):
    generator = random.Random(7)
    published = 0
    with Rehearsal(tmp_path, broker, server, scaleDownWhenIdle=f"{max(1, IDLE_SECONDS):g}s") as rehearsal:
        for _ in range(ROUNDS):
            jobs = job_lengths(generator.randint(5, 14), generator)
            publish(broker, jobs)
            published += len(jobs)
            rehearsal.until(reaches(len(jobs) // 2), "as many replicas as there is work for")
            rehearsal.until(replicas(0), "it is idle")
            assert rehearsal.count("done") == published
        assert rehearsal.count("killed") == 0


def test_without_it_busy_workers_are_removed(broker, server, tmp_path):
    """What the test before would see if the option did nothing: the lag of a group leaves out what it was given."""
    with Rehearsal(tmp_path, broker, server) as rehearsal:
        publish(broker, [LONGEST_JOB] * 12)
        rehearsal.until(reaches(3), "three replicas")
        rehearsal.until(lambda _: rehearsal.count("killed") > 0, "one was killed at work")


def test_the_idle_time_starts_again_after_an_outage(broker, server, tmp_path):
    idle = 8
    with Rehearsal(tmp_path, broker, server, scaleDownWhenIdle=f"{idle}s", hold="0s") as rehearsal:
        publish(broker, [0.1] * 6)
        rehearsal.until(reaches(1), "a replica")
        wait_until(lambda: rehearsal.count("done") == 6, SECONDS, "all jobs are done")
        time.sleep(idle / 2)
        broker.stop()
        rehearsal.until(lambda line: line["type"] == "state" and line["error"], "the outage is seen")
        time.sleep(idle)
        broker.start()
        back = time.monotonic()
        rehearsal.until(lambda line: line["type"] == "state" and not line["error"], "the broker is back")
        rehearsal.until(replicas(0), "it is idle")
        assert time.monotonic() - back >= idle - 1.5


def test_a_burst_starts_replicas_at_once(broker, server, tmp_path):
    with Rehearsal(tmp_path, broker, server, steps="1=1,21=5") as rehearsal:
        rehearsal.until(replicas(0), "the beginning")
        publish(broker, [1] * 40)
        began = time.monotonic()
        rehearsal.until(reaches(5), "five replicas")
        assert time.monotonic() - began < 60 / SPEED


def test_beside_another_trigger_the_larger_number_counts(broker, server, tmp_path):
    """As with any two triggers. The threshold alone would have one replica."""
    other = f"""\
    - type: external-push
      metadata: {{scalerAddress: "127.0.0.1:{server.port}", scaler: redis, address: "{broker.address}", listName: more, listLength: "1"}}
"""
    with Rehearsal(tmp_path, broker, server, more=other, lagCount=100, steps="1=1,21=5") as rehearsal, \
            broker.connect() as client:
        client.call("RPUSH", "more", *range(7))
        rehearsal.until(replicas(7), "what the list needs")
        publish(broker, [LONGEST_JOB] * 60)
        time.sleep(2.5)  # longer than the interval and a synchronization of the HPA
        assert rehearsal.count("took") > 0
        client.call("DEL", "more")
        rehearsal.until(lambda line: line["type"] == "state" and line["replicas"] != 7, "the list needs none")
        assert rehearsal.lines[-1]["replicas"] == 5


def metadata(broker, **options):
    return {"scaler": "redis-streams", "address": broker.address, "stream": "jobs", "consumerGroup": "workers",
            "lagCount": "10", "interval": "1s", **options}


def test_what_is_known_survives_another_password():
    """The rates are known after 15 s: a policy that starts again would not know them before."""
    with Redis() as broker, broker.connect() as client:
        client.call("ACL", "SETUSER", "default", ">one", ">two")
        client.call("XGROUP", "CREATE", "jobs", "workers", "$", "MKSTREAM")
        client.call_all([("XADD", "jobs", "*", "seconds", "0")] * 40)
        config = "connections:\n  shop: {{scaler: redis-streams, address: '{}', username: default, password: {}}}\n"
        options = {"scaler": "redis-streams", "connectionName": "shop", "stream": "jobs", "consumerGroup": "workers", "lagCount": "10",
                   "interval": "1s", "maxWait": "60s", "ratePerReplica": "10"}
        with Server(http=True, config=config.format(broker.address, "one")) as server, Client(server.port) as caller:
            def sentence():
                caller.metrics(options)
                page = f"http://127.0.0.1:{server.http_port}/api/triggers/shop/orders"
                with urllib.request.urlopen(page, timeout=SECONDS) as answer:
                    found, = json.load(answer)
                return found["policy"]["sentence"]

            assert "at a threshold of 10: the rate of arrivals is not known yet" in sentence()
            wait_until(lambda: "arriving need" in sentence(), SECONDS, "the rates are known")
            before = ids_of_clients(client)
            server.write_config(config.format(broker.address, "two"))
            wait_until(lambda: "connections.yaml reloaded" in server.log(), SECONDS, "the file is read again")
            deadline = time.monotonic() + 8
            while time.monotonic() < deadline:
                assert "arriving need" in sentence()
                time.sleep(0.2)
            assert ids_of_clients(client) - before  # it has logged in again


def ids_of_clients(client):
    return {line.split()[0] for line in client.call("CLIENT", "LIST").splitlines()}


def test_two_servers_agree_within_one_replica(broker):
    options = metadata(broker, maxWait="60s", ratePerReplica="10", maxReplicaCount="100")
    with Server() as one, Server() as other, Client(one.port) as first, Client(other.port) as second:
        first.metrics(options)
        time.sleep(0.5)
        second.metrics(options)
        differences = []
        with broker.connect() as client:
            for second_of_test in range(30):
                client.call_all([("XADD", "jobs", "*", "seconds", "0")] * 60)
                time.sleep(1)
                if second_of_test >= 17:  # both know the rates
                    differences.append(abs(first.metrics(options).metricValueFloat - second.metrics(options).metricValueFloat))
        assert max(differences) <= 1, differences


def test_two_servers_behind_round_robin_answer_as_one(broker):
    """KEDA's calls alternate, so that each server sees every other one: the answers must not jump."""
    options = metadata(broker, maxWait="60s", ratePerReplica="10", maxReplicaCount="100")
    with Server() as one, Server() as other, Client(one.port) as first, Client(other.port) as second:
        clients, answers = [first, second], []
        with broker.connect() as client:
            for turn in range(36):
                client.call_all([("XADD", "jobs", "*", "seconds", "0")] * 60)
                answers.append(clients[turn % 2].metrics(options).metricValueFloat)
                time.sleep(1)
        known = answers[20:]  # both know the rates
        assert max(abs(after - before) for before, after in zip(known, known[1:])) <= 1, answers


def test_the_spec_is_one_from_the_first_call_on(broker, server):
    with Client(server.port) as client:
        assert client.metric_spec(metadata(broker)).targetSizeFloat == 10
        assert client.metric_spec(metadata(broker, maxReplicaCount="5")).targetSizeFloat == 1
        assert client.metric_spec(metadata(broker, maxWait="60s")).targetSizeFloat == 1  # though ratePerReplica is missing


UNREADABLE = {
    "scaleDownWhenIdle": "soon", "inFlightPerReplica": "none", "burstThreshold": "40", "burstReplicas": "5",
    "steps": "1=1,10", "maxReplicaCount": "0", "maxWait": "a minute", "ratePerReplica": "fast",
}


def test_what_cannot_be_read_is_refused_and_changes_no_spec(broker, server):
    """The target is 1 before and after the value is corrected, and GetMetrics names what is wrong."""
    with Client(server.port) as client:
        for key, value in UNREADABLE.items():
            options = metadata(broker, **{key: value})
            assert client.metric_spec(options).targetSizeFloat == 1, key
            with pytest.raises(grpc.RpcError) as caught:
                client.metrics(options)
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT, key
            expected = "is not supported here: write both as steps" if key.startswith("burst") else f'{key} "{value}" must be'
            assert expected in caught.value.details(), caught.value.details()
        for key, value in {"maxWait": " ", "utilization": "0.8"}.items():
            assert client.metric_spec(metadata(broker, **{key: value})).targetSizeFloat == 10, key


def test_explain_says_what_bound_the_policy(broker):
    """At the maximum more is published than is wanted: the HPA's tolerance. What is wanted is shown."""
    with Server(http=True) as server, Client(server.port) as client:
        broker_jobs(broker, 200)
        assert client.metrics(metadata(broker, maxReplicaCount="5")).metricValueFloat == 6
        explained = subprocess.run([binary(), "explain", "shop/orders", "--server-http", f"127.0.0.1:{server.http_port}"],
                                   stdout=subprocess.PIPE, text=True, check=True, timeout=SECONDS).stdout
        assert "shop/orders: 5 replicas are wanted." in explained, explained
        assert "5 replicas, by its policy." in explained and "Policy: 5 replicas, bound by maximum." in explained, explained


def test_watch_says_what_bound_the_policy(broker):
    with Server(http=True) as server, Client(server.port) as client:
        broker_jobs(broker, 200)
        client.metrics(metadata(broker, maxReplicaCount="5"))
        client.metrics(metadata(broker), metric_name="", name="plain")
        watch = [binary(), "watch", "--server-http", f"127.0.0.1:{server.http_port}", "--once"]
        shown = subprocess.run(watch, stdout=subprocess.PIPE, text=True, check=True, timeout=SECONDS).stdout
        with_policy, = (line for line in shown.splitlines() if line.startswith("shop/orders"))
        without, = (line for line in shown.splitlines() if line.startswith("shop/plain"))
        assert with_policy.endswith("answered, by maximum"), shown
        assert without.rstrip().endswith("answered"), shown
        lines = subprocess.run([*watch, "--output", "json"], stdout=subprocess.PIPE, text=True, check=True, timeout=SECONDS).stdout
        rows = {row["object"]: row for row in map(json.loads, lines.splitlines())}
        assert rows["shop/orders"]["boundBy"] == "maximum"
        assert rows["shop/plain"]["boundBy"] is None


def test_watch_shows_no_decision_while_measuring_fails(broker):
    with Server(http=True) as server, Client(server.port) as client:
        broker_jobs(broker, 200)
        client.metrics(metadata(broker, maxReplicaCount="5"))
        watch = [binary(), "watch", "--server-http", f"127.0.0.1:{server.http_port}", "--once", "--output", "json"]

        def row():
            return json.loads(subprocess.run(watch, stdout=subprocess.PIPE, text=True, check=True, timeout=SECONDS).stdout)

        assert row()["boundBy"] == "maximum"
        broker.stop()
        wait_until(lambda: row()["state"] == "held", SECONDS, "the answer is held")
        assert row()["boundBy"] is None


def broker_jobs(broker, count):
    with broker.connect() as client:
        client.call_all([("XADD", "jobs", "*", "seconds", "0")] * count)


def refusal(options):
    with Server() as server, Client(server.port) as client, pytest.raises(grpc.RpcError) as caught:
        client.metrics(options)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    return caught.value.details()


def test_a_policy_that_the_source_cannot_serve_is_refused_with_what_to_use(broker):
    redis_list = {"scaler": "redis", "address": broker.address, "listName": "jobs"}
    assert "scaleDownWhenIdle needs the messages in flight, which redis does not report here" in refusal(
        {**redis_list, "scaleDownWhenIdle": "30s"})
    assert "use redis-streams" in refusal({**redis_list, "maxWait": "60s", "ratePerReplica": "10"})
    measured = {"maxWait": "60s", "ratePerReplica": "measured"}
    of_group = metadata(broker, **measured)
    assert "set consumerGroup and lagCount" in refusal({**of_group, "lagCount": "0"})
    queries = {"query": "1", "arrivalQuery": "1", "consumptionQuery": "1"}
    nats = {"servers": "nats://127.0.0.1:1", "stream": "jobs", "consumer": "workers", "lagThreshold": "5"}
    for scaler, options in (("prometheus", {"serverAddress": "http://127.0.0.1:1", "threshold": "5", **queries}),
                            ("postgresql", {"connection": "host=127.0.0.1", "targetQueryValue": "5", **queries}),
                            ("nats-jetstream", nats)):
        assert f"ratePerReplica: measured needs the number of consumers, which {scaler} does not report here: set ratePerReplica " \
               "to how many messages one replica works off per second" in refusal({"scaler": scaler, **options, **measured})
    amqp = {"scaler": "rabbitmq", "host": "amqp://127.0.0.1:1", "queueName": "q", "mode": "QueueLength", "value": "5"}
    assert "use an http:// host" in refusal({**amqp, "inFlightPerReplica": "1"})


def reading_of(server):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/api/triggers/shop/orders", timeout=SECONDS) as page:
        found, = json.load(page)
    return found["reading"]


def test_a_jetstream_consumer_reports_what_arrived_and_was_consumed():
    """Of its own subject: the sequences of the stream count the messages of others, too."""
    with Nats() as broker, broker.connect() as client, Server(http=True) as server, Client(server.port) as caller:
        client.create_stream("jobs")
        client.create_consumer("jobs", "workers", filter_subject="jobs.work")
        client.publish("jobs", 5, subject="other")
        client.publish("jobs", 7)
        client.acknowledge(client.fetch("jobs", "workers", 3)[:2])
        options = {"scaler": "nats-jetstream", "servers": broker.url, "stream": "jobs", "consumer": "workers", "lagThreshold": "5",
                   "inFlightPerReplica": "1"}
        assert caller.metrics(options).metricValueFloat == 1  # 5 / 5, and 1 in flight
        reading = reading_of(server)
        assert (reading["waiting"], reading["inFlight"], reading["arrived"], reading["consumed"]) == (4, 1, 7, 2)


def test_queries_of_promql_return_what_is_in_flight_and_the_rates():
    """In one request. A comment at the end of a query, and labels that two of them have, change nothing."""
    samples = ['jobs{state="waiting"} 4', 'jobs{state="running"} 3', 'jobs_per_second{what="created"} 7', 'jobs_per_second{what="done"} 2.5']
    with Prometheus(*samples) as broker, Server(http=True) as server, Client(server.port) as client:
        options = {"scaler": "prometheus", "serverAddress": broker.url(), "query": 'jobs{state="waiting"} # what waits', "threshold": "5",
                   "inFlightQuery": 'sum(jobs{state="running"})', "arrivalQuery": 'sum(jobs_per_second{what="created"}) # per second',
                   "consumptionQuery": 'sum(jobs_per_second{what="done"})', "inFlightPerReplica": "1"}
        assert client.metrics(options).metricValueFloat == 3
        reading = reading_of(server)
        assert (reading["value"], reading["inFlight"], reading["arrivalRate"], reading["consumptionRate"]) == (4, 3, 7, 2.5)
        options["inFlightQuery"] = 'sum(jobs{state="gone"})'
        with pytest.raises(grpc.RpcError) as caught:  # unknown is not 0
            client.metrics(options)
        assert "inFlightPerReplica needs the messages in flight, and the source did not report them" in caught.value.details()


def test_queries_of_sql_return_what_is_in_flight():
    with PostgreSQL() as database, Server(http=True) as server, Client(server.port) as client:
        database.sql("CREATE TABLE jobs (id serial PRIMARY KEY, state text NOT NULL)",
                     "INSERT INTO jobs (state) SELECT 'waiting' FROM generate_series(1, 7)",
                     "UPDATE jobs SET state = 'running' WHERE id <= 3", "GRANT SELECT ON jobs, jobs_id_seq TO backlog",
                     database="backlog")
        options = {"scaler": "postgresql", "connectionFromEnv": database.url(),
                   "query": "SELECT count(*) FROM jobs WHERE state = 'waiting' -- what waits",
                   "targetQueryValue": "5", "inFlightQuery": "SELECT count(*) FROM jobs WHERE state = 'running';",
                   "arrivalQuery": "SELECT last_value FROM jobs_id_seq", "inFlightPerReplica": "1"}
        assert client.metrics(options).metricValueFloat == 3
        reading = reading_of(server)
        assert (reading["value"], reading["inFlight"], reading["arrived"]) == (4, 3, 7)


class Observers:
    """Read all that a server shows, some five times a second, until it is left."""

    PAGES = ["/api/triggers", "/api/triggers/shop/orders", "/api/history/shop/orders", "/metrics"]

    def __init__(self, server):
        self.server, self.ended, self.rounds = server, threading.Event(), 0
        self.thread = threading.Thread(target=self.read, daemon=True)

    def read(self):
        while not self.ended.wait(0.2):
            for page in self.PAGES:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.server.http_port}{page}", timeout=SECONDS) as answer:
                    answer.read()
            self.rounds += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join(SECONDS)


def test_observers_change_no_answer(broker):
    """A burst between two polls of KEDA counts for the policy, whether somebody sees it or not."""
    options = metadata(broker, steps="1=1,20=5")

    def set_jobs(client, count):
        client.call("XREADGROUP", "GROUP", "workers", "one", "NOACK", "STREAMS", "jobs", ">")
        client.call_all([("XADD", "jobs", "*", "seconds", "0")] * count)

    with (Server(http=True) as observed, Server() as other, Client(observed.port) as one, Client(other.port) as two,
          broker.connect() as client):
        def answers():
            return one.metrics(options).metricValueFloat, two.metrics(options).metricValueFloat

        set_jobs(client, 5)
        assert answers() == (1, 1)
        with Observers(observed) as observers:
            set_jobs(client, 40)
            time.sleep(2.5)  # nobody polls
            set_jobs(client, 5)
            time.sleep(0.6)
            assert answers() == (5, 5)
        assert observers.rounds > 3
