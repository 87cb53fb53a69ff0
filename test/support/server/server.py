"""The built `backlog serve` as a process of its own, on a free port."""

import functools
import os
import re
import signal
import subprocess

from ..process import Process, Unavailable

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def binary():
    path = os.environ.get("BACKLOG") or os.path.join(REPOSITORY, "build", "debug", "backlog")
    if not os.access(path, os.X_OK):
        raise Unavailable(f"{path} is not built")
    return path


def reference(form="markdown", program=None):
    """The page of all scalers' keys, as the program writes it."""
    return reference_of(form, program or binary())


@functools.cache
def reference_of(form, program):
    def run(*words):
        return subprocess.run([program, "reference", *words], check=True, stdout=subprocess.PIPE, text=True).stdout

    return run("--output" if "--output" in run("--help") else "--format", form)  # that of the previous version


class Server(Process):
    """`config` is the text of a connections file; `interval` and `hold` are what the flags take ("1s"); `program` is another
    than the one under test."""

    name = "server"
    start_seconds = 20
    transport = None  # of the servers that are started from now on; None: the default

    def __init__(self, interval=None, hold=None, config=None, arguments=(), http=False, program=None):
        super().__init__()
        self.program = program
        self.port = None
        self.http_port = None
        self.arguments = [*arguments] if "--listen" in arguments else ["--listen", "127.0.0.1:0", *arguments]
        if http:
            self.arguments += ["--http", "127.0.0.1:0"]
        for flag, value in (("--interval", interval), ("--hold", hold), ("--transport", self.transport)):
            if value is not None:
                self.arguments += [flag, value]
        if config is not None:
            self.config_path = os.path.join(self.folder, "connections.yaml")
            self.write_config(config)
            self.arguments += ["--config", self.config_path]

    def write_config(self, text):
        """Replaces the file at once, as a mounted ConfigMap does."""
        with open(self.config_path + ".new", "w") as file:
            file.write(text)
        os.rename(self.config_path + ".new", self.config_path)

    def command(self):
        return [self.program or binary(), "serve", *self.arguments]

    def ready(self):
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)", self.log())
        self.port = int(found[1]) if found else None
        http = re.search(r"HTTP on \S+:(\d+)", self.log())
        self.http_port = int(http[1]) if http else None
        return found

    def signal(self, number):
        """As Kubernetes does: to the process alone; ending its children is its own affair."""
        if number == signal.SIGKILL:
            super().signal(number)
        else:
            os.kill(self.pid, number)

    def stop(self, seconds=20):
        """Ends it as Kubernetes does. However it was used, it must end in order."""
        code = super().stop(seconds)
        assert code == 0, f"the server ended with {code}:\n{self.log()[-4000:]}"
        return code

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            self.remove()

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def open_descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def is_sanitized(self):
        """A sanitizer keeps what was freed, so its memory says nothing (and its leak check at the end more)."""
        with open(f"/proc/{self.pid}/maps") as maps:
            return re.search(r"lib[at]san", maps.read()) is not None
