"""Real processes for tests: started on free loopback ports, stopped by their pid."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time


class Unavailable(Exception):
    """A tool or broker that this machine does not have: the test says so and is skipped."""


# Below those that the kernel gives to clients: a port of theirs that is free may be taken a moment later. Each worker of
# pytest-xdist has its own: what one has chosen and does not use yet is free to the others.
WORKERS = 8
PORTS = range(10000 + int(os.environ.get("PYTEST_XDIST_WORKER", f"gw{WORKERS}")[2:]) % WORKERS, 32000, WORKERS)
given_ports = set()


def free_port():
    """At random, as processes besides these tests look for one, too; never twice."""
    while True:
        port = random.choice(PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if port not in given_ports:
                given_ports.add(port)
                return port


PROGRAMS = os.environ.get("BACKLOG_PROGRAMS", "")  # a folder of brokers of other versions: ./dev test matrix


def need(*names):
    """The path of the first of these programs that is installed."""
    for name in names if PROGRAMS else ():
        path = os.path.join(PROGRAMS, os.path.basename(name))
        if os.access(path, os.X_OK):
            return path
    for name in names:
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/lib/rabbitmq/bin")
        if path:
            return path
    raise Unavailable(f"{' or '.join(names)} is not installed")


def wait_until(condition, seconds, what):
    """Waits for a condition and returns what it returned; an exception of it counts as not yet. What takes long is looked at less
    often: most conditions call the server, and two cores run many tests at a time."""
    deadline = time.monotonic() + seconds
    pause = 0.02
    last = None
    while time.monotonic() < deadline:
        try:
            result = condition()
            if result:
                return result
        except Exception as error:  # not there yet
            last = error
        time.sleep(pause)
        pause = min(1.2 * pause, 0.1)
    raise TimeoutError(f"{what} did not happen in {seconds} s" + (f" (last: {last})" if last else ""))


class Process:
    """A child process with a folder of its own. A subclass says command() and ready()."""

    name = "process"
    start_seconds = 60

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix=f"backlog-{self.name}-")
        self.log_path = os.path.join(self.folder, "log")
        self.child = None

    def command(self):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def ready(self):
        return True

    @property
    def pid(self):
        return self.child.pid

    def start(self):
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment(), cwd=self.folder, start_new_session=True)
        try:
            wait_until(self._alive_and_ready, self.start_seconds, f"{self.name}: ready")
        except Exception as error:
            self.kill()
            raise RuntimeError(f"{self.name} did not start: {error}\n{self.log()[-4000:]}") from None
        return self

    def _alive_and_ready(self):
        if self.child.poll() is not None:
            raise SystemExit(f"{self.name} ended with {self.child.returncode}:\n{self.log()[-4000:]}")
        return self.ready()

    def signal(self, number):
        """To the whole process group: a broker's start script has children."""
        os.killpg(self.child.pid, number)

    def stop(self, seconds=20):
        """Asks to end, then insists. Returns the exit code."""
        if self.child is None or self.child.poll() is not None:
            return None if self.child is None else self.child.returncode
        self.signal(signal.SIGTERM)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self):
        try:
            self.signal(signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self.child.wait(10)

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def remove(self):
        if self.child is not None and self.child.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, *_):
        self.stop()
        self.remove()
