"""What runs of examples with RabbitMQ share: the broker, how many jobs wait, and which were done."""

import collections
import json

from support.network.links import LongLink
from support.brokers.rabbitmq import RabbitMQ

STATISTICS_MS = 5000  # RabbitMQ's default: so old may its counts of a busy queue be


def counts(broker, *queues):
    """Ready and unacknowledged messages of these queues, as the queues themselves count them."""
    found = [queue for queue in broker.api("GET", "/queues/%2F?disable_stats=true&enable_queue_totals=true")
             if queue["name"] in queues]
    return sum(queue["messages_ready"] for queue in found), sum(queue["messages_unacknowledged"] for queue in found)


def statistics(broker, queue):
    """What the broker has counted since it started: deliveries, acknowledgements, redeliveries; up to 5 s old."""
    found = broker.api("GET", f"/queues/%2F/{queue}").get("message_stats", {})
    return {name: found.get(name, 0) for name in ("deliver", "ack", "redeliver")}


class Results:
    """The results that workers have published, one JSON object for each time that a job was done."""

    def __init__(self, broker, queue):
        self.broker, self.queue = broker, queue
        self.all = []

    def collect(self):
        """Takes those that are new. Returns how often each job was done."""
        with self.broker.connect() as connection:
            channel = connection.channel()
            while (found := channel.basic_get(self.queue, auto_ack=True))[0] is not None:
                self.all.append(json.loads(found[2]))
        return collections.Counter(result["id"] for result in self.all)

    def last(self):
        """When the last job was done."""
        return max(result["done_at"] for result in self.all)


class Jobs:
    """A broker with a queue of jobs and one of results. Server, workers and clients come by links, which can become slow."""

    def __init__(self, play, queue, results):
        self.play, self.queue = play, queue
        self.broker = play.start(RabbitMQ(f"collect_statistics_interval = {max(250, play.shorter(STATISTICS_MS)):.0f}"))
        self.broker.declare(queue, results)
        self.amqp, self.http = (play.enter_context(LongLink(port, 0)) for port in (self.broker.port, self.broker.management_port))
        self.url = f"amqp://guest:guest@127.0.0.1:{self.amqp.port}/%2F"
        self.connection = {"scaler": "rabbitmq", "host": f"http://guest:guest@127.0.0.1:{self.http.port}/%2F"}
        self.results = Results(self.broker, results)
        self.published = 0

    def wait_for_workers(self, number):
        self.play.until(lambda: self.play.replicas == number, 60 + self.play.shorter(60), f"{number} workers")

    def until_done(self, what, seconds=600):
        """Every job is done and acknowledged, then no worker is left. Returns how many were done twice."""
        play, patience = self.play, 120 + self.play.shorter(seconds)
        play.until(lambda: len(self.results.collect()) >= self.published, patience, "all results")
        zero = play.until_zero(patience)
        times = self.results.collect()
        twice = sum(times.values()) - len(times)
        play.check(len(times) == self.published and counts(self.broker, self.queue) == (0, 0),
                   f"{what}: all {self.published} jobs so far are done and acknowledged, {twice} of them twice")
        play.check(zero > self.results.last(), "zero replicas only after the last job was done")
        return twice

    def statistics(self):
        return statistics(self.broker, self.queue)

    def in_work(self):
        return counts(self.broker, self.queue)[1]

    def waiting(self):
        """With those in work."""
        return sum(counts(self.broker, self.queue))
