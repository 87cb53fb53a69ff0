"""Loads all three autoscalers of the system at once, and prints what they do; in the end what each had before, and at most.

    examples/forward memes-nats &
    python load.py --seconds 300 --context kind-kind

Requests to NATS make KEDA add workers; requests to the page make its CPU rise, and the HPA adds pods; large values in Redis make the VPA
raise its requests. Each is left out by 0. Ctrl-C ends it; what it put into Redis expires.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import threading
import time
import urllib.request
import uuid

import nats

from stress import stress

KEY_SECONDS = 600
VALUE_BYTES = 1_000_000
SHOW_SECONDS, SAMPLE_SECONDS = 15, 3
UNITS = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
# Names by manifests/ and by the umbrella chart.
WORKERS, PAGE, REDIS = ("meme-worker", "memes-backend"), ("frontend", "memes-frontend"), ("redis", "memes-redis")


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


def load_redis(url, megabytes, until):
    """A VPA replaces Redis' pod: each value is tried until it is stored."""
    import redis
    number = 0
    with redis.Redis.from_url(url) as client:
        while number < megabytes and time.monotonic() < until:
            try:
                client.set(f"load:{number}", uuid.uuid4().bytes * (VALUE_BYTES // 16), ex=KEY_SECONDS)
                number += 1
            except redis.RedisError as error:
                print(f"Redis: {error}; trying again", flush=True)
                time.sleep(1)


def kubectl(context, *words):
    return subprocess.run(["kubectl", *(["--context", context] if context else []), "-n", "memes", "get", *words],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def quantity(text):
    """A number of Kubernetes: 100m, 512Mi, 262144k."""
    number = text.rstrip("".join(UNITS))
    return float(number) * UNITS.get(text[len(number):], 1)


def figures(objects):
    """What each autoscaler has set now: {(autoscaler, what): number}. What is not known is not in it."""
    found = {}
    for item in objects:
        kind, name, status = item["kind"], item["metadata"]["name"], item.get("status", {})
        if kind == "Deployment" and name in WORKERS:
            found["KEDA", "workers"] = item["spec"]["replicas"]
        elif kind == "Deployment" and name in PAGE:
            found["HPA", "pods of the page"] = item["spec"]["replicas"]
        elif kind == "VerticalPodAutoscaler" and name in REDIS:
            for container in status.get("recommendation", {}).get("containerRecommendations", []):
                found["VPA", "CPU for Redis, in m"] = round(1000 * quantity(container["target"]["cpu"]))
                found["VPA", "memory for Redis, in Mi"] = round(quantity(container["target"]["memory"]) / UNITS["Mi"])
    return found


class Autoscalers:
    """Samples what they have set, from now on, until report()."""

    def __init__(self, context):
        self.context, self.before, self.peaks = context, {}, {}
        self.sample()
        threading.Thread(target=self._sample, daemon=True).start()

    def sample(self):
        done = kubectl(self.context, "deployment,vpa", "--output=json")
        if done.returncode == 0:  # else the table that is printed says why
            self.take(figures(json.loads(done.stdout)["items"]))

    def take(self, found):
        for what, number in found.items():
            self.before.setdefault(what, number)
            self.peaks[what] = max(number, self.peaks.get(what, number))

    def _sample(self):
        while True:
            time.sleep(SAMPLE_SECONDS)
            self.sample()

    def report(self):
        lines = [f"{autoscaler:<5} {what:<24} {self.before[autoscaler, what]:>6} -> {peak}" for (autoscaler, what), peak in sorted(self.peaks.items())]
        return "\n".join(["                              before -> peak", *lines] if lines else ["What the autoscalers have set is not known."])


def show(context):
    """What kubectl says of the three."""
    print(f"\n{time.strftime('%H:%M:%S')}\n{kubectl(context, 'scaledobject,hpa,vpa,deployment').stdout}", flush=True)


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
    autoscalers = Autoscalers(options.context) if shutil.which("kubectl") else None
    if options.jobs:
        try:
            asyncio.run(stress(options.nats, options.jobs, 2))
        except (nats.errors.Error, OSError) as error:
            parser.exit(1, f"NATS at {options.nats}: {error}\n")
    if options.clients:
        load_page(options.page, options.clients, until)
    if options.megabytes:
        threading.Thread(target=load_redis, args=(options.redis, options.megabytes, until), daemon=True).start()
    while time.monotonic() < until:
        if autoscalers:
            show(options.context)
        time.sleep(max(0, min(SHOW_SECONDS, until - time.monotonic())))
    print(autoscalers.report() if autoscalers else "kubectl is missing: what the autoscalers did is not known")


if __name__ == "__main__":
    main()
