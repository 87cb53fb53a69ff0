"""Converts videos, one at a time: takes a job from RabbitMQ, fetches the video, runs FFmpeg, stores the result, acknowledges.

A job is acknowledged after its result is safe. A worker that is killed has acknowledged nothing, so RabbitMQ gives its job to
another one; the result's name follows from the job's id, so a job that is done twice has one result. On SIGTERM the worker ends
after the job it has. A job that ended FFmpeg or its worker MAX_TRIES times, as one that needs too much memory, fails: its message
says how often.

Environment: RABBITMQ_URL, S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY, METRICS_PORT, FFMPEG_THREADS, FFMPEG_INPUT_OPTIONS,
MAX_SECONDS.
"""

import concurrent.futures
import errno
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import uuid

import pika
from prometheus_client import Counter, Gauge, Histogram, start_http_server

import storage
from queue_of_jobs import JOBS, PERSISTENT, STATES, connect

URL = os.environ["RABBITMQ_URL"]
THREADS = os.environ.get("FFMPEG_THREADS", "1")  # as many as the pod has processors
INPUT_OPTIONS = shlex.split(os.environ.get("FFMPEG_INPUT_OPTIONS", ""))  # "-re": no faster than the video plays
# Of FFmpeg: less than the pod's terminationGracePeriodSeconds (600) and RabbitMQ's consumer_timeout.
MAX_SECONDS = float(os.environ.get("MAX_SECONDS", "540"))
MAX_ERROR_CHARS = 500  # of FFmpeg's last lines, for the user
ENDED_BY_SIGNAL = 255  # FFmpeg's own exit code then
NOT_WRITTEN = re.compile("Error (writing trailer|closing file).*")  # after which FFmpeg 5.1 ends with 0
OUTPUT_OPTIONS = (
    "-vf", "crop=trunc(iw/2)*2:trunc(ih/2)*2", "-pix_fmt", "yuv420p",  # which has a color for each 2x2 pixels, and plays everywhere
    "-sn", "-c:v", "libx264", "-crf", "23", "-c:a", "aac")  # -sn: not each format can have each kind of subtitles
PAUSE_SECONDS = 1  # before a job is given back
MAX_TRIES = 5  # which end FFmpeg or its worker

done = Counter("worker_jobs_total", "Jobs that this worker has done")
failed = Counter("worker_jobs_failed_total", "Jobs that cannot be done, by reason", ["reason"])
redelivered = Counter("worker_jobs_redelivered_total", "Jobs that another worker had begun")
retried = Counter("worker_jobs_retried_total", "Jobs given back because the storage failed, the disk was full or FFmpeg was killed")
duration = Histogram("worker_job_duration_seconds", "From taking a job to its result",
                     buckets=(.05, .1, .25, .5, 1, 2.5, 5, 10, 15, 20, 25, 30, 60, 120, 300, 600))
cpu_seconds = Gauge("worker_cpu_seconds", "CPU time of this worker and of its FFmpeg")
memory_bytes = Gauge("worker_ffmpeg_memory_bytes", "Memory of the largest FFmpeg so far")
for reason in ("ffmpeg", "job", "storage", "tries"):
    failed.labels(reason)
stopping = False
running = None  # FFmpeg


class Refused(Exception):
    """Nobody can convert this video."""


class Unfinished(OSError):
    """This worker could not convert the video. Another one can, perhaps."""


def measure_children():
    """CPU seconds, and bytes of the largest. RUSAGE_CHILDREN has only those that have ended."""
    process = running  # first: one that ends meanwhile is in `ended` when it is not in /proc any more
    while True:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds, size = ended.ru_utime + ended.ru_stime, ended.ru_maxrss * 1024
        if process is None:
            return seconds, size
        try:
            with open(f"/proc/{process.pid}/stat") as stat, open(f"/proc/{process.pid}/status") as status:
                ticks = stat.read().rpartition(")")[2].split()[11:13]
                largest = re.search(r"VmHWM:\s+(\d+)", status.read())  # none where it has just ended
            return seconds + sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), max(size, 1024 * int(largest[1]) if largest else 0)
        except OSError:
            process = None


cpu_seconds.set_function(lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) + measure_children()[0])
memory_bytes.set_function(lambda: measure_children()[1])


def stop(*_):
    global stopping
    stopping = True


def parse(body):
    """A job: its id, the format of the result, and how many tries were in vain."""
    job = json.loads(body)
    tries = job.get("tries", 0)
    if not re.fullmatch(r"[0-9a-f-]{36}", job["job_id"]) or job["output_format"] not in storage.TYPES or not isinstance(tries, int):
        raise ValueError("job_id, output_format or tries")
    return job["job_id"], job["output_format"], tries


def run_ffmpeg(source, result):
    """Returns its exit code and what it wrote to stderr."""
    global running
    with subprocess.Popen(
            ["ffmpeg", "-nostdin", "-v", "error", "-y", "-threads", THREADS, "-protocol_whitelist", "file", *INPUT_OPTIONS,
             "-i", source, "-threads", THREADS, *OUTPUT_OPTIONS, result],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
            start_new_session=True) as running:  # a SIGTERM to the worker's process group is not meant for FFmpeg
        try:
            errors = running.communicate(timeout=MAX_SECONDS)[1]
        except subprocess.TimeoutExpired as error:
            running.kill()
            raise Refused(f"longer than {MAX_SECONDS:g} seconds") from error
        return running.returncode, errors


def convert(videos, job, output_format):
    """In a thread of its own."""
    with tempfile.TemporaryDirectory(prefix="video-") as folder:
        source, result = os.path.join(folder, "input"), os.path.join(folder, f"output.{output_format}")
        try:
            videos.fget_object(bucket_name=storage.INPUT, object_name=job, file_path=source)
        except storage.S3Error as error:
            if error.code in storage.MISSING:
                raise Refused("the video is not in the storage any more") from error
            raise
        except OSError as error:
            raise no_space(folder) if error.errno == errno.ENOSPC else error
        code, errors = run_ffmpeg(source, result)
        if os.strerror(errno.ENOSPC) in errors:
            raise no_space(folder)
        if code < 0 or code == ENDED_BY_SIGNAL:  # for memory, perhaps: another worker may have more
            raise Unfinished("FFmpeg was ended by a signal")
        if code > 0:
            raise Refused(errors.replace(folder + "/", "")[-MAX_ERROR_CHARS:].strip() or f"ffmpeg ended with {code}")
        if (lost := NOT_WRITTEN.search(errors)) is not None:
            raise Unfinished(lost[0].replace(folder + "/", ""))
        videos.fput_object(bucket_name=storage.OUTPUT, object_name=f"{job}.{output_format}", file_path=result,
                           content_type=storage.TYPES[output_format])


def no_space(folder):
    """Why a file could not be written. A video that needs most of the disk would come back for ever: other workers' are as small."""
    if 2 * sum(file.stat().st_size for file in os.scandir(folder)) > shutil.disk_usage(folder).total:
        return Refused("the worker's disk is too small for the video and its result")
    return OSError("the worker's disk is full")


def greet(videos):
    """Says whether the storage can be reached. A job tries it again."""
    try:
        videos.bucket_exists(bucket_name=storage.INPUT)
        print("storage: connected", flush=True)
    except storage.FAILURES as error:
        print(f"storage: {error!r}; trying again with the first job", flush=True)


def wait_for(future, connection):
    """Meanwhile the connection replies to RabbitMQ's heartbeats."""
    while not future.done():
        connection.process_data_events(time_limit=0.1)
    return future.result()


def work(connection, channel, videos, pool):
    channel.basic_qos(prefetch_count=1)  # what waits stays in the queue, for other workers

    def report(job, status, **more):
        channel.basic_publish("", STATES, json.dumps({"job_id": job, "status": status, **more}), PERSISTENT, mandatory=True)

    def give_back(job, output_format, tries, error, start=None):
        """To the end of the queue, as a new message: RabbitMQ does not count how often it delivered the old one."""
        if tries >= MAX_TRIES:
            print(f"{job} failed {tries} times: {error!r}", flush=True)
            failed.labels("tries").inc()
            report(job, "FAILED", error=f"given up after {tries} tries: {storage.reason(error)}")
            return
        print(f"{job} is given back: {error!r}", flush=True)
        report(job, "PENDING", start=start, error=f"trying again: {storage.reason(error)}")
        connection.sleep(PAUSE_SECONDS)
        channel.basic_publish("", JOBS, json.dumps({"job_id": job, "output_format": output_format, "tries": tries}), PERSISTENT, mandatory=True)

    def acknowledge(method):
        if stopping:
            channel.cancel()  # or the next job comes at once, and goes back as one whose worker ended
        channel.basic_ack(method.delivery_tag)

    for method, _properties, body in channel.consume(JOBS, inactivity_timeout=0.5):
        if stopping:
            break  # a job that has just arrived goes back to the queue
        if method is None:
            continue
        try:
            job, output_format, tries = parse(body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"refused: {error!r}: {body[:200]!r}", flush=True)
            failed.labels("job").inc()
            channel.basic_reject(method.delivery_tag, requeue=False)  # it would come back for ever; a dead-letter exchange keeps it
            continue
        if method.redelivered:
            redelivered.inc()
            give_back(job, output_format, tries + 1, Unfinished("its worker ended"))
            acknowledge(method)
            continue
        start = str(uuid.uuid4())
        report(job, "PROCESSING", start=start)
        try:
            with duration.time():
                wait_for(pool.submit(convert, videos, job, output_format), connection)
        except Refused as error:
            print(f"{job} failed: {error}", flush=True)
            failed.labels("ffmpeg").inc()
            report(job, "FAILED", error=str(error))
        except storage.FAILURES as error:
            if not storage.may_pass(error):
                print(f"{job} failed: {error!r}", flush=True)
                failed.labels("storage").inc()
                report(job, "FAILED", error=storage.reason(error))
                acknowledge(method)
                continue
            retried.inc()
            give_back(job, output_format, tries + isinstance(error, Unfinished), error, start)
        else:
            report(job, "DONE")
            done.inc()
            print(f"{job} converted\nbacklog: done {done._value.get():.0f}\n", end="", flush=True)
        acknowledge(method)
    connection.close()


def main():
    signal.signal(signal.SIGTERM, stop)
    server, _thread = start_http_server(int(os.environ.get("METRICS_PORT", "8000")))
    print(f"backlog: done 0\nmetrics on port {server.server_port}", flush=True)
    videos = storage.connect()
    greet(videos)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        while not stopping:
            try:
                connection, channel = connect(URL)
                print("RabbitMQ: connected", flush=True)
                work(connection, channel, videos, pool)
            except (pika.exceptions.AMQPError, OSError) as error:
                print(f"RabbitMQ: {error!r}; trying again", flush=True)
                time.sleep(1)


if __name__ == "__main__":
    main()
