"""The states of all jobs, in SQLite: a file on a volume, so they survive the end of the API.

PENDING     upload requested, or waiting in the queue; with an error: why a worker gave the job back
PROCESSING  a worker has it
DONE        the result is in the storage
FAILED      FFmpeg refused the video, or ended with its worker too often
"""

import sqlite3
import threading
import time

TABLE = """CREATE TABLE IF NOT EXISTS jobs (
    job_id TEXT PRIMARY KEY,
    status TEXT NOT NULL DEFAULT 'PENDING',
    output_format TEXT,
    error TEXT,
    requested_at REAL NOT NULL,
    published_at REAL,
    started_at REAL,
    finished_at REAL,
    starts INTEGER NOT NULL DEFAULT 0,
    last_start TEXT,
    results INTEGER NOT NULL DEFAULT 0,
    filename TEXT,
    content_type TEXT
)"""
COUNTS = """SELECT count(*) AS requested, count(published_at) AS published, count(finished_at) AS finished,
    coalesce(sum(status = 'PENDING'), 0) AS pending, coalesce(sum(status = 'PENDING' AND published_at IS NOT NULL), 0) AS queued,
    coalesce(sum(status = 'PROCESSING'), 0) AS processing,
    coalesce(sum(status = 'DONE'), 0) AS done, coalesce(sum(status = 'FAILED'), 0) AS failed,
    coalesce(sum(starts), 0) AS starts, coalesce(sum(results > 1), 0) AS done_twice, max(finished_at) AS last_finished_at FROM jobs"""


class States:
    """Threads: any. Each change is on disk when its method returns."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.database = sqlite3.connect(path, check_same_thread=False)
        self.database.row_factory = sqlite3.Row
        self._change(TABLE)
        columns = [row["name"] for row in self.database.execute("PRAGMA table_info(jobs)")]
        for column in {"filename", "content_type"}.difference(columns):  # a file of before
            self._change(f"ALTER TABLE jobs ADD COLUMN {column} TEXT")

    def _change(self, sql, *values):
        with self.lock, self.database:  # a transaction
            return self.database.execute(sql, values).rowcount

    def request(self, job, filename=None, content_type=None):
        self._change("INSERT INTO jobs (job_id, requested_at, filename, content_type) VALUES (?, ?, ?, ?)",
                     job, time.time(), filename, content_type)

    def choose(self, job, output_format):
        """Before the job is published. The first choice stays."""
        self._change("UPDATE jobs SET output_format = ? WHERE job_id = ? AND output_format IS NULL", output_format, job)

    def publish(self, job):
        self._change("UPDATE jobs SET published_at = ? WHERE job_id = ? AND published_at IS NULL", time.time(), job)

    def start(self, job, start):
        """A job that is done again, because its worker died before it acknowledged, stays what it is. The same report twice, because
        the API died before it acknowledged, is one start. It was published, even if that could not be recorded."""
        now = time.time()
        self._change("UPDATE jobs SET starts = starts + 1, last_start = ?, published_at = coalesce(published_at, ?), "
                     "started_at = iif(finished_at IS NULL, ?, started_at), status = iif(finished_at IS NULL, 'PROCESSING', status), "
                     "error = iif(finished_at IS NULL, NULL, error) WHERE job_id = ? AND last_start IS NOT ?",
                     start, now, now, job, start)

    def wait(self, job, reason, start):
        """A worker has given the job back that it began with this start. The same report again, after another worker has begun it,
        changes nothing. Without a start: one that another worker had begun, which was killed. The reports that follow it come again
        with it, so the last start counts no more."""
        self._change("UPDATE jobs SET status = 'PENDING', error = ?, last_start = ? "
                     "WHERE job_id = ? AND finished_at IS NULL AND (? IS NULL OR last_start IS ?)", reason, start, job, start, start)

    def finish(self, job, status, error=None):
        """A job that is done stays so, though a worker whose acknowledgement was lost gives it up."""
        self._change("UPDATE jobs SET results = results + 1, status = iif(status = 'DONE', status, ?), error = iif(status = 'DONE', NULL, ?), "
                     "finished_at = coalesce(finished_at, ?) WHERE job_id = ?", status, error, time.time(), job)

    def get(self, job):
        with self.lock:
            return self.database.execute("SELECT * FROM jobs WHERE job_id = ?", (job,)).fetchone()

    def counts(self):
        with self.lock:
            return dict(self.database.execute(COUNTS).fetchone())
