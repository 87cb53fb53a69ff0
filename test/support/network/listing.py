"""A management API of RabbitMQ with more queues than a test can declare."""

import http.server
import json
import re
import threading
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802, the name that http.server calls
        path, _, query = self.path.partition("?")
        asked = {key: values[0] for key, values in urllib.parse.parse_qs(query).items()}
        body = {"rates_mode": "basic", "object_totals": {"queues": self.server.count}}
        if path.startswith("/api/queues"):
            body = self.queues(asked)
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def queues(self, asked):
        named = [queue for queue in self.server.queues if re.search(asked.get("name", ""), queue["name"])]
        if "page" not in asked:
            return named
        page, size = int(asked["page"]), int(asked.get("page_size", 100))
        items = named[(page - 1) * size:page * size]
        return {"items": items, "filtered_count": len(named), "item_count": len(items), "page": page, "page_size": size,
                "page_count": -(-len(named) // size), "total_count": self.server.count}

    def log_message(self, *_arguments):
        pass


class Listing(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, count):
        super().__init__(("127.0.0.1", 0), Handler)
        self.count = count
        self.queues = [{"name": f"q{number}", "vhost": "/", "messages": 1, "messages_ready": 1, "messages_unacknowledged": 0}
                       for number in range(count)]
        self.url = f"http://guest:guest@127.0.0.1:{self.server_port}/"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
