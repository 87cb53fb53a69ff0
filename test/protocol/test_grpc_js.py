"""grpc-js, whose HTTP/2 is Node's own: the client of js/client.js against each transport."""

import os
import subprocess

import pytest

from support.clients.interop import TestService
from support.process import Unavailable, need
from support.server.server import REPOSITORY

CLIENT = os.path.join(REPOSITORY, "test", "protocol", "js", "client.js")
MODULES = os.path.join(REPOSITORY, "build", "js", "node_modules")


@pytest.fixture(scope="module")
def service(transport):
    with TestService(transport) as running:
        yield running


def run(case, port):
    if not os.path.isdir(MODULES):
        raise Unavailable("grpc-js is not in build/js: ./dev test protocol installs it")
    done = subprocess.run([need("node", "nodejs"), CLIENT, case, str(port)], env={**os.environ, "NODE_PATH": MODULES},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("case", [
    "allMethods", "deadline", "cancellation", "manyCallsAtOnce", "largeMessages", "unknownMethod",
])
def test_grpc_js_is_answered_as_is_and_compressed(server, case):
    run(case, server.port)


def test_grpc_js_understands_the_test_service(service):
    run("largeReplies", service.port)
