"""What the load program does for one job: publishes a request to JetStream, and finds its response in the stream MEMES_DONE."""

import asyncio
import json
import threading
import time
import uuid

import nats
from nats.js.api import ConsumerConfig, DeliverPolicy

TIMEOUT_SECONDS = 30


def arguments(parser):
    parser.add_argument("--url", default="nats://localhost:4222", help="of NATS (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2, help="how long a job takes (default: %(default)g)")


class Jobs:
    def __init__(self, options):
        """Needs url and seconds."""
        self.seconds, self.ended = options.seconds, {}
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self._run(self._connect(options.url))

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(2 * TIMEOUT_SECONDS)

    async def _connect(self, url):
        """Only new responses are of interest. Without a durable consumer nothing of this stays behind."""
        async def quiet(_error):
            pass  # it reconnects; what fails meanwhile is reported by who called

        self.connection = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=1, error_cb=quiet)
        self.jetstream = self.connection.jetstream(timeout=TIMEOUT_SECONDS)
        self.subject = (await self.jetstream.stream_info("MEMES")).config.subjects[0]
        await self.jetstream.subscribe(">", stream="MEMES_DONE", cb=self._take, ordered_consumer=True,
                                       config=ConsumerConfig(deliver_policy=DeliverPolicy.NEW))

    async def _take(self, message):
        response = json.loads(message.data)
        self.ended.setdefault(response["id"], (time.time(), "error" not in response))

    def submit(self):
        """A text that nobody sent before, so that no cache has its picture."""
        job = str(uuid.uuid4())
        body = json.dumps({"id": job, "text": f"load {job}", "seconds": self.seconds}).encode()
        self._run(self.jetstream.publish(self.subject, body, headers={"Nats-Msg-Id": job}))
        return job

    def finished(self):
        """{id: (when, succeeded)} of all that have ended."""
        return self.ended.copy()
