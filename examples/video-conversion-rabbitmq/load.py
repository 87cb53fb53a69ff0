"""Publishes jobs: `load.py --jobs 100 --concurrency 10` is ten clients that upload ten videos each, at the same time."""

import argparse
import concurrent.futures
import json
import os
import time
import uuid

import pika


def publish(url, jobs, seconds):
    """One client. Its jobs arrive together, in a transaction, and RabbitMQ has written them to disk when this returns."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.queue_declare("videos", durable=True)
    channel.tx_select()
    for _ in range(jobs):
        job = {"id": str(uuid.uuid4()), "seconds": seconds}
        channel.basic_publish("", "videos", json.dumps(job), pika.BasicProperties(delivery_mode=2), mandatory=True)
    channel.tx_commit()
    connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("RABBITMQ_URL"))
    parser.add_argument("--jobs", type=int, default=10)
    parser.add_argument("--concurrency", type=int, default=1, help="clients that publish at the same time")
    parser.add_argument("--seconds", type=float, default=20, help="how long a job takes")
    options = parser.parse_args()
    if not options.url:
        parser.error("--url or the variable RABBITMQ_URL is missing")
    if options.jobs < 1 or options.concurrency < 1:
        parser.error("--jobs and --concurrency must be at least 1")
    began = time.monotonic()
    share, rest = divmod(options.jobs, options.concurrency)
    shares = [share + (client < rest) for client in range(options.concurrency)]
    with concurrent.futures.ThreadPoolExecutor(options.concurrency) as pool:
        list(pool.map(lambda jobs: publish(options.url, jobs, options.seconds), shares))
    print(f"{options.jobs} jobs published by {options.concurrency} clients in {time.monotonic() - began:.2f} s")


if __name__ == "__main__":
    main()
