"""Sources that are idle and get a message, one class a broker, for tests and the benchmark of external-push.

A source is a number; `trigger` is its metadata. `armed` asks the broker itself how many it would tell of;
`reset` makes `count` sources that are idle, with nothing armed.
"""

import contextlib
import re
import time

from .nats import Nats
from .process import wait_until
from .redis import Redis


class Push:
    def settle(self, count):
        """Until this many (a few) are armed, at least, and so are not asked several times a second any more."""
        wait_until(lambda: self.armed() >= count and self.is_quiet(), 30, f"{count} armed")

    def is_quiet(self):
        before = self.requests()
        time.sleep(0.5)
        return self.requests() - before < 10

    @property
    def port(self):
        return self.broker.port

    def __enter__(self):
        self.broker.__enter__()
        self.connect()
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

    def armed(self):
        return int(re.search(r"tracking_total_keys:(\d+)", self.client.call("INFO", "stats"))[1])

    def requests(self):
        """The commands that the broker was given since its start, ours apart."""
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

    def armed(self):
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


SOURCES = [RedisList, RedisStream, NatsConsumer]
