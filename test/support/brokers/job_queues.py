"""Queues of job libraries, each worked on by the library itself."""

import json
import os
import subprocess
import sys

from ..process import Unavailable, need
from ..server.server import REPOSITORY

TESTS = os.path.join(REPOSITORY, "test")


class Driven:
    """A process that answers a line of JSON, [name, arguments ...], with one."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)

    def send(self, *words):
        print(json.dumps(words), file=self.process.stdin, flush=True)

    def receive(self):
        line = self.process.stdout.readline()
        if not line:
            raise EOFError("the library's process has ended")
        return json.loads(line)

    def call(self, *words):
        self.send(*words)
        return self.receive()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class BullMQ(Driven):
    """`module` is bullmq or bullmq-5, of test/brokers/js/package.json."""

    def __init__(self, broker, queue, module="bullmq"):
        folder = os.path.join(REPOSITORY, "build", "queues")
        if not os.path.isdir(os.path.join(folder, "node_modules", module)):
            raise Unavailable(f"{folder}: {module} is not installed")
        super().__init__([need("node"), os.path.join(TESTS, "brokers", "js", "bullmq.js"), module, str(broker.port), queue],
                         cwd=folder)
        self.queue = queue

    def trigger(self, **metadata):
        return {"library": "bullmq", "queueName": self.queue, **metadata}


class RQ(Driven):
    def __init__(self, broker, queue):
        # RQ refuses functions of the program's own module.
        super().__init__([sys.executable, "-c", "import sys, support.brokers.rq_queue as rq; rq.main(*sys.argv[1:])",
                          str(broker.port), queue], cwd=TESTS)
        self.queue = queue

    def trigger(self, **metadata):
        return {"library": "rq", "queueName": self.queue, **metadata}
