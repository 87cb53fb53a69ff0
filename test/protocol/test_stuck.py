"""A server whose event loop stands still ends itself: KEDA's polls have no deadline, and would wait for ever."""

import ctypes
import os
import signal
import time

import pytest

from support.server.server import Server

PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000


def ptrace(request, thread):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace of thread {thread}")


def stop_threads(server):
    """All but the main one, which looks after the others. Returns them."""
    threads = [int(name) for name in os.listdir(f"/proc/{server.pid}/task") if int(name) != server.pid]
    for thread in threads:
        ptrace(PTRACE_SEIZE, thread)
        ptrace(PTRACE_INTERRUPT, thread)
    return threads


@pytest.mark.parametrize("number, reason", [
    (None, "the event loop has not responded for at least 10 s"),
    (signal.SIGTERM, "the event loop has not responded for 5 s after the grace period"),
])
def test_a_server_whose_event_loop_stands_still_ends(number, reason):
    server = Server(arguments=["--grace", "100ms"])
    server.start()
    try:
        threads = stop_threads(server)
        began = time.monotonic()
        if number is not None:
            server.signal(number)
        for thread in threads:
            while not os.WIFEXITED(status := os.waitpid(thread, WALL)[1]) and not os.WIFSIGNALED(status):
                pass  # it was stopped
        assert server.child.wait(10) == 1
        print(f"after {time.monotonic() - began:.0f} s")
        assert reason in server.log()
    finally:
        server.remove()
