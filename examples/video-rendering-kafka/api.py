"""Users ask for videos: `POST /videos` publishes a job to the topic videoJob. The page at / shows the progress of each.

Environment: KAFKA_BOOTSTRAP, VIDEOS (the folder of the rendered videos), STATUS_URLS (of the status service's replicas: with {host}, which
becomes that of the page, for every page, and else for one that was opened at localhost), HOST, PORT, METRICS_PORT.
"""

import itertools
import json
import os
import signal
import sys
import time
import urllib.parse
import uuid

import flask
import waitress
from confluent_kafka import KafkaException, Producer
from prometheus_client import Counter, start_http_server
from werkzeug.exceptions import HTTPException

from events import EVENTS, JOBS, PARTITIONS, settings

MAX_BODY_BYTES = 10_000
MAX_VIDEO_SECONDS = 600
PATIENCE_SECONDS = 5  # of a request, for Kafka
LOCAL = ("localhost", "127.0.0.1", "::1")

app = flask.Flask(__name__, static_folder=None)
app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
producer = Producer(settings(**{"enable.idempotence": True, "message.timeout.ms": 1000 * PATIENCE_SECONDS}))
partitions = itertools.cycle(range(PARTITIONS))  # evenly: each worker gets some
requests = Counter("api_requests_total", "Requests to the API", ["endpoint", "code"])


@app.get("/")
def page():
    return flask.send_from_directory(app.root_path, "index.html")


@app.get("/status-urls")
def status_urls():
    """Where the page finds /ws; none: at the page's own address. The replicas have addresses of their own on a laptop and with
    kubectl port-forward; a route has one for both."""
    host = urllib.parse.urlsplit(f"//{flask.request.host}").hostname
    urls = [url for url in os.environ.get("STATUS_URLS", "").split(",") if url and (host in LOCAL or "{host}" in url)]
    return [url.replace("{host}", f"[{host}]" if ":" in host else host) for url in urls]


@app.post("/videos")
def request_video():
    """Returns the job's id when Kafka has the job."""
    body = flask.request.get_json(silent=True) or {}
    seconds = body.get("seconds", 20) if isinstance(body, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= MAX_VIDEO_SECONDS:
        flask.abort(400, f"seconds, how long the video is, must be a number above 0, and at most {MAX_VIDEO_SECONDS}")
    job = str(uuid.uuid4())
    failures = []

    def publish(topic, **where_and_what):
        value = json.dumps({"jobId": job, **where_and_what.pop("value")})
        producer.produce(topic, value, key=job, on_delivery=lambda error, _message: error and failures.append(error), **where_and_what)

    publish(EVENTS, value={"step": "queued", "at": time.time()})
    publish(JOBS, value={"seconds": seconds}, partition=next(partitions))
    if producer.flush(PATIENCE_SECONDS + 1) or failures:
        raise KafkaException(*failures[:1])
    return {"jobId": job}, 202


@app.get("/videos/<name>")
def video(name):
    return flask.send_from_directory(os.environ.get("VIDEOS", "/videos"), name, mimetype="video/mp4")


@app.get("/healthz")
def health():
    return "ok\n"


@app.errorhandler(HTTPException)
def refused(error):
    return {"error": error.description}, error.code


@app.errorhandler(KafkaException)
def unavailable(error):
    print(f"Kafka: {error}", flush=True)
    return {"error": "Kafka does not take jobs now; try again later"}, 503, {"Retry-After": "5"}


@app.after_request
def count(response):
    requests.labels(flask.request.endpoint or "none", response.status_code).inc()
    return response


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    metrics, _thread = start_http_server(int(os.environ.get("METRICS_PORT", "8001")))
    print(f"metrics on port {metrics.server_port}", flush=True)
    server = waitress.create_server(app, host=os.environ.get("HOST", "0.0.0.0"), port=int(os.environ.get("PORT", "8000")), threads=16)
    print(f"listening on port {server.effective_port}", flush=True)
    server.run()


if __name__ == "__main__":
    main()
