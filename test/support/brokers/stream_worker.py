"""A worker of a Redis stream: takes one entry, works for as many seconds as the entry says, acknowledges it.

    python -m support.brokers.stream_worker PORT STREAM GROUP LOG

LOG gets a line for what happened: "took", "done", and "killed" where SIGTERM came while it worked.
"""

import os
import signal
import sys
import time

from support.brokers.redis import RedisClient


class Worker:
    def __init__(self, port, stream, group, log):
        self.stream, self.group = stream, group
        self.name = f"worker-{os.getpid()}"
        self.log_path = log
        self.is_working = False
        self.client = RedisClient(int(port))
        signal.signal(signal.SIGTERM, self.stop)

    def log(self, word):
        with open(self.log_path, "a") as file:
            file.write(f"{time.monotonic():.3f} {self.name} {word}\n")

    def stop(self, *_):
        if self.is_working:
            self.log("killed")
        os._exit(0)

    def run(self):
        while True:
            streams = self.client.call("XREADGROUP", "GROUP", self.group, self.name, "COUNT", 1, "BLOCK", 1000, "STREAMS",
                                       self.stream, ">")
            if not streams:
                continue
            self.is_working = True
            entry, fields = streams[0][1][0]
            self.log("took")
            time.sleep(float(fields[1]))
            self.client.call("XACK", self.stream, self.group, entry)
            self.is_working = False
            self.log("done")


if __name__ == "__main__":
    Worker(*sys.argv[1:]).run()
