"""What happens to a job, as events in the topic videoEvents: queued, started, percent (with `percent`), done, failed.

    python events.py --job ID --step started      # a step of a workflow reports
"""

import argparse
import json
import logging
import os
import time

from confluent_kafka import Producer

JOBS, EVENTS = "videoJob", "videoEvents"
PARTITIONS = 10  # of videoJob: each is read by one worker at most, so there are at most ten workers
LAST = ("done", "failed")  # nothing follows
STEPS = ("queued", "started", "percent", *LAST)

logging.basicConfig(format="%(message)s", level=logging.WARNING)


def settings(**more):
    """Of every client. librdkafka's lines go to the log, once each, and not raw to stderr."""
    return {"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP"], "reconnect.backoff.ms": 1000, "logger": logging.getLogger("kafka"), **more}


class Events:
    """Threads: any."""

    def __init__(self):
        self.producer = Producer(settings(**{"enable.idempotence": True, "message.timeout.ms": 0}))

    def send(self, job, step, **more):
        """By the job's id, so that a job's events keep their order."""
        self.producer.produce(EVENTS, json.dumps({"jobId": job, "step": step, "at": time.time(), **more}), key=job)
        self.producer.poll(0)

    def flush(self):
        """Returns once Kafka has all, however long it is away."""
        while self.producer.flush(1):
            pass


def reason(text):
    """Why it failed, in words. Of workflow.failures, a list in JSON that Argo may quote as a text, the messages of the pods."""
    failures = text
    try:
        while isinstance(failures, str):
            failures = json.loads(failures)
        return "; ".join(f"{failure['templateName']}: {failure['message']}" for failure in failures) or text
    except (ValueError, KeyError, TypeError):
        return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--job", required=True)
    parser.add_argument("--step", required=True, choices=STEPS)
    parser.add_argument("--error", help="why it failed: words, or Argo's workflow.failures")
    parser.add_argument("--url", help="where the video is")
    options = parser.parse_args()
    more = {"error": reason(options.error) if options.error else None, "url": options.url}
    events = Events()
    events.send(options.job, options.step, **{name: value for name, value in more.items() if value})
    events.flush()


if __name__ == "__main__":
    main()
