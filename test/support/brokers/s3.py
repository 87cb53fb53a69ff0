"""A real S3-compatible server that checks signatures: versitygw, with its files in a folder of its own."""

import os
import urllib.request

from ..process import Process, free_port, need


class S3(Process):
    name = "s3"
    access_key, secret_key = "example", "correct-horse"

    def __init__(self, host="127.0.0.1", port=None, disk=None):
        """`disk`, a SmallDisk, has its data. It listens on loopback, too, where ready() and clients of this machine call it."""
        super().__init__()
        self.disk, self.data = disk, disk.path if disk else self.folder
        self.host = host
        self.program = need("versitygw")
        self.port = port or free_port()
        for name in ("buckets", "metadata"):
            os.mkdir(os.path.join(disk.outside(disk.path) if disk else self.folder, name))

    def command(self):
        hosts = [self.host] if self.host == "0.0.0.0" else sorted({self.host, "127.0.0.1"})
        return [*(self.disk.enter if self.disk else []), self.program, *(f"--port={host}:{self.port}" for host in hosts),
                "--access", self.access_key, "--secret", self.secret_key,
                "--health", "/healthz", "--cors-allow-origin", "*", "--quiet",
                "posix", "--sidecar", os.path.join(self.data, "metadata"), os.path.join(self.data, "buckets")]

    def ready(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
            return answer.status == 200

    def variables(self, port=None):
        """For its clients. `port` is that of a link to it."""
        return {"S3_ENDPOINT": f"http://127.0.0.1:{port or self.port}", "S3_ACCESS_KEY": self.access_key, "S3_SECRET_KEY": self.secret_key}
