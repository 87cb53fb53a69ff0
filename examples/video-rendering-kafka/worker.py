"""Renders videos, one at a time: takes a job from the topic videoJob, renders, reports each step, stores its offset.

The offset is stored after the result is safe, and librdkafka commits what is stored, as often as it takes. A worker that is killed
has not committed its job, so Kafka gives the partition, and the job, to another one. On SIGTERM the worker ends after the job
it has, commits, and leaves the group.

With RENDERER=argo it starts a workflow for each job, and waits for it: see workflow.py.
"""

import json
import os
import re
import signal
import socket

from confluent_kafka import Consumer
from prometheus_client import Counter, Histogram, start_http_server

from events import JOBS, Events, settings
from render import Failed, render

SESSION_SECONDS = float(os.environ.get("SESSION_SECONDS", "45"))  # then a silent worker's partitions go to others
NAME = f"{socket.gethostname()}-{os.getpid()}"
MAX_VIDEO_SECONDS = 600

done = Counter("worker_jobs_total", "Jobs that this worker has done")
failed = Counter("worker_jobs_failed_total", "Jobs that cannot be done")
duration = Histogram("worker_job_duration_seconds", "From taking a job to its result",
                     buckets=(.1, .25, .5, 1, 2.5, 5, 10, 15, 20, 30, 60, 120, 300, 600))
stopping = False


def stop(*_):
    global stopping
    stopping = True


def connect():
    consumer = Consumer(settings(**{
        "group.id": "renderers", "client.id": NAME,
        "enable.auto.commit": True, "auto.commit.interval.ms": 500, "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "cooperative-sticky",   # a new worker does not interrupt the others
        "session.timeout.ms": int(SESSION_SECONDS * 1000), "heartbeat.interval.ms": int(SESSION_SECONDS * 1000 / 6),
        "max.poll.interval.ms": 2 * MAX_VIDEO_SECONDS * 1000,    # longer than the longest job
        "queued.max.messages.kbytes": 64}))                      # jobs wait in Kafka, not here
    consumer.subscribe([JOBS])
    return consumer


def parse(data):
    """The job, or None where nobody could do it."""
    try:
        job = json.loads(data)
        found = {"job": str(job["jobId"]), "seconds": float(job["seconds"])}
        if not re.fullmatch(r"[\w-]{1,100}", found["job"]) or not 0 < found["seconds"] <= MAX_VIDEO_SECONDS:
            raise ValueError(f"jobId, or seconds beyond {MAX_VIDEO_SECONDS}")
        return found
    except (ValueError, KeyError, TypeError) as error:
        print(f"not a job, passed over: {error!r}", flush=True)
        return None


def do(job, seconds, events):
    """Reports how it ended; returns whether it is done."""
    if os.environ.get("RENDERER") == "argo":
        from workflow import run_workflow  # its steps report by themselves
        error = run_workflow(job, seconds)
        if error is not None:  # a workflow that was deleted could not report it; a second report is passed over
            events.send(job, "failed", worker=NAME, error=error)
        return error is None
    events.send(job, "started", worker=NAME)
    try:
        render(job, seconds, percent=lambda number: events.send(job, "percent", percent=number))
    except Failed as error:
        events.send(job, "failed", worker=NAME, error=str(error))
        return False
    events.send(job, "done", worker=NAME, url=f"/videos/{job}.mp4")
    return True


def work(consumer, events):
    while not stopping:
        message = consumer.poll(0.5)
        if message is None:
            continue
        if message.error():
            print(f"Kafka: {message.error()}", flush=True)
            continue
        job = parse(message.value())
        if job is None:
            failed.inc()
            consumer.store_offsets(message)  # or no job behind it would be done
            continue
        with duration.time():
            is_done = do(**job, events=events)
            events.flush()
        consumer.store_offsets(message)
        (done if is_done else failed).inc()
        print(f"{job['job']} {'rendered' if is_done else 'failed'}\nbacklog: done {done._value.get():.0f}", flush=True)


def main():
    signal.signal(signal.SIGTERM, stop)
    server, _thread = start_http_server(int(os.environ.get("METRICS_PORT", "8000")))
    print(f"backlog: done 0\nmetrics on port {server.server_port}", flush=True)
    consumer = connect()
    work(consumer, Events())
    consumer.close()


if __name__ == "__main__":
    main()
