"""Processes rows of CSV files, one at a time: takes a job from RabbitMQ, works, publishes the result, acknowledges.

A job is acknowledged after its result is safe. A worker that is killed has acknowledged nothing, so RabbitMQ gives its job to
another one. On SIGTERM the worker ends after the job it has.
"""

import json
import os
import signal
import time

import pika
from prometheus_client import Counter, Histogram, start_http_server

URL = os.environ["RABBITMQ_URL"]
JOBS, RESULTS = "csv-jobs", "csv-results"
MAX_SECONDS = 50  # of work: the worker has 60 s to end (terminationGracePeriodSeconds)
PERSISTENT = pika.BasicProperties(delivery_mode=2)

done = Counter("worker_jobs_total", "Jobs that this worker has done")
redelivered = Counter("worker_jobs_redelivered_total", "Jobs that another worker had begun")
duration = Histogram("worker_job_duration_seconds", "From taking a job to its result",
                     buckets=(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 1.5, 2.5, 5, 10, 30))
stopping = False


def stop(*_):
    global stopping
    stopping = True


def parse(body):
    """A job: its id, its row and how long it takes. Raises ValueError, or one of Python's errors, for what is no job."""
    job = json.loads(body)
    str(job["id"]).encode()  # raises for a lone surrogate, such as "\ud83d" of JSON, which nobody can print
    if not all(isinstance(value, str) for value in job["row"].values()):
        raise ValueError("a value of the row is no text")
    seconds = float(job["row"].get("seconds", 0))
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"seconds: {seconds:g} is no number from 0 to {MAX_SECONDS}")
    return job["id"], job["row"], seconds


def process(connection, row, seconds):
    """Adds up the numbers of a row. A column `seconds` stands for more work; meanwhile the connection answers the broker's
    heartbeats."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        connection.sleep(min(0.2, left))
    return sum(float(value) for value in row.values() if value.replace(".", "", 1).isdecimal())


def work(connection):
    channel = connection.channel()
    channel.basic_qos(prefetch_count=1)  # what waits stays in the queue, for other workers
    channel.confirm_delivery()           # publishing returns when the broker has the result
    channel.queue_declare(JOBS, durable=True)
    channel.queue_declare(RESULTS, durable=True)
    for method, _properties, body in channel.consume(JOBS, inactivity_timeout=0.5):
        if stopping:
            break  # a job that has just arrived goes back to the queue
        if method is None:
            continue
        try:
            job, row, seconds = parse(body)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            print(f"refused: {error!r:.200}: {body[:200]!r}", flush=True)
            channel.basic_reject(method.delivery_tag, requeue=False)  # it would come back for ever; a dead-letter exchange keeps it
            continue
        with duration.time():
            total = process(connection, row, seconds)
            result = {"id": job, "total": total, "done_at": time.time(), "redelivered": method.redelivered}
            channel.basic_publish("", RESULTS, json.dumps(result), PERSISTENT, mandatory=True)
        channel.basic_ack(method.delivery_tag)
        done.inc()
        redelivered.inc(method.redelivered)
        print(f"{job} done\nbacklog: done {done._value.get():.0f}\n", end="", flush=True)
    connection.close()


def main():
    signal.signal(signal.SIGTERM, stop)
    server, _thread = start_http_server(int(os.environ.get("METRICS_PORT", "8000")))
    print(f"backlog: done 0\nmetrics on port {server.server_port}", flush=True)
    while not stopping:
        try:
            work(pika.BlockingConnection(pika.URLParameters(URL)))
        except (pika.exceptions.AMQPError, OSError) as error:
            print(f"RabbitMQ: {error!r}; trying again", flush=True)
            time.sleep(1)


if __name__ == "__main__":
    main()
