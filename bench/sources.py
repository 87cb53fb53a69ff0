"""Sources of many triggers, each with a queue of its own: a list, a topic, a table or a consumer."""

import collections
import concurrent.futures
import re

import workload  # noqa: F401 -- it lets Python find `support`

import confluent_kafka

from support.brokers.kafka import Kafka
from support.brokers.nats import Nats
from support.brokers.postgresql import PASSWORD, USER, PostgreSQL
from support.brokers.rabbitmq import RabbitMQ
from support.brokers.redis import Redis
from support.network.tap import Tap

TARGET, MESSAGES = 5, 7   # so what has work has two replicas


def has_work(number):
    """Every other ScaledObject."""
    return number % 2 == 0


class RabbitMQQueues:
    """`create` makes queues that are empty, and `add_work` puts messages into some; `counts` has the requests by kind."""

    title, scaler, broker_class = "RabbitMQ", "rabbitmq", RabbitMQ

    def __enter__(self):
        self.broker = self.broker_class().__enter__()
        self.pid, self.port = self.broker.pid, self.broker.port
        return self

    def __exit__(self, *arguments):
        self.broker.__exit__(*arguments)

    def fill(self, count):
        self.create(count)
        self.add_work(filter(has_work, range(count)))

    def create(self, count):
        self.broker.declare(*(f"queue-{number}" for number in range(count)))

    def add_work(self, numbers):
        with self.broker.connect() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for number in numbers:
                for _ in range(MESSAGES):
                    channel.basic_publish("", f"queue-{number}", b"job")

    def metadata(self, number):
        return {"host": self.broker.amqp_url(), "queueName": f"queue-{number}", "mode": "QueueLength", "value": str(TARGET)}

    def requests(self):
        """Packets that the connections of now have received. Backlog sends many requests in one."""
        return sum(map(int, self.broker.ctl("list_connections", "recv_cnt", "--no-table-headers").split()))

    def publish(self, number):
        self.broker.publish(f"queue-{number}", 1)


class TappedQueues(RabbitMQQueues):
    """The broker does not count requests: a tap before it does."""

    title = "RabbitMQ over AMQP"
    REQUEST, KIND = b"\x00\x32\x00\x0a", "queue.declare"  # AMQP's class 50, method 10

    def __enter__(self):
        super().__enter__()
        self.tap = Tap(self.place())
        return self

    def __exit__(self, *arguments):
        self.tap.__exit__()
        super().__exit__(*arguments)

    def place(self):
        return self.broker.port

    def metadata(self, number):
        return {**super().metadata(number), "host": f"amqp://guest:guest@127.0.0.1:{self.tap.port}/%2F"}

    def counts(self):
        return collections.Counter({self.KIND: self.tap.count(self.REQUEST)})


class ManagementQueues(TappedQueues):
    title = "RabbitMQ over HTTP"
    REQUEST, KIND = b"GET /", "GET"

    def place(self):
        return self.broker.management_port

    def metadata(self, number):
        return {**super().metadata(number), "host": f"http://guest:guest@127.0.0.1:{self.tap.port}/%2F"}


class RedisLists(RabbitMQQueues):
    title, scaler, broker_class = "Redis", "redis", Redis

    def create(self, count):
        """A list without elements does not exist."""

    def add_work(self, numbers):
        with self.broker.connect() as client:
            client.call_all([("RPUSH", f"list-{number}", *range(MESSAGES)) for number in numbers])

    def metadata(self, number):
        return {"address": self.broker.address, "listName": f"list-{number}", "listLength": str(TARGET)}

    def requests(self):
        with self.broker.connect() as client:
            info = dict(line.split(":") for line in client.call("INFO", "stats").splitlines() if ":" in line)
        return int(info["total_commands_processed"])

    def counts(self):
        with self.broker.connect() as client:
            found = re.findall(r"cmdstat_(\S+?):calls=(\d+)", client.call("INFO", "commandstats"))
        return collections.Counter({name: int(calls) for name, calls in found if name != "info"})  # our own

    def publish(self, number):
        with self.broker.connect() as client:
            client.call("RPUSH", f"list-{number}", "job")


class KafkaGroups(RabbitMQQueues):
    """A topic and a consumer group for each; two partitions, since Backlog never answers more than a replica for each."""

    title, scaler = "Kafka", "kafka"

    def broker_class(self):
        return Kafka(memory=("-Xms512m", "-Xmx1g"), log_requests=True)

    def __enter__(self):
        self.broker = self.broker_class().__enter__()
        self.pid, self.port = self.broker.nodes[0].pid, self.broker.nodes[0].port
        return self

    def create(self, count):
        topics = [f"topic-{number}" for number in range(count)]
        self.broker.create_topic(*topics, partitions=2)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: self.broker.commit(f"group-{number}", topics[number], [0, 0]), range(count)))

    def add_work(self, numbers):
        producer = confluent_kafka.Producer({"bootstrap.servers": self.broker.bootstrap, "log_level": 0})
        for number in numbers:
            for _ in range(MESSAGES):
                producer.produce(f"topic-{number}", b"job", partition=0)
        producer.flush(60)

    def metadata(self, number):
        return {"bootstrapServers": self.broker.bootstrap, "consumerGroup": f"group-{number}", "topic": f"topic-{number}",
                "lagThreshold": str(TARGET)}

    def requests(self):
        return self.broker.count_requests()

    def counts(self):
        return self.broker.requests("backlog") + self.broker.requests("backlog-subscribed")


class NatsConsumers(RabbitMQQueues):
    """Consumers of one stream, each on a subject of its own."""

    title, scaler, broker_class = "NATS JetStream", "nats-jetstream", Nats

    def create(self, count):
        with self.broker.connect() as client:
            client.create_many(count, "jobs", retention="workqueue")

    def add_work(self, numbers):
        with self.broker.connect() as client:
            for number in numbers:
                client.publish("jobs", MESSAGES, subject=str(number))

    def metadata(self, number):
        return {"servers": self.broker.url, "stream": "jobs", "consumer": f"consumer-{number}", "lagThreshold": str(TARGET)}

    def counts(self):
        asked = self.broker.monitor("jsz")["api"]["total"]
        return collections.Counter({"JetStream API": asked, "other messages": self.broker.monitor("varz")["in_msgs"] - asked})


class PostgreSQLTables(RabbitMQQueues):
    """A query's transaction is committed with it."""

    title, scaler, broker_class = "PostgreSQL", "postgresql", PostgreSQL

    def create(self, count):
        self.broker.sql(*(f"CREATE TABLE jobs_{number} (job text)" for number in range(count)),
                        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {USER}", database=USER)

    def add_work(self, numbers):
        self.broker.sql(*(f"INSERT INTO jobs_{number} SELECT generate_series(1, {MESSAGES})" for number in numbers),
                        database=USER)

    def metadata(self, number):
        return {"host": "127.0.0.1", "port": str(self.broker.port), "userName": USER, "dbName": USER, "sslmode": "disable",
                "passwordFromEnv": PASSWORD, "query": f"SELECT count(*) FROM jobs_{number}", "targetQueryValue": str(TARGET)}

    def counts(self):
        (row,) = self.broker.sql(f"SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{USER}'")
        return collections.Counter({"transactions": int(row[0])})
