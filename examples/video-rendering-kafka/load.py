"""Uploads videos: `load.py --jobs 100` publishes a hundred jobs to the topic videoJob and prints their ids."""

import argparse
import json
import os
import uuid

from confluent_kafka import Producer

PARTITIONS = 10


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", default=os.environ.get("KAFKA_BOOTSTRAP"))
    parser.add_argument("--jobs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20, help="how long a job takes (default: %(default)g)")
    options = parser.parse_args()
    if not options.bootstrap:
        parser.error("--bootstrap or the variable KAFKA_BOOTSTRAP is missing")
    if options.jobs < 1 or options.seconds < 0:
        parser.error("--jobs must be at least 1, --seconds at least 0")
    producer = Producer({"bootstrap.servers": options.bootstrap, "enable.idempotence": True})
    for number in range(options.jobs):
        job = {"jobId": str(uuid.uuid4()), "seconds": options.seconds}
        producer.produce("videoJob", json.dumps(job), partition=number % PARTITIONS)  # evenly: each worker gets some
        print(job["jobId"])
    if producer.flush(60):
        raise SystemExit("Kafka did not take all jobs within 60 s")


if __name__ == "__main__":
    main()
