"""A replica of the demo: takes a job, works on it for two seconds, takes the next. Started by `backlog rehearse`."""

import argparse
import contextlib
import sys
import time

import pika

from support.brokers.nats import NatsClient

START_SECONDS = 2
JOB_SECONDS = 2
REST_SECONDS = 0.3


class RabbitWorker:
    def __init__(self, url):
        self.channel = pika.BlockingConnection(pika.URLParameters(url)).channel()

    def take(self):
        return self.channel.basic_get("orders", auto_ack=True)[0] is not None


class NatsWorker:
    def __init__(self, url):
        self.client = NatsClient(url, allow_reconnect=False)

    def take(self):
        return bool(self.client.take("orders", "workers", 1))


def work(worker):
    while True:
        time.sleep(JOB_SECONDS if worker.take() else REST_SECONDS)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("broker", choices=["rabbitmq", "nats"])
    parser.add_argument("url")
    arguments = parser.parse_args()
    time.sleep(START_SECONDS)
    while True:
        with contextlib.suppress(Exception):  # the broker is away: the demo takes it away
            work({"rabbitmq": RabbitWorker, "nats": NatsWorker}[arguments.broker](arguments.url))
        time.sleep(REST_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
