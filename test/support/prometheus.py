"""A real Prometheus that scrapes nothing: its samples were loaded when it was made."""

import os
import subprocess
import time

from .process import Process, free_port, need


class Prometheus(Process):
    """`samples` are lines such as `jobs{queue="mail"} 37`, each of the last hour, once a minute.

    `web` is Prometheus' web configuration file (TLS, users), `arguments` are more flags.
    """

    name = "prometheus"

    def __init__(self, *samples, web="", arguments=()):
        super().__init__()
        self.program, self.promtool = need("prometheus"), need("promtool")
        self.port = free_port()
        self.scheme = "https" if "tls_server_config" in web else "http"
        self.arguments = arguments
        self._write("prometheus.yml", "scrape_configs: []\n")
        self._write("web.yml", web)
        self._load(samples)

    def _write(self, name, content):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(content)

    def _load(self, samples):
        """OpenMetrics wants all samples of a family together."""
        now = int(time.time())
        times = range(now - 3600, now + 3600, 60)
        lines = [f"{sample} {at}" for sample in samples for at in times]
        self._write("samples", "\n".join([*lines, "# EOF", ""]))
        subprocess.run([self.promtool, "tsdb", "create-blocks-from", "openmetrics", "--quiet",
                        os.path.join(self.folder, "samples"), os.path.join(self.folder, "data")],
                       check=True, stdout=subprocess.DEVNULL)

    def command(self):
        return [self.program, f"--config.file={self.folder}/prometheus.yml", f"--web.config.file={self.folder}/web.yml",
                f"--storage.tsdb.path={self.folder}/data", f"--web.listen-address=127.0.0.1:{self.port}",
                "--storage.tsdb.retention.time=10y", "--log.level=info", *self.arguments]

    def start(self):
        self.logged = len(self.log()) if os.path.exists(self.log_path) else 0
        return super().start()

    def ready(self):
        """It listens before; and where it has users or wants certificates, it would not say so to us."""
        return "Server is ready to receive web requests" in self.log()[self.logged:]

    def url(self, port=None):
        return f"{self.scheme}://127.0.0.1:{port or self.port}"
