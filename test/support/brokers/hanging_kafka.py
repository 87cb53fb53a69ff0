"""Kafka as a source of many queries: groups whose only coordinator stands still, and a broker that is far away."""

import contextlib

from .hanging import ONE_WAY_SECONDS, Source
from .kafka import Kafka, SecureKafka, java_hash
from ..network.links import LongLink

MESSAGES = 10  # in each topic, at first
GROUPS = 20


class Topics(Source):
    """Of many queries 20 groups share the topics; of few each has a topic of its own."""

    def __init__(self, count):
        super().__init__(count)
        self.shares = count > 10 * GROUPS
        self.groups = [f"group-{i}" for i in range(min(GROUPS, count))]
        self.topics = [f"topic-{i}" for i in range(count // GROUPS if self.shares else count)]

    def group(self, number):
        return self.groups[number % len(self.groups)]

    def topic(self, number):
        return self.topics[number // GROUPS if self.shares else number]

    def connect(self):
        pass  # its helpers connect by themselves

    def trigger(self, number):
        return {"scaler": "kafka", "consumerGroup": self.group(number), "topic": self.topic(number), **self.connection()}

    def fill(self):
        for topic in self.topics:
            self.broker.produce(topic, MESSAGES, partitions=1)
        for first, group in enumerate(self.groups):
            commits = {self.topic(number): [MESSAGES - self.value(number)]
                       for number in range(first, self.count, len(self.groups))}
            self.broker.commit_topics(group, commits)

    def empty(self, number):
        self.broker.commit(self.group(number), self.topic(number), [MESSAGES])

    def add(self, number):
        """A message of a topic that groups share would be one more for each of them, so one is done again instead."""
        if self.shares:
            self.broker.commit(self.group(number), self.topic(number), [MESSAGES - self.value(number) - 1])
        else:
            self.broker.produce(self.topic(number), 1, partitions=1)


class Cluster(Kafka):
    def pause(self):
        for node in self.nodes:
            node.pause()

    def resume(self):
        for node in self.nodes:
            node.resume()


class KafkaGroups(Topics):
    """The queries that end with 5, and those that end with 7, have a broker each that does nothing but coordinate
    their groups: it can stand still. The third one does everything else."""

    title = "Kafka"

    def make_broker(self):
        return Cluster(nodes=3, offsets_topic_replication_factor=1)

    def make_link(self):
        return contextlib.nullcontext()

    def connection(self):
        return {"bootstrapServers": self.broker.bootstrap}

    def coordinator(self, number):
        return self.broker.nodes[{5: 0, 7: 1}.get(number % 10, 2)]

    def fill(self):
        self.broker.create_topic("first", partitions=1)
        self.broker.commit("first", "first", [0])  # the topic of commits is there now
        self.groups = [self.group_of(self.coordinator(i), f"group-{i}") for i in range(len(self.groups))]
        for topic in self.topics:
            self.broker.create_topic_at(topic, self.broker.nodes[2])
        super().fill()

    def group_of(self, node, name):
        """The first of the names that the broker coordinates."""
        offsets = self.broker.admin().list_topics("__consumer_offsets", timeout=10).topics["__consumer_offsets"]
        return next(found for found in (f"{name}-{i}" for i in range(100))
                    if offsets.partitions[java_hash(found) % len(offsets.partitions)].leader == node.number)

    def hang(self, numbers):
        self.hanging = {self.coordinator(number) for number in numbers}
        for node in self.hanging:
            node.pause()

    def recover(self):
        for node in self.hanging:
            node.resume()
        self.broker.wait()


class FarKafka(Topics):
    """The broker advertises the link's address."""

    title = "Kafka"

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.link = stack.enter_context(LongLink(None, ONE_WAY_SECONDS))
            self.broker = stack.enter_context(SecureKafka(advertised_ports={"SASL_PLAINTEXT": self.link.port}))
            self.link.target = self.broker.ports["SASL_PLAINTEXT"]
            self.broker.create_topic(*self.topics, partitions=1)
            self.fill()
            self.stack = stack.pop_all()
        return self

    def connection(self):
        return {"bootstrapServers": f"127.0.0.1:{self.link.port}", "sasl": "scram_sha256",
                "username": self.broker.user, "password": self.broker.password}


KafkaGroups.far_away = FarKafka
