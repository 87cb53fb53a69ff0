"""Makes memes, one at a time: takes a job from JetStream, works, stores the meme, acknowledges.

A job is acknowledged after its meme is stored. A worker that is killed has acknowledged nothing, so JetStream gives its job to
another one after ack_wait. The meme has the id of its job, so JetStream stores it once even if it was made twice. On SIGTERM
the worker ends after the job it has.
"""

import asyncio
import json
import os
import signal
import time

import nats
from prometheus_client import Counter, Histogram, start_http_server

PROGRESS_SECONDS = float(os.environ.get("ACK_WAIT_SECONDS", "30")) / 3

done = Counter("worker_jobs_total", "Jobs that this worker has done")
redelivered = Counter("worker_jobs_redelivered_total", "Jobs that another worker had begun")
duration = Histogram("worker_job_duration_seconds", "From taking a job to its result",
                     buckets=(.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60))


async def make(message, seconds):
    """Stands for the drawing. What takes longer than ack_wait has to say that it is still at it."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        await asyncio.sleep(min(left, PROGRESS_SECONDS))
        await message.in_progress()


def parse(data):
    """The job, or None where nobody could do it."""
    try:
        job = json.loads(data)
        return {"id": str(job["id"]), "text": str(job["text"]), "seconds": float(job["seconds"])}
    except (ValueError, KeyError, TypeError) as error:
        print(f"not a job, dropped: {error!r}", flush=True)
        return None


async def do_job(jetstream, message):
    job, delivered = parse(message.data), message.metadata.num_delivered
    if job is None:
        await message.term()  # or it would come again for ever
        return
    with duration.time():
        await make(message, job["seconds"])
        meme = {"id": job["id"], "text": job["text"].upper(), "done_at": time.time(), "delivered": delivered}
        await jetstream.publish("memes.done", json.dumps(meme).encode(), headers={"Nats-Msg-Id": job["id"]})
    await message.ack_sync()
    done.inc()
    redelivered.inc(delivered > 1)
    print(f"{job['id']} made\nbacklog: done {int(done._value.get())}", flush=True)


async def main():
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    server, _thread = start_http_server(int(os.environ.get("METRICS_PORT", "8000")))
    print(f"metrics on port {server.server_port}", flush=True)

    async def report(error):
        print(f"NATS: {error!r}", flush=True)

    # It reconnects for as long as the broker is away.
    connection = await nats.connect(os.environ["NATS_URL"], error_cb=report, max_reconnect_attempts=-1, reconnect_time_wait=1)
    jetstream = connection.jetstream()
    jobs = await jetstream.pull_subscribe_bind("makers", "MEMES")
    while not stopping.is_set():
        try:
            for message in await jobs.fetch(1, timeout=1):
                await do_job(jetstream, message)
        except nats.errors.TimeoutError:
            continue  # no job, or the broker is away: whatever was not acknowledged comes again
        except nats.errors.Error as error:
            await report(error)
            await asyncio.sleep(1)
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main())
