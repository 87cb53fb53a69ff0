"""The API and its page: `POST /upload/request`, `POST /jobs`, `GET /jobs/{job_id}`. Videos go to the storage, not through here.

Environment: RABBITMQ_URL, S3_ENDPOINT, S3_PUBLIC_ENDPOINT (with {host}: that of the page), S3_ACCESS_KEY, S3_SECRET_KEY,
STATES (a file of SQLite), HOST, PORT, METRICS_PORT.
"""

import contextlib
import json
import os
import re
import signal
import sqlite3
import sys
import threading
import time
import urllib.parse
import uuid

import flask
import pika
import waitress
from prometheus_client import Counter, start_http_server
from werkzeug.exceptions import HTTPException

import storage
from queue_of_jobs import JOBS, STATES, Publisher, connect
from states import States

URL = os.environ["RABBITMQ_URL"]
MAX_BODY_BYTES = 10_000  # a request is a job's id and a format, or a file's name and type
MAX_NAME_CHARS = 255
VIDEO = re.compile(r"video/[-+.\w]{1,100}|application/octet-stream")  # the second: a browser that does not know the file's type

app = flask.Flask(__name__, static_folder=None)
app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
states = States(os.environ.get("STATES", "states.sqlite"))
publisher = Publisher(URL)
inside = storage.connect()
publishing = threading.Lock()
requests = Counter("api_requests_total", "Requests to the API", ["endpoint", "code"])


@app.get("/")
def page():
    return flask.send_from_directory(app.root_path, "index.html")


@app.post("/upload/request")
def request_upload():
    """A new job, and the URL to PUT its video to within ten minutes. The result gets the video's filename, with another ending."""
    body = flask.request.get_json() if flask.request.data else {}
    if not isinstance(body, dict):
        flask.abort(400, "the body must be a JSON object, with filename and content_type or without")
    filename, content_type = body.get("filename"), body.get("content_type")
    if filename is not None and not (isinstance(filename, str) and 0 < len(filename) <= MAX_NAME_CHARS):
        flask.abort(400, f"filename must be a text of at most {MAX_NAME_CHARS} characters")
    if content_type is not None and not (isinstance(content_type, str) and VIDEO.fullmatch(content_type)):
        flask.abort(400, "content_type must be a video's, such as video/mp4")
    job = str(uuid.uuid4())
    states.request(job, filename, content_type)
    url = outside().presigned_put_object(bucket_name=storage.INPUT, object_name=job, expires=storage.PRESIGNED)
    return {"job_id": job, "upload_url": url, "presigned_url": url, "expires_in": int(storage.PRESIGNED.total_seconds())}, 201


@app.post("/jobs")
def publish():
    """The video is there: convert it. The same request again publishes nothing more.

    Where SQLite is full, or the API ends, after RabbitMQ has the job, it may be published again: so the first format stays."""
    body = flask.request.get_json()
    if not isinstance(body, dict):
        flask.abort(400, "the body must be a JSON object with job_id and output_format")
    output_format = body.get("output_format", "mp4")
    if not isinstance(output_format, str) or output_format not in storage.TYPES:
        flask.abort(400, f"output_format must be one of {', '.join(storage.TYPES)}")
    row = find(body.get("job_id"))
    if row["published_at"] is None:
        if not storage.exists(inside, storage.INPUT, row["job_id"]):
            flask.abort(409, "the video is missing: PUT it to the upload_url of POST /upload/request first")
        with publishing:
            states.choose(row["job_id"], output_format)
            row = states.get(row["job_id"])  # PENDING, also where a worker begins it now
            if row["published_at"] is None:
                publisher.publish(JOBS, json.dumps({"job_id": row["job_id"], "output_format": row["output_format"]}))
                states.publish(row["job_id"])
    return show(row), 202


@app.get("/jobs/<job>")
def get(job):
    return show(find(job))


@app.get("/jobs")
def counts():
    """How many jobs are in which state."""
    return states.counts()


@app.get("/healthz")
def health():
    return "ok\n"


def outside():
    """The storage, as the browser that asks reaches it. Presigning connects to nothing."""
    host = urllib.parse.urlsplit(f"//{flask.request.host}").hostname
    return storage.connect("S3_PUBLIC_ENDPOINT", f"[{host}]" if ":" in host else host)


def find(job):
    row = states.get(job) if isinstance(job, str) else None
    return row or flask.abort(404, "no job with this job_id: POST /upload/request makes one")


def show(row):
    shown = {key: row[key] for key in ("job_id", "status", "filename", "content_type", "output_format", "error") if row[key] is not None}
    if row["finished_at"] is not None:
        shown["seconds"] = round(row["finished_at"] - row["started_at"], 3)
    if row["status"] == "DONE":
        name = f"{row['job_id']}.{row['output_format']}"
        shown["output_url"] = outside().presigned_get_object(
            bucket_name=storage.OUTPUT, object_name=name, expires=storage.PRESIGNED,
            response_headers={"response-content-disposition": attachment(name, row)})  # or a browser plays it
    return shown


def attachment(name, row):
    """By the filename of the upload, where there is one, in any alphabet (RFC 6266)."""
    header = f'attachment; filename="{name}"'
    if row["filename"] is None:
        return header
    stem = os.path.splitext(re.split(r"[/\\]", row["filename"])[-1])[0]
    return f"{header}; filename*=UTF-8''{urllib.parse.quote(f'{stem}.', safe='')}{row['output_format']}"


@app.errorhandler(HTTPException)
def refused(error):
    return {"error": error.description}, error.code


def unavailable(error):
    print(f"{flask.request.path}: {error!r}", flush=True)
    who = "RabbitMQ does not take jobs" if isinstance(error, pika.exceptions.AMQPError) else "the storage does not answer"
    return {"error": who}, 503, {"Retry-After": "5"}


for failure in (pika.exceptions.AMQPError, *storage.FAILURES):
    app.register_error_handler(failure, unavailable)


@app.after_request
def count(response):
    requests.labels(flask.request.endpoint or "none", response.status_code).inc()
    return response


def follow_states():
    """A thread: takes what workers report. It is acknowledged when it is on disk, so nothing is lost while the API is away."""
    while True:
        connection = None
        try:
            connection, channel = connect(URL)
            print("RabbitMQ: connected", flush=True)
            for method, _properties, body in channel.consume(STATES):
                record(body)
                channel.basic_ack(method.delivery_tag)
        except (pika.exceptions.AMQPError, OSError, sqlite3.Error) as error:  # of SQLite: its disk is full, perhaps
            print(f"{'SQLite' if isinstance(error, sqlite3.Error) else 'RabbitMQ'}: {error!r}; trying again", flush=True)
            if connection is not None and connection.is_open:
                with contextlib.suppress(pika.exceptions.AMQPError):
                    connection.close()  # what was not acknowledged comes again
            time.sleep(1)


def record(body):
    try:
        report = json.loads(body)
        job, status, start, error = report["job_id"], report["status"], report.get("start"), report.get("error")
        if not isinstance(job, str) or any(not isinstance(each, str | None) for each in (start, error)):
            raise TypeError("job_id, start and error are strings")
        if status == "PROCESSING":
            states.start(job, start)
        elif status == "PENDING":
            states.wait(job, error, start)
        elif status in ("DONE", "FAILED"):
            states.finish(job, status, error)
        else:
            raise ValueError("status")
    except (ValueError, KeyError, TypeError) as error:
        print(f"not a report of a worker, passed over: {error!r}", flush=True)


def prepare_storage():
    while True:
        try:
            storage.make_buckets(inside)
            print("storage: connected", flush=True)
            return
        except storage.FAILURES as error:
            print(f"storage: {error!r}; trying again", flush=True)
            time.sleep(1)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    metrics, _thread = start_http_server(int(os.environ.get("METRICS_PORT", "8001")))
    print(f"metrics on port {metrics.server_port}", flush=True)
    prepare_storage()
    threading.Thread(target=follow_states, daemon=True).start()
    server = waitress.create_server(app, host=os.environ.get("HOST", "0.0.0.0"), port=int(os.environ.get("PORT", "8000")), threads=16)
    print(f"listening on port {server.effective_port}", flush=True)
    server.run()


if __name__ == "__main__":
    main()
