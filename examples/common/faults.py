"""Faults that brokers know nothing of."""

import contextlib
import multiprocessing
import time

SLICE_SECONDS = 0.05
LONGEST_SECONDS = 600  # whatever becomes of who started it


def _busy(share):
    ends = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < ends:
        until = time.monotonic() + SLICE_SECONDS * share
        while time.monotonic() < until:
            pass
        time.sleep(SLICE_SECONDS * (1 - share))


@contextlib.contextmanager
def busy_processors(share):
    """Keeps each processor busy for this share of the time."""
    busy = [multiprocessing.Process(target=_busy, args=(share,), daemon=True) for _ in range(multiprocessing.cpu_count())]
    for process in busy:
        process.start()
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.join()
