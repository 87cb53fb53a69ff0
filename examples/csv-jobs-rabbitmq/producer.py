"""Accepts CSV files and makes a job of each row: curl -X POST -F "file=@data.csv" http://localhost:8000/upload

A file is accepted when RabbitMQ has all its jobs on disk: either all of them, or none and an error. Where RabbitMQ's response is lost,
the error says that it is unknown.
"""

import collections
import contextlib
import csv
import io
import json
import os
import uuid

import pika
import waitress
from flask import Flask, request
from markupsafe import escape
from werkzeug.exceptions import HTTPException

URL = os.environ["RABBITMQ_URL"]
JOBS = "csv-jobs"
MAX_BYTES = 10_000_000
FORM_BYTES = 10_000  # what a form has around the file
BLOCKED_SECONDS = 5  # so long a request waits for RabbitMQ when its disk or memory is full
READ_SECONDS = 30    # a client that sends nothing for so long is disconnected
MAX_SECONDS = 50     # of work for a row: a worker has 60 s to end (terminationGracePeriodSeconds)
FORM = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>CSV jobs</title>
<h1>CSV jobs</h1>
<form action="upload" method="post" enctype="multipart/form-data">
<p><label>A CSV file, of which each row becomes a job: <input type="file" name="file" accept=".csv" required></label>
<p><button>Upload</button>
</form>
<p>Or <code>curl -X POST -F "file=@data.csv" {url}upload</code>
"""
PERSISTENT = pika.BasicProperties(delivery_mode=2)

app = Flask(__name__)


class Unknown(Exception):
    """RabbitMQ may have all jobs, or none: its response to the commit was lost."""


def publish(jobs):
    """In one transaction. A RabbitMQ with a full disk reads nothing more, until it has room again; the commit must not be among what
    it reads then, so it is sent when RabbitMQ has read all jobs."""
    parameters = pika.URLParameters(URL)
    parameters.blocked_connection_timeout = BLOCKED_SECONDS
    connection = pika.BlockingConnection(parameters)
    try:
        channel = connection.channel()
        channel.queue_declare(JOBS, durable=True)
        channel.tx_select()
        for job in jobs:
            channel.basic_publish("", JOBS, json.dumps(job), PERSISTENT, mandatory=True)
        channel.queue_declare(JOBS, passive=True)
        try:
            channel.tx_commit()
        except (pika.exceptions.AMQPError, OSError) as error:
            raise Unknown(repr(error)) from error
    finally:
        if connection.is_open:
            with contextlib.suppress(pika.exceptions.AMQPError, OSError):  # what is committed stays
                connection.close()


def is_duration(text):
    try:
        return 0 <= float(text) <= MAX_SECONDS
    except ValueError:
        return False


def jobs_of(file, upload):
    """A job per row, one after the other: all at once need 40 times the memory of the file. The first row has the names of the
    columns. Raises ValueError for what is no such file."""
    file.seek(0)
    rows = csv.DictReader(file, strict=True)
    if not rows.fieldnames:
        raise ValueError("the file is empty")
    for name, times in collections.Counter(rows.fieldnames).items():
        if times > 1:  # a row is stored by the names of its columns
            raise ValueError(f"line {rows.line_num}: the column \"{name}\" is there {times} times")
    number = 0
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise ValueError(f"line {rows.line_num}: not as many columns as in the first line ({len(rows.fieldnames)})")
        if not is_duration(row.get("seconds", "0")):
            raise ValueError(f"line {rows.line_num}: seconds: \"{row['seconds']}\" is no number from 0 to {MAX_SECONDS}")
        yield {"id": f"{upload}-{number}", "row": row}
    if number == 0:
        raise ValueError("the file has no row below its names of columns")


def uploaded():
    """The file: the part `file` of a form, or else the whole body, as `curl --data-binary @data.csv` sends it."""
    if request.mimetype != "multipart/form-data":
        return io.BytesIO(request.get_data(cache=False))
    files = request.files.getlist("file")
    if len(files) != 1:
        raise ValueError(f"the form has {len(files)} files named \"file\", and must have one: curl -F \"file=@data.csv\"")
    return files[0].stream


@app.post("/upload")
def upload():
    name = uuid.uuid4().hex[:12]
    try:
        file = io.TextIOWrapper(uploaded(), encoding="utf-8-sig", newline="")  # Excel begins its files with a byte order mark
        count = sum(1 for _ in jobs_of(file, name))
    except UnicodeDecodeError:
        return {"error": "the file is not UTF-8"}, 400
    except (ValueError, csv.Error) as error:
        return {"error": str(error)}, 400
    try:
        publish(jobs_of(file, name))
    except Unknown as error:
        print(f"RabbitMQ: {error}: it is unknown whether upload {name} was accepted", flush=True)
        return {"error": "RabbitMQ did not confirm the jobs: it is unknown whether it took the jobs. Before you try again, see whether there "
                         "are results with this upload's name in their ids", "upload": name}, 504
    except (pika.exceptions.AMQPError, OSError) as error:
        print(f"RabbitMQ: {error!r}", flush=True)
        return {"error": "RabbitMQ does not take jobs; nothing was accepted, try again"}, 503, {"Retry-After": "5"}
    return {"jobs": count, "upload": name}, 202


@app.get("/")
def form():
    return FORM.replace("{url}", str(escape(request.url_root)))


@app.get("/healthz")
def healthz():
    return {"status": "ok"}


@app.errorhandler(HTTPException)
def refuse(error):
    return {"error": f"{error.name}; GET / has a form, POST /upload takes a file"}, error.code


def main():
    server = waitress.create_server(app, host=os.environ.get("HOST", "0.0.0.0"), port=int(os.environ.get("PORT", "8000")), threads=8,
                                    channel_timeout=READ_SECONDS, max_request_body_size=MAX_BYTES + FORM_BYTES)
    print(f"listening on port {server.effective_port}", flush=True)
    server.run()


if __name__ == "__main__":
    main()
