"""Makes what the workers need in JetStream: two streams and a consumer. Again does no harm.

MEMES       the requests; one is gone once it is acknowledged
  makers    the consumer that all workers share: what waits for it, and what they work on, is what Backlog measures. It is
            durable: another kind is deleted when no worker is connected
MEMES_DONE  the responses; one with the id of another is not stored twice
"""

import asyncio
import os

import nats
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StreamConfig

ACK_WAIT_SECONDS = float(os.environ.get("ACK_WAIT_SECONDS", "30"))  # then a silent worker's job goes to another one
DUPLICATE_SECONDS = 10 * ACK_WAIT_SECONDS                          # longer, so that a job done twice is found out


async def main():
    connection = await nats.connect(os.environ["NATS_URL"])
    jetstream = connection.jetstream()
    await jetstream.add_stream(StreamConfig("MEMES", subjects=["meme.request"], retention=RetentionPolicy.WORK_QUEUE))
    await jetstream.add_stream(StreamConfig("MEMES_DONE", subjects=["meme.response", "meme.response.error"], max_age=24 * 3600,
                                            duplicate_window=DUPLICATE_SECONDS))
    await jetstream.add_consumer("MEMES", ConsumerConfig(durable_name="makers", ack_policy=AckPolicy.EXPLICIT,
                                                         ack_wait=ACK_WAIT_SECONDS))
    await connection.close()
    print("streams MEMES and MEMES_DONE and consumer makers are there")


if __name__ == "__main__":
    asyncio.run(main())
