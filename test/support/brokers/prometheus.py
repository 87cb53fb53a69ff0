"""A real Prometheus, whose samples were loaded when it was made, or are scraped. And a proxy before it."""

import http.server
import os
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

from ..process import Process, free_port, need


class Prometheus(Process):
    """`samples` are lines such as `jobs{queue="mail"} 37`, each of the last `minutes` and of the next hour, once a
    minute.

    `web` is Prometheus' web configuration file (TLS, users), `arguments` are more flags. `scrapes` are the scrape
    configurations, `rules` is the text of a file of rules.
    """

    name = "prometheus"

    def __init__(self, *samples, web="", arguments=(), scrapes=(), rules=None, minutes=60):
        super().__init__()
        self.program, self.promtool = need("prometheus"), need("promtool")
        self.port = free_port()
        self.scheme = "https" if "tls_server_config" in web else "http"
        self.arguments = arguments
        config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "scrape_configs": list(scrapes)}
        if rules is not None:
            self._write("rules.yml", rules)
            config["rule_files"] = ["rules.yml"]
        self._write("prometheus.yml", yaml.safe_dump(config))
        self.write_web(web)
        if samples:
            self._load(samples, minutes)

    def _write(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w") as file:
            file.write(content)
        os.rename(path + ".new", path)

    def write_web(self, web):
        """Replaces the web configuration, which is read at each request."""
        self._write("web.yml", web)

    def _load(self, samples, minutes):
        """OpenMetrics wants all samples of a family together."""
        now = int(time.time())
        times = range(now - 60 * minutes, now + 3600, 60)
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


class Relay:
    """Between the server and Prometheus: its answer can be set per query, as a proxy's would be."""

    def __init__(self, broker):
        self.answers = {}  # query: (status, body), seconds to wait, or "hang up"
        relay = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["query"][0]
                answer = relay.answers.get(query)
                if answer == "hang up":
                    self.close_connection = True
                    return
                if isinstance(answer, (int, float)):
                    time.sleep(answer)
                if answer is None or isinstance(answer, (int, float)):
                    answer = relay.forward(broker.url() + self.path)
                status, body = answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """A client that does not wait for its answer is what some tests are about."""

        self.listener = Listener(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.listener.serve_forever, daemon=True).start()

    @staticmethod
    def forward(url):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def url(self):
        return f"http://127.0.0.1:{self.listener.server_port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown()
        self.listener.server_close()
