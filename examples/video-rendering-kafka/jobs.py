"""What the load program does for one job: POST /videos, and the WebSocket until the event done."""

import asyncio
import json
import threading
import time

import requests
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

TIMEOUT_SECONDS = 60


def arguments(parser):
    parser.add_argument("--url", default="http://localhost:8000", help="of the API (default: %(default)s)")
    parser.add_argument("--status", default="ws://localhost:8081", help="of the status service (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="how long a video is (default: %(default)g)")


class Jobs:
    """`events` has what each job's client was sent, by (URL of the replica, job)."""

    def __init__(self, options):
        """Needs url, status (several replicas: with commas) and seconds."""
        self.url, self.replicas, self.seconds = options.url.rstrip("/"), options.status.split(","), options.seconds
        self.events, self.ended = {}, {}
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def submit(self):
        answer = requests.post(f"{self.url}/videos", json={"seconds": self.seconds}, timeout=TIMEOUT_SECONDS)
        if not answer.ok:
            raise OSError(f"POST /videos: {answer.status_code} {answer.text[:200]}")
        job = answer.json()["jobId"]
        for replica in self.replicas:
            self.events[replica, job] = []
            asyncio.run_coroutine_threadsafe(self._follow(replica, job), self.loop)
        return job

    async def _follow(self, replica, job):
        """Connects again where the replica has ended, as the page does."""
        received = self.events[replica, job]
        while not received or received[-1]["step"] not in ("done", "failed"):
            try:
                async with connect(f"{replica}/ws?jobId={job}", open_timeout=TIMEOUT_SECONDS) as socket:
                    async for message in socket:
                        received.append(json.loads(message))
            except (OSError, WebSocketException):
                await asyncio.sleep(0.5)
        self.ended.setdefault(job, (time.time(), received[-1]["step"] == "done"))

    def finished(self):
        """{id: (when, succeeded)} of all that have ended."""
        return self.ended.copy()

    def are_all_notified(self):
        """Whether the clients at all replicas have the last event."""
        return all(events and events[-1]["step"] in ("done", "failed") for events in list(self.events.values()))
