"""gRPC's own interoperability test: its client in Go against its TestService on each transport."""

import subprocess

import grpc
import pytest

from support.grpc_client import Client
from support.interop import TestService
from support.process import need

CASES = [
    "empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
    "cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server", "unimplemented_method",
    "unimplemented_service", "status_code_and_message", "special_status_message",
    "custom_metadata",
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


UNARY = "/grpc.testing.TestService/UnaryCall"
REFUSED = bytes.fromhex("3a020802")  # response_status: UNKNOWN


@pytest.mark.parametrize("request_bytes, code", [(b"", grpc.StatusCode.OK), (REFUSED, grpc.StatusCode.UNKNOWN)])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 600])
def test_metadata_goes_there_and_back_beside_an_answer_and_beside_a_refusal(service, request_bytes, code, length):
    binary_value = bytes((7 * index) % 256 for index in range(length))
    metadata = (("x-grpc-test-echo-initial", "first"), ("x-grpc-test-echo-initial", "second"),
                ("x-grpc-test-echo-trailing-bin", binary_value), ("x-other", "unheard of"))
    with Client(service.port) as client:
        call = client.channel.unary_unary(UNARY).future(request_bytes, timeout=10, metadata=metadata)
        assert call.code() == code, call.details()
        assert dict(call.initial_metadata()) == {"x-grpc-test-echo-initial": "first"}
        assert dict(call.trailing_metadata()) == {"x-grpc-test-echo-trailing-bin": binary_value}


def test_metadata_beyond_what_a_reply_may_carry_is_left_out(service):
    metadata = (("x-grpc-test-echo-initial", "x" * 3000), ("x-grpc-test-echo-trailing-bin", b"here"))
    with Client(service.port) as client:
        call = client.channel.unary_unary(UNARY).future(b"", timeout=10, metadata=metadata)
        assert call.code() == grpc.StatusCode.OK
        assert dict(call.initial_metadata()) == {}
        assert dict(call.trailing_metadata()) == {"x-grpc-test-echo-trailing-bin": b"here"}
