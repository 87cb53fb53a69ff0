"""A newcomer's first minute: a real broker, the server, and what KEDA would do with its answers, second by second.

Broker, messages, server, workers and every gRPC call are real. KEDA and the HPA are the model of `backlog rehearse`, ten times as
fast so that the story takes a minute. Exits with 0 only if the story really happened.
"""

import argparse
import contextlib
import json
import os
import queue
import shlex
import signal
import subprocess
import sys
import textwrap
import threading
import time

from support.brokers.nats import Nats
from support.process import Unavailable
from support.brokers.rabbitmq import RabbitMQ
from support.server.server import Server, binary

TARGET = 5
BURST = 37
WANTED = 8  # 37 / 5, rounded up
OUTAGE_SECONDS = 10
MAX_TRIES = 3
SPEED = 10
INTERVAL, HOLD = "1s", "5s"  # of the server: 5s, 1h

SCALED_OBJECT = """\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: orders, namespace: demo}
spec:
  scaleTargetRef: {name: worker}
  cooldownPeriod: 60
  advanced:
    horizontalPodAutoscalerConfig:
      behavior: {scaleDown: {stabilizationWindowSeconds: 40}}
  triggers:
    - type: external-push
"""

SHORTENED = f"""\
Shortened for this demo: KEDA and the HPA go {SPEED} times as fast (a poll each 3 s and not 30, a sync each 1.5 s and not
15), the cooldown is 60 s (300), the scale-down window 40 s (300): 6 and 4 s here. The server measures every
{INTERVAL} (5s), and holds values for {HOLD} (1h) while the broker is down. A worker is a process that takes 2 s to
start and 2 s for a job."""


# ---------------------------------------------------------------------------- work, on a real broker

class RabbitQueue:
    name = "rabbitmq"

    def __init__(self):
        self.process = RabbitMQ()
        self.url = self.process.amqp_url()
        self.title = "RabbitMQ, queue orders"
        self.metadata = {"scaler": "rabbitmq", "host": self.url, "queueName": "orders",
                         "mode": "QueueLength", "value": str(TARGET)}

    def prepare(self):
        self.process.declare("orders")

    def publish(self, count):
        self.process.publish("orders", count)


class NatsConsumer:
    name = "nats"

    def __init__(self):
        self.process = Nats()
        self.url = self.process.url
        self.title = "NATS JetStream, consumer workers"
        self.metadata = {"scaler": "nats-jetstream", "servers": self.url, "stream": "orders",
                         "consumer": "workers", "lagThreshold": str(TARGET)}

    def prepare(self):
        with self.process.connect() as client:
            client.create_stream("orders")
            client.create_consumer("orders", "workers", ack_wait=1)

    def publish(self, count):
        with self.process.connect() as client:
            client.publish("orders", count)


def choose_broker(name):
    if name == "nats":
        return NatsConsumer()
    try:
        return RabbitQueue()
    except Unavailable as missing:
        if name == "rabbitmq":
            raise
        show(f"{missing}; NATS takes its place")
        return NatsConsumer()


# ---------------------------------------------------------------------------- KEDA, the HPA and the workers

class Rehearsal:
    """`backlog rehearse` with workers; what it prints, a JSON object a line, is in `lines` with its time of arrival."""

    def __init__(self, broker, port, folder):
        path = os.path.join(folder, "scaledobject.yaml")
        with open(path, "w") as file:
            file.write(SCALED_OBJECT + "      metadata: " + json.dumps(broker.metadata) + "\n")
        worker = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "demo_worker.py"),
                  broker.name, broker.url]
        self.child = subprocess.Popen(
            [binary(), "rehearse", "-f", path, "--server", f"127.0.0.1:{port}", "--speed", str(SPEED), "--start-time", "2s",
             "--grace", "2s", "--worker", "exec " + shlex.join(worker), "--output", "json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.put((time.monotonic(), json.loads(line)))
        self.lines.put((time.monotonic(), {"type": "end"}))

    def stop(self):
        """It ends its workers."""
        self.child.terminate()
        self.child.wait(30)


# ---------------------------------------------------------------------------- the screen

COLOURS = {"dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1"}
COLOURED = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(colour, text):
    return f"\033[{COLOURS[colour]}m{text}\033[0m" if COLOURED else text


def show(text="", colour=None):
    print(paint(colour, text) if colour else text, flush=True)


class StoryFailed(Exception):
    pass


# ---------------------------------------------------------------------------- the demo

class Demo:
    """Follows the lines of the rehearsal, and makes the work and the outage."""

    def __init__(self, broker, rehearsal):
        self.broker = broker
        self.rehearsal = rehearsal
        self.began = time.monotonic()
        self.replicas = 0
        self.published_at = None
        self.broker_is_stopped = False
        self.is_limited = False  # the HPA wants more than its policy lets it add at once
        self.push_ms = []
        self.held = self.refused = self.lost_in_outage = self.added_in_outage = 0

    def _clock(self):
        seconds = time.monotonic() - self.began
        return f"{int(seconds) // 60}:{seconds % 60:04.1f}"

    def event(self, text, colour="cyan"):
        show(f"{self._clock():>6}    --> {text}", colour)

    def publish(self, count):
        self.published_at = time.monotonic()
        self.broker.publish(count)
        self.event(f"{count} job{'s arrive' if count > 1 else ' arrives'}")

    def _pushed(self, when, _line):
        after = ""
        if self.published_at is not None and self.replicas == 0:
            self.push_ms.append(1000 * (when - self.published_at))
            after = f", {self.push_ms[-1]:.0f} ms after the work began to arrive"
        self.event(f"push: active{after}")

    def _changed(self, _when, line):
        if self.broker_is_stopped:
            self.lost_in_outage += max(0, line["from"] - line["to"])
            self.added_in_outage += max(0, line["to"] - line["from"])
        self.replicas = line["to"]
        self.is_limited = "limited by policy" in line["why"]
        self.event(f"{line['from']} -> {line['to']} replicas ({line['why']})",
                   "green" if line["to"] > line["from"] else "yellow")

    def _count_in_outage(self, line):
        self.held += line["error"] is None
        self.refused += line["error"] is not None
        if self.refused == 1 and line["error"]:
            self.event(f"the server returns an error: {line['error']}", "red")

    def _stated(self, _when, line):
        """A second: what the server answered, the workers, and why there are so many."""
        if self.broker_is_stopped:
            self._count_in_outage(line)
        error = line["error"]
        words = textwrap.shorten(error or line["why"], 70, placeholder="...")
        if self.broker_is_stopped and not error:
            words += " (held)"
        waiting = "?" if error else f"{line['value']:g}"
        bar = paint("green", "#" * line["ready"]) + paint("dim", "." * max(0, line["replicas"] - line["ready"]))
        space = " " * (10 - max(line["ready"], line["replicas"]))
        colour = "red" if error else "bold" if line["active"] else "dim"
        show(f"{self._clock():>6} {waiting:>6}  {line['replicas']:>2} {bar}{space} {paint(colour, words)}")

    def _ended(self, _when, _line):
        raise StoryFailed("the rehearsal ended")

    def _follow(self):
        """One line; true where it is that of a second."""
        when, line = self.rehearsal.lines.get(timeout=30)
        {"push": self._pushed, "change": self._changed, "state": self._stated, "end": self._ended}[line["type"]](when, line)
        return line["type"] == "state"

    def run(self, seconds):
        while seconds > 0:
            seconds -= self._follow()

    def run_until(self, condition, seconds, what):
        while not condition():
            if seconds == 0:
                raise StoryFailed(f"{what} did not happen in time")
            seconds -= self._follow()

    def chapter(self, text):
        show()
        show(text, "bold")

    def is_at(self, replicas):
        return lambda: self.replicas == replicas

    # The story.

    def burst(self):
        self.chapter("1. Nothing to do, so nothing runs. Then work arrives.")
        for _ in range(MAX_TRIES):
            self.run(4)
            self.publish(BURST)
            self.run_until(self.is_at(WANTED), 15, f"{WANTED} replicas")
            if self.push_ms:
                break
            self.event("a poll came before the push: once more")
            self.run_until(self.is_at(0), 45, "scaling to zero")
        if not self.push_ms:
            raise StoryFailed("the push did not come before the poll")

        self.chapter("2. The queue drains; the HPA goes down, and KEDA to zero after the cooldown.")
        self.run_until(self.is_at(0), 45, "scaling to zero")

    def trickle(self):
        self.chapter("3. A trickle: one replica is enough.")
        for _ in range(3):
            self.publish(1)
            self.run(1)
        self.run_until(lambda: self.replicas > 0, 5, "one replica")

    def outage(self):
        self.chapter("4. More work, and the broker dies in the middle of a scale-up. KEDA gets the held value, so it goes on.")
        for _ in range(MAX_TRIES):
            self.publish(45)
            self.run_until(lambda: self.replicas > 1, 15, "a scale-up")
            if self.is_limited:
                break
            self.event("the HPA saw a part of the jobs first: once more")
            self.run_until(lambda: self.replicas <= 1, 45, "scaling down")
        if not self.is_limited:
            raise StoryFailed("there was no scale-up in two steps")
        self.broker.process.kill()
        self.broker_is_stopped = True
        self.event("the broker was killed", "red")
        self.run(OUTAGE_SECONDS)

        starting = threading.Thread(target=self.broker.process.start, daemon=True)
        starting.start()
        self.event("the broker is being started again")
        self.run_until(lambda: not starting.is_alive(), 60, "the broker's return")
        self.broker_is_stopped = False
        self.event("the broker runs again")
        if self.lost_in_outage > 0:
            raise StoryFailed(f"{self.lost_in_outage} replicas were lost while the broker was away")
        if self.added_in_outage == 0:
            raise StoryFailed("the scale-up did not go on while the broker was away")
        if self.held == 0 or self.refused == 0:
            raise StoryFailed(f"of the answers in the outage {self.held} were held, {self.refused} refused")

        self.chapter("5. It goes on where it stopped, down to zero again.")
        self.run_until(self.is_at(0), 60, "scaling to zero after the outage")

    def play_story(self):
        show()
        show("  time  queue  replicas      why")
        self.burst()
        self.trickle()
        self.outage()
        show()
        show(f"Seen: a push {self.push_ms[0]:.0f} ms after the work; {WANTED} replicas for {BURST} jobs, 0 for none; in the"
            f" outage {self.held} answers held, {self.refused} refused, {self.added_in_outage} replicas added, none lost.", "green")
        show("Next: docs/install.md, how to run the server in a cluster and move a trigger.")


def started(stack, process):
    """Whatever ends the demo, also while the process is starting, ends the process."""
    stack.callback(process.remove)
    return process.start()


def play(broker_name):
    with contextlib.ExitStack() as stack:
        broker = choose_broker(broker_name)
        show(f"Starting a broker ({broker.title}) and backlog serve ...")
        started(stack, broker.process)
        broker.prepare()
        server = started(stack, Server(interval=INTERVAL, hold=HOLD))
        show(SHORTENED, "dim")
        rehearsal = Rehearsal(broker, server.port, server.folder)
        stack.callback(rehearsal.stop)
        Demo(broker, rehearsal).play_story()
        rehearsal.stop()
        server.stop()


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__.partition("\n")[0])
    parser.add_argument("broker", nargs="?", choices=["rabbitmq", "nats"], help="default: what is installed")
    broker_name = parser.parse_args().broker
    signal.signal(signal.SIGTERM, interrupt)
    try:
        play(broker_name)
    except (StoryFailed, OSError) as failed:  # such as a request that took too long on a busy machine
        show(f"\nThe demo failed: {failed}. On a busy machine type ./dev demo again.", "red")
        return 1
    except Unavailable as missing:
        show(f"The demo cannot run here: {missing}", "red")
        return 1
    except KeyboardInterrupt:
        show("\nStopped.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
