#!/usr/bin/env python3
"""Loads an example and reports: python examples/common/load.py NAME --jobs 100 --concurrency 10 [--json FILE] [--svg FILE]

examples/NAME/jobs.py says what a job is. It has `arguments(parser)` and a class Jobs(options) with

    submit()     one job; returns its id. Called by `--concurrency` threads
    finished()   {id: (when, succeeded)} of the jobs that have ended
"""

import argparse
import concurrent.futures
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request

EXAMPLES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, EXAMPLES)

from common.report import Report  # noqa: E402

POLL_SECONDS = 0.2
SAMPLE_SECONDS, SAMPLE_TIMEOUT_SECONDS = 1, 10
LISTED_SECONDS = 5  # until the worker of a short load is listed
UNKNOWN = (OSError, ValueError, KeyError, subprocess.CalledProcessError)  # what is raised where the replicas cannot be counted


def names():
    return sorted(name for name in os.listdir(EXAMPLES) if os.path.exists(os.path.join(EXAMPLES, name, "jobs.py")))


def module_of(name):
    spec = importlib.util.spec_from_file_location(f"jobs_of_{name.replace('-', '_')}", os.path.join(EXAMPLES, name, "jobs.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Load:
    """Jobs that some threads submit, from now on. is_over() says whether all have ended; `submitted` has those so far."""

    def __init__(self, name, jobs, count, concurrency):
        self.name, self.jobs, self.count, self.concurrency = name, jobs, count, concurrency
        self.submitted, self.refused, self.ended = {}, [], {}
        pool = concurrent.futures.ThreadPoolExecutor(concurrency)
        for _ in range(count):
            pool.submit(self._submit)
        pool.shutdown(wait=False)

    def _submit(self):
        began = time.time()
        try:
            self.submitted[self.jobs.submit()] = began
        except Exception as error:  # whatever the client raises, it is a job that failed
            self.refused.append(error)

    def are_submitted(self):
        return len(self.submitted) + len(self.refused) == self.count

    def is_over(self):
        """Threads: one."""
        try:
            self.ended = dict(self.jobs.finished())
        except Exception as error:  # likewise: it may be away for a while
            print(f"load: {error!r}; trying again", file=sys.stderr)
        return self.are_submitted() and self.submitted.keys() <= self.ended.keys()

    def report(self, replicas=(), speed=1):
        for error in self.refused[:3]:
            print(f"load: a job was refused: {error}", file=sys.stderr)
        return Report(self.name, dict(self.submitted), self.ended, replicas, len(self.refused), speed, self.concurrency)


def replicas_by_kubectl(target):
    """Of a Deployment, "NAMESPACE/NAME"."""
    namespace, _, name = target.partition("/")
    command = ["kubectl", "--namespace", namespace, "get", f"deployment/{name}", "--output=jsonpath={.status.replicas}"]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout or 0)


def replicas_by_dashboard(url):
    """The workers that a run's dashboard lists, but those that are stopping, which are no replicas any more."""
    with urllib.request.urlopen(f"{url.rstrip('/')}/api/workers", timeout=SAMPLE_TIMEOUT_SECONDS) as answer:
        listed = json.load(answer)["objects"]
    return sum(worker["state"] != "Terminating" for each in listed for worker in each["workers"])


class Samples:
    """count() each second, from now on."""

    def __init__(self, count):
        self.count, self.all, self.stopping = count, [], threading.Event()
        self._add()  # here a mistake ends the program
        self.thread = threading.Thread(target=self._sample, daemon=True)
        self.thread.start()

    def _add(self):
        self.all.append((time.time(), self.count()))

    def _try(self):
        try:
            self._add()
        except UNKNOWN as error:  # it may be away for a while
            print(f"load: replicas unknown: {error}", file=sys.stderr)

    def _sample(self):
        while not self.stopping.wait(SAMPLE_SECONDS):
            self._try()

    def end(self):
        """All of them, and some of now: a short load may be over before its worker is listed."""
        self.stopping.set()
        self.thread.join()
        self._try()
        deadline = time.monotonic() + LISTED_SECONDS
        while not any(count for _, count in self.all) and time.monotonic() < deadline:
            time.sleep(SAMPLE_SECONDS / 2)
            self._try()
        return self.all


def sampler(parser, options):
    """Samples of what --kubectl or --dashboard names, or None."""
    if options.kubectl and options.dashboard:
        parser.error("--kubectl and --dashboard exclude each other: both count the replicas")
    try:
        if options.kubectl:
            return Samples(lambda: replicas_by_kubectl(options.kubectl))
        if options.dashboard:
            return Samples(lambda: replicas_by_dashboard(options.dashboard))
    except UNKNOWN as error:
        parser.error(f"{f'--dashboard {options.dashboard}' if options.dashboard else '--kubectl'}: the replicas cannot be counted: {error}")
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=names())
    name = parser.parse_args([word for word in sys.argv[1:2] if word not in ("-h", "--help")] or ["-h"]).name
    module = module_of(name)
    parser.add_argument("--jobs", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--concurrency", type=int, default=10, help="clients that submit at the same time (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=1800, metavar="SECONDS", help="default: %(default)g")
    parser.add_argument("--kubectl", metavar="NAMESPACE/DEPLOYMENT", help="counts its replicas, with kubectl")
    parser.add_argument("--dashboard", metavar="URL", help="counts the workers on the dashboard of a run, such as http://localhost:9092")
    parser.add_argument("--speed", type=float, default=1, help="of that run, for replica-hours of production (default: %(default)g)")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--svg", metavar="FILE")
    module.arguments(parser)
    options = parser.parse_args()
    if options.jobs < 1 or options.concurrency < 1 or options.speed <= 0:
        parser.error("--jobs and --concurrency must be at least 1, and --speed above 0")
    replicas = sampler(parser, options)
    load = Load(name, module.Jobs(options), options.jobs, options.concurrency)
    deadline = time.monotonic() + options.timeout
    while not load.is_over() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    report = load.report(replicas.end() if replicas else (), options.speed)
    print(report.text(), end="")
    for path, text in ((options.json, report.json()), (options.svg, report.svg())):
        if path:
            with open(path, "w") as file:
                file.write(text)
    return 0 if report.values()["succeeded"] == options.jobs else 1


if __name__ == "__main__":
    sys.exit(main())
