import pytest

from support.grpc_client import Client
from support.server import Server


@pytest.fixture(scope="module", params=["grpc-core", "nghttp2"], autouse=True)
def transport(request):
    """Every test runs over each: what it asserts is the protocol's, and so the same."""
    Server.transport = request.param
    yield request.param
    Server.transport = None


@pytest.fixture(scope="module")
def server(transport):
    with Server() as running:
        yield running


@pytest.fixture
def client(server):
    with Client(server.port) as connected:
        yield connected
