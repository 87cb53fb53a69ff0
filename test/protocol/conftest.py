import pytest

from support.grpc_client import Client
from support.server import Server
from support.transports import transport  # noqa: F401  (what is asserted is the protocol's, and so the same)


@pytest.fixture(scope="module")
def server(transport):
    with Server() as running:
        yield running


@pytest.fixture
def client(server):
    with Client(server.port) as connected:
        yield connected
