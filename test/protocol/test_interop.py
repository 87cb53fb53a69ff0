"""gRPC's own interoperability test: its client in Go against its TestService on each transport."""

import subprocess

import pytest

from support.clients.interop import TestService
from support.process import need

CASES = [
    "empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
    "cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server", "unimplemented_method",
    "unimplemented_service", "status_code_and_message", "special_status_message",
]


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
