"""Faults that every example can meet. Each lasts as long as its `with`."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

PERIOD_SECONDS = 0.1  # as the kernel does it with a container at its CPU limit
BUSY = """import os, sys, time
processor, share, period, parent = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), os.getppid()
os.sched_setaffinity(0, {processor})
while os.getppid() == parent:
    began, used = time.monotonic(), time.process_time()
    while time.process_time() - used < share * period:
        pass
    time.sleep(max(0, began + period - time.monotonic()))
"""
BUSY_PROCESSES = 2  # on each processor


def descendants(pid):
    """This process and what it has started, directly or not."""
    found = [pid]
    with contextlib.suppress(OSError):  # it may end meanwhile
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                for child in file.read().split():
                    found += descendants(int(child))
    return found


def cpu_seconds(pid):
    """How long this process has had a processor."""
    with open(f"/proc/{pid}/stat") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _signal(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@contextlib.contextmanager
def stolen_cpu(workers, share):
    """The processes of workers() stand still for this share of each tenth of a second."""
    over = threading.Event()

    def steal():
        while not over.is_set():
            stopped = [each for pid in workers() for each in descendants(pid)]
            _signal(stopped, signal.SIGSTOP)
            over.wait(PERIOD_SECONDS * share)
            _signal(stopped, signal.SIGCONT)
            over.wait(PERIOD_SECONDS * (1 - share))

    thief = threading.Thread(target=steal, daemon=True)
    thief.start()
    try:
        yield
    finally:
        over.set()
        thief.join()


@contextlib.contextmanager
def busy_cpu(share):
    """Each processor is busy with something else for this share of the time. Two processes want half of the share each, so that a
    third one that wants the whole processor gets a third of it. Gives a function: which share they have had until now, less than they
    want where others want the processors, too."""
    processors, began = sorted(os.sched_getaffinity(0)), time.monotonic()
    others = [subprocess.Popen([sys.executable, "-c", BUSY, str(processor), str(share / BUSY_PROCESSES), str(PERIOD_SECONDS)],
                               stdin=subprocess.DEVNULL, start_new_session=True)  # so that each counts as a worker's FFmpeg does
              for processor in processors for _ in range(BUSY_PROCESSES)]
    try:
        yield lambda: sum(cpu_seconds(other.pid) for other in others) / len(processors) / (time.monotonic() - began)
    finally:
        for other in others:
            other.kill()
            other.wait()


@contextlib.contextmanager
def slow(links, seconds):
    """So much more for each round trip through these links: half of it in each direction."""
    for link in links:
        link.seconds = seconds / 2
    try:
        yield
    finally:
        for link in links:
            link.seconds = 0


@contextlib.contextmanager
def cut(*links):
    """Nothing arrives through these links any more, and neither side gets an error; at the end the connections are closed."""
    for link in links:
        link.cut()
    try:
        yield
    finally:
        for link in links:
            link.heal()


@contextlib.contextmanager
def killed(*processes):
    """kill -9 of a broker, an API, or Backlog, which is started again at the end."""
    for process in processes:
        process.kill()
    try:
        yield
    finally:
        for process in processes:
            process.start()


@contextlib.contextmanager
def disk_full_of_rabbitmq(broker):
    """Its alarm: free space below the limit. RabbitMQ then reads nothing of who publishes."""
    broker.ctl("set_disk_free_limit", "1000000GB")
    try:
        yield
    finally:
        broker.ctl("set_disk_free_limit", "50MB")
