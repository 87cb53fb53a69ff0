"""`helm template` and `helm lint`, all of a test process by one program (test/tools/helm_server): to start helm, and to compile
a schema with each call, takes more than to render."""

import atexit
import json
import os
import select
import subprocess
import threading
import time

from ..process import need


class HelmServer:
    """Starts with the first call, and again where it has ended."""

    def __init__(self):
        self.child = None
        self.lock = threading.Lock()
        atexit.register(self.stop)

    def run(self, words, text, seconds=60):
        """What subprocess.run(["helm", *words], input=text) returns."""
        with self.lock:
            if self.child is None or self.child.poll() is not None:
                self.child = subprocess.Popen([need("helm_server")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
            try:
                answer = json.loads(self._ask({"words": words, "input": text, "folder": os.getcwd()}, seconds))
            except BaseException:  # what comes of it later must not be taken for the next answer
                self.child.kill()
                self.child.wait()
                raise
        return subprocess.CompletedProcess(["helm", *words], answer["status"], answer["stdout"], answer["stderr"])

    def _ask(self, request, seconds):
        deadline = time.monotonic() + seconds
        line = json.dumps(request).encode() + b"\n"
        while line:
            line = line[self.child.stdin.write(line):]
        parts = []
        while not parts or not parts[-1].endswith(b"\n"):
            if not select.select([self.child.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                raise subprocess.TimeoutExpired(request["words"], seconds)
            parts.append(self.child.stdout.read(1 << 20))
            if not parts[-1]:
                raise RuntimeError(f"helm_server ended while it had {request['words']}, with {self.child.wait()}")
        return b"".join(parts)

    def stop(self):
        if self.child is not None:
            self.child.stdin.close()
            self.child.wait()
