"""The image that ./dev image built, read from its OCI layout: no engine and no registry."""

import functools
import hashlib
import json
import os
import pathlib
import tarfile

import requests

from ..process import Process, Unavailable, free_port, need
from ..server.server import REPOSITORY

LAYOUT = pathlib.Path(REPOSITORY, "build", "image-oci", "oci")
USER = 65532


def _blob(digest):
    content = (LAYOUT / "blobs" / digest.replace(":", "/")).read_bytes()
    assert digest == "sha256:" + hashlib.sha256(content).hexdigest()
    return content


@functools.cache
def manifest():
    if not (LAYOUT / "index.json").exists():
        raise Unavailable("the image is not built: ./dev image")
    index = json.loads((LAYOUT / "index.json").read_text())
    return json.loads(_blob(index["manifests"][0]["digest"]))


@functools.cache
def config():
    return json.loads(_blob(manifest()["config"]["digest"]))


def compressed_bytes():
    """What a node downloads."""
    return sum(layer["size"] for layer in manifest()["layers"])


def unpack(folder):
    for layer in manifest()["layers"]:
        with tarfile.open(LAYOUT / "blobs" / layer["digest"].replace(":", "/")) as archive:
            archive.extraction_filter = lambda member, _: member  # the image is ours; Debian 12's first Python has no `filter`
            archive.extractall(folder)
    return folder


class Contained(Process):
    """The image's command as a container runs it: on the root file system alone, read-only, without a right of root's and
    as the image's user. Loopback is the test's."""

    name = "image"

    def __init__(self, root, *arguments):
        super().__init__()
        if os.geteuid() != 0:
            raise Unavailable("changing the root file system needs root")
        self.root, self.port, self.http_port = root, free_port(), free_port()
        self.arguments = [*arguments, "--listen", f"127.0.0.1:{self.port}", "--http", f"127.0.0.1:{self.http_port}"]
        self.mounted = pathlib.Path(self.folder, "root")
        self.mounted.mkdir()

    def environment(self):
        return dict(each.split("=", 1) for each in config()["config"].get("Env", []))

    def command(self):
        command = [*config()["config"]["Entrypoint"], *config()["config"]["Cmd"], *self.arguments]
        return [need("unshare"), "--mount", "--pid", "--fork", "--kill-child=SIGTERM", need("sh"), "-ec",
                'mount --bind "$1" "$2"; mount -o remount,ro,bind "$2"; mount -t proc proc "$2/proc"; root=$2; shift 2; '
                f'exec setpriv --no-new-privs chroot --userspec={USER}:{USER} --groups= "$root" "$@"',
                "sh", self.root, self.mounted, *command]

    def ready(self):
        return "listening on" in self.log() and requests.get(f"http://127.0.0.1:{self.http_port}/readyz", timeout=5).ok
