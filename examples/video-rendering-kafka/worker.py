"""Renders videos, one at a time: takes a job from the topic videoJob, works, publishes the result, stores its offset.

The offset is stored after the result is safe, and librdkafka commits what is stored, as often as it takes. A worker that is killed
has not committed its job, so Kafka gives the partition, and the job, to another one. On SIGTERM the worker ends after the job
it has, commits, and leaves the group.
"""

import json
import os
import signal
import socket
import time

from confluent_kafka import Consumer, Producer
from prometheus_client import Counter, Histogram, start_http_server

BOOTSTRAP = os.environ["KAFKA_BOOTSTRAP"]
SESSION_SECONDS = float(os.environ.get("SESSION_SECONDS", "45"))  # then a silent worker's partitions go to others
NAME = f"{socket.gethostname()}-{os.getpid()}"

done = Counter("worker_jobs_total", "Jobs that this worker has done")
duration = Histogram("worker_job_duration_seconds", "From taking a job to its result",
                     buckets=(.1, .25, .5, 1, 2.5, 5, 10, 15, 20, 30, 60, 120, 300, 600))
stopping = False


def stop(*_):
    global stopping
    stopping = True


def connect():
    consumer = Consumer({
        "bootstrap.servers": BOOTSTRAP, "group.id": "renderers", "client.id": NAME,
        "enable.auto.commit": True, "auto.commit.interval.ms": 500, "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "cooperative-sticky",   # a new worker does not interrupt the others
        "session.timeout.ms": int(SESSION_SECONDS * 1000), "heartbeat.interval.ms": int(SESSION_SECONDS * 1000 / 6),
        "max.poll.interval.ms": 600 * 1000,                      # longer than the longest job
        "queued.max.messages.kbytes": 64,                        # jobs wait in Kafka, not here
        "reconnect.backoff.ms": 1000})
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True, "message.timeout.ms": 0,
                         "reconnect.backoff.ms": 1000})
    consumer.subscribe(["videoJob"])
    return consumer, producer


def render(job):
    """Stands for the renderer. A real one would be a child process."""
    until = time.monotonic() + job["seconds"]
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(0.2, left))


def publish(producer, result):
    """Returns once Kafka has the result, however long it is away."""
    producer.produce("videoJobDone", json.dumps(result), key=result["jobId"])
    while producer.flush(1):
        pass


def parse(data):
    """The job, or None where nobody could do it."""
    try:
        job = json.loads(data)
        return {"jobId": str(job["jobId"]), "seconds": float(job["seconds"])}
    except (ValueError, KeyError, TypeError) as error:
        print(f"not a job, passed over: {error!r}", flush=True)
        return None


def work(consumer, producer):
    while not stopping:
        message = consumer.poll(0.5)
        if message is None:
            continue
        if message.error():
            print(f"Kafka: {message.error()}", flush=True)
            continue
        job = parse(message.value())
        if job is None:
            consumer.store_offsets(message)  # or no job behind it would be done
            continue
        with duration.time():
            render(job)
            publish(producer, {"jobId": job["jobId"], "worker": NAME, "doneAt": time.time(), "url": f"/videos/{job['jobId']}.mp4"})
        consumer.store_offsets(message)
        done.inc()
        print(f"{job['jobId']} rendered\nbacklog: done {int(done._value.get())}", flush=True)


def main():
    signal.signal(signal.SIGTERM, stop)
    server, _thread = start_http_server(int(os.environ.get("METRICS_PORT", "8000")))
    print(f"metrics on port {server.server_port}", flush=True)
    consumer, producer = connect()
    work(consumer, producer)
    consumer.close()


if __name__ == "__main__":
    main()
