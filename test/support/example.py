"""Runs an example as its users do."""

import contextlib
import os
import subprocess
import sys

from .process import Unavailable
from .server import REPOSITORY

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


class Worker:
    """A program of an example that says "metrics on port N" first, as a process."""

    def __init__(self, name, program="worker.py", **variables):
        variables = {key: str(value) for key, value in {"METRICS_PORT": 0, **variables}.items()}
        self.child = subprocess.Popen([sys.executable, "-u", os.path.join(REPOSITORY, "examples", name, program)],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables})
        self.metrics_port = int(self.child.stdout.readline().removeprefix("metrics on port "))

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
