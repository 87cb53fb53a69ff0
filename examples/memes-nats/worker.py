"""Makes memes, one at a time: takes a request from JetStream, finds or makes the picture, sends the response, acknowledges.

A picture that was made before is in Redis. Any other one is the image API's: that of Hugging Face, or image_api.py, which has the same
interface. A request is acknowledged after its response is stored. A worker that is killed has acknowledged nothing, so JetStream
gives its request to another one after ack_wait. The response has the id of the request, so JetStream stores it once even if it
was made twice. On SIGTERM the worker ends after the request it has.
"""

import asyncio
import base64
import hashlib
import json
import os
import signal
import time

import nats
import redis.asyncio as redis
import requests
from prometheus_client import Counter, Histogram, start_http_server

API_URL = os.environ.get("IMAGE_API_URL", "http://localhost:8001/models/memes")
API_TOKEN = os.environ.get("IMAGE_API_TOKEN", "")
API_SECONDS = 120
MAX_IMAGE_BYTES = 6_000_000  # 8 MB in base64: NATS' max_payload, with room for:
MAX_TEXT_CHARS, MAX_ID_CHARS = 10_000, 1_000  # of up to 12 bytes each, as JSON escapes them
PROGRESS_SECONDS = float(os.environ.get("ACK_WAIT_SECONDS", "30")) / 3
CACHE_SECONDS = 24 * 3600
MAX_REASON_CHARS = 200
MAX_TRIES, TRY_AGAIN_SECONDS = 10, 2

taken = Counter("worker_requests_total", "Requests that this worker has taken, and no other one before")
done = Counter("worker_jobs_total", "Requests that this worker has answered")
failed = Counter("worker_jobs_failed_total", "Of these, those that were answered with an error")
redelivered = Counter("worker_jobs_redelivered_total", "Requests that another worker had begun")
cached = Counter("worker_cache_lookups_total", "Looks into the cache", ["result"])
duration = Histogram("worker_job_duration_seconds", "From taking a request to its response",
                     buckets=(.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60))


class Refused(Exception):
    """There will never be a picture of this text, or none that can be sent."""


def parse(data):
    """The request, or None where nobody could do it."""
    try:
        job = json.loads(data)
        job = {"id": str(job["id"]), "text": str(job["text"]), "seconds": float(job.get("seconds", 0))}
        (job["id"] + job["text"]).encode()  # raises for a lone surrogate, such as "\ud83d" of JSON, which nobody can send
        if len(job["id"]) > MAX_ID_CHARS:
            raise ValueError(f"the id has {len(job['id'])} letters, at most {MAX_ID_CHARS} are possible")
        return job
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        print(f"not a request, dropped: {error!r:.{MAX_REASON_CHARS}}", flush=True)
        return None


def reason_of(answer):
    """Of a refusal: the words of {"error": ...}, or what else it says."""
    try:
        return str(answer.json()["error"])[:MAX_REASON_CHARS]
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.text[:MAX_REASON_CHARS]}"


def make(job):
    """The picture as a data URL; `seconds` only means something to image_api.py, and the load programs alone set it."""
    parameters = {"parameters": {"seconds": job["seconds"]}} if job["seconds"] > 0 else {}
    answer = requests.post(API_URL, json={"inputs": job["text"], **parameters}, timeout=API_SECONDS, stream=True,
                           headers={"Authorization": f"Bearer {API_TOKEN}"} if API_TOKEN else {})
    with answer:
        return data_url(answer)


def data_url(answer):
    if 400 <= answer.status_code < 500 and answer.status_code != 429:
        raise Refused(f"the image API refuses it: {reason_of(answer)}")
    answer.raise_for_status()
    kind, image = answer.headers.get("Content-Type", "nothing known"), b""
    if not kind.startswith("image/"):
        raise Refused(f"the image API sent {kind}, and no image")
    for part in answer.iter_content(1 << 16):
        image += part
        if len(image) > MAX_IMAGE_BYTES:
            raise Refused(f"the image API sent an image of more than {MAX_IMAGE_BYTES / 1e6:g} MB")
    return f"data:{kind};base64,{base64.b64encode(image).decode()}"


async def from_cache(cache, key):
    """None where it is not there. A cache that is away only costs time."""
    try:
        found = await cache.get(key)
    except redis.RedisError as error:
        print(f"Redis: {error!r}; going on without", flush=True)
        cached.labels("error").inc()
        return None
    cached.labels("miss" if found is None else "hit").inc()
    return None if found is None else found.decode()


async def picture(job, cache, message):
    """(data URL, whether it was in the cache). What takes longer than ack_wait has to say that it is still at it."""
    if len(job["text"]) > MAX_TEXT_CHARS:
        raise Refused(f"the text has {len(job['text'])} letters, at most {MAX_TEXT_CHARS} are possible")
    key = f"meme:{hashlib.sha256(job['text'].encode()).hexdigest()}"
    if (found := await from_cache(cache, key)) is not None:
        return found, True
    making = asyncio.create_task(asyncio.to_thread(make, job))
    while not (await asyncio.wait([making], timeout=PROGRESS_SECONDS))[0]:
        await message.in_progress()
    image = making.result()
    try:
        await cache.set(key, image, ex=CACHE_SECONDS)
    except redis.RedisError as error:
        print(f"Redis: {error!r}; not stored", flush=True)
    return image, False


async def publish(jetstream, subject, response):
    await jetstream.publish(subject, json.dumps(response).encode(), headers={"Nats-Msg-Id": response["id"]})


async def do_job(jetstream, cache, message):
    job, delivered = parse(message.data), message.metadata.num_delivered
    taken.inc(delivered == 1)
    if job is None:
        await message.term()  # or it would come again for ever
        return
    response, subject = {"id": job["id"], "text": job["text"][:MAX_TEXT_CHARS], "delivered": delivered}, "meme.response"
    with duration.time():
        try:
            response["image"], response["cached"] = await picture(job, cache, message)
        except (Refused, requests.RequestException) as error:
            if not isinstance(error, Refused) and delivered < MAX_TRIES:
                print(f"{job['id']}: {error!r}; trying again", flush=True)
                await message.nak(delay=TRY_AGAIN_SECONDS)
                return
            response["error"], subject = str(error), "meme.response.error"
        response["done_at"] = time.time()
        try:
            await publish(jetstream, subject, response)
        except nats.errors.MaxPayloadError:  # of a NATS with a smaller limit than that of the example
            response = {"id": job["id"], "delivered": delivered, "error": "the response is larger than max_payload of NATS",
                        "done_at": response["done_at"]}
            await publish(jetstream, "meme.response.error", response)
    await message.ack_sync()
    done.inc()
    failed.inc("error" in response)
    redelivered.inc(delivered > 1)
    print(f"{job['id']} {'refused' if 'error' in response else 'made'}\nbacklog: done {int(done._value.get())}", flush=True)


async def main():
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    server, _thread = start_http_server(int(os.environ.get("METRICS_PORT", "8000")))
    print(f"backlog: done 0\nmetrics on port {server.server_port}", flush=True)

    async def report(error):
        print(f"NATS: {error!r}", flush=True)

    # It connects and reconnects for as long as the broker is away.
    connecting = asyncio.create_task(nats.connect(os.environ["NATS_URL"], error_cb=report, max_reconnect_attempts=-1, reconnect_time_wait=1))
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait([connecting, stopped], return_when=asyncio.FIRST_COMPLETED)
    if not connecting.done():
        return
    connection = connecting.result()
    print("connected", flush=True)
    cache = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://localhost:6379"), socket_timeout=2, socket_connect_timeout=2)
    jetstream = connection.jetstream()
    jobs = await jetstream.pull_subscribe_bind("makers", "MEMES")
    while not stopping.is_set():
        try:
            for message in await jobs.fetch(1, timeout=1):
                await do_job(jetstream, cache, message)
        except nats.errors.TimeoutError:
            continue  # no request, or the broker is away: whatever was not acknowledged comes again
        except nats.errors.Error as error:
            await report(error)
            await asyncio.sleep(1)
    await cache.aclose()
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main())
