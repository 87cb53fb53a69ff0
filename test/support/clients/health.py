"""Asking a server for its health, as gRPC's clients and Kubernetes' probes do."""

import os
import shutil
import subprocess

import health_pb2 as messages
import health_pb2_grpc as stubs

from ..process import Unavailable
from ..server.server import REPOSITORY

Status = messages.HealthCheckResponse
SERVING, NOT_SERVING, SERVICE_UNKNOWN = Status.SERVING, Status.NOT_SERVING, Status.SERVICE_UNKNOWN
SECONDS = 10


class Health:
    """Over a channel of somebody else."""

    def __init__(self, channel):
        self.stub = stubs.HealthStub(channel)

    def check(self, service=""):
        return self.stub.Check(messages.HealthCheckRequest(service=service), timeout=SECONDS).status

    def watch(self, service=""):
        return self.stub.Watch(messages.HealthCheckRequest(service=service))


def probe(port, *arguments):
    """Runs grpc-health-probe; returns its exit code and what it said."""
    tools = os.path.join(REPOSITORY, "build", "tools")
    path = shutil.which("grpc-health-probe", path=tools + os.pathsep + os.environ.get("PATH", ""))
    if not path:
        raise Unavailable("grpc-health-probe is neither in build/tools nor in PATH")
    limits = f"-connect-timeout={SECONDS}s", f"-rpc-timeout={SECONDS}s"
    done = subprocess.run([path, f"-addr=127.0.0.1:{port}", *limits, *arguments], capture_output=True, text=True,
                          timeout=3 * SECONDS)
    return done.returncode, done.stdout + done.stderr
