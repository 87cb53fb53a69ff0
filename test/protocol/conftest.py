import pytest

from support.grpc_client import Client
from support.server import Server


@pytest.fixture(scope="module")
def server():
    with Server() as running:
        yield running


@pytest.fixture
def client(server):
    with Client(server.port) as connected:
        yield connected
