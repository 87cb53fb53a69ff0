"""A worker of a Kafka topic: takes a message, works for so many seconds, commits it.

    python -m support.brokers.kafka_worker BOOTSTRAP TOPIC GROUP SECONDS [PROTOCOL]
"""

import sys
import time

import confluent_kafka


CLASSIC = {"session.timeout.ms": 45000, "partition.assignment.strategy": "roundrobin"}


def main(bootstrap, topic, group, seconds, protocol="classic"):
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False, "log_level": 0,
        "auto.offset.reset": "earliest", "group.protocol": protocol, **(CLASSIC if protocol == "classic" else {})})
    consumer.subscribe([topic])
    while True:
        message = consumer.poll(1)
        if message is None or message.error():
            continue
        time.sleep(float(seconds))
        consumer.commit(message, asynchronous=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
