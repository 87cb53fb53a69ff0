"""gRPC's own interoperability test: its client in Go against its TestService on each transport."""

import os
import re
import subprocess

import pytest

from support.process import Process, Unavailable, need
from support.server import binary

# custom_metadata is not among them: services neither see metadata nor send any (serve/transport.h).
CASES = [
    "empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
    "cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server", "unimplemented_method",
    "unimplemented_service", "status_code_and_message", "special_status_message",
]


class TestService(Process):
    """test/serve/interop_server.c, of the build that the server is of."""

    __test__ = False
    name = "interop"
    start_seconds = 20

    def __init__(self, transport):
        super().__init__()
        self.transport = transport

    def command(self):
        path = os.path.join(os.path.dirname(binary()), "test", "interop_server")
        if not os.access(path, os.X_OK):
            raise Unavailable(f"{path} is not built")
        return [path, self.transport]

    def ready(self):
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)", self.log())
        self.port = int(found[1]) if found else None
        return found


@pytest.fixture(scope="module")
def service(transport):
    with TestService(transport) as running:
        yield running
        assert running.stop() == 0, running.log()


@pytest.mark.parametrize("case", CASES)
def test_grpcs_own_client_is_content(service, case):
    command = [need("interop_client"), "--server_host", "127.0.0.1", "--server_port", str(service.port),
               "--test_case", case]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
