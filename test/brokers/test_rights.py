"""The least rights, on the real brokers: a table each, of rights and what they are enough for. docs/triggers.md has them.

Whoever only measures is polled instead of received, and the log says which right is missing.
"""

import contextlib
import subprocess
import time

import pytest

from support.clients.grpc_client import Client
from support.brokers.kafka import SecureKafka
from support.brokers.nats import Nats
from support.brokers.postgresql import USER, PostgreSQL
from support.process import wait_until
from support.brokers.push import Streams
from support.brokers.rabbitmq import RabbitMQ
from support.brokers.redis import Redis
from support.server.server import Server
from support.clients.story import answers, unavailable, value

SECRET = "sesame"
SELDOM = "60s"  # so that only notifications are in time
PUSH_SECONDS = 80  # a subscription that a busy machine was late with is tried again after 60


@pytest.fixture
def client():
    with Server(interval="500ms", hold="0s") as server, Client(server.port) as client:
        yield client


@contextlib.contextmanager
def listening(*triggers):
    """Streams of idle sources, and the server's log."""
    with Server(interval=SELDOM) as server, Streams(server, triggers) as streams:
        yield streams, server.log


# Redis: rights, a trigger that they are enough for, what it measures, and the command that adds one more.

OF_STREAM = {"scaler": "redis-streams", "stream": "stream"}
OF_GROUP = {**OF_STREAM, "consumerGroup": "workers"}

REDIS = [
    ("~list +llen", {"listName": "list"}, 4, "RPUSH list job"),
    ("~set +llen +type +scard", {"listName": "set"}, 5, "SADD set job"),
    ("~zset +llen +type +zcard", {"listName": "zset"}, 6, "ZADD zset 1 job"),
    ("~hash +llen +type +hlen", {"listName": "hash"}, 7, "HSET hash job 1"),
    ("~none +llen", {"listName": "none"}, 0, "RPUSH none job"),
    ("~list +llen +select", {"listName": "list", "databaseIndex": "5"}, 2, "RPUSH list job"),
    ("~list ~none +multi +exec +llen", {"keys": "list,none"}, 4, "RPUSH none job"),
    ("~list ~zset +multi +exec +llen +type +zcard", {"keys": "list,zset"}, 10, "ZADD zset 1 job"),
    ("~bull:list:* +multi +exec +time +llen +zcard +zcount +zrangebyscore +hexists", {"library": "bullmq", "queueName": "list"},
     0, "RPUSH bull:list:wait job"),
    ("~rq:* +multi +exec +time +llen +zcard +zcount +zrangebyscore +exists", {"library": "rq", "queueName": "list"},
     0, "RPUSH rq:queue:list job"),
    ("~stream +xlen", OF_STREAM, 3, "XADD stream * job 1"),
    ("~stream +xinfo|groups", {**OF_GROUP, "lagCount": "5"}, 1, "XADD stream * job 1"),
    ("~stream +xinfo|groups +xlen", {**OF_GROUP, "consumerGroup": "none", "lagCount": "5"}, 3, "XADD stream * job 1"),
    ("~stream +xpending", OF_GROUP, 2, None),  # Redis does not notify of them
]

REDIS_LISTENS = "+client|id +client|tracking +client|caching +subscribe &__redis__:invalidate"
REDIS_GOES_ON = "+ping"  # or who listens is taken for lost, and connected again each ten seconds


@pytest.fixture(scope="module")
def redis():
    with Redis() as broker:
        yield broker


@pytest.fixture
def filled(redis):
    with redis.connect() as commands:
        commands.call("FLUSHALL")
        for kind, add, count in (("list", "RPUSH list {}", 4), ("set", "SADD set {}", 5), ("zset", "ZADD zset {0} {0}", 6),
                                 ("hash", "HSET hash {0} {0}", 7), ("stream", "XADD stream * job {}", 3)):
            commands.call_all([add.format(number).split() for number in range(count)])
        commands.call("XGROUP", "CREATE", "stream", "workers", "0")
        commands.read("stream", "workers", 2)
        commands.call_all([("SELECT", 5), ("RPUSH", "list", 1, 2), ("SELECT", 0)])
        yield commands


def redis_user(commands, name, *rights):
    """A user with these rights and no others."""
    commands.call("ACL", "SETUSER", name, "reset", "on", f">{SECRET}", "resetchannels", *rights)
    return {"username": name, "password": SECRET}


def of_redis(broker, requested, **keys):
    return {"scaler": "redis", "address": broker.address, **requested, **keys}


@pytest.mark.parametrize("rights, requested, count, _more", REDIS, ids=lambda cell: cell if isinstance(cell, str) else "")
def test_redis_measures_with(redis, filled, client, rights, requested, count, _more):
    key, *commands = rights.split()
    answers(client, of_redis(redis, requested, **redis_user(filled, "enough", key, *commands)), count, count > 0)
    for missing in commands:
        login = redis_user(filled, f"without{missing}", key, *(one for one in commands if one != missing))
        refused = of_redis(redis, requested, **login)
        wait_until(lambda: "does not allow its user to measure: NOPERM" in unavailable(client, refused), 10, "the refusal")


def test_redis_listens_with(redis, filled):
    """Each is idle with what is there, and is notified of one more."""
    rows = [row for row in REDIS if row[3] is not None]
    triggers = []
    for number, (rights, requested, count, _) in enumerate(rows):
        login = redis_user(filled, f"listener-{number}", *rights.split(), *REDIS_LISTENS.split(), REDIS_GOES_ON)
        activation = "activationLagCount" if "stream" in requested else "activationListLength"
        triggers.append(of_redis(redis, requested, **{activation: str(count)}, **login))
    with listening(*triggers) as (streams, log):
        wait_until(lambda: subscribed(filled) == len(rows), PUSH_SECONDS, "all listen")
        time.sleep(1)
        assert "cannot subscribe" not in log() and streams.reported == []
        for _, requested, _, more in rows:
            filled.call_all([("SELECT", requested.get("databaseIndex", 0)), more.split()])
        streams.wait_for_pushes(range(len(rows)), PUSH_SECONDS)


def subscribed(commands):
    return commands.call("CLIENT", "LIST").count(" sub=1 ")


def test_redis_is_polled_without_one_of_the_rights_to_listen(redis, filled):
    rights = REDIS_LISTENS.split()
    logins = [redis_user(filled, f"deaf-{number}", "~none", "+llen", *rights[:number], *rights[number + 1:])
              for number in range(len(rights))]
    with listening(*(of_redis(redis, {"listName": "none"}, **login) for login in logins)) as (streams, log):
        wait_until(lambda: log().count("cannot subscribe") == len(logins), PUSH_SECONDS, "none is subscribed to, and each is reported")
        assert "rights to client|id, client|tracking, client|caching, subscribe and the channel" in log()
        filled.call("RPUSH", "none", "job")
        streams.wait_for_pushes(range(len(logins)), PUSH_SECONDS)


# NATS: what a user may publish to and subscribe to, and what it lacks to listen. Each is enough to measure a consumer that
# has had messages.

MEASURE = '"$JS.API.CONSUMER.INFO.jobs.*"'
NATS = {
    "measures": (MEASURE, '"_INBOX.>"', "must be allowed to publish to $JS.API.STREAM.INFO.jobs"),
    "may-ask": (f'{MEASURE}, "$JS.API.STREAM.INFO.jobs"', '"_INBOX.>"', "must be allowed to subscribe to jobs.>"),
    "quotes": (f'{MEASURE}, "$JS.API.STREAM.INFO.jobs"', '"_INBOX.>"', r'must be allowed to subscribe to jobs."a\b"'),
    "listens": (f'{MEASURE}, "$JS.API.STREAM.INFO.jobs"', '"_INBOX.>", "jobs.>"', None),
}


@pytest.fixture(scope="module")
def nats():
    users = "\n".join(f"{{user: {user}, password: {SECRET}, permissions: {{publish: [{publish}], subscribe: [{subscribe}]}}}}"
                      for user, (publish, subscribe, _) in NATS.items())
    with Nats(config=f"authorization {{ users: [{{user: admin, password: {SECRET}}}\n{users}] }}") as broker, \
            broker.connect(user="admin", password=SECRET) as jetstream:
        jetstream.create_stream("jobs")
        broker.jetstream = jetstream
        yield broker


@pytest.mark.parametrize("user", NATS)
def test_nats(nats, client, user):
    missing = NATS[user][2]
    subject = r'"a\b"' if user == "quotes" else "work"
    filtered = {"filter_subject": f"jobs.{subject}"} if user == "quotes" else {}
    nats.jetstream.create_consumer("jobs", user, deliver_policy="new", **filtered)
    requested = {"scaler": "nats-jetstream", "servers": nats.url, "stream": "jobs", "consumer": user, "user": user,
             "password": SECRET}
    if user == "measures":  # of a new consumer: a node that knows nothing of it answers the same
        assert missing in unavailable(client, requested)
    nats.jetstream.publish("jobs", subject=subject)
    nats.jetstream.take("jobs", user, 1)
    answers(client, requested, 0, False)
    with listening(requested) as (streams, log):
        if missing is None:
            wait_until(lambda: any("jobs.>" in connection["subscriptions_list"]
                                   for connection in nats.monitor("connz?subs=1")["connections"]
                                   if connection.get("subscriptions_list")), PUSH_SECONDS, "listens")
        else:
            wait_until(lambda: missing in log(), PUSH_SECONDS, f"the log has {missing!r}")
        nats.jetstream.publish("jobs", subject=subject)
        streams.wait_for_pushes([0], PUSH_SECONDS)
        assert ("cannot subscribe" in log()) == (missing is not None)
    answers(client, requested, 1, True)


# Kafka: rights on the topic, and what the user lacks to listen. On the group it has DESCRIBE.

KAFKA = {
    "DESCRIBE": "subscribing needs READ of Kafka topic",
    "READ": None,  # implies the other
}


def test_kafka():
    authorizer = {"authorizer_class_name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                  "super_users": "User:ANONYMOUS"}
    with SecureKafka(**authorizer) as kafka, Server(interval="500ms") as server, Client(server.port) as client:
        kafka.create_topic(*KAFKA)
        kafka.commit_topics("workers", {topic: [0, 0, 0] for topic in KAFKA})
        kafka.allow(kafka.user, group={"workers": "DESCRIBE"}, topic={right: right for right in KAFKA})

        def requested(topic, group="workers"):
            return {"scaler": "kafka", "bootstrapServers": kafka.sasl_ssl, "tls": "enable", "sasl": "scram_sha512",
                    "ca": kafka.ca, "username": kafka.user, "password": kafka.password, "topic": topic,
                    "consumerGroup": group}

        wait_until(lambda: "uthoriz" in unavailable(client, requested("DESCRIBE", "others")), 30, "the refusal")
        for topic, missing in KAFKA.items():
            answers(client, requested(topic), 0, False)
            with listening(requested(topic)) as (streams, log):
                if missing is None:
                    time.sleep(3)  # the broker does not report who is subscribed
                else:
                    wait_until(lambda: missing in log(), PUSH_SECONDS, f"the log has {missing!r}")
                kafka.produce(topic, 1)
                streams.wait_for_pushes([0], PUSH_SECONDS)
                assert ("cannot subscribe" in log()) == (missing is not None)


# RabbitMQ: configure, write and read are all ^$; a tag, and the protocol that it is enough for.

RABBITMQ = {"": "amqp", "management": "http"}


def test_rabbitmq(client):
    with RabbitMQ() as broker:
        broker.declare("jobs")
        broker.publish("jobs", 3)
        for tag, protocol in RABBITMQ.items():
            user = f"watcher-{protocol}"
            broker.create_user(user, SECRET, tags=tag, rights="^$")
            host = {"amqp": broker.amqp_url, "http": broker.http_url}[protocol](user=user, password=SECRET)
            answers(client, {"scaler": "rabbitmq", "host": host, "queueName": "jobs", "queueLength": "5"}, 3, True)
        pattern = {"scaler": "rabbitmq", "host": host, "queueName": "^jobs$", "queueLength": "5", "useRegex": "true"}
        answers(client, pattern, 3, True)
        no_tag = {**pattern, "host": broker.http_url(user="watcher-amqp", password=SECRET)}
        text = unavailable(client, no_tag)
        assert "401" in text and "the user lacks the tag management" in text and SECRET not in text


# PostgreSQL: what is granted beside CONNECT, a query that it is enough for, and what is said without it.

POSTGRESQL = [
    ("", "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) FROM pg_replication_slots WHERE slot_name = 'cdc'", None),
    ("GRANT SELECT ON jobs TO watcher", "SELECT count(*) FROM jobs", "permission denied for table jobs"),
    ("GRANT pg_monitor TO watcher", "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), sent_lsn) FROM pg_stat_replication", "NULL"),
]


@pytest.fixture(scope="module")
def replicated():
    """A database with a table of jobs, a slot, and somebody who follows it."""
    with PostgreSQL() as broker:
        broker.sql("CREATE TABLE jobs (id serial)", database=USER)
        broker.sql("SELECT pg_create_physical_replication_slot('cdc', true)")
        follower = subprocess.Popen(broker.receive_wal("cdc"), cwd=broker.folder, stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: broker.sql("SELECT 1 FROM pg_stat_replication"), 20, "somebody follows")
            yield broker
        finally:
            follower.kill()
            follower.wait()


@pytest.mark.parametrize("grant, query, otherwise", POSTGRESQL, ids=["no rights", "SELECT", "pg_monitor"])
def test_postgresql_measures_with(replicated, client, grant, query, otherwise):
    replicated.sql(f"CREATE ROLE watcher LOGIN PASSWORD '{SECRET}'", database=USER)
    requested = {"scaler": "postgresql", "connection": replicated.url(user="watcher", password=SECRET), "query": query,
             "targetQueryValue": "5"}
    try:
        if otherwise is not None:
            wait_until(lambda: otherwise in unavailable(client, requested), 10, "the refusal")
        replicated.sql(grant, database=USER)
        wait_until(lambda: value(client, requested) >= 0, 10, "measured")
    finally:
        replicated.sql("DROP OWNED BY watcher", "DROP ROLE watcher", database=USER)
