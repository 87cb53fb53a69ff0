"""A queue of RQ for the tests, on the library itself; see job_queues.Driven."""

import datetime
import json
import sys
import threading
import time

import redis
import rq
import rq.scheduler
import rq.suspension


class InThisThread(rq.SimpleWorker):
    """One that works beside the thread that reads commands: signals are the other's."""

    def _install_signal_handlers(self):
        pass

    death_penalty_class = rq.timeouts.TimerDeathPenalty


def job(seconds):
    """Lasts until `end` is called."""
    connection = rq.get_current_job().connection
    connection.blpop("test:end")
    if seconds is not None:
        return rq.Retry(max=1000000, interval=seconds)
    return None


def circling(circles):
    """Is due again at once, so many times; then it lasts until `end` is called."""
    connection = rq.get_current_job().connection
    if (rq.get_current_job().number_of_retries or 0) < circles:
        return rq.Retry(max=circles, interval=[0.001])
    connection.rpush("test:circled", "now")
    connection.blpop("test:end")
    return None


class Commands:
    def __init__(self, port, name):
        self.connection = redis.Redis(port=port)
        self.queue = rq.Queue(name, connection=self.connection)
        self.worker = None

    def add(self, retry_in=None):
        self.queue.enqueue(job, retry_in)

    def add_in(self, seconds):
        self.queue.enqueue_in(datetime.timedelta(seconds=seconds), job, None)

    def work(self, jobs, burst):
        connection = redis.Redis(port=self.connection.connection_pool.connection_kwargs["port"])
        worker = InThisThread([self.queue], connection=connection)
        self.worker = threading.Thread(target=worker.work, kwargs={"burst": burst, "max_jobs": jobs, "logging_level": "ERROR"})
        self.worker.start()

    def add_circling(self, circles):
        self.queue.enqueue(circling, circles)

    def circle(self, circles):
        """Queue, worker, due, queue; so many times, with a scheduler that never rests. A worker has the job then."""
        self.work(circles + 1, burst=False)
        scheduler = rq.scheduler.RQScheduler([self.queue], connection=self.connection)
        scheduler.acquire_locks()
        while not self.connection.lpop("test:circled"):
            scheduler.enqueue_scheduled_jobs()
        scheduler.release_locks()

    def take(self):
        """A worker takes one job, and is in the midst of it."""
        self.work(1, burst=True)
        while self.queue.started_job_registry.get_job_count(cleanup=False) == 0:
            time.sleep(0.01)

    def end(self):
        """It ends that job."""
        self.connection.rpush("test:end", "now")
        self.worker.join()

    def schedule(self):
        """What a worker does once per second that runs with the scheduler."""
        scheduler = rq.scheduler.RQScheduler([self.queue], connection=self.connection)
        scheduler.acquire_locks()
        scheduler.enqueue_scheduled_jobs()
        scheduler.release_locks()

    def suspend(self):
        rq.suspension.suspend(self.connection)

    def resume(self):
        rq.suspension.resume(self.connection)

    def counts(self):
        return {"queued": self.queue.count, "scheduled": self.queue.scheduled_job_registry.get_job_count(cleanup=False)}


def main(port, name):
    results, sys.stdout = sys.stdout, sys.stderr  # RQ logs to stdout
    commands = Commands(int(port), name)
    for line in sys.stdin:
        called, *words = json.loads(line)
        print(json.dumps(getattr(commands, called)(*words)), file=results, flush=True)

