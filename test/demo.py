"""A newcomer's first minute: a real broker, the server, and what KEDA is answered, second by second.

Broker, messages, server and every gRPC call are real. KEDA, its HPA and the workers are played here, by
KEDA's rules and the HPA's formula, with times that are shortened (and printed) so that the story takes
a minute and not an hour. Exits with 0 only if the story really happened.
"""

import argparse
import collections
import contextlib
import math
import os
import queue
import signal
import sys
import textwrap
import threading
import time

import grpc

from support.grpc_client import Client
from support.nats import Nats
from support.process import Unavailable
from support.rabbitmq import RabbitMQ
from support.server import Server

TARGET = 5
BURST = 37
WANTED = 8  # 37 / 5, rounded up
OUTAGE_SECONDS = 10

# KEDA's and the HPA's times here, and by default.
POLL_SECONDS = 3           # 30
SYNC_SECONDS = 1           # 15
COOLDOWN_SECONDS = 6       # 300
STABILIZATION_SECONDS = 4  # 300
INTERVAL, HOLD = "1s", "5s"  # of the server: 5s, 60s

JOBS_PER_WORKER_AND_SECOND = 0.5
WORKER_START_SECONDS = 2

SHORTENED = f"""\
Shortened for this demo: KEDA polls every {POLL_SECONDS} s (30), the HPA syncs every {SYNC_SECONDS} s (15), cooldown
{COOLDOWN_SECONDS} s (300), scale-down window {STABILIZATION_SECONDS} s (300); the server measures every {INTERVAL} (5s), and
answers for {HOLD} (60s) from what it knew once the broker has gone. A worker takes {WORKER_START_SECONDS} s to
start and does {JOBS_PER_WORKER_AND_SECOND} jobs a second."""


# ---------------------------------------------------------------------------- work, on a real broker

class RabbitQueue:
    def __init__(self):
        self.process = RabbitMQ()
        self.title = "RabbitMQ, queue orders"
        self.metadata = {"scaler": "rabbitmq", "host": self.process.amqp_url(), "queueName": "orders",
                         "mode": "QueueLength", "value": str(TARGET)}

    def prepare(self):
        self.process.declare("orders")

    def publish(self, count):
        self.process.publish("orders", count)

    def work(self, jobs):
        """Consumes up to so many jobs; returns how many wait then."""
        with self.process.connect() as connection:
            channel = connection.channel()
            for _ in range(jobs):
                channel.basic_get("orders", auto_ack=True)
            return channel.queue_declare("orders", passive=True).method.message_count


class NatsConsumer:
    def __init__(self):
        self.process = Nats()
        self.title = "NATS JetStream, consumer workers"
        self.metadata = {"scaler": "nats-jetstream", "servers": self.process.url, "stream": "orders",
                         "consumer": "workers", "lagThreshold": str(TARGET)}

    def prepare(self):
        with self.process.connect() as client:
            client.create_stream("orders")
            client.create_consumer("orders", "workers", ack_wait=1)

    def publish(self, count):
        with self.process.connect() as client:
            client.publish("orders", count)

    def work(self, jobs):
        with self.process.connect(allow_reconnect=False) as client:
            jobs = min(jobs, self._waiting(client))
            if jobs > 0:
                client.take("orders", "workers", jobs)
            return self._waiting(client)

    def _waiting(self, client):
        """With what was delivered but not acknowledged: a killed server forgets acknowledgements."""
        info = client.run(client.jetstream.consumer_info("orders", "workers"))
        return info.num_pending + info.num_ack_pending


def choose_broker(name):
    if name == "nats":
        return NatsConsumer()
    try:
        return RabbitQueue()
    except Unavailable as missing:
        if name == "rabbitmq":
            raise
        say(f"{missing}; NATS takes its place")
        return NatsConsumer()


# ---------------------------------------------------------------------------- KEDA and the HPA

class Answer:
    """What the three calls of one question said."""

    def __init__(self, client, metadata):
        self.value = self.target = self.active = self.error = None
        try:
            spec = client.metric_spec(metadata)
            self.target = spec.targetSizeFloat
            self.value = client.metrics(metadata, spec.metricName).metricValueFloat
            self.active = client.is_active(metadata)
        except grpc.RpcError as error:
            self.error = f"{error.code().name}: {error.details()}"

    def __str__(self):
        if self.error:
            return self.error
        return f"{self.value:g}/{self.target:g} {'active' if self.active else 'idle'}"


class Autoscaler:
    """One ScaledObject from 0 to 100 replicas with one external-push trigger, and its HPA."""

    def __init__(self, on_scaled):
        self.replicas = 0
        self.on_scaled = on_scaled
        self.last_active = -math.inf
        self.wanted = []  # (when, replicas): the HPA's recommendations of the scale-down window

    def scale(self, replicas, why):
        if replicas != self.replicas:
            before, self.replicas = self.replicas, replicas
            self.on_scaled(before, replicas, why)

    def pushed(self, now):
        """StreamIsActive said `true`."""
        self.last_active = now
        if self.replicas == 0:
            self.scale(1, "KEDA: the push activates")

    def polled(self, answer, now):
        if answer.error:
            return
        if answer.active:
            self.last_active = now
            if self.replicas == 0:
                self.scale(1, "KEDA: the poll activates")
        elif self.replicas > 0 and self.last_active + COOLDOWN_SECONDS < now:
            self.wanted = []
            self.scale(0, "KEDA: the cooldown is over")

    def synced(self, answer, now):
        """AverageValue with a tolerance of 0.1, up at once by 4 pods or 100 %, down by the window's most."""
        if answer.error:
            return
        usage = answer.value / (answer.target * self.replicas)
        wanted = self.replicas if 0.9 <= usage <= 1.1 else math.ceil(answer.value / answer.target)
        self.wanted = [(when, count) for when, count in self.wanted if when > now - STABILIZATION_SECONDS]
        self.wanted.append((now, wanted))
        limit = max(self.replicas + 4, 2 * self.replicas)
        highest = max(count for _, count in self.wanted)
        if wanted > self.replicas:
            self.scale(min(wanted, limit), f"HPA: {answer.value:g} waiting / {answer.target:g}")
        elif highest < self.replicas:
            self.scale(max(highest, 1), f"HPA: at most {highest} wanted for {STABILIZATION_SECONDS} s")


# ---------------------------------------------------------------------------- the screen

COLOURS = {"dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1"}
COLOURED = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(colour, text):
    return f"\033[{COLOURS[colour]}m{text}\033[0m" if COLOURED else text


def say(text="", colour=None):
    print(paint(colour, text) if colour else text, flush=True)


class StoryFailed(Exception):
    pass


# ---------------------------------------------------------------------------- the demo

class Demo:
    """Everything happens on the main thread; the stream's thread puts its pushes into a queue."""

    def __init__(self, broker, client):
        self.broker = broker
        self.client = client
        self.autoscaler = Autoscaler(self._scaled)
        self.began = time.monotonic()
        self.next_second = self.began
        self.seconds = 0
        self.pushes = queue.Queue()
        self.published_at = None
        self.broker_is_stopped = False
        self.replicas_before = collections.deque([0] * WORKER_START_SECONDS, WORKER_START_SECONDS)
        self.credit = 0  # jobs that the workers have had the time for
        self.push_ms = []
        self.held = self.refused = self.lost_in_outage = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        """As KEDA: the stream stays open for good."""
        with contextlib.suppress(grpc.RpcError):
            for answer in self.client.stream_is_active(self.broker.metadata):
                if answer.result:
                    self.pushes.put(time.monotonic())

    def _clock(self):
        seconds = time.monotonic() - self.began
        return f"{int(seconds) // 60}:{seconds % 60:04.1f}"

    def event(self, text, colour="cyan"):
        say(f"{self._clock():>6}    --> {text}", colour)

    def _scaled(self, before, after, why):
        if self.broker_is_stopped and after < before:
            self.lost_in_outage += before - after
        self.event(f"{before} -> {after} replicas ({why})", "green" if after > before else "yellow")

    def publish(self, count):
        self.published_at = time.monotonic()
        self.broker.publish(count)
        self.event(f"{count} job{'s arrive' if count > 1 else ' arrives'}")

    def _push_arrived(self, when):
        after = ""
        if self.published_at is not None and self.autoscaler.replicas == 0:
            self.push_ms.append(1000 * (when - self.published_at))
            after = f", {self.push_ms[-1]:.0f} ms after the work began to arrive"
        self.event(f"push: active{after}")
        self.autoscaler.pushed(when)

    def _work(self):
        """The workers of this second; returns how many jobs wait, None where nobody can tell."""
        workers = min(self.autoscaler.replicas, *self.replicas_before)  # the others are starting
        self.replicas_before.append(self.autoscaler.replicas)
        self.credit += workers * JOBS_PER_WORKER_AND_SECOND
        jobs, self.credit = int(self.credit), self.credit % 1
        if self.broker_is_stopped:
            return None
        return self.broker.work(jobs)

    def _ask(self):
        """Returns what KEDA or the HPA was answered in this second; None where none of them asked."""
        polls = self.seconds % POLL_SECONDS == 0
        syncs = self.seconds % SYNC_SECONDS == 0 and self.autoscaler.replicas > 0
        if not polls and not syncs:
            return None
        now = time.monotonic()
        answer = Answer(self.client, self.broker.metadata)
        if self.broker_is_stopped:
            self._count_in_outage(answer)
        if polls:
            self.autoscaler.polled(answer, now)
        if syncs and self.autoscaler.replicas > 0:
            self.autoscaler.synced(answer, now)
        return answer

    def _count_in_outage(self, answer):
        self.held += answer.error is None
        self.refused += answer.error is not None
        if self.refused == 1 and answer.error:
            self.event(f"the server refuses to guess: {answer.error}", "red")

    def _tick(self):
        depth = self._work()
        answer = self._ask()
        words, colour = "(nobody asks)", "dim"
        if answer is not None:
            words = textwrap.shorten(str(answer), 60, placeholder="...")
            colour = "red" if answer.error else "bold" if answer.active else "dim"
            if self.broker_is_stopped and not answer.error:
                words += " (held)"
        replicas = self.autoscaler.replicas
        bar = paint("green", "#" * replicas)
        waiting = "?" if depth is None else depth
        say(f"{self._clock():>6} {waiting:>6}  {replicas:>2} {bar}{' ' * (10 - replicas)} {paint(colour, words)}")
        self.seconds += 1

    def run(self, seconds):
        """Lines, one a second, and whatever is pushed in between."""
        end = self.next_second + seconds
        while self.next_second < end:
            with contextlib.suppress(queue.Empty):
                self._push_arrived(self.pushes.get(timeout=max(0, self.next_second - time.monotonic())))
                continue
            self._tick()
            self.next_second = max(self.next_second + 1, time.monotonic())

    def run_until(self, condition, seconds, what):
        for _ in range(seconds):
            if condition():
                return
            self.run(1)
        raise StoryFailed(f"{what} did not happen in {seconds} s")

    def chapter(self, text):
        say()
        say(text, "bold")

    def is_at(self, replicas):
        return lambda: self.autoscaler.replicas == replicas

    # The story.

    def burst(self):
        self.chapter("1. Nothing to do, so nothing runs. Then work arrives.")
        self.run(4)
        self.publish(BURST)
        self.run_until(self.is_at(WANTED), 15, f"{WANTED} replicas")
        if not self.push_ms:
            raise StoryFailed("the push did not come before the poll")

        self.chapter("2. The queue drains; the HPA goes down, and KEDA to zero after the cooldown.")
        self.run_until(self.is_at(0), 45, "scaling to zero")

    def trickle(self):
        self.chapter("3. A trickle: one replica is enough.")
        for _ in range(3):
            self.publish(1)
            self.run(1)
        self.run_until(lambda: self.autoscaler.replicas > 0, 5, "one replica")

    def outage(self):
        self.chapter("4. More work, and then the broker dies: nobody knows how much waits, so nothing changes.")
        self.publish(45)
        self.run_until(lambda: self.autoscaler.replicas >= WANTED, 15, f"{WANTED} replicas")
        self.broker.process.kill()
        self.broker_is_stopped = True
        self.event("the broker is gone", "red")
        self.run(OUTAGE_SECONDS)

        starting = threading.Thread(target=self.broker.process.start, daemon=True)
        starting.start()
        self.event("the broker is being started again")
        self.run_until(lambda: not starting.is_alive(), 60, "the broker's return")
        self.broker_is_stopped = False
        self.event("the broker is back")
        if self.lost_in_outage > 0:
            raise StoryFailed(f"{self.lost_in_outage} replicas were lost while the broker was away")
        if self.held == 0 or self.refused == 0:
            raise StoryFailed(f"of the answers in the outage {self.held} were held, {self.refused} refused")

        self.chapter("5. It goes on where it stopped, down to zero again.")
        self.run_until(self.is_at(0), 60, "scaling to zero after the outage")

    def tell(self):
        say()
        say("  time  queue  replicas      KEDA or the HPA is answered (value/target)")
        self.burst()
        self.trickle()
        self.outage()
        say()
        say(f"Seen: a push {self.push_ms[0]:.0f} ms after the work; {WANTED} replicas for {BURST} jobs, 0 for none; in the"
            f" outage {self.held} answers held, {self.refused} refused, no replica lost.", "green")
        say("Next: README.md, how to run the server in a cluster and what to write into a ScaledObject.")


def started(stack, process):
    """Whatever ends the demo, also while the process is starting, ends the process."""
    stack.callback(process.remove)
    return process.start()


def play(broker_name):
    with contextlib.ExitStack() as stack:
        broker = choose_broker(broker_name)
        say(f"Starting a broker ({broker.title}) and backlog serve ...")
        started(stack, broker.process)
        broker.prepare()
        server = started(stack, Server(interval=INTERVAL, hold=HOLD))
        client = stack.enter_context(Client(server.port))
        say(SHORTENED, "dim")
        Demo(broker, client).tell()
        client.channel.close()
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
    except StoryFailed as failed:
        say(f"\nThe story went wrong: {failed}.", "red")
        return 1
    except Unavailable as missing:
        say(f"The demo cannot run here: {missing}", "red")
        return 1
    except KeyboardInterrupt:
        say("\nStopped.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
