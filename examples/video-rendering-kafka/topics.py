"""Makes the topics, and the first offsets of the workers' group: without them its lag would be unknown. Again does no harm.

videoJob     jobs; ten partitions, because each is read by one worker at most: ten workers
videoEvents  what happens to them, which every replica of the status service reads
"""

import time

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from events import EVENTS, JOBS, PARTITIONS, settings

GROUP = "renderers"


def create(*topics):
    admin = AdminClient(settings())
    for name, made in admin.create_topics(list(topics), operation_timeout=30).items():
        try:
            made.result(60)
        except KafkaException as error:
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                raise
        print(f"topic {name} is there")


def commit_beginning(seconds=60):
    """Where the group has committed nothing yet, it begins at the first job. A new broker needs a while to coordinate groups."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return try_to_commit_beginning()
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise
            print(f"Kafka: {error.args[0].str()}; trying again")
            time.sleep(1)


def try_to_commit_beginning():
    consumer = Consumer(settings(**{"group.id": GROUP, "enable.auto.commit": False}))
    partitions = consumer.committed([TopicPartition(JOBS, number) for number in range(PARTITIONS)], 60)
    for each in partitions:
        if each.error:
            raise KafkaException(each.error)
    new = [TopicPartition(each.topic, each.partition, 0) for each in partitions if each.offset < 0]
    if new:
        consumer.commit(offsets=new, asynchronous=False)
    consumer.close()


def main():
    create(NewTopic(JOBS, PARTITIONS), NewTopic(EVENTS, 1, config={"retention.ms": str(24 * 3600 * 1000)}))
    commit_beginning()


if __name__ == "__main__":
    main()
