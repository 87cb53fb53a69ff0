"""Sources that are idle and get a message, one class a broker, for tests and the benchmark of external-push.

A source is a number; `trigger` is its metadata. `subscribed` asks the broker itself how many are subscribed to; `reset` makes
`count` sources that are idle, with nothing subscribed to.
"""

import contextlib
import re
import threading
import time

try:
    import confluent_kafka
except ImportError:
    confluent_kafka = None  # support.brokers.kafka says so

from ..clients.grpc_client import Client
from .kafka import Kafka
from .nats import Nats
from ..process import wait_until
from .rabbitmq import RabbitMQ
from .redis import Redis, RedisCluster
from ..network.tap import Tap


class Push:
    def settle(self, count):
        """Until this many (a few) are subscribed to, at least, and so are not polled several times a second any more."""
        wait_until(lambda: self.subscribed() >= count and self.is_quiet(), 30, f"{count} subscribed")

    def is_quiet(self):
        before = self.requests()
        time.sleep(0.5)
        return self.requests() - before < 10

    config = None       # the connections file that its triggers need
    is_notified = True  # False: it is polled again and again
    settle_seconds = 0.0  # from when the server reports a subscription until the broker has it

    @property
    def port(self):
        return self.broker.port

    @property
    def pids(self):
        return [self.broker.pid]

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.broker)
            self.connect()
            stack.pop_all()
        return self

    def __exit__(self, *_):
        self.client.__exit__()
        self.broker.__exit__()


class RedisPush(Push):
    """Redis forgets who read a key once the key changes, and not when who read it goes."""

    def __init__(self):
        self.broker = Redis()

    def connect(self):
        """Again after a restart, too."""
        self.client = self.broker.connect()

    def reset(self, count):
        self.client.call("FLUSHALL")

    @property
    def nodes(self):
        return [self.broker]

    def connections(self):
        """At each node."""
        found = []
        for node in self.nodes:
            with node.connect() as client:
                found.append(len(client.connections()))
        return found

    def subscribed(self):
        return int(re.search(r"tracking_total_keys:(\d+)", self.client.call("INFO", "stats"))[1])

    def requests(self):
        """All commands that the broker has processed since its start."""
        return int(re.search(r"total_commands_processed:(\d+)", self.client.call("INFO", "stats"))[1])

    def state(self):
        """Everything that it holds, as it would be dumped."""
        keys = sorted(self.client.call("KEYS", "*"))
        return [(key, self.client.call("OBJECT", "ENCODING", key), self.client.call("TYPE", key),
                 self.content(key)) for key in keys]

    def content(self, key):
        if self.client.call("TYPE", key) == "stream":
            return self.client.call("XINFO", "STREAM", key, "FULL")
        return self.client.call("LRANGE", key, 0, -1)


class RedisList(RedisPush):
    title = "Redis list"

    def trigger(self, number, port=None, **metadata):
        return {"scaler": "redis", "address": f"127.0.0.1:{port or self.port}", "listName": f"list-{number}",
                **metadata}

    activation = "activationListLength"

    def publish(self, number):
        self.client.call("RPUSH", f"list-{number}", "job")

    def waiting(self, number):
        return self.client.call("LLEN", f"list-{number}")

    def take(self, number):
        self.client.call("DEL", f"list-{number}")


class RedisClusterList(RedisList):
    """Lists of three masters."""

    title = "Redis Cluster list"

    def __init__(self):
        self.broker = RedisCluster(replicas=0)

    def connect(self):
        self.clients = {node: node.connect() for node in self.broker.nodes}

    def __exit__(self, *_):
        for client in self.clients.values():
            client.__exit__()
        self.broker.__exit__()

    @property
    def nodes(self):
        return self.broker.nodes

    @property
    def pids(self):
        return [node.pid for node in self.broker.nodes]

    def reset(self, count):
        self.broker.flush()
        self.owners = self.broker.owners([f"list-{number}" for number in range(count)])

    def trigger(self, number, port=None, **metadata):
        addresses = ",".join(node.address for node in self.broker.nodes)
        return {"scaler": "redis-cluster", "address": addresses, "listName": f"list-{number}", **metadata}

    def requests(self):
        return sum(int(re.search(r"total_commands_processed:(\d+)", client.call("INFO", "stats"))[1])
                   for client in self.clients.values())

    def publish(self, number):
        self.clients[self.owners[number]].call("RPUSH", f"list-{number}", "job")


class RedisStream(RedisPush):
    title = "Redis stream"

    def reset(self, count):
        super().reset(count)
        self.client.call_all([("XGROUP", "CREATE", f"stream-{number}", "workers", "$", "MKSTREAM")
                              for number in range(count)])

    def trigger(self, number, port=None, **metadata):
        return {"scaler": "redis-streams", "address": f"127.0.0.1:{port or self.port}",
                "stream": f"stream-{number}", "consumerGroup": "workers", "lagCount": "5", **metadata}

    activation = "activationLagCount"

    def publish(self, number):
        self.client.call("XADD", f"stream-{number}", "*", "work", "job")

    def waiting(self, number):
        groups = self.client.call("XINFO", "GROUPS", f"stream-{number}")
        return dict(zip(groups[0][::2], groups[0][1::2]))["lag"]

    def take(self, number):
        self.client.call("XREADGROUP", "GROUP", "workers", "one", "NOACK", "STREAMS", f"stream-{number}", ">")


class NatsConsumer(Push):
    """A work-queue stream with a consumer for each source, on a subject of its own."""

    title = "NATS JetStream"
    activation = "activationLagThreshold"

    def __init__(self, config="", **user):
        self.broker = Nats(config)
        self.user = user

    def connect(self):
        self.client = self.broker.connect(**self.user)

    def reset(self, count):
        with contextlib.suppress(Exception):  # the first time
            self.client.delete_stream("jobs")
        self.client.create_many(count, "jobs", retention="workqueue")

    def trigger(self, number, port=None, **metadata):
        return {"scaler": "nats-jetstream", "servers": f"nats://127.0.0.1:{port or self.port}",
                "stream": "jobs", "consumer": f"consumer-{number}", **metadata}

    def subscribed(self):
        return sum(subject.startswith("jobs.")
                   for connection in self.broker.monitor("connz?subs=1")["connections"]
                   for subject in connection.get("subscriptions_list", []))

    def requests(self):
        return self.broker.monitor("varz")["in_msgs"]

    def state(self):
        """Streams and consumers, how much they hold and have handed out; without the time."""
        found = self.broker.monitor("jsz?streams=1&consumers=1&config=1")["account_details"]
        kept = ("name", "num_ack_pending", "num_redelivered", "num_waiting", "num_pending", "delivered", "ack_floor")
        return [(stream["name"], stream["state"]["messages"], stream["state"]["consumer_count"],
                 sorted(([(key, _timeless(consumer[key])) for key in kept]
                         for consumer in stream["consumer_detail"]), key=str))
                for account in found for stream in account["stream_detail"]]

    def publish(self, number):
        self.client.publish("jobs", subject=str(number))

    def waiting(self, number):
        return self.client.run(self.client.jetstream.consumer_info("jobs", f"consumer-{number}")).num_pending

    def take(self, number):
        self.client.take("jobs", f"consumer-{number}", self.waiting(number))


def _timeless(value):
    return {key: value[key] for key in value if key != "last_active"} if isinstance(value, dict) else value


class RabbitQueue(Push):
    """It has no notifications: idle queues are polled, through a tap that counts."""

    title = "RabbitMQ, asked each 200 ms"
    is_notified = False
    settle_seconds = 0.1  # to be found idle
    DECLARE = b"\x00\x32\x00\x0a"  # AMQP's class 50, method 10

    def __init__(self):
        self.broker = RabbitMQ()

    def connect(self):
        self.tap = Tap(self.broker.port)
        self.client = self.broker.connect()
        self.channel = self.client.channel()
        self.channel.confirm_delivery()

    def __exit__(self, *_):
        self.tap.__exit__()
        self.client.close()
        self.broker.__exit__()

    def reset(self, count):
        self.broker.declare(*(f"queue-{number}" for number in range(count)))
        for number in range(count):
            self.channel.queue_purge(f"queue-{number}")

    def trigger(self, number, port=None, **metadata):
        return {"scaler": "rabbitmq", "host": f"amqp://guest:guest@127.0.0.1:{port or self.tap.port}/%2F",
                "queueName": f"queue-{number}", "mode": "QueueLength", "value": "5", **metadata}

    def requests(self):
        return self.tap.count(self.DECLARE)

    def publish(self, number):
        self.channel.basic_publish("", f"queue-{number}", b"job")


class KafkaPartition(Push):
    """A partition of one topic each: a thousand topics take a minute to be made."""

    title = "Kafka"
    WARM_UP = 3000  # times
    # Its collector of garbage would stop it five times a second, for 15 ms and more, in the heap that tests get.
    MEMORY = ("-Xms2g", "-Xmx2g", "-Xmn1536m")
    settle_seconds = 0.6  # a fetch that waits for the partitions subscribed to before takes 0.5

    def __init__(self):
        self.broker = Kafka(log_requests=True, memory=self.MEMORY)

    def connect(self):
        self.producer = confluent_kafka.Producer(
            {"bootstrap.servers": self.broker.bootstrap, "linger.ms": 0, "socket.nagle.disable": True, "log_level": 0})
        self.warm_up()

    def warm_up(self):
        """A broker that has just started compiles what it is asked for the first thousands of times, on all CPUs."""
        self.topic = "warm-up"
        self.broker.create_topic(self.topic, partitions=1)
        self.broker.commit("warm-up", self.topic, [0])  # returns once there is a coordinator
        partition = confluent_kafka.TopicPartition(self.topic, 0, 0)
        with contextlib.closing(self.consumer()) as listener, contextlib.closing(self.consumer()) as caller:
            listener.assign([partition])
            for _ in range(self.WARM_UP):
                self.publish(0)
                listener.poll(1)
                caller.committed([partition], 10)
                caller.get_watermark_offsets(partition, 10)

    def consumer(self):
        return confluent_kafka.Consumer({"bootstrap.servers": self.broker.bootstrap, "group.id": "warm-up",
                                         "enable.auto.commit": False, "log_level": 0})

    def __exit__(self, *_):
        self.broker.__exit__()

    @property
    def pids(self):
        return [node.pid for node in self.broker.nodes]

    def reset(self, count):
        self.topic = f"jobs-{count}"
        self.broker.create_topic(self.topic, partitions=count)
        self.producer.list_topics(self.topic, 10)

    @property
    def config(self):
        """In 28 MiB no more than 1,000 partitions of one topic can be subscribed to."""
        return f"connections: {{kafka: {{scaler: kafka, bootstrapServers: '{self.broker.bootstrap}'}}}}\n"

    def trigger(self, number, port=None, **metadata):
        return {"scaler": "kafka", "connectionName": "kafka", "consumerGroup": "workers", "topic": self.topic,
                "partitionLimitation": str(number), "offsetResetPolicy": "earliest", **metadata}

    def requests(self):
        return sum(sum(self.broker.requests(client).values()) for client in ("backlog", "backlog-subscribed"))

    def publish(self, number):
        self.producer.produce(self.topic, b"job", partition=number)
        if self.producer.flush(30):
            raise RuntimeError("could not produce")


SUBSCRIBED = [RedisList, RedisStream, NatsConsumer]
POLLED = [RabbitQueue]


IN_TIME_SECONDS = 10


class Streams:
    """StreamIsActive of some triggers; `reported` has the number of each that was sent `true`, as often as it was."""

    def __init__(self, server, triggers):
        self.client = Client(server.port)
        self.reported = []
        self.open = [self.client.stream_is_active(trigger) for trigger in triggers]
        for number, stream in enumerate(self.open):
            threading.Thread(target=self._listen, args=(number, stream), daemon=True).start()

    def _listen(self, number, stream):
        with contextlib.suppress(Exception):  # its end
            for message in stream:
                self.reported.append(number if message.result else -1)  # `false` is never sent

    def wait_for_pushes(self, numbers, seconds=IN_TIME_SECONDS):
        wait_until(lambda: sorted(self.reported) == sorted(numbers), seconds, f"pushes of {numbers}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for stream in self.open:
            stream.cancel()
        self.client.__exit__()
