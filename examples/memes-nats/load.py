"""Loads all three autoscalers of the system at once, and prints what they do.

    examples/forward memes-nats &
    python load.py --seconds 300 --context kind-kind

Requests to NATS make KEDA add workers; requests to the page make its CPU rise, and the HPA adds pods; large values in Redis make the VPA
raise its requests. Each is left out by 0. Ctrl-C ends it; what it put into Redis expires.
"""

import argparse
import asyncio
import subprocess
import threading
import time
import urllib.request
import uuid

from stress import stress

KEY_SECONDS = 600
VALUE_BYTES = 1_000_000


def load_page(url, clients, until):
    """As fast as the page answers."""
    def client():
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(url, timeout=10).read()
            except OSError:
                time.sleep(1)
    for _ in range(clients):
        threading.Thread(target=client, daemon=True).start()


def load_redis(url, megabytes):
    import redis
    with redis.Redis.from_url(url) as client:
        for number in range(megabytes):
            client.set(f"load:{number}", uuid.uuid4().bytes * (VALUE_BYTES // 16), ex=KEY_SECONDS)


def show(context):
    """What kubectl says of the three."""
    words = ["kubectl", *(["--context", context] if context else []), "-n", "memes", "get", "scaledobject,hpa,vpa,deployment"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(f"\n{time.strftime('%H:%M:%S')}\n{done.stdout}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--context", default="", help="of kubectl; default: the current one")
    parser.add_argument("--seconds", type=float, default=300, help="default: %(default)g")
    parser.add_argument("--nats", default="nats://localhost:4222")
    parser.add_argument("--jobs", type=int, default=300, help="requests to NATS; default: %(default)s")
    parser.add_argument("--page", default="http://localhost:8000/")
    parser.add_argument("--clients", type=int, default=20, help="of the page; default: %(default)s")
    parser.add_argument("--redis", default="redis://localhost:6379")
    parser.add_argument("--megabytes", type=int, default=600, help="into Redis; default: %(default)s")
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    if options.jobs:
        asyncio.run(stress(options.nats, options.jobs, 2))
    if options.clients:
        load_page(options.page, options.clients, until)
    if options.megabytes:
        threading.Thread(target=load_redis, args=(options.redis, options.megabytes), daemon=True).start()
    while time.monotonic() < until:
        show(options.context)
        time.sleep(15)


if __name__ == "__main__":
    main()
