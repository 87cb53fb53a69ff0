"""Each transport in turn, for tests of what is the same over both; a module that imports the fixture runs with each.

A module whose subject is not the transport imports `nghttp2` as `transport`, and marks with `BOTH` what it has of the wire.
"""

import pytest

from ..server.server import Server

TRANSPORTS = ["grpc-core", "nghttp2"]
BOTH = pytest.mark.parametrize("transport", TRANSPORTS, indirect=True)


def serve_with(request):
    Server.transport = getattr(request, "param", "nghttp2")
    yield Server.transport
    Server.transport = None


transport = pytest.fixture(serve_with, scope="module", params=TRANSPORTS, autouse=True)
nghttp2 = pytest.fixture(serve_with, scope="module", autouse=True)
