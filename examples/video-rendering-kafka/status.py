"""Tells who waits for a video that it is ready: WebSocket /ws?jobId=ID gets one message when the job is done.

Any replica may have the client's connection, and any worker may finish the job. So every replica reads all of the topic
videoJobDone, with a consumer group of its own, and notifies its own clients. A client that comes late is notified at once.
"""

import asyncio
import collections
import json
import os
import signal
import socket
import threading
import urllib.parse
import uuid

from confluent_kafka import Consumer
from prometheus_client import Counter, Gauge, start_http_server
from websockets.asyncio.server import serve

BOOTSTRAP = os.environ["KAFKA_BOOTSTRAP"]
REMEMBERED = 100_000   # finished jobs; beyond, the oldest are forgotten
CLIENTS = 10_000       # open connections

finished = collections.OrderedDict()             # jobId: message
waiting = collections.defaultdict(set)           # jobId: futures of its clients
clients = Gauge("status_clients", "Open WebSocket connections")
reported = Counter("status_notifications_total", "Clients that were told that their job is done")


def finish(message):
    """In the event loop."""
    try:
        job = json.loads(message)["jobId"]
    except (ValueError, KeyError, TypeError) as error:
        print(f"not a finished job, passed over: {error!r}", flush=True)
        return
    finished[job] = message
    if len(finished) > REMEMBERED:
        finished.popitem(last=False)
    for future in waiting.pop(job, ()):
        if not future.done():
            future.set_result(message)


def follow(loop, stopping):
    """A thread: reads videoJobDone from its beginning, then what comes."""
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": f"status-{socket.gethostname()}-{uuid.uuid4()}",
                         "auto.offset.reset": "earliest", "enable.auto.commit": False,
                         "reconnect.backoff.ms": 1000})
    consumer.subscribe(["videoJobDone"])
    while not stopping.is_set():
        message = consumer.poll(0.5)
        if message is not None and not message.error():
            loop.call_soon_threadsafe(finish, (message.value() or b"").decode(errors="replace"))
    consumer.close()


def job_of(path):
    address = urllib.parse.urlsplit(path)
    jobs = urllib.parse.parse_qs(address.query).get("jobId", [])
    return jobs[0] if address.path == "/ws" and len(jobs) == 1 and len(jobs[0]) <= 100 else None


def answer_http(connection, request):
    """Before the WebSocket: probes, and what is wrong with a request."""
    if request.path == "/healthz":
        return connection.respond(200, "ok\n")
    if job_of(request.path) is None:
        return connection.respond(400, "use /ws?jobId=ID, with one ID of at most 100 characters\n")
    if clients._value.get() >= CLIENTS:
        return connection.respond(503, "too many clients\n")
    return None


async def notify(socket):
    job = job_of(socket.request.path)
    with clients.track_inprogress():
        message = finished.get(job)
        if message is None:
            future = asyncio.get_running_loop().create_future()
            waiting[job].add(future)
            gone = asyncio.ensure_future(socket.wait_closed())
            await asyncio.wait({future, gone}, return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
            if not future.done():  # the client does not wait any more
                waiting[job].discard(future)
                if not waiting[job]:
                    del waiting[job]
                return
            message = future.result()
        await socket.send(message)
        reported.inc()


async def main():
    loop, stopping, ends = asyncio.get_running_loop(), threading.Event(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ends.set)
    metrics, _thread = start_http_server(int(os.environ.get("METRICS_PORT", "8000")))
    print(f"metrics on port {metrics.server_port}", flush=True)
    follower = threading.Thread(target=follow, args=(loop, stopping))
    follower.start()
    async with serve(notify, os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", "8080")),
                     process_request=answer_http, max_size=1024) as server:
        print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
        await ends.wait()
    stopping.set()
    await asyncio.to_thread(follower.join)


if __name__ == "__main__":
    asyncio.run(main())
