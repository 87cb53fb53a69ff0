"""Reports the progress of a video to who waits for it: WebSocket /ws?jobId=ID gets each event of the job, until it is done or failed.

Any replica may have the client's connection, and any worker may have the job. So every replica reads all of the topic
videoEvents, with a consumer group of its own, and notifies its own clients. A client that comes late, or comes back after its
replica was replaced, gets the last event at once.
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

from events import EVENTS, LAST, STEPS, settings

REMEMBERED = 100_000   # jobs; beyond, the oldest are forgotten
CLIENTS = 10_000       # open connections

last_events = collections.OrderedDict()          # jobId: its last event, as text
is_over = set()                                  # the jobs of these that are done or failed
waiting = collections.defaultdict(set)           # jobId: a queue of events for each of its clients
clients = Gauge("status_clients", "Open WebSocket connections")
reported = Counter("status_notifications_total", "Events that were sent to clients")


def take(message):
    """In the event loop. A job that is rendered a second time stays done."""
    try:
        event = json.loads(message)
        job, step = str(event["jobId"]), event["step"]
        if step not in STEPS:
            raise ValueError(f"no step {step}")
    except (ValueError, KeyError, TypeError) as error:
        print(f"not an event, passed over: {error!r}", flush=True)
        return
    if job in is_over or (step == "queued" and job in last_events):
        return
    last_events[job] = message
    if step in LAST:
        is_over.add(job)
    if len(last_events) > REMEMBERED:
        is_over.discard(last_events.popitem(last=False)[0])
    for events in waiting.get(job, ()):
        events.put_nowait(message)


def follow(loop, stopping):
    """A thread: reads videoEvents from its beginning, then what comes."""
    consumer = Consumer(settings(**{"group.id": f"status-{socket.gethostname()}-{uuid.uuid4()}",
                                    "auto.offset.reset": "earliest", "enable.auto.commit": False}))
    consumer.subscribe([EVENTS])
    while not stopping.is_set():
        message = consumer.poll(0.5)
        if message is not None and not message.error():
            loop.call_soon_threadsafe(take, (message.value() or b"").decode(errors="replace"))
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


async def send_events(socket, job, events):
    """Until the last one, which ends the connection."""
    while True:
        await socket.send(await events.get())
        reported.inc()
        if job in is_over and events.empty():
            return


async def notify(socket):
    job, events = job_of(socket.request.path), asyncio.Queue()
    if job in last_events:
        events.put_nowait(last_events[job])
    waiting[job].add(events)
    tasks = [asyncio.ensure_future(send_events(socket, job, events)), asyncio.ensure_future(socket.wait_closed())]
    try:
        with clients.track_inprogress():
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        waiting[job].discard(events)
        if not waiting[job]:
            del waiting[job]


async def main():
    loop, stopping, ends = asyncio.get_running_loop(), threading.Event(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ends.set)
    metrics, _thread = start_http_server(int(os.environ.get("METRICS_PORT", "8001")))
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
