"""A program of an example that serves HTTP, as a process: an API, a status service. It can be killed and started again."""

import os
import sys
import urllib.request

from support.process import Process, free_port


def origin(host, port):
    """The URL of what listens on this address; on 0.0.0.0, which is all of them, loopback's."""
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"


class Program(Process):
    """It gets its ports, HOST, PORT and METRICS_PORT, which stay the same however often it is started, and serves /healthz.

    `host` is what it listens on, `port` where a user opens it; default: loopback, and a free port."""

    start_seconds = 120

    def __init__(self, path, name=None, host="127.0.0.1", port=None, **variables):
        self.name = name or os.path.splitext(os.path.basename(path))[0]
        super().__init__()
        self.path, self.host, self.port, self.metrics_port = path, host, port or free_port(), free_port()
        self.url = origin(host, self.port)
        self.variables = {key: str(value) for key, value in variables.items()}

    def command(self):
        return [sys.executable, "-u", self.path]

    def environment(self):
        return {**super().environment(), "HOST": self.host, "PORT": str(self.port), "METRICS_PORT": str(self.metrics_port),
                **self.variables}

    def ready(self):
        with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
            return answer.status == 200
