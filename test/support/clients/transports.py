"""Each transport in turn, for tests of what is the same over both; a module that imports the fixture runs with each."""

import pytest

from ..process import Unavailable
from ..server.server import Server, binary, transports


@pytest.fixture(scope="module", params=["grpc-core", "nghttp2"], autouse=True)
def transport(request):
    if request.param not in transports(binary()):
        raise Unavailable(f"{binary()} was built without the transport {request.param}")
    Server.transport = request.param
    yield request.param
    Server.transport = None
