"""A dashboard's server that sends what a test puts, in place of one that measures."""

import http.server
import json
import os
import queue as queues
import time

from support.server.server import REPOSITORY


class OfOldFigures(http.server.BaseHTTPRequestHandler):
    """A dashboard's server whose clock is 1,000 s ahead, and whose last update was 600 s ago."""

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/api/events":
            now = time.time() + 1000
            figures = json.dumps({"time": now - 600, "triggers": 0, "sent": now})
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write(f'event: hello\ndata: {{"mode": "serve"}}\n\nevent: server\ndata: {figures}\n\n'
                             "event: ready\ndata: {}\n\n".encode())
            self.server.has_ended.wait(90)  # a connection that ends says something else
        elif path == "/api/trend":
            self.respond("application/json", '{"columns": ["time"], "rows": []}')
        else:
            name = "index.html" if path == "/" else path.removeprefix("/assets/own/")
            folder = os.path.join(REPOSITORY, "build/web/node_modules/uplot/dist" if name.startswith("uPlot") else "src/web/assets")
            with open(os.path.join(folder, name)) as file:
                text = file.read()
            kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
            self.respond(kinds.get(os.path.splitext(name)[1], "text/html"), text.replace("/assets/", "/assets/own/") if path == "/" else text)

    def respond(self, kind, text, status=200):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class OfWhatIsSaid(OfOldFigures):
    """A dashboard's server whose readers of /api/events get what the test puts into their queue. It never responds for workers, nor for a trigger, but for those of `REFUSED`."""

    REFUSED = {"/api/triggers/shop/refused": ("text/plain; charset=utf-8", "other responses are not read yet: try again later\n"),
               "/api/triggers/shop/unreached": ("text/html", "<html>\nBad gateway")}

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/api/events":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            said = queues.Queue()
            self.server.readers.append(said)
            while (text := said.get()) is not None:
                self.wfile.write(text.encode())
        elif path in self.REFUSED:
            self.respond(*self.REFUSED[path], status=503)
        elif path == "/api/workers" or path.startswith("/api/triggers/"):
            self.server.is_over.wait()
        else:
            super().do_GET()


FIGURES = 'event: server\ndata: {"triggers": 0}\n\n'
ALL = f'event: hello\ndata: {{"mode": "serve"}}\n\n{FIGURES}event: ready\ndata: {{}}\n\n'


def put_clock_forward(browser, seconds):
    browser.evaluate(f"(() => {{ const {{ now }} = Date; Date.now = () => now() + {seconds * 1000}; }})()")


def figures(age, clock=0):
    """Figures that are so many seconds old when they are sent, by a server whose clock is so far ahead."""
    now = time.time() + clock
    return f'event: server\ndata: {json.dumps({"triggers": 0, "time": now - age, "sent": now})}\n\n'


def put_figures(browser, stub, *arguments):
    """And waits until the page has them, and what follows from their age."""
    text = figures(*arguments)
    stub.readers[0].put(text)
    sent = json.loads(text.partition("data: ")[2])["sent"]
    browser.wait(f"import('/assets/state/store.js').then(({{ store }}) => store.server.sent === {sent})")
    time.sleep(1.5)  # it looks each second


OFFSET = "import('/assets/state/clock.js').then(({ clockOffset }) => clockOffset())"


def put_lines(stub, *numbers):
    lines = [{"number": number, "time": time.time(), "level": "info", "text": f"line {number}"} for number in numbers]
    stub.readers[-1].put(f"event: log\ndata: {json.dumps(lines)}\n\n")


def rows(table, *all_of_it):
    parts = [{"id": number, "fixed": {}, "live": row} for number, row in enumerate(all_of_it, 1)]
    return f"event: rows\ndata: {json.dumps({'table': table, 'rows': parts, 'gone': []})}\n\n"
