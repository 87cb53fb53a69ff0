"""The kafka scaler against a real Kafka, through the running server."""

import concurrent.futures
import contextlib
import os
import pathlib
import socket
import ssl
import subprocess
import threading
import time

import grpc
import pytest

from support.certificates import make_certificate, make_certificates, make_intermediate, make_root
from support.clients.grpc_client import Client, messages, refusal, scaled_object
from support.clients.rounds import fetch_all
from support.brokers.kafka import Kafka, SecureKafka
from support.brokers.oauth import TokenEndpoint
from support.network.links import LongLink
from support.pages.page import get, metric
from support.process import wait_until
from support.server.server import REPOSITORY, Server

INTERVAL_SECONDS = 0.5
HOLD_SECONDS = 5


@pytest.fixture(scope="module")
def kafka():
    with SecureKafka() as kafka:
        kafka.create_topic("videoJob", "images")
        kafka.produce("videoJob", 12)
        kafka.produce("images", 6)
        kafka.commit("workers", "videoJob", [0, 0, 0])
        yield kafka


def quick_server():
    # Each wrong address or password of these tests is a connection with an agent process.
    return Server(interval=f"{int(INTERVAL_SECONDS * 1000)}ms", hold=f"{HOLD_SECONDS}s", arguments=["--max-agents", "500"])


@pytest.fixture(scope="module")
def server():
    with quick_server() as server:
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
                    message = says(client, self.metadata)
                    self.answers += 1
                    if message not in self.allowed:
                        self.wrong.append(message)
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


@pytest.mark.first
def test_the_lag_is_the_value_and_lag_is_activity(kafka, client):
    becomes(client, trigger(kafka), (12, True))  # an agent's start may be all that a call has time for
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


@pytest.mark.first
def test_a_missing_topic_is_an_error_and_is_not_created(kafka, client):
    before = kafka.topics()
    for _ in range(3):
        code, words = refusal(client.metrics, trigger(kafka, topic="missing"))
        assert code == grpc.StatusCode.UNAVAILABLE
        assert "missing does not exist" in words
        time.sleep(INTERVAL_SECONDS)
    assert says(client, trigger(kafka)) == (12, True)
    assert kafka.topics() == before


def test_a_missing_topic_beside_a_pattern_is_the_same_error(kafka, client):
    """A listing for the pattern does not name it."""
    pattern = trigger(kafka, topic="^videoJob$")
    for _ in range(3):
        listed = threading.Thread(target=client.metrics, args=[pattern])
        listed.start()
        code, words = refusal(client.metrics, trigger(kafka, topic="missing"))
        listed.join()
        assert code == grpc.StatusCode.UNAVAILABLE
        assert "missing does not exist" in words
        time.sleep(2.5)  # what is known of topics is old then
    assert says(client, pattern) == (12, True)


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


def test_messages_that_were_removed_beyond_a_commit_are_no_lag(kafka, client):
    """By retention, as by DeleteRecords; a log start that has just been learnt is requested again after 5 s."""
    kafka.create_topic("removed")
    kafka.produce("removed", 300)
    kafka.commit("late", "removed", [10, 100, 40])
    late = trigger(kafka, "late", "removed", allowIdleConsumers="true")
    policies = {policy: trigger(kafka, "late", "removed", allowIdleConsumers="true", offsetResetPolicy=policy)
                for policy in ("latest", "earliest")}
    becomes(client, late, (150, True))
    kafka.expire("removed", [100, 0, 70])
    becomes(client, late, (30, True))
    kafka.expire("removed", [100, 0, 100])
    becomes(client, late, (0, False))
    kafka.produce("removed", 15)
    for metadata in policies.values():
        becomes(client, metadata, (15, True))
    becomes(client, trigger(kafka, "late", "removed", partitionLimitation="0"), (5, True))
    everything = trigger(kafka, "late", allowIdleConsumers="true")
    del everything["topic"]
    becomes(client, everything, (15, True))
    kafka.commit("late", "removed", [10, 100, 105])  # a group that goes on counts as before
    becomes(client, late, (10, True))
    becomes(client, trigger(kafka, "late", "removed", lagThreshold="1", limitToPartitionsWithLag="true"), (2, True))
    persistent = trigger(kafka, "late", "removed", excludePersistentLag="true", persistentLagTime="2s")
    becomes(client, persistent, (0, True))


def test_the_first_measurement_knows_what_was_removed(kafka):
    kafka.create_topic("removed-before")
    kafka.produce("removed-before", 300)
    kafka.commit("late", "removed-before", [10, 10, 10])
    kafka.expire("removed-before", [100, 100, 100])
    with quick_server() as server, Client(server.port) as client:
        answers = set()

        def answer():
            answers.add(says(client, trigger(kafka, "late", "removed-before")))
            return True

        wait_until(answer, 30, "an answer")  # an agent's start may be all that a call has time for
        assert answers == {(0, False)}


def test_log_starts_are_requested_seldom_and_together():
    topics = [f"behind{number}" for number in range(10)]
    with Kafka(log_requests=True) as kafka, quick_server() as server, Client(server.port) as client:
        kafka.create_topic(*topics)
        for topic in topics:
            kafka.produce(topic, 9)
        for group in ("late", "other"):
            kafka.commit_topics(group, {topic: [1, 1, 1] for topic in topics})
            for topic in topics:
                becomes(client, trigger(kafka, group, topic), (6, True))

        def requests():
            """For last offsets, and for first ones."""
            lines = [line for line in kafka.nodes[0].log().splitlines()
                     if '"clientId":"backlog"' in line and '"LIST_OFFSETS"' in line]
            first = sum('"timestamp":-2' in line for line in lines)
            return len(lines) - first, first

        time.sleep(2 * INTERVAL_SECONDS)
        before = requests()
        time.sleep(15)  # 60 partitions of groups are measured every 500 ms
        last, first = (now - then for now, then in zip(requests(), before))
        print(f"in 15 s {last} requests for last offsets, {first} for first ones")
        assert 1 <= first <= last / 2  # all partitions are in a few requests
        for group in ("late", "other"):
            kafka.commit_topics(group, {topic: [3, 3, 3] for topic in topics})
        time.sleep(2 * INTERVAL_SECONDS)
        _, first = requests()
        time.sleep(6)
        assert requests()[1] == first  # nothing is waiting


def test_a_list_of_topics_is_summed(kafka, client):
    assert says(client, trigger(kafka, "new", "videoJob, images", offsetResetPolicy="earliest")) == (18, True)
    code, words = refusal(client.metrics, trigger(kafka, "new", "videoJob,missing"))
    assert code == grpc.StatusCode.UNAVAILABLE and "missing does not exist" in words
    assert says(client, trigger(kafka, "new", "videoJob,images", lagThreshold="1", limitToPartitionsWithLag="true",
                                offsetResetPolicy="earliest")) == (6, True)
    listed = trigger(kafka, "new", "videoJob,images", offsetResetPolicy="earliest", partitionLimitation="0")
    assert says(client, listed) == (6, True)


def test_a_pattern_takes_in_topics_as_they_come(kafka, client):
    kafka.create_topic("orders-eu", "orders-us")
    kafka.produce("orders-eu", 3)
    pattern = trigger(kafka, "new", "^orders-(eu|us|asia)$", offsetResetPolicy="earliest", allowIdleConsumers="true")
    assert client.metric_spec(pattern).metricName == "kafka-^orders-(eu|us|asia)$".translate(str.maketrans("()", "--"))
    assert says(client, pattern) == (3, True)
    kafka.create_topic("orders-asia")
    kafka.produce("orders-asia", 6)
    becomes(client, pattern, (9, True))
    kafka.delete_topic("orders-asia")
    becomes(client, pattern, (3, True))
    for none in ("^nothing", "^__consumer"):
        code, words = refusal(client.metrics, trigger(kafka, "new", none))
        assert code == grpc.StatusCode.UNAVAILABLE and f"no Kafka topic matches {none}" in words


def test_without_a_topic_all_that_the_group_has_committed_counts(kafka, client):
    kafka.commit_topics("both", {"videoJob": [4, 4, 1], "images": [None, 1, None]})
    everything = trigger(kafka, "both")
    del everything["topic"]
    assert client.metric_spec(everything).metricName == "kafka-both-topics"
    # Of images one partition has a commit; the other two count as the policy says.
    assert says(client, everything) == (3 + 1 + 2, True)
    assert says(client, {**everything, "offsetResetPolicy": "earliest"}) == (3 + 1 + 4, True)
    assert says(client, {**everything, "scaleToZeroOnInvalidOffset": "true"}) == (3 + 1, True)
    assert says(client, trigger(kafka, "both", "images")) == (3, True)
    kafka.create_topic("later")
    kafka.produce("later", 3)
    kafka.commit("both", "later", [0, 0, 0])
    becomes(client, everything, (3 + 1 + 2 + 3, True))


def test_a_message_in_a_new_partition_counts_within_seconds(kafka, client):
    """What is known of topics is 2 s old at most (docs/reference.md)."""
    kafka.create_topic("grows", partitions=1)
    kafka.produce("grows", 1, partitions=1)
    kafka.commit("grown", "grows", [1])
    grows = trigger(kafka, "grown", "grows", offsetResetPolicy="earliest")
    becomes(client, grows, (0, False))
    kafka.add_partitions("grows", 2)
    kafka.produce("grows", 2, partitions=2)  # one of them in the new one
    kafka.commit("grown", "grows", [2])
    began = time.monotonic()
    becomes(client, grows, (1, True))
    print(f"counted after {time.monotonic() - began:.1f} s")
    assert time.monotonic() - began < 2 + 4 * INTERVAL_SECONDS


def test_explain_names_topics_with_their_lags(kafka):
    kafka.commit_topics("named", {"videoJob": [4, 4, 1], "images": [2, 2, 2]})
    everything = trigger(kafka, "named", offsetResetPolicy="earliest")
    del everything["topic"]
    several = {"scaler": "apache-kafka", "topic": "images,videoJob"}
    with Server(interval="200ms", http=True) as server, Client(server.port) as client:
        for name, metadata in {"all": everything, "list": {**everything, **several}}.items():
            wait_until(lambda: client.metrics(metadata, metric_name="", name=name).metricValue == 3, 30, name)
            (explained,) = get(server, f"/api/triggers/shop/{name}").json()
            assert explained["why"].endswith("; lag by topic: videoJob 3, images 0")


def test_a_group_that_has_committed_nothing_is_not_the_whole_cluster(kafka, client):
    nothing = trigger(kafka, "nobody")
    del nothing["topic"]
    code, words = refusal(client.metrics, nothing)
    assert code == grpc.StatusCode.UNAVAILABLE and "has committed nothing yet" in words
    assert says(client, {**nothing, "scaleToZeroOnInvalidOffset": "true"}) == (0, False)


def test_persistent_lag_adds_no_replicas_and_keeps_the_group_awake(kafka, server, client):
    kafka.commit("stuck", "videoJob", [0, 4, 4])
    stuck = trigger(kafka, "stuck", excludePersistentLag="true", persistentLagTime="2s")
    watched = trigger(kafka, "stuck", excludePersistentLag="true", persistentLagTime="1h")
    assert says(client, stuck) == (4, True)
    becomes(client, stuck, (0, True), 10)
    assert says(client, watched) == (4, True)
    kafka.commit("stuck", "videoJob", [1, 4, 4])
    becomes(client, stuck, (3, True), 10)
    becomes(client, stuck, (0, True), 10)
    # Another child knows no history, and what is not known to be stuck counts.
    for agent in children(server):
        os.kill(agent, 9)
    becomes(client, stuck, (3, True), 10)
    becomes(client, stuck, (0, True), 10)


def test_lag_is_persistent_beside_queries_of_other_partitions(kafka, client):
    kafka.commit("halves", "videoJob", [0, 0, 0])
    persistent = {"excludePersistentLag": "true", "persistentLagTime": "2s"}
    seldom = trigger(kafka, "halves", partitionLimitation="0", interval="1500ms", **persistent)
    often = trigger(kafka, "halves", partitionLimitation="1-2", **persistent)
    assert (says(client, seldom), says(client, often)) == ((4, True), (8, True))
    for requested in (often, seldom):
        becomes(client, requested, (0, True), 10)


@pytest.mark.first
def test_apache_kafka_is_the_same_by_another_name(kafka, client):
    named = trigger(kafka, "new", "videoJob,images", scaler="apache-kafka", offsetResetPolicy="earliest")
    assert client.metric_spec(named).metricName == "kafka-videoJob,images"
    assert says(client, named) == (18, True)


def test_an_outage_holds_what_was_active_and_never_shows_zero(client):
    with Kafka() as kafka:
        kafka.create_topic("videoJob")
        kafka.commit("workers", "videoJob", [0, 0, 0])
        kafka.produce("videoJob", 12)
        metadata = trigger(kafka)
        becomes(client, metadata, (12, True))

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

        def fetch_all():
            futures = {key: client.stub.GetMetrics.future(request(*key), timeout=30) for key in wanted}
            return {key: future.result().metricValues[0].metricValue for key, future in futures.items()}

        def request(group, topic):
            metadata = trigger(kafka, group, topic, allowIdleConsumers="true")
            return messages.GetMetricsRequest(scaledObjectRef=scaled_object(metadata),
                                              metricName=f"kafka-{topic}")

        assert fetch_all() == wanted
        assert fetch_all() == wanted
        # Sources of other tests that are gone by now are tried again every few seconds, by a new child each.
        agents = [child for child in children(server) if kafka.connections(child) > 0]
        assert len(agents) == 1
        assert kafka.connections(agents[0]) <= 4  # bootstrap, the broker, coordinators

        time.sleep(2 * INTERVAL_SECONDS)
        start, began = kafka.requests("backlog"), time.monotonic()
        time.sleep(10 * INTERVAL_SECONDS)
        made = kafka.requests("backlog") - start
        rounds = (time.monotonic() - began) / INTERVAL_SECONDS + 2
        # One for the topics, one for each group and one for each leader, a round.
        assert sum(made.values()) <= rounds * (1 + len(groups) + 1), made
        assert fetch_all() == wanted


def test_a_share_group_is_an_error_that_says_so(monkeypatch):
    """Kafka's share groups (KIP-932) commit nothing. Whether a group is one is looked up where it has no commit."""
    monkeypatch.setenv("BACKLOG_KAFKA_JARS", os.path.join(REPOSITORY, "build", "kafka-4"))
    with Kafka(log_requests=True) as kafka, quick_server() as server, Client(server.port) as client:
        kafka.create_topic("videoJob")
        kafka.produce("videoJob", 12)
        kafka.commit("workers", "videoJob", [0, 0, 0])
        kafka.join_share_group("sharers", "videoJob")
        becomes(client, trigger(kafka), (12, True))
        everything = trigger(kafka, "sharers", scaleToZeroOnInvalidOffset="true")
        del everything["topic"]
        for metadata in (trigger(kafka, "sharers"), trigger(kafka, "sharers", offsetResetPolicy="earliest"), everything):
            code, words = refusal(client.metrics, metadata)  # the first answer, too
            assert code == grpc.StatusCode.UNAVAILABLE
            assert "the commits of Kafka group sharers: it is a share group" in words
        becomes(client, trigger(kafka, "nobody"), (3, True))
        before = kafka.requests("backlog")
        time.sleep(10 * INTERVAL_SECONDS)
        after = kafka.requests("backlog")
        assert after["OFFSET_FETCH"] > before["OFFSET_FETCH"]
        assert after["LIST_GROUPS"] == before["LIST_GROUPS"]  # once a minute


class Watched:
    """A stream on a trigger, and whether it has said `true`."""

    def __init__(self, client, metadata):
        self.call, self.message = client.stream_is_active(metadata), threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for answer in self.call:
                assert answer.result
                self.message.set()
        except grpc.RpcError:
            pass

    def wait(self):
        assert self.message.wait(20)


def unchanged_for(seconds, counted):
    before = counted()
    time.sleep(seconds)
    return counted() == before


@pytest.mark.first
def test_a_message_in_an_idle_topic_is_pushed_at_once_and_nothing_is_left_behind():
    topics = [f"idle{number}" for number in range(10)]
    # Nothing is measured again for five minutes, so whatever is pushed was notified of.
    with Kafka(log_requests=True) as kafka, Server(interval="5m") as server, Client(server.port) as client:
        kafka.create_topic(*topics)
        kafka.produce(topics[0], 3)
        kafka.commit_topics("workers", {topic: [0, 0, 0] for topic in topics[1:]} | {topics[0]: [1, 1, 1]})
        streams = [Watched(client, trigger(kafka, "workers", topic)) for topic in topics[:-1]]
        streams.append(Watched(client, trigger(kafka, "workers", f"^{topics[-1]}$")))

        wait_until(lambda: kafka.requests("backlog-subscribed")["FETCH"] > 3, 60, "subscribed")
        # The first topics are subscribed to while the last ones are still measured.
        # While nothing comes, only the handle that listens asks anything.
        wait_until(lambda: unchanged_for(3, lambda: kafka.requests("backlog")), 90, "all measured, and no request more")
        before = kafka.requests("backlog")
        assert not any(stream.message.is_set() for stream in streams)

        for topic, stream in zip(topics[1:-1], streams[1:-1]):
            kafka.produce(topic, 1)
            stream.wait()
        # A topic whose message has come exists: the metadata need not be requested again.
        assert kafka.requests("backlog")["METADATA"] == before["METADATA"]
        assert kafka.groups() <= {"workers"}
        assert kafka.committed("workers", topics[0]) == [1, 1, 1]
        assert kafka.committed("backlog", topics[1]) == [None, None, None]

        # What comes while we are away is news once we are back, and what is idle is subscribed to again.
        assert not streams[0].message.is_set() and not streams[-1].message.is_set()
        kafka.nodes[0].kill()
        kafka.start()
        kafka.produce(topics[0], 1)
        streams[0].wait()
        listened = kafka.requests("backlog-subscribed")["FETCH"]
        wait_until(lambda: kafka.requests("backlog-subscribed")["FETCH"] > listened + 3, 60, "subscribed again")
        kafka.produce(topics[-1], 1)
        streams[-1].wait()
        for stream in streams:
            stream.call.cancel()


def secured(kafka, bootstrap, **keys):
    """All that is in videoJob, asked for at another port."""
    return {**trigger(kafka, "new", offsetResetPolicy="earliest"), "bootstrapServers": bootstrap, **keys}


def passworded(kafka, **keys):
    return secured(kafka, kafka.sasl_ssl, tls="enable", sasl="scram_sha512", ca=kafka.ca, username=kafka.user,
                   password=kafka.password, **keys)


def refused(client, metadata, *words):
    """Each time in time, and soon with these words: a busy machine may not find the reason in a measurement's deadline."""
    deadline = time.monotonic() + 20
    while True:
        requested = time.monotonic()
        code, message = refusal(client.metrics, metadata)
        assert code == grpc.StatusCode.UNAVAILABLE, message
        assert time.monotonic() - requested < 6
        if all(word in message for word in words):
            return message
        assert time.monotonic() < deadline, message


@pytest.mark.parametrize("keys", [{"sasl": "plaintext"}, {"sasl": "scram_sha256"}, {"sasl": "scram_sha512"},
                                  {"ca": "", "brokerUnsafeSsl": "true"}], ids=str)
def test_tls_and_passwords_are_spoken(kafka, client, keys):
    becomes(client, {**passworded(kafka), **keys}, (12, True))


def test_passwords_are_spoken_without_tls(kafka, client):
    metadata = secured(kafka, kafka.sasl_plaintext, sasl="scram_sha256", username=kafka.user, password=kafka.password)
    becomes(client, metadata, (12, True))


@pytest.mark.parametrize("keys, word", [
    ({"password": "battery staple"}, "uthentication"),
    ({"sasl": "plaintext", "password": "battery staple"}, "uthentication"),
    ({"username": "nobody"}, "uthentication"),
    ({"ca": ""}, "certificate"),
    ({"ca": ""}, 'set ca to the certificates of its authority, and name the host as its certificate does; brokerUnsafeSsl: "true"'),
    ({"tls": "disable", "sasl": "none"}, "Kafka"),
    ({"bootstrapServers": "unknown.invalid:9092"}, "unknown.invalid"),
], ids=str)
def test_a_failed_login_is_reported_in_time(kafka, server, client, keys, word):
    message = refused(client, {**passworded(kafka), **keys}, word)
    for secret in (kafka.password, "battery", "PRIVATE KEY"):
        assert secret not in message + server.log()
    assert says(client, trigger(kafka)) == (12, True)


def test_a_login_that_expires_fails_no_call():
    """The broker closes its connection; newer versions of librdkafka log in again before."""
    with (SecureKafka(connections_max_reauth_ms=1000) as kafka, Server(interval="200ms", hold="0s") as server,
          Client(server.port) as client):
        kafka.create_topic("videoJob")
        kafka.produce("videoJob", 12)
        kafka.commit("workers", "videoJob", [0, 0, 0])
        metadata = {**trigger(kafka), "bootstrapServers": kafka.sasl_plaintext, "sasl": "plaintext", "username": kafka.user,
                    "password": kafka.password}
        becomes(client, metadata, (12, True))
        began = time.monotonic()
        while time.monotonic() < began + 5:
            assert says(client, metadata) == (12, True)
            time.sleep(0.02)


def test_a_client_certificate_is_shown(kafka, client, tmp_path):
    make_certificates(tmp_path)
    ours = {"ca": kafka.ca, "cert": kafka.cert, "key": kafka.key}
    becomes(client, secured(kafka, kafka.ssl, tls="enable", **ours), (12, True))
    encrypted = subprocess.run(["openssl", "pkcs8", "-topk8", "-passout", "pass:open sesame"], input=kafka.key,
                               text=True, capture_output=True, check=True).stdout
    locked = {**ours, "key": encrypted, "keyPassword": "open sesame"}
    becomes(client, secured(kafka, kafka.ssl, tls="enable", **locked), (12, True))
    strange = {name: (tmp_path / file).read_text() for name, file in (("cert", "own.pem"), ("key", "own.key"))}
    for wrong, named in (({**locked, "keyPassword": "battery"}, "keyPassword"), ({**ours, **strange}, "Kafka"),
                         ({"ca": kafka.ca}, "Kafka")):
        def is_named():
            message = refusal(client.metrics, secured(kafka, kafka.ssl, tls="enable", **wrong))[1]
            assert "battery" not in message and "PRIVATE" not in message
            return named in message
        wait_until(is_named, 30, named)  # at first a slow machine's agent can have been killed


def test_a_client_certificate_is_shown_with_its_chain(kafka, client):
    folder = pathlib.Path(kafka.nodes[0].folder)
    make_intermediate(folder, "team")
    make_certificate(folder, "worker", root="team")
    key, cert, team = ((folder / name).read_text() for name in ("worker.key", "worker.pem", "team.pem"))
    becomes(client, secured(kafka, kafka.ssl, tls="enable", ca=kafka.ca, cert=cert + team, key=key), (12, True))


def test_an_authority_needs_no_root(tmp_path, client):
    """As Go does, whatever is in `ca` ends a chain. What speaks TLS here is no broker."""
    make_root(tmp_path)
    make_intermediate(tmp_path, "team")
    make_certificate(tmp_path, "node", root="team")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "node.pem", tmp_path / "node.key")
    with socket.create_server(("127.0.0.1", 0)) as listener, concurrent.futures.ThreadPoolExecutor() as pool:
        listener.settimeout(10)
        requested = {"scaler": "kafka", "bootstrapServers": f"127.0.0.1:{listener.getsockname()[1]}", "tls": "enable",
                     "ca": (tmp_path / "team.pem").read_text(), "consumerGroup": "workers", "topic": "videoJob", "lagThreshold": "5"}
        call = pool.submit(refusal, client.metrics, requested)
        with context.wrap_socket(listener.accept()[0], server_side=True) as trusted:
            assert trusted.recv(1) == b"\0"  # of the length of its first request
        call.result()


def tokened(kafka, endpoint, path="/token", **keys):
    return secured(kafka, kafka.sasl_plaintext, **{
        "sasl": "oauthbearer", "username": endpoint.client_id, "password": endpoint.client_secret,
        "oauthTokenEndpointUri": endpoint.url + path, "scopes": "kafka,read", **keys})


def test_tokens_come_from_an_endpoint(kafka, client):
    with TokenEndpoint() as endpoint:
        becomes(client, tokened(kafka, endpoint), (12, True))
        # Each handle has a token of its own.
        assert set(map(str, endpoint.requests)) == {
            str(("/token", {"grant_type": "client_credentials", "scope": "kafka read"}))}
        becomes(client, tokened(kafka, endpoint, "/body"), (12, True))
        becomes(client, tokened(kafka, endpoint, oauthExtensions="logicalCluster=lkc-1"), (12, True))
        refused(client, tokened(kafka, endpoint, scopes="read"), "Kafka")


def test_a_token_is_renewed_before_it_expires(kafka, client):
    with TokenEndpoint(seconds=3) as endpoint:
        becomes(client, tokened(kafka, endpoint), (12, True))
        wait_until(lambda: len(endpoint.requests) > 1, 10, "another token")
        becomes(client, tokened(kafka, endpoint), (12, True))


def test_the_endpoint_of_tokens_is_verified(kafka, client, tmp_path):
    make_certificates(tmp_path)
    with TokenEndpoint(tmp_path) as endpoint:
        becomes(client, tokened(kafka, endpoint, ca=(tmp_path / "ca.pem").read_text()), (12, True))
        becomes(client, tokened(kafka, endpoint, brokerUnsafeSsl="true"), (12, True))
        refused(client, tokened(kafka, endpoint, ca=kafka.ca), "token endpoint", "certificate")


@pytest.mark.parametrize("path, keys, word", [
    ("/token", {"password": "battery"}, "status 401, invalid_client"),
    ("/garbage", {}, "without an access_token"),
    ("/huge", {}, "more than 65536 bytes"),
    ("/hang", {}, "token endpoint"),
    ("/token", {"oauthTokenEndpointUri": "http://127.0.0.1:1/token"}, "token endpoint"),
], ids=str)
def test_a_failing_token_endpoint_is_reported(kafka, server, client, path, keys, word):
    with TokenEndpoint() as endpoint:
        message = refused(client, tokened(kafka, endpoint, path, **keys), word)
        for secret in ("s3cret", "battery"):
            assert secret not in message + server.log()


def test_a_token_endpoint_that_outlasts_a_measurement_is_reported(kafka):
    with TokenEndpoint() as endpoint, Server(arguments=["--measure-timeout", "1s"]) as server, Client(server.port) as client:
        refused(client, tokened(kafka, endpoint, "/hang"), "token endpoint")


def test_a_port_that_speaks_something_else_is_an_error(kafka, client):
    with socket.create_server(("127.0.0.1", 0)) as port:
        def babble():
            while True:
                try:
                    port.accept()[0].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100)
                except OSError:
                    return
        threading.Thread(target=babble, daemon=True).start()
        stranger = {**trigger(kafka), "bootstrapServers": f"127.0.0.1:{port.getsockname()[1]}"}
        refused(client, stranger, "Kafka")
        assert says(client, trigger(kafka)) == (12, True)
        port.shutdown(socket.SHUT_RDWR)


@pytest.mark.nightly
@pytest.mark.timeout(400)
def test_brokers_that_restart_hang_and_crash_cost_nothing_but_time(kafka, server, client):
    with Kafka(nodes=3) as cluster:
        cluster.create_topic("videoJob")
        cluster.produce("videoJob", 12)
        cluster.commit("workers", "videoJob", [0, 0, 0])
        steady = trigger(kafka, "new", "images", offsetResetPolicy="earliest")
        shaken = trigger(cluster)
        becomes(client, steady, (6, True))
        becomes(client, shaken, (12, True))
        pid = server.pid

        with Load(server, steady, {(6, True)}) as untouched, Load(server, shaken, {(12, True)}) as load:
            for _ in range(10):
                cluster.restart(cluster.coordinator("workers"))
            becomes(client, shaken, (12, True), 60)

            hanging = cluster.coordinator("workers")
            hanging.pause()
            time.sleep(4)
            hanging.resume()
            becomes(client, shaken, (12, True), 60)

            for agent in children(server):
                with contextlib.suppress(ProcessLookupError):  # one of a source that is gone has just ended by itself
                    os.kill(agent, 9)
            becomes(client, shaken, (12, True), 20)

        becomes(client, steady, (6, True))
        assert load.wrong == [] and untouched.wrong == []
        assert load.answers > 0 and untouched.answers > 100
        assert server.pid == pid and server.child.poll() is None


@pytest.mark.timeout(300)
def test_a_group_without_a_coordinator_fails_alone():
    """It moves to a second handle inside the client, which is renewed until it finds a coordinator: that costs no
    neighbour anything, and no agent process is started for it."""
    with (Kafka(nodes=3, offsets_topic_replication_factor=1) as cluster,
          Server(interval="500ms", hold="5s", http=True) as server, Client(server.port) as client):
        cluster.create_topic("videoJob")
        cluster.commit("workers", "videoJob", [0, 0, 0])
        lost = cluster.coordinator("workers")
        other = next(name for name in map("others-{}".format, range(50)) if cluster.coordinator(name) is not lost)
        cluster.commit(other, "videoJob", [0, 0, 0])
        becomes(client, trigger(cluster), (0, False))
        becomes(client, trigger(cluster, other), (0, False))

        def timed_out():
            return metric(get(server, "/metrics").text, "backlog_measurements_total", scaler="kafka", result="timeout")

        lost.kill()
        wait_until(lambda: is_unavailable(client, trigger(cluster)), 30, "refused")
        # Until then its last reading may answer, and no new one comes.
        wait_until(lambda: lost.number not in cluster.leaders("videoJob"), 60, "the topic has new leaders")
        time.sleep(2 * INTERVAL_SECONDS)
        becomes(client, trigger(cluster, other), (0, False), 60)
        agents = children(server)
        with Load(server, trigger(cluster, other), {(0, False)}) as load:
            before = timed_out()
            wait_until(lambda: timed_out() >= before + 3, 60, "three attempts on the second handle")
            code, text = refusal(client.metrics, trigger(cluster))
            assert code == grpc.StatusCode.UNAVAILABLE and "Kafka group workers" in text and "coordinator" in text
            cluster.start()
            becomes(client, trigger(cluster), (0, False), 60)  # it is tried again at most every 30 s
        # Nothing holds what is idle, so a measurement that a busy machine is late with is a refusal.
        assert load.wrong == [] and load.refusals < load.answers / 10
        assert children(server) == agents and len(agents) == 1


@pytest.mark.nightly
def test_groups_with_more_partitions_than_are_measured_at_a_time_are_seen_to_be_late():
    """Some ten of them at a time, each in a round trip or two."""
    with LongLink(None, 0.1) as link, SecureKafka(advertised_ports={"SASL_PLAINTEXT": link.port}) as kafka, \
            Server(interval="1s", http=True) as server, Client(server.port) as client:
        link.target = kafka.ports["SASL_PLAINTEXT"]
        kafka.create_topic("wide", partitions=1000)
        kafka.commit("group-0", "wide", [0])  # the topic of commits is there now
        triggers = [{**trigger(kafka, f"group-{number}", "wide"), "bootstrapServers": f"127.0.0.1:{link.port}", "interval": "1s",
                     "sasl": "scram_sha256", "username": kafka.user, "password": kafka.password} for number in range(60)]
        fetch_all(client, triggers)
        wait_until(lambda: "the source cannot keep up: its 60 queries" in server.log(), 30, "a warning")
        explained = get(server, "/api/triggers/shop/object-0").json()[0]
        assert explained["source"]["effectiveIntervalSeconds"] > 1.5, explained
