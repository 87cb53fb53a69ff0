"""A worker of a Kafka topic: takes a message, works for so many seconds, commits it; stuck from SIGUSR1 on.

    python -m support.brokers.kafka_worker BOOTSTRAP TOPIC GROUP SECONDS [PROTOCOL]
"""

import signal
import sys
import time

import confluent_kafka


CLASSIC = {"session.timeout.ms": 45000, "partition.assignment.strategy": "roundrobin"}


def main(bootstrap, topic, group, seconds, protocol="classic"):
    is_stuck = []
    signal.signal(signal.SIGUSR1, lambda *_: is_stuck.append(True))
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False, "log_level": 0,
        "auto.offset.reset": "earliest", "group.protocol": protocol, **(CLASSIC if protocol == "classic" else {})})
    consumer.subscribe([topic])
    while True:
        message = consumer.poll(1)
        if message is None or message.error():
            continue
        time.sleep(float(seconds))
        while is_stuck:
            time.sleep(1)  # the client's own thread goes on sending heartbeats: it stays a member
        consumer.commit(message, asynchronous=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
