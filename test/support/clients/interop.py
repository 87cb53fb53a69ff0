"""gRPC's TestService on one of our transports: test/serve/interop_server.c."""

import os
import re

from ..process import Process, Unavailable
from ..server.server import binary


class TestService(Process):
    """Of the build that the server is of."""

    __test__ = False
    name = "interop"
    start_seconds = 20

    def __init__(self, transport):
        super().__init__()
        self.transport = transport

    def command(self):
        path = os.path.join(os.path.dirname(binary()), "test", "interop_server")
        if not os.access(path, os.X_OK):
            raise Unavailable(f"{path} is not built")
        return [path, self.transport]

    def ready(self):
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)", self.log())
        self.port = int(found[1]) if found else None
        return found
