"""What it cannot start with it says, and ends: in order, whatever had begun by then."""

import socket
import subprocess

import pytest

from support.server import binary


def start(transport, *flags):
    """Its exit code and what it said."""
    done = subprocess.run([binary(), "serve", "--transport", transport, *flags], capture_output=True, text=True,
                          timeout=20)
    return done.returncode, done.stderr


@pytest.mark.parametrize("flags", [["--listen"], ["--listen", "127.0.0.1:0", "--http"]], ids=["gRPC", "HTTP"])
def test_a_port_that_is_taken(transport, flags):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        code, message = start(transport, *flags, address)
    assert code == 1 and message.count(" error ") == 1, message
    assert f'cannot listen on "{address}": Address already in use' in message


@pytest.mark.parametrize("flag, others", [("--listen", []), ("--http", ["--listen", "127.0.0.1:0"])])
@pytest.mark.parametrize("address", ["9091", "127.0.0.1:70000", "::1:9091"])
def test_invalid_addresses(transport, flag, others, address):
    code, message = start(transport, *others, flag, address)
    assert code == 2 and f'{flag} "{address}" must be HOST:PORT' in message
