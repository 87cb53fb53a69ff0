"""A real registry for charts."""

import requests

from ..process import Process, free_port, need


class Registry(Process):
    """An OCI registry on a free loopback port, in memory."""

    name = "registry"

    def __init__(self):
        super().__init__()
        self.program, self.port = need("crane"), free_port()

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def command(self):
        return [self.program, "registry", "serve", "--address", self.host]

    def ready(self):
        return requests.get(f"http://{self.host}/v2/", timeout=5).ok
