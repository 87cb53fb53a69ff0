"""What the load program does for one job, as a browser would: request an upload, PUT the video, publish the job."""

import collections
import concurrent.futures
import threading
import time

import requests

TIMEOUT_SECONDS = 60


def arguments(parser):
    parser.add_argument("--url", default="http://localhost:8000", help="of the API (default: %(default)s)")
    parser.add_argument("--video", required=True, help="the file that each job converts; examples/common/clip.py makes one")
    parser.add_argument("--format", default="mp4")


class Jobs:
    def __init__(self, options):
        """Needs url, video and format."""
        self.url, self.format = options.url.rstrip("/"), options.format
        with open(options.video, "rb") as file:
            self.video = file.read()
        self.open, self.ended, self.count = set(), {}, None
        self.uploaded = collections.deque()
        self.threads = threading.local()
        self.pool = concurrent.futures.ThreadPoolExecutor(4)

    @property
    def http(self):
        """A session for each thread."""
        if not hasattr(self.threads, "session"):
            self.threads.session = requests.Session()
        return self.threads.session

    def call(self, method, path, body=None):
        answer = self.http.request(method, self.url + path, json=body, timeout=TIMEOUT_SECONDS)
        if not answer.ok:
            raise OSError(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        return answer.json()

    def upload(self):
        """Returns a job's id once its video is in the storage."""
        job = self.call("POST", "/upload/request", {})
        self.http.put(job["upload_url"], data=self.video, timeout=TIMEOUT_SECONDS).raise_for_status()
        return job["job_id"]

    def upload_first(self, count, concurrency):
        """Videos of the next jobs: submit() then only publishes."""
        with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
            self.uploaded.extend(pool.map(lambda _: self.upload(), range(count)))

    def submit(self):
        """Returns the job's id once it is in the queue. Threads: any."""
        job = self.uploaded.popleft() if self.uploaded else self.upload()
        self.call("POST", "/jobs", {"job_id": job, "output_format": self.format})
        self.open.add(job)
        return job

    def get(self, job):
        return self.call("GET", f"/jobs/{job}")

    def finished(self):
        """{id: (when, succeeded)} of all that have ended."""
        count = self.call("GET", "/jobs")["finished"]
        if count != self.count:  # or there is nothing new to read
            self.count = count
            for job in self.pool.map(self.get, list(self.open)):
                if job["status"] in ("DONE", "FAILED"):
                    self.open.discard(job["job_id"])
                    self.ended[job["job_id"]] = time.time(), job["status"] == "DONE"
        return self.ended
