import pytest

from support.clients.grpc_client import Client
from support.clients.keda import Keda
from support.server.server import Server


@pytest.fixture(scope="session")
def keda():
    keda = Keda()
    yield keda
    keda.close()


@pytest.fixture(scope="module")
def client():
    with Server() as server, Client(server.port) as client:
        yield client
