"""An attack on a server, and what becomes of the server and of another client meanwhile."""

import multiprocessing
import resource
import time

from support.process import wait_until

from .attacks import DESCRIPTORS, descriptors_used_up
from .wire import Caller

MIB = 1 << 20
CALLS_A_SECOND = 200
PATIENCE_SECONDS = 2  # a call that takes longer has no answer
MAX_MEMORY = 8 << 30  # of the server, for the machine's sake

fork = multiprocessing.get_context("fork")


class Outcome:
    def __init__(self, growth, latencies, lost, back):
        self.growth_mib = growth / MIB
        self.p99_ms = 1000 * sorted(latencies)[len(latencies) * 99 // 100] if latencies else None
        self.calls = len(latencies) + lost
        self.lost = lost
        self.back_ms = None if back is None else 1000 * back


def witness(port, seconds, pipe):
    """Calls at a steady pace on a connection that it opened before the attack; on a new one if it lost that."""
    latencies, lost = [], 0
    caller = Caller(port, PATIENCE_SECONDS)
    caller.call()
    pipe.send("ready")
    due, end = time.monotonic(), time.monotonic() + seconds
    while due < end:
        time.sleep(max(0, due - time.monotonic()))
        began = time.monotonic()
        try:
            caller = caller or Caller(port, PATIENCE_SECONDS)
            caller.call()
            latencies.append(time.monotonic() - began)
        except OSError:
            lost += 1
            caller = None
        due = max(due + 1 / CALLS_A_SECOND, began)
    pipe.send((latencies, lost))


def raise_own_limit():
    _, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest, highest))
    return highest


def limit(server, attack):
    highest = DESCRIPTORS if attack is descriptors_used_up else raise_own_limit()
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (highest, highest))
    if not server.is_sanitized():  # a sanitizer's shadow is larger than that
        resource.prlimit(server.pid, resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))


def call_again(port):
    """The seconds that a new client takes to connect and to be answered."""
    began = time.monotonic()
    caller = Caller(port, PATIENCE_SECONDS)
    caller.call()
    caller.close()
    return time.monotonic() - began


def recovery(port):
    """None: it did not recover within some seconds."""
    began = time.monotonic()
    try:
        wait_until(lambda: call_again(port), 5, "recovery")
    except TimeoutError:
        return None
    return time.monotonic() - began


def attacked(server, attack, seconds):
    """Runs the attack in a process of its own, and the witness in another."""
    limit(server, attack)
    ours, theirs = fork.Pipe()
    client = fork.Process(target=witness, args=(server.port, seconds, theirs), daemon=True)
    client.start()
    theirs.close()
    assert ours.recv() == "ready"
    start = highest = server.resident_bytes()
    attacker = fork.Process(target=attack, args=(server.port, time.monotonic() + seconds), daemon=True)
    attacker.start()
    try:
        while not ours.poll(0.02):
            highest = max(highest, server.resident_bytes())
        latencies, lost = ours.recv()
        assert not attacker.exitcode, "the attack itself failed"
    finally:
        attacker.kill()
        attacker.join()
        client.kill()
        client.join()
    return Outcome(highest - start, latencies, lost, recovery(server.port))
