import pytest

from support.clients.grpc_client import Client
from support.server.server import Server
from support.shares import Shares, longest_first
from support.clients.transports import transport  # noqa: F401  (what is asserted is the protocol's, and so the same)

# Which tests take longest, as ./dev tests several at a time (tools/durations.py says where the time goes).
LONGEST = ["test_own_credentials.py", "test_replies.py", "test_floods.py", "test_reload.py", "test_command_line.py", "test_workers.py",
           "test_replies_kubernetes.py", "test_tls.py", "test_replicas.py", "test_stuck.py"]
PIECES = {"test_own_credentials.py"}


def pytest_xdist_make_scheduler(config, log):
    return Shares(config, log, PIECES)


def pytest_collection_modifyitems(items):
    longest_first(items, LONGEST)


@pytest.fixture(scope="module")
def server(transport):
    with Server() as running:
        yield running


@pytest.fixture
def client(server):
    with Client(server.port) as connected:
        yield connected
