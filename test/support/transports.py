"""Each transport in turn, for tests of what is the same over both; a module that imports the fixture runs with each."""

import pytest

from .server import Server


@pytest.fixture(scope="module", params=["grpc-core", "nghttp2"], autouse=True)
def transport(request):
    Server.transport = request.param
    yield request.param
    Server.transport = None
