#!/usr/bin/env python3
"""Loads an example and reports: python examples/common/load.py NAME --jobs 100 --concurrency 10 [--json FILE] [--svg FILE]

examples/NAME/jobs.py says what a job is. It has `arguments(parser)` and a class Jobs(options) with

    submit()     one job; returns its id. Called by `--concurrency` threads
    finished()   {id: (when, succeeded)} of the jobs that have ended
"""

import argparse
import concurrent.futures
import importlib.util
import os
import subprocess
import sys
import threading
import time

EXAMPLES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, EXAMPLES)

from common.report import Report  # noqa: E402

POLL_SECONDS = 0.2


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
        self.name, self.jobs, self.count = name, jobs, count
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
        return Report(self.name, dict(self.submitted), self.ended, replicas, len(self.refused), speed)


class Kubectl:
    """Samples the replicas of a Deployment, "NAMESPACE/NAME", each second."""

    def __init__(self, target):
        namespace, _, name = target.partition("/")
        self.command = ["kubectl", "--namespace", namespace, "get", f"deployment/{name}", "--output=jsonpath={.status.replicas}"]
        self.samples, self.stopping = [], threading.Event()
        self.sample()  # here a mistake ends the program
        threading.Thread(target=self._sample, daemon=True).start()

    def sample(self):
        text = subprocess.run(self.command, check=True, stdout=subprocess.PIPE, text=True).stdout
        self.samples.append((time.time(), int(text or 0)))

    def _sample(self):
        while not self.stopping.wait(1):
            try:
                self.sample()
            except subprocess.CalledProcessError:
                pass  # kubectl has said why

    def replicas(self):
        self.stopping.set()
        return self.samples


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=names())
    name = parser.parse_args([word for word in sys.argv[1:2] if word not in ("-h", "--help")] or ["-h"]).name
    module = module_of(name)
    parser.add_argument("--jobs", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--concurrency", type=int, default=10, help="clients that submit at the same time (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=1800, metavar="SECONDS", help="default: %(default)g")
    parser.add_argument("--kubectl", metavar="NAMESPACE/DEPLOYMENT", help="counts its replicas, with kubectl")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--svg", metavar="FILE")
    module.arguments(parser)
    options = parser.parse_args()
    if options.jobs < 1 or options.concurrency < 1:
        parser.error("--jobs and --concurrency must be at least 1")
    workers = Kubectl(options.kubectl) if options.kubectl else None
    load = Load(name, module.Jobs(options), options.jobs, options.concurrency)
    deadline = time.monotonic() + options.timeout
    while not load.is_over() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    report = load.report(workers.replicas() if workers else ())
    print(report.text(), end="")
    for path, text in ((options.json, report.json()), (options.svg, report.svg())):
        if path:
            with open(path, "w") as file:
                file.write(text)
    return 0 if report.values()["succeeded"] == options.jobs else 1


if __name__ == "__main__":
    sys.exit(main())
