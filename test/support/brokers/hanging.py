"""Sources of many queries, of which some hang: the broker does not reply to them, and to others it does.

A query is a number; `trigger` is its metadata. `link` is what the server reaches the broker through; its port is
in the triggers. To add a source: a class like these, and its name in SOURCES; Kafka's are in hanging_kafka.py.
"""

import collections
import contextlib
import re

try:
    import pika
except ImportError:
    pika = None  # support.brokers.rabbitmq says so

from ..network.links import KeepingLink, Link, LongLink, split_http, split_nats, split_redis
from .nats import Nats
from .postgresql import PASSWORD, USER, PostgreSQL
from ..process import wait_until
from .prometheus import Prometheus
from .rabbitmq import RabbitMQ
from .redis import Redis, RedisCluster

ONE_WAY_SECONDS = 0.06


class Source:
    deadline_seconds = 2  # of a query
    places = 16  # for queries that hang, at a time
    subscribes = True
    push_seconds = 10  # until a stream has been sent the first message, on a busy machine
    settle_seconds = 0  # until its zeros are believed while a query hangs
    is_pushed = True  # within that time
    is_writable = True  # messages can be added while it runs
    is_answered = False  # True: what hangs is answered all the same, in another way

    def __init__(self, count):
        self.count = count
        self.published = collections.Counter()  # since the beginning, by query

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.broker = stack.enter_context(self.make_broker())
            self.link = stack.enter_context(self.make_link())
            self.connect()
            self.fill()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    @property
    def port(self):
        return self.broker.port

    def triggers(self, numbers=None):
        return [self.trigger(number) for number in (range(self.count) if numbers is None else numbers)]

    def value(self, number):
        """What waits, unless it was emptied."""
        return number % 3 + 1 + self.published[number]

    def publish(self, number):
        self.add(number)
        self.published[number] += 1

    def recovery_seconds(self, hanging):
        """Until each of so many queries is right again after the source has recovered."""
        return self.deadline_seconds + max(30, hanging * self.deadline_seconds / self.places)

    def await_empty(self, numbers):
        """After `empty`: until each way of the source to count them sees it."""

    def recover(self):
        self.link.heal()


class RedisLists(Source):
    """Replies have no numbers: a connection stalls from the first command on that hangs."""

    title = "Redis"
    places = 1

    def make_broker(self):
        return Redis()

    def make_link(self):
        return KeepingLink(self.broker.port, split_redis, in_order=True)

    def connect(self):
        """Again after a restart, too."""
        self.client = self.broker.connect()

    def fill(self):
        self.client.call_all([("RPUSH", f"list-{number}", *range(self.value(number))) for number in range(self.count)])

    def trigger(self, number):
        return {"scaler": "redis", "address": f"127.0.0.1:{self.link.port}", "listName": f"list-{number}"}

    def hang(self, numbers):
        names = {b"list-%d" % number for number in numbers}
        self.link.keep(lambda command: command.split(b"\r\n")[-2] in names)

    def empty(self, number):
        self.client.call("DEL", f"list-{number}")

    def add(self, number):
        self.client.call("RPUSH", f"list-{number}", "job")


class Links:
    """One per node, as long or as wilful as the others."""

    def __init__(self, links):
        self.links = links

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for link in self.links:
            link.__exit__()

    def keep(self, is_kept):
        for link in self.links:
            link.keep(is_kept)

    def heal(self):
        for link in self.links:
            link.heal()


class RedisClusterLists(RedisLists):
    """Keys of three masters, each behind a link of its own, which is where the cluster says that it is."""

    title = "Redis Cluster"
    places = 3

    def make_broker(self):
        return RedisCluster(replicas=0)

    def make_link(self):
        return self.links(lambda node: KeepingLink(node.port, split_redis, in_order=True))

    def links(self, make):
        links = [make(node) for node in self.broker.nodes]
        self.broker.announce([link.port for link in links])
        return Links(links)

    def connect(self):
        pass

    def fill(self):
        self.broker.call_all([("RPUSH", f"list-{number}", *range(self.value(number))) for number in range(self.count)])

    def trigger(self, number):
        addresses = ",".join(f"127.0.0.1:{link.port}" for link in self.link.links)
        return {"scaler": "redis-cluster", "address": addresses, "listName": f"list-{number}"}

    def empty(self, number):
        self.broker.call("DEL", f"list-{number}")

    def add(self, number):
        self.broker.call("RPUSH", f"list-{number}", "job")

    @classmethod
    def far_away(cls, count):
        class FarAway(cls):
            def make_link(self):
                return self.links(lambda node: LongLink(node.port, ONE_WAY_SECONDS))

        return FarAway(count)


class NatsConsumers(Source):
    """Each request has a reply subject of its own."""

    title = "NATS JetStream"

    def make_broker(self):
        return Nats()

    def make_link(self):
        return KeepingLink(self.broker.port, split_nats, in_order=False)

    client = None

    def connect(self):
        if self.client is not None:
            self.client.close()
        self.client = self.broker.connect()

    def fill(self):
        self.client.create_many(self.count, "jobs", retention="workqueue")
        for number in range(self.count):
            self.client.publish("jobs", self.value(number), subject=str(number))

    def __exit__(self, *_):
        self.client.close()
        super().__exit__()

    def trigger(self, number):
        return {"scaler": "nats-jetstream", "servers": f"nats://127.0.0.1:{self.link.port}", "stream": "jobs",
                "consumer": f"consumer-{number}"}

    def hang(self, numbers):
        names = {b"$JS.API.CONSUMER.INFO.jobs.consumer-%d" % number for number in numbers}
        self.link.keep(lambda request: request.startswith(b"PUB ") and request.split(b" ", 2)[1] in names)

    def empty(self, number):
        self.client.take("jobs", f"consumer-{number}", self.value(number))

    def add(self, number):
        self.client.publish("jobs", subject=str(number))


class RabbitMQQueues(Source):
    """The broker itself does not reply about a queue whose process is suspended."""

    title = "RabbitMQ"
    subscribes = False

    def make_broker(self):
        broker = RabbitMQ()
        broker.stop = broker.kill  # in order it would wait for the queues that hang
        return broker

    def make_link(self):
        return Link(self.port)

    def connect(self):
        pass

    def fill(self):
        self.broker.declare(*map(self.name, range(self.count)))
        with self.broker.connect() as connection:
            channel = connection.channel()
            channel.tx_select()  # committed, they survive a restart
            for number in range(self.count):
                for _ in range(self.value(number)):
                    channel.basic_publish("", self.name(number), b"work", pika.BasicProperties(delivery_mode=2))
            channel.tx_commit()

    def name(self, number):
        return f"queue-{number}"

    def trigger(self, number):
        return {"scaler": "rabbitmq", "host": f"amqp://guest:guest@127.0.0.1:{self.link.port}/",
                "queueName": self.name(number), "mode": "QueueLength", "value": "5"}

    def hang(self, numbers):
        self.hanging = [self.name(number) for number in numbers]
        self.broker.hang(*self.hanging)

    def recover(self):
        self.broker.unhang(*self.hanging)

    def empty(self, number):
        self.broker.purge(self.name(number))

    def add(self, number):
        self.broker.publish(self.name(number))


class RabbitMQManagement(RabbitMQQueues):
    """A listing of queues hangs where one does; the broker's statistics answer then."""

    title = "RabbitMQ over HTTP"
    settle_seconds = 8  # it may have just started: statistics begin with zeros
    deadline_seconds = 10
    places = 2
    is_answered = True

    @property
    def port(self):
        return self.broker.management_port

    def fill(self):
        super().fill()
        expected = {self.name(number): self.value(number) for number in range(self.count)}
        wait_until(lambda: self.statistics() == expected, 60, "statistics of all queues")

    def statistics(self):
        return {queue["name"]: queue.get("messages_ready") for queue in self.broker.api("GET", "/queues/%2F")}

    def await_empty(self, numbers):
        """Statistics answer while a listing hangs, and are up to five seconds behind."""
        wait_until(lambda: not any(map(self.statistics().get, map(self.name, numbers))), 60, "statistics of empty queues")

    def publish(self, number):
        """The server's time begins when the broker's statistics have it."""
        before = self.statistics()[self.name(number)]
        super().publish(number)
        wait_until(lambda: self.statistics()[self.name(number)] != before, 60, "statistics of a message")

    def trigger(self, number):
        return {**super().trigger(number), "host": f"http://guest:guest@127.0.0.1:{self.link.port}/"}


class PostgreSQLTables(Source):
    """Each query reads a table of its own; it hangs while somebody has locked that."""

    title = "PostgreSQL"
    deadline_seconds = 1  # as the triggers say
    places = 1  # of four sessions
    is_pushed = False  # it is measured at its interval

    def make_broker(self):
        return PostgreSQL("max_locks_per_transaction = 1000")

    def make_link(self):
        return Link(self.port)

    locker = None

    def connect(self):
        pass

    def fill(self):
        for begin in range(0, self.count, 1000):  # a word of a command has 128 KiB at most
            self.run(*(f"CREATE TABLE jobs_{number} AS SELECT generate_series(1, {self.value(number)})"
                       for number in range(begin, min(begin + 1000, self.count))))
        self.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {USER}")

    def run(self, *statements):
        self.broker.sql(" ; ".join(statements), database=USER)

    def __exit__(self, *_):
        self.recover()
        super().__exit__()

    def trigger(self, number):
        return {"scaler": "postgresql", "host": "127.0.0.1", "port": str(self.link.port), "userName": USER,
                "dbName": USER, "sslmode": "disable", "passwordFromEnv": PASSWORD,
                "query": f"SELECT count(*) FROM jobs_{number}", "targetQueryValue": "5", "timeout": "1s"}

    def hang(self, numbers):
        tables = ", ".join(f"jobs_{number}" for number in numbers)
        self.locker = self.broker.open_session(f"BEGIN; LOCK TABLE {tables}; SELECT 'locked';", USER)

    def recover(self):
        """The transaction ends with its session."""
        if self.locker is not None:
            self.locker.close()
        self.locker = None

    def add(self, number):
        self.run(f"INSERT INTO jobs_{number} VALUES (0)")


class PrometheusSeries(Source):
    """Requests that are kept are lost; their connections are closed by the server, which waits for no reply any more."""

    title = "Prometheus"
    deadline_seconds = 1  # as the triggers say
    places = 2  # of eight; more of them where the limit has grown
    is_pushed = False
    is_writable = False

    def make_broker(self):
        return Prometheus(*(f'jobs{{queue="{number}"}} {self.value(number)}' for number in range(self.count)),
                          minutes=2)

    def make_link(self):
        return KeepingLink(self.port, split_http, in_order=False)

    def connect(self):
        pass

    fill = connect

    def trigger(self, number):
        return {"scaler": "prometheus", "serverAddress": f"http://127.0.0.1:{self.link.port}",
                "query": f'jobs{{queue="{number}"}}', "threshold": "5", "timeout": "1s"}

    def hang(self, numbers):
        queries = {b"%%22%d%%22" % number for number in numbers}
        self.link.keep(lambda request: re.search(rb"%22\d+%22|$", request)[0] in queries)


SOURCES = [RedisLists, NatsConsumers, RabbitMQQueues, RabbitMQManagement, PostgreSQLTables, PrometheusSeries]


def far_away(kind, count):
    """The same source, behind a long link."""
    if hasattr(kind, "far_away"):
        return kind.far_away(count)

    class FarAway(kind):
        def make_link(self):
            return LongLink(self.port, ONE_WAY_SECONDS)

    return FarAway(count)
