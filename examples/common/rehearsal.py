"""The laptop's control plane: `backlog rehearse` is KEDA and the HPA, and starts a worker process for each replica."""

import json
import math
import os
import queue
import shlex
import signal
import subprocess
import threading
import time

from support.server.server import binary


class Rehearsal:
    """What it prints, a JSON object per line, is in `lines`, with `at`, when; None ends them. What workers print goes to the file `log`."""

    def __init__(self, manifest, server, worker, environment, speed, log, startup="0s", grace="30s", *, http):
        self.lines, self.speed = queue.Queue(), speed
        self.child = subprocess.Popen(
            [binary(), "rehearse", "-f", manifest, "--server", f"127.0.0.1:{server.port}", "--speed", f"{speed:g}",
             "--start-time", startup, "--grace", grace, "--output", "json", "--worker", "exec " + shlex.join(worker),
             "--http", http, "--server-http", f"127.0.0.1:{server.http_port}"],
            env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        """A busy machine reads a line late: `at` is by the line's own time, from the beginning that the least late of them has."""
        began, at = math.inf, 0
        for line in map(json.loads, self.child.stdout):
            began = min(began, time.time() - line["time"] / self.speed)
            at = max(at, began + line["time"] / self.speed)
            self.lines.put({**line, "at": at})
        self.lines.put(None)

    def workers(self):
        """The process ids of the workers that run now, the oldest first."""
        with open(f"/proc/{self.child.pid}/task/{self.child.pid}/children") as file:
            return [int(pid) for pid in file.read().split()]

    def stop(self):
        """It ends its workers."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(60)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
