"""A disk of its own, which can be made full. Needs root."""

import contextlib
import os
import subprocess

from .process import Process, Unavailable, wait_until

FILL_SECONDS = 30


class SmallDisk(Process):
    """A tmpfs that only programs with the words `enter` before them see."""

    name = "disk"

    def __init__(self, size):
        super().__init__()
        self.size, self.path = size, os.path.join(self.folder, "mounted")
        if os.getuid() != 0:
            raise Unavailable("a disk that can be made full needs root, which mounts it")
        os.mkdir(self.path)
        os.chmod(self.folder, 0o755)

    def command(self):
        script = 'mount -t tmpfs -o "size=$0,mode=777" tmpfs "$1" && exec sleep infinity'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(self.size), self.path]

    def ready(self):
        return os.path.ismount(self.outside(self.path))

    def outside(self, path):
        """The same file for those who do not see the disk."""
        return f"/proc/{self.pid}/root{path}"

    @property
    def enter(self):
        return ["nsenter", f"--mount=/proc/{self.pid}/ns/mnt"]

    def _resize(self, size):
        """Whether the disk has this size now: the kernel refuses one that is smaller than what is on it."""
        return subprocess.run([*self.enter, "mount", "-o", f"remount,size={size}", self.path], stderr=subprocess.DEVNULL).returncode == 0

    def _fill(self):
        found = os.statvfs(self.outside(self.path))
        return self._resize((found.f_blocks - found.f_bfree) * found.f_frsize)

    @contextlib.contextmanager
    def full(self):
        """As large as what is on it. Who writes while that is found out makes it too small, so it is tried again."""
        wait_until(self._fill, FILL_SECONDS, "a full disk")
        try:
            yield
        finally:
            wait_until(lambda: self._resize(self.size), FILL_SECONDS, "a disk with space")
