"""Orders memes: `stress.py --jobs 1000` publishes a thousand jobs as fast as JetStream stores them."""

import argparse
import asyncio
import json
import os
import time
import uuid

import nats

TRIES, TRY_AGAIN_SECONDS = 60, 1
AT_ONCE = 200  # publishes that wait for JetStream's acknowledgement


async def order(jetstream, places, text, seconds):
    """NATS may be away for a while. JetStream stores an id once, however often it is published."""
    job = {"id": str(uuid.uuid4()), "text": text, "seconds": seconds}
    async with places:
        for left in reversed(range(TRIES)):
            try:
                return await jetstream.publish("meme.request", json.dumps(job).encode(), headers={"Nats-Msg-Id": job["id"]}, timeout=30)
            except (nats.errors.Error, asyncio.TimeoutError):
                if not left:
                    raise
                await asyncio.sleep(TRY_AGAIN_SECONDS)


async def report(error):
    print(f"NATS: {error}", flush=True)


async def stress(url, jobs, seconds, distinct=0):
    """Texts that nobody ordered before, unless `distinct` says how many there are."""
    run = "" if distinct else f" {uuid.uuid4().hex[:8]}"
    connection = await nats.connect(url, error_cb=report)
    places = asyncio.Semaphore(AT_ONCE)
    began = time.monotonic()
    await asyncio.gather(*(order(connection.jetstream(), places, f"one does not simply make meme {number % distinct if distinct else number}{run}", seconds)
                           for number in range(jobs)))
    took = time.monotonic() - began
    await connection.close()
    print(f"{jobs} jobs stored in {took:.2f} s, {jobs / took:.0f} per second")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("NATS_URL"))
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=2, help="how long a job takes (default: %(default)g)")
    parser.add_argument("--distinct", type=int, default=0, help="only so many texts, the same in each run: others come from the cache; "
                        "default: all are new")
    options = parser.parse_args()
    if not options.url:
        parser.error("--url or the variable NATS_URL is missing")
    if options.jobs < 1 or options.seconds < 0 or options.distinct < 0:
        parser.error("--jobs must be at least 1, --seconds and --distinct at least 0")
    asyncio.run(stress(options.url, options.jobs, options.seconds, options.distinct))


if __name__ == "__main__":
    main()
