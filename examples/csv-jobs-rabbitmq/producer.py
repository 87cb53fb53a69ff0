"""Takes CSV files and makes a job of each row: `curl --data-binary @orders.csv localhost:8080/upload`.

The answer comes when RabbitMQ has all jobs of the file on disk: either all of them, or none and an error.
"""

import csv
import http.server
import io
import json
import math
import os
import uuid

import pika

URL = os.environ["RABBITMQ_URL"]
JOBS = "csv-jobs"
MAX_BYTES = 10_000_000
READ_SECONDS = 30  # a client that sends nothing for so long is disconnected
PERSISTENT = pika.BasicProperties(delivery_mode=2)


def publish(jobs):
    """In one transaction."""
    connection = pika.BlockingConnection(pika.URLParameters(URL))
    try:
        channel = connection.channel()
        channel.queue_declare(JOBS, durable=True)
        channel.tx_select()
        for job in jobs:
            channel.basic_publish("", JOBS, json.dumps(job), PERSISTENT, mandatory=True)
        channel.tx_commit()
    finally:
        if connection.is_open:
            connection.close()


def is_duration(text):
    try:
        return 0 <= float(text) < math.inf
    except ValueError:
        return False


def jobs_of(text):
    """A job per row; the first row has the names of the columns. Raises ValueError for what is no such file."""
    rows = csv.DictReader(io.StringIO(text), strict=True)
    if not rows.fieldnames:
        raise ValueError("the file is empty")
    jobs = []
    for row in rows:
        if None in row or None in row.values():
            raise ValueError(f"line {rows.line_num}: not as many columns as in the first line ({len(rows.fieldnames)})")
        if not is_duration(row.get("seconds", "0")):
            raise ValueError(f"line {rows.line_num}: seconds: \"{row['seconds']}\" is no number of at least 0")
        jobs.append({"id": str(uuid.uuid4()), "row": row})
    return jobs


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = READ_SECONDS

    def do_GET(self):
        self._answer(*((200, {"status": "ok"}) if self.path == "/healthz" else (404, {"error": "POST /upload, or GET /healthz"})))

    def do_POST(self):
        if self.path != "/upload":
            return self._answer(404, {"error": "POST /upload, or GET /healthz"})
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            return self._answer(411, {"error": "Content-Length is missing"})
        if int(length) > MAX_BYTES:
            return self._answer(413, {"error": f"at most {MAX_BYTES} bytes"})
        try:
            jobs = jobs_of(self.rfile.read(int(length)).decode())
        except (ValueError, csv.Error) as error:  # also bytes that are not UTF-8
            return self._answer(400, {"error": str(error)})
        try:
            publish(jobs)
        except (pika.exceptions.AMQPError, OSError) as error:
            return self._answer(503, {"error": f"RabbitMQ: {error!r}; nothing was accepted, try again"})
        return self._answer(202, {"jobs": len(jobs)})

    def _answer(self, status, body):
        content = json.dumps(body).encode() + b"\n"
        if status >= 400:
            self.close_connection = True  # what it sent may be unread
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status >= 400:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)


def main():
    server = http.server.ThreadingHTTPServer((os.environ.get("HOST", ""), int(os.environ.get("PORT", "8080"))), Handler)
    print(f"listening on port {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
