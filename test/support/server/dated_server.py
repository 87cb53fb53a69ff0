"""A server whose clock is wrong."""

import os
import sysconfig

from ..process import Unavailable
from .server import Server

FAKETIME = "/usr/lib/{}/faketime/libfaketimeMT.so.1"


class DatedServer(Server):
    """Lives at a date that the test sets: the wall clock is a library's, the others are the machine's, but where they are to
    be wrong, too."""

    def __init__(self, monotonic=False, **options):
        super().__init__(**options)
        self.monotonic = monotonic
        self.date = os.path.join(self.folder, "date")
        self.jump("+0")

    def jump(self, offset):
        with open(self.date + ".new", "w") as file:
            file.write(offset + "\n")
        os.rename(self.date + ".new", self.date)

    def environment(self):
        faketime = FAKETIME.format(sysconfig.get_config_var("MULTIARCH"))
        if not os.path.exists(faketime):
            raise Unavailable(f"{faketime} is not installed")
        # Before the sanitizer's runtime, which by itself insists on being first: they would wait for each other.
        return {**super().environment(), "LD_PRELOAD": faketime,
                "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
                "FAKETIME_TIMESTAMP_FILE": self.date, "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": str(int(not self.monotonic))}
