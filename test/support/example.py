"""Runs an example as its users do."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import pytest

from .process import Unavailable
from .server.server import REPOSITORY

COMMON = os.path.join(REPOSITORY, "examples", "common")
sys.path.append(os.path.dirname(COMMON))

from common.faults import disk_full_of_rabbitmq  # noqa: E402, F401: for the tests
from common.program import Program  # noqa: E402, F401
UNAVAILABLE = 3  # the exit code of a run that lacks a broker here


def play(name, *arguments):
    """What the example printed; its output is the test's when it fails."""
    run = os.path.join(REPOSITORY, "examples", name, "run")
    done = subprocess.run([sys.executable, run, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    print(done.stdout)
    if done.returncode == UNAVAILABLE:
        raise Unavailable(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, f"{name} failed"
    return done.stdout


FULL = pytest.mark.skipif(not os.environ.get("BACKLOG_FULL"), reason="takes one to three minutes: BACKLOG_FULL=1, as in ./dev nightly, plays it")


def full(parts, *seen):
    """Parts that are played only where there is time."""
    return pytest.param(parts, seen, marks=[FULL, pytest.mark.nightly], id=parts)


def play_parts(name, parts, seen, *arguments):
    """Plays these parts, or those that a run without --only has. What it printed has the words `seen`."""
    printed = play(name, *(["--only", parts] if parts else []), *arguments)
    for words in ("Shortened:", *seen):
        assert words in printed
    return printed


class Worker:
    """A program of an example that says "metrics on port N" once it runs, as a process."""

    def __init__(self, name, program="worker.py", **variables):
        variables = {key: str(value) for key, value in {"METRICS_PORT": 0, **variables}.items()}
        self.child = subprocess.Popen([sys.executable, "-u", os.path.join(REPOSITORY, "examples", name, program)],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables},
                                      start_new_session=True)
        lines = iter(self.child.stdout.readline, "")
        self.metrics_port = int(next(line for line in lines if line.startswith("metrics on port ")).split()[-1])

    def __enter__(self):
        return self

    def terminate(self, seconds=60):
        """As Kubernetes does; returns the exit code."""
        self.child.terminate()
        return self.child.wait(seconds)

    def __exit__(self, *_):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.terminate(10)
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()


def command(name, program, *words, **variables):
    """What a program of an example prints."""
    variables = {key: str(value) for key, value in variables.items()}
    return subprocess.run([sys.executable, os.path.join(REPOSITORY, "examples", name, program), *map(str, words)],
                          check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables}).stdout


@contextlib.contextmanager
def load(name, jobs, **options):
    """The load program, as its users call it; what this yields waits for its end and returns its report."""
    with tempfile.TemporaryDirectory() as folder:
        words = [f"--{key}={value}" for key, value in options.items()]
        path = os.path.join(folder, "report.json")
        child = subprocess.Popen([sys.executable, os.path.join(COMMON, "load.py"), name, "--jobs", str(jobs), "--json", path,
                                  "--svg", os.path.join(folder, "report.svg"), *words])

        def report():
            assert child.wait(300) == 0
            xml.etree.ElementTree.parse(os.path.join(folder, "report.svg"))
            with open(path) as file:
                return json.load(file)

        try:
            yield report
        finally:
            child.kill()
            child.wait()


def clip(path, seconds):
    subprocess.run([sys.executable, os.path.join(COMMON, "clip.py"), path, f"--seconds={seconds}", "--size=160x120"], check=True)
    return path
