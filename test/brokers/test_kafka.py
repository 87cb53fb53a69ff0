"""The kafka scaler against a real Kafka, through the running server."""

import os
import subprocess
import threading
import time

import grpc
import pytest

from support.grpc_client import Client, messages, refusal, scaled_object
from support.kafka import Kafka, SecureKafka
from support.process import wait_until
from support.server import Server

INTERVAL_SECONDS = 0.5
HOLD_SECONDS = 5


@pytest.fixture(scope="module")
def kafka():
    with Kafka() as kafka:
        kafka.create_topic("videoJob")
        kafka.produce("videoJob", 12)
        kafka.commit("workers", "videoJob", [0, 0, 0])
        yield kafka


@pytest.fixture(scope="module")
def server():
    with Server(interval=f"{int(INTERVAL_SECONDS * 1000)}ms", hold=f"{HOLD_SECONDS}s") as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with Client(server.port) as client:
        yield client


def trigger(kafka, group="workers", topic="videoJob", **keys):
    return {"scaler": "kafka", "scalerAddress": "backlog:6000", "bootstrapServers": kafka.bootstrap,
            "consumerGroup": group, "topic": topic, "lagThreshold": "5", **keys}


def says(client, metadata):
    """(value, active), as KEDA would get them."""
    value = client.metrics(metadata)
    assert value.metricValue == value.metricValueFloat
    return value.metricValue, client.is_active(metadata)


def is_unavailable(client, metadata):
    codes = [refusal(client.metrics, metadata)[0], refusal(client.is_active, metadata)[0]]
    return codes == [grpc.StatusCode.UNAVAILABLE] * 2


def becomes(client, metadata, wanted, seconds=30):
    wait_until(lambda: says(client, metadata) == wanted, seconds, f"{wanted}")


def children(server):
    listed = subprocess.run(["pgrep", "-P", str(server.pid)], capture_output=True, text=True)
    return [int(pid) for pid in listed.stdout.split()]


class Load:
    """Asks without pause, and keeps what was wrong: a value that never was, or a strange error."""

    def __init__(self, server, metadata, allowed):
        self.server, self.metadata, self.allowed = server, metadata, allowed
        self.wrong, self.answers, self.refusals, self.ended = [], 0, 0, False
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        with Client(self.server.port) as client:
            while not self.ended:
                try:
                    said = says(client, self.metadata)
                    self.answers += 1
                    if said not in self.allowed:
                        self.wrong.append(said)
                except grpc.RpcError as error:
                    self.refusals += 1
                    if error.code() != grpc.StatusCode.UNAVAILABLE:
                        self.wrong.append((error.code(), error.details()))
                time.sleep(0.02)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()


def test_the_lag_is_the_value_and_lag_is_activity(kafka, client):
    spec = client.metric_spec(trigger(kafka))
    assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == ("kafka-videoJob", 5, 5)
    assert says(client, trigger(kafka)) == (12, True)
    assert says(client, trigger(kafka, activationLagThreshold="12")) == (12, False)
    assert says(client, trigger(kafka, activationLagThreshold="11")) == (12, True)


def test_the_value_is_capped_by_partitions(kafka, client):
    assert says(client, trigger(kafka, lagThreshold="1")) == (3, True)
    assert says(client, trigger(kafka, lagThreshold="1", allowIdleConsumers="true")) == (12, True)
    assert says(client, trigger(kafka, partitionLimitation="0, 2")) == (8, True)
    kafka.commit("ahead", "videoJob", [0, 4, 4])
    assert says(client, trigger(kafka, "ahead", lagThreshold="1",
                                limitToPartitionsWithLag="true")) == (1, True)


def test_a_missing_topic_is_an_error_and_is_not_created(kafka, client):
    before = kafka.topics()
    for _ in range(3):
        code, words = refusal(client.metrics, trigger(kafka, topic="missing"))
        assert code == grpc.StatusCode.UNAVAILABLE
        assert "missing does not exist" in words
        time.sleep(INTERVAL_SECONDS)
    assert says(client, trigger(kafka)) == (12, True)
    assert kafka.topics() == before


def test_a_topic_that_is_deleted_is_an_error_and_is_not_created_again(kafka, server, client):
    kafka.create_topic("shortlived")
    kafka.produce("shortlived", 3)
    earliest = trigger(kafka, "new", "shortlived", offsetResetPolicy="earliest")
    assert says(client, earliest) == (3, True)
    # Nothing holds an inactive neighbour: it is refused as soon as it is not measured.
    neighbour = trigger(kafka, "new", scaleToZeroOnInvalidOffset="true")
    becomes(client, neighbour, (0, False))
    with Load(server, neighbour, {(0, False)}) as load:
        kafka.delete_topic("shortlived")
        wait_until(lambda: is_unavailable(client, earliest), HOLD_SECONDS + 10, "refused")
    assert load.wrong == [] and load.refusals == 0
    time.sleep(3 * INTERVAL_SECONDS)
    assert "shortlived" not in kafka.topics()
    kafka.create_topic("shortlived")
    kafka.produce("shortlived", 6)
    becomes(client, earliest, (6, True))


def test_a_group_without_commits_follows_the_reset_policy(kafka, client):
    assert says(client, trigger(kafka, "new")) == (3, True)
    assert says(client, trigger(kafka, "new", offsetResetPolicy="earliest")) == (12, True)
    for policy in ("latest", "earliest"):
        assert says(client, trigger(kafka, "new", offsetResetPolicy=policy,
                                    scaleToZeroOnInvalidOffset="true")) == (0, False)


def test_a_commit_beyond_the_end_counts_as_none(kafka, client):
    kafka.commit("beyond", "videoJob", [100, 100, 100])
    assert says(client, trigger(kafka, "beyond")) == (3, True)
    assert says(client, trigger(kafka, "beyond", offsetResetPolicy="earliest")) == (12, True)


def test_expired_messages_do_not_count_as_waiting(kafka, client):
    kafka.create_topic("expired")
    kafka.produce("expired", 12)
    kafka.expire("expired", [2, 0, 4])
    assert says(client, trigger(kafka, "new", "expired", offsetResetPolicy="earliest")) == (6, True)


def test_an_outage_holds_what_was_active_and_never_shows_zero(client):
    with Kafka() as kafka:
        kafka.create_topic("videoJob")
        kafka.commit("workers", "videoJob", [0, 0, 0])
        kafka.produce("videoJob", 12)
        metadata = trigger(kafka)
        assert says(client, metadata) == (12, True)

        kafka.stop()
        stopped = time.monotonic()
        held = []
        while not is_held_no_more(client, metadata, held):
            assert time.monotonic() - stopped < HOLD_SECONDS + 10
            time.sleep(0.1)
        assert set(held) == {(12, True)}
        assert time.monotonic() - stopped > HOLD_SECONDS - 1
        assert is_unavailable(client, metadata)

        kafka.start()
        becomes(client, metadata, (12, True))
        kafka.commit_all("workers", "videoJob")
        becomes(client, metadata, (0, False))

        kafka.stop()
        time.sleep(INTERVAL_SECONDS + 0.1)  # an age at which a reading is still the present
        for _ in range(20):
            assert is_unavailable(client, metadata)
            time.sleep(0.1)

        kafka.start()
        becomes(client, metadata, (0, False))
        kafka.produce("videoJob", 6)
        becomes(client, metadata, (6, True))


def is_held_no_more(client, metadata, held):
    try:
        held.append(says(client, metadata))
        return False
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        return True


def test_a_thousand_triggers_share_a_connection_and_few_requests(client, server):
    topics = [f"t{number}" for number in range(100)]
    groups = [f"g{number}" for number in range(10)]
    with Kafka(log_requests=True) as kafka:
        kafka.create_topic(*topics, partitions=1)
        for number, topic in enumerate(topics):
            kafka.produce(topic, number % 5, partitions=1)
        for group in groups:
            kafka.commit_topics(group, {topic: [0] for topic in topics})
        wanted = {(group, topic): number % 5 for group in groups for number, topic in enumerate(topics)}

        def ask_all():
            futures = {key: client.stub.GetMetrics.future(request(*key), timeout=30) for key in wanted}
            return {key: future.result().metricValues[0].metricValue for key, future in futures.items()}

        def request(group, topic):
            metadata = trigger(kafka, group, topic, allowIdleConsumers="true")
            return messages.GetMetricsRequest(scaledObjectRef=scaled_object(metadata),
                                              metricName=f"kafka-{topic}")

        assert ask_all() == wanted
        assert ask_all() == wanted
        # Sources of other tests that are gone by now are tried again every few seconds, by a new child each.
        agents = [child for child in children(server) if kafka.connections(child) > 0]
        assert len(agents) == 1
        assert kafka.connections(agents[0]) <= 4  # bootstrap, the broker, coordinators

        time.sleep(2 * INTERVAL_SECONDS)
        start = kafka.requests("backlog")
        time.sleep(10 * INTERVAL_SECONDS)
        made = kafka.requests("backlog") - start
        # Ten groups and one leader; what the engine takes along in one round it measures at once.
        assert sum(made.values()) <= 12 * (1 + 2 * len(groups) + 2), made
        assert ask_all() == wanted


def test_tls_and_sasl_are_spoken_and_verified(client):
    with SecureKafka() as kafka:
        kafka.create_topic("videoJob")
        kafka.produce("videoJob", 12)

        def secured(**keys):
            metadata = trigger(kafka, "new", offsetResetPolicy="earliest", tls="enable", sasl="scram_sha512",
                               ca=kafka.ca, username=kafka.user, password=kafka.password)
            return {**metadata, "bootstrapServers": kafka.secure_bootstrap, **keys}

        for good in ({"sasl": "plaintext"}, {"sasl": "scram_sha256"}, {"sasl": "scram_sha512"},
                     {"ca": "", "brokerUnsafeSsl": "true"}):
            becomes(client, secured(**good), (12, True))
        for wrong in ({"password": "battery staple"}, {"ca": ""}, {"tls": "disable"}):
            code, words = refusal(client.metrics, secured(**wrong))
            assert code == grpc.StatusCode.UNAVAILABLE, words
            assert kafka.password not in words and "battery" not in words


@pytest.mark.timeout(400)
def test_brokers_that_restart_hang_and_crash_cost_nothing_but_time(server, client):
    with Kafka() as other, Kafka(nodes=3) as cluster:
        other.create_topic("steady")
        other.produce("steady", 9)
        cluster.create_topic("videoJob")
        cluster.produce("videoJob", 12)
        cluster.commit("workers", "videoJob", [0, 0, 0])
        steady = trigger(other, "new", "steady", offsetResetPolicy="earliest")
        shaken = trigger(cluster)
        becomes(client, steady, (9, True))
        becomes(client, shaken, (12, True))
        pid = server.pid

        with Load(server, steady, {(9, True)}) as untouched, Load(server, shaken, {(12, True)}) as load:
            for _ in range(10):
                cluster.restart(cluster.coordinator("workers"))
            becomes(client, shaken, (12, True), 60)

            hanging = cluster.coordinator("workers")
            hanging.pause()
            time.sleep(4)
            hanging.resume()
            becomes(client, shaken, (12, True), 60)

            for agent in children(server):
                os.kill(agent, 9)
            becomes(client, shaken, (12, True), 20)

        becomes(client, steady, (9, True))
        assert load.wrong == [] and untouched.wrong == []
        assert load.answers > 0 and untouched.answers > 100
        assert server.pid == pid and server.child.poll() is None
