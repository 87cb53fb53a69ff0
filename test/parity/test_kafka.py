"""kafka and apache-kafka, beside KEDA's, which has two clients for them; ours are one."""

import dataclasses

import confluent_kafka
import pytest

from support.brokers.kafka import SecureKafka
from support.clients.keda import Refused, Trigger
from support.brokers.oauth import TokenEndpoint
from support.process import free_port
from support.clients.side_by_side import ANSWERED, REFUSED, alike, both_refuse, compare, differs, each

CAP = ("The cap is exact: never more than lagThreshold times the number of partitions. KEDA allows up to "
    "one replica more.")
RECREATED = "A commit beyond the end of a recreated topic counts as no commit; KEDA's lag is negative."
REMOVED = ("Messages that were removed beyond a commit, by retention or DeleteRecords, are no lag; in KEDA they keep the workload "
           "active for ever.")
STUCK = ("excludePersistentLag measures how long a commit has not moved while there was lag. KEDA compares "
    "with the previous call, which may be a second old, and excludes the first message of an idle "
    "partition.")
CLUSTER = ("Without topic, a group that has committed nothing is an error, or 0 with scaleToZeroOnInvalidOffset; KEDA "
           "counts the whole cluster (#8104).")
LISTS = "topic may be a list, or a regular expression that begins with ^ (#828)."
AWS = "AWS identities (aws_msk_iam) are not supported."
NOTHING_LEFT = ("A topic that does not exist, or a partitionLimitation without any partition, is an error; KEDA "
    "counts 0, or all partitions.")
MEMBERS = ("Without topic, all topics that the group has committed count. KEDA needs group members, and counts "
    "the whole cluster.")
EVEN = "ensureEvenDistributionOfPartitions returns 0 without lag; KEDA returns one replica."

# topic: partitions and messages, the same number in each
TOPICS = {"orders": (3, 30), "six": (6, 60), "empty": (3, 0), "expired": (3, 30), "shop.orders_v1": (1, 4)}

# group: topic, and the offset that it committed in each partition
COMMITS = {
    "done": ("orders", [10, 10, 10]),
    "half": ("orders", [5, 5, 5]),
    "seventeen": ("orders", [4, 4, 5]),
    "partial": ("orders", [4, 10, None]),
    "one-behind": ("orders", [0, 10, 10]),
    "beyond": ("orders", [100, 100, 100]),
    "beyond-one": ("orders", [100, 9, 9]),
    "six-none": ("six", [10] * 6),
    "six-5": ("six", [5] + [10] * 5),
    "six-15": ("six", [0, 5] + [10] * 4),
    "six-25": ("six", [0, 0, 5] + [10] * 3),
    "six-35": ("six", [0, 0, 0, 5] + [10] * 2),
    "at-start": ("empty", [0, 0, 0]),
    "late": ("expired", [2, 8, 10]),
    "last": ("transactions", [3]),
    "several": ("orders", [5, 5, 5]),
}


def of(group, topic=None, **keys):
    topic = topic or COMMITS[group][0]
    return Trigger("kafka", {"bootstrapServers": "$bootstrap", "consumerGroup": group, "topic": topic, **keys})


def without(trigger, key):
    return Trigger(trigger.type, {name: text for name, text in trigger.metadata.items() if name != key})


def all_of(group, **keys):
    """Without a topic."""
    return without(of(group, "any", **keys), "topic")


def six(lag, **keys):
    return of(f"six-{lag}", ensureEvenDistributionOfPartitions="true", **keys)


LAGS = [
    alike("all is committed", of("done"), 0),
    alike("half is committed", of("half"), 15),
    alike("a dot in the topic", of("nobody", "shop.orders_v1"), 1),
    alike("another threshold", of("half", lagThreshold="7"), 15),
    alike("as much as the activation", of("half", activationLagThreshold="15"), 15, active=False),
    alike("one more than the activation", of("half", activationLagThreshold="14"), 15, active=True),
    alike("no commit, latest: one a partition", of("nobody", "orders"), 3),
    alike("no commit, latest, nothing there", of("nobody", "empty"), 3),
    alike("no commit, latest, to zero", of("nobody", "orders", scaleToZeroOnInvalidOffset="true"), 0),
    alike("no commit, earliest", of("nobody", "orders", offsetResetPolicy="earliest"), 30),
    alike("no commit, earliest, nothing there", of("nobody", "empty", offsetResetPolicy="earliest"), 0),
    alike("no commit, earliest, to zero",
          of("nobody", "orders", offsetResetPolicy="earliest", scaleToZeroOnInvalidOffset="true"), 0),
    alike("no commit, earliest, and a part has expired", of("nobody", "expired", offsetResetPolicy="earliest"), 12),
    alike("a commit at the start of nothing", of("at-start"), 0),
    alike("commits in some partitions, latest", of("partial"), 7),
    alike("commits in some partitions, earliest", of("partial", offsetResetPolicy="earliest"), 16),
    alike("commits in some partitions, latest, to zero", of("partial", scaleToZeroOnInvalidOffset="true"), 6),
    differs("a commit before the start, latest", of("late"), keda=(10, True), ours=(6, True), because=REMOVED),
    differs("a commit before the start, earliest", of("late", offsetResetPolicy="earliest"), keda=(10, True), ours=(6, True),
            because=REMOVED),
    alike("the mark of a transaction", of("last"), 1),
    alike("lag that may be persistent, at first", of("half", excludePersistentLag="true"), 15),
    differs("lag that may be persistent, once more", of("half", excludePersistentLag="true"), keda=(0, True),
            ours=(15, True), because=STUCK, calls=2),
    differs("commits beyond the end", of("beyond"), keda=(0, False), ours=(3, True), because=RECREATED),
    differs("a commit beyond the end", of("beyond-one"), keda=(0, False), ours=(3, True), because=RECREATED),
]

CAPS = [
    alike("no more replicas than partitions", of("nobody", "orders", offsetResetPolicy="earliest", lagThreshold="5"),
          15),
    alike("exactly as many replicas as partitions", of("half", lagThreshold="5"), 15),
    alike("idle consumers", of("half", lagThreshold="3", allowIdleConsumers="true"), 15),
    alike("activation by the lag before the cap", of("half", lagThreshold="1", activationLagThreshold="14"), 3),
    alike("as much as the activation, and more than the cap",
          of("half", lagThreshold="1", activationLagThreshold="15"), 3, active=False),
    differs("a part of a replica above the cap", of("seventeen", lagThreshold="5"), keda=(17, True), ours=(15, True),
            because=CAP),
    alike("limited to partitions with lag", of("one-behind", lagThreshold="5", limitToPartitionsWithLag="true"), 5),
    alike("limited, and below it", of("one-behind", lagThreshold="10", limitToPartitionsWithLag="true"), 10),
    alike("limited, and no lag", of("done", limitToPartitionsWithLag="true"), 0),
    alike("limited, and no commit", of("nobody", "orders", limitToPartitionsWithLag="true", lagThreshold="1"), 3),
    differs("limited, and a part of a replica above it",
            of("one-behind", lagThreshold="6", limitToPartitionsWithLag="true"), keda=(10, True), ours=(6, True),
            because=CAP),
    alike("even: 5 of 60 in one", six(5), 10),
    alike("even: 15 of 60 in two", six(15), 20),
    alike("even: 25 of 60 in three", six(25), 30),
    alike("even: 35 of 60 in six", six(35), 60),
    alike("even: more than six", six(35, lagThreshold="2"), 12),
    alike("even, and idle consumers", six(35, lagThreshold="2", allowIdleConsumers="true"), 12),
    differs("even: no lag", six("none"), keda=(10, False), ours=(0, False), because=EVEN),
]

PARTITIONS = [
    alike("one partition", of("partial", partitionLimitation="0"), 6),
    alike("a range", of("partial", partitionLimitation="0-1"), 6),
    alike("blanks", of("partial", partitionLimitation=" 0 , 1 - 2 "), 7),
    alike("a partition that is not there", of("partial", partitionLimitation="0,7"), 6),
    alike("no partition told", of("partial", partitionLimitation=" "), 7),
    alike("the cap is of the partitions told", of("half", partitionLimitation="0-1", lagThreshold="2"), 4),
]

KAFKA = [
    both_refuse("only partitions that are not there", of("partial", partitionLimitation="7"), "at least one active"),
    both_refuse("a range of nothing", of("partial", partitionLimitation="2-1"), "at least one active"),
    both_refuse("a range of three", of("partial", partitionLimitation="0-1-2"), "invalid partition limitation"),
    both_refuse("no number", of("partial", partitionLimitation="all"), "invalid partition limitation"),
    both_refuse("an empty number", of("partial", partitionLimitation="1,,2"), "invalid partition limitation"),
    both_refuse("no such topic", of("half", "missing"), "does not exist"),
    both_refuse("limited, and even",
                of("half", limitToPartitionsWithLag="true", ensureEvenDistributionOfPartitions="true"),
                "cannot be set simultaneously"),
    alike("no topic", all_of("half"), 15),
    alike("no topic, and some partitions without a commit", all_of("partial"), 7),
    alike("no topic, and several were committed", all_of("several"), 23),
    alike("no topic, and the cap of all partitions", all_of("several", lagThreshold="1"), 12),
    alike("no topic: partitions limit nothing", all_of("half", partitionLimitation="0"), 15),
    alike("no topic and no commit, to zero", all_of("nobody", scaleToZeroOnInvalidOffset="true"), 0),
    differs("no topic and no commit", all_of("nobody"), keda=ANSWERED, ours=REFUSED, because=CLUSTER),
    both_refuse("no topic, and limited", all_of("half", limitToPartitionsWithLag="true"), "topic must be specified"),
    both_refuse("no topic, and even", all_of("half", ensureEvenDistributionOfPartitions="true"),
                "topic must be specified"),
    both_refuse("no topic, and its metadata only", all_of("half", fullMetadata="false"), "topic must be specified"),
    both_refuse("no topic, and no number", all_of("half", partitionLimitation="x"), "invalid partition limitation"),
    differs("several topics", of("half", "orders, six"), keda=Refused("invalid topic"), ours=(21, True), because=LISTS),
    differs("a pattern of topics", of("half", "^orders$$"), keda=Refused("invalid topic"), ours=(15, True),
            because=LISTS),
    differs("two policies", of("nobody", "orders", offsetResetPolicy="latest,earliest"), keda=(33, True),
            ours=REFUSED, because="latest or earliest"),
    both_refuse("a version that is none", of("half", version="nonsense"), "invalid version"),
    differs("a region", of("half", awsRegion="eu-west-1"), keda=(15, True), ours=REFUSED, because=AWS),
]


def apache(trigger):
    return dataclasses.replace(trigger, type="apache-kafka")


APACHE_KAFKA = [
    alike("several topics", apache(of("half", "orders,six")), 21),
    alike("several topics and blanks", apache(of("half", "orders , six")), 21),
    alike("several topics, and the cap of all their partitions", apache(of("half", "orders,six", lagThreshold="2")),
          18),
    alike("limited, and even", apache(six(25, lagThreshold="5", limitToPartitionsWithLag="true")), 15),
    differs("no such topic", apache(of("half", "missing")), keda=(0, False), ours=REFUSED, because=NOTHING_LEFT),
    differs("one topic of a list is not there", apache(of("half", "orders,missing")), keda=(15, True), ours=REFUSED,
            because=NOTHING_LEFT),
    differs("only partitions that are not there", apache(of("partial", partitionLimitation="7")), keda=(0, False),
            ours=REFUSED, because=NOTHING_LEFT),
    differs("a range of nothing", apache(of("partial", partitionLimitation="2-1")), keda=(7, True), ours=REFUSED,
            because=NOTHING_LEFT),
    both_refuse("a range of three", apache(of("partial", partitionLimitation="0-1-2")), "unable to set param"),
    both_refuse("no number", apache(of("partial", partitionLimitation="all")), "unable to set param"),
    differs("no topic", apache(all_of("half")), keda=Refused("no active members"), ours=(15, True), because=MEMBERS),
    both_refuse("no topic and no commit", apache(all_of("nobody")), "no active members"),
    both_refuse("no topic, and limited", apache(all_of("half", limitToPartitionsWithLag="true")),
                "topic must be specified"),
]


def secure(sasl, username="backlog", password="correct horse", **auth):
    return Trigger("kafka", {"bootstrapServers": "$sasl_ssl", "consumerGroup": "half", "topic": "orders"},
                   auth={"sasl": sasl, "tls": "enable", "ca": "$ca", "username": username, "password": password,
                         **auth})


def insecure(key):
    return Trigger("kafka", {"bootstrapServers": "$sasl_ssl", "consumerGroup": "half", "topic": "orders",
                             "tls": "enable", "sasl": "plaintext", key: "true"},
                   auth={"username": "backlog", "password": "correct horse"})


def shown(**auth):
    return Trigger("kafka", {"bootstrapServers": "$ssl", "consumerGroup": "half", "topic": "orders", "tls": "enable"},
                   auth={"ca": "$ca", **auth})


def tokened(path="/token", **auth):
    return Trigger("kafka", {"bootstrapServers": "$sasl_plaintext", "consumerGroup": "half", "topic": "orders",
                             "sasl": "oauthbearer"},
                   auth={"username": TokenEndpoint.client_id, "password": TokenEndpoint.client_secret,
                         "oauthTokenEndpointUri": f"$tokens{path}", "scopes": "kafka,read", **auth})


CONNECTIONS = [
    alike("a list, and the first is dead",
          Trigger("kafka", {**of("half").metadata, "bootstrapServers": "127.0.0.1:$nobody, $bootstrap"}), 15),
    alike("from the environment",
          Trigger("kafka", {}, env={"bootstrapServers": "$bootstrap", "consumerGroup": "half", "topic": "orders"}), 15),
    alike("PLAIN", secure("plaintext"), 15),
    alike("SCRAM-SHA-256", secure("scram_sha256"), 15),
    alike("SCRAM-SHA-512", secure("scram_sha512"), 15),
    alike("a closing line of sasl", secure("scram_sha512\n"), 15),
    alike("an unknown authority that does not matter", insecure("unsafeSsl"), 15, server=insecure("brokerUnsafeSsl")),
    alike("a version", of("half", version="2.0.0"), 15),
    alike("metadata of the topic only", of("half", fullMetadata="false"), 15),
    alike("a certificate", shown(cert="$cert", key="$key"), 15),
    alike("a token", tokened(), 15),
    alike("a token, and extensions", tokened(oauthExtensions="logicalCluster=lkc-1"), 15),
    alike("what belongs to tokens, and no token", of("half", saslTokenProvider="bearer"), 15),
    both_refuse("no certificate", shown(), "available brokers"),
    both_refuse("a token of another scope", tokened(scopes="read"), "available brokers"),
    both_refuse("a wrong secret of the client", tokened(password="wrong"), "available brokers"),
    both_refuse("no endpoint of tokens", tokened(oauthTokenEndpointUri=""), "oauth token endpoint"),
    both_refuse("a wrong password", secure("scram_sha256", password="wrong"), "available brokers"),
    both_refuse("an unknown authority", secure("plaintext", ca=""), "available brokers"),
    both_refuse("sasl that is none", secure("plain"), "must be one of"),
    both_refuse("sasl without a user", secure("plaintext", username=""), "username"),
    both_refuse("sasl without a password", secure("scram_sha256", password=""), "password"),
    both_refuse("a certificate without a key", secure("plaintext", cert="x"), "key must be provided"),
    both_refuse("nobody listens", Trigger("kafka", {**of("half").metadata, "bootstrapServers": "127.0.0.1:$nobody"}),
                "available brokers"),
    both_refuse("no bootstrapServers", without(of("half"), "bootstrapServers"), "missing required parameter"),
    both_refuse("no consumerGroup", without(of("half"), "consumerGroup"), "missing required parameter"),
    both_refuse("a threshold of 0", of("half", lagThreshold="0"), "must be positive"),
    both_refuse("a threshold below 0", of("half", lagThreshold="-1"), "must be positive"),
    both_refuse("a decimal threshold", of("half", lagThreshold="1.5"), "unable to set param"),
    both_refuse("an activation below 0", of("half", activationLagThreshold="-1"), "must be a non-negative"),
    both_refuse("a policy that is none", of("half", offsetResetPolicy="newest"), "must be one of"),
    both_refuse("a bool in other words", of("half", allowIdleConsumers="on"), "unable to parse boolean"),
    both_refuse("limited, and idle consumers", of("half", limitToPartitionsWithLag="true", allowIdleConsumers="true"),
                "cannot be set simultaneously"),
]


@pytest.fixture(scope="module")
def places():
    with SecureKafka() as broker, TokenEndpoint() as endpoint:
        fill(broker)
        yield {"bootstrap": broker.bootstrap, "sasl_ssl": broker.sasl_ssl, "sasl_plaintext": broker.sasl_plaintext,
               "ssl": broker.ssl, "ca": broker.ca, "cert": broker.cert, "key": broker.key, "tokens": endpoint.url,
               "nobody": str(free_port())}


def fill(broker):
    for topic, (partitions, messages) in TOPICS.items():
        broker.create_topic(topic, partitions=partitions)
        broker.produce(topic, messages, partitions)
    broker.expire("expired", [6, 6, 6])
    broker.create_topic("transactions", partitions=1)
    produce_transaction(broker, "transactions", 3)
    for group, (topic, offsets) in COMMITS.items():
        broker.commit(group, topic, offsets)
    broker.commit_topics("several", {"six": [9] * 6, "empty": [0, None, None]})


def produce_transaction(broker, topic, count):
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": topic,
                                         "log_level": 0})
    producer.init_transactions(30)
    producer.begin_transaction()
    for _ in range(count):
        producer.produce(topic, b"work")
    producer.commit_transaction(30)


@pytest.mark.parametrize("scaler", ["kafka", "apache-kafka"])
@each(LAGS + CAPS + PARTITIONS)
def test_lags(scaler, case, keda, client, places):
    case = dataclasses.replace(case, trigger=dataclasses.replace(case.trigger, type=scaler))
    compare(case, keda, client, places)


@each(KAFKA)
def test_kafka(case, keda, client, places):
    compare(case, keda, client, places)


@each(APACHE_KAFKA)
def test_apache_kafka(case, keda, client, places):
    compare(case, keda, client, places)


@each(CONNECTIONS)
def test_connections(case, keda, client, places):
    compare(case, keda, client, places)
