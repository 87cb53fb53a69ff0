"""Docker's engine, a registry, and the images of pods: none is pulled, as a machine that runs the tests may not reach any registry."""

import pathlib
import shutil
import subprocess
import tempfile

from ..process import Process, Unavailable, need
from ..server.server import REPOSITORY
from .registry import Registry
from .stack import program

PODS = pathlib.Path(REPOSITORY, "build", "pods")
IMAGES = pathlib.Path(REPOSITORY, "test", "pods", "images")
NAME = "registry.example"  # of the README; tools/pods gives it the address of the node
AUTHORITIES = "/usr/local/share/authorities.crt"  # in the base: a proxy of this machine may inspect TLS
BUILD_SECONDS = 3000  # a busy machine

# By tag: the folder of the Dockerfile, what it copies, and its build arguments.
BASES = {tag: ("debian", {"base.tar": PODS / "base" / "base.tar", "authorities.crt": "/etc/ssl/certs/ca-certificates.crt"}, {})
         for tag in ("debian:13-slim", "debian:13", "python:3.13-slim")}
BASES["python:3.13-slim"] = ("python", {}, {})


def images():
    """Those that nodes pull, under the names that the manifests have."""
    keda = {"keda": ("operator", "keda"), "keda-metrics-apiserver": ("adapter", "keda-adapter"),
            "keda-admission-webhooks": ("webhooks", "keda-admission-webhooks")}
    return {
        "library/busybox:1": ("busybox", {"busybox": need("busybox")}, {}),
        "pause:1": ("pause", {"busybox": need("busybox")}, {}),
        "coredns:1": ("program", {"coredns": PODS / "coredns" / "coredns"}, {"PROGRAM": "coredns"}),
        "library/rabbitmq:4-management": ("rabbitmq", {}, {}),
        **{f"kedacore/{image}:main": ("program", {name: program("keda", built)}, {"PROGRAM": name})
           for image, (built, name) in keda.items()}}


class Engine(Process):
    """As Debian starts it, apart from where it stores images, and what it thinks of our registry."""

    name = "docker"

    def command(self):
        return [need("dockerd"), "--data-root", PODS / "docker", "--insecure-registry", NAME, "--exec-opt", "native.cgroupdriver=cgroupfs",
                "--cgroup-parent", "/backlog-docker"]  # tools/pods removes it

    def ready(self):
        return docker("version")

    def __enter__(self):
        super().__enter__()
        for tag, parts in BASES.items():
            build(tag, *parts)
        return self


class NodeRegistry(Registry):
    """Where nodes pull from."""

    host = f"{NAME}:80"

    def __enter__(self):
        super().__enter__()
        for name, parts in images().items():
            build(f"{NAME}/{name}", *parts)
            push(f"{NAME}/{name}")
        return self


def docker(*words):
    done = subprocess.run([need("docker"), *words], capture_output=True, text=True, timeout=BUILD_SECONDS)
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def build(tag, name, files, arguments):
    """Of what has not changed the engine has all layers."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(IMAGES / name, folder, dirs_exist_ok=True)
        for path, source in files.items():
            if not pathlib.Path(source).exists():
                raise Unavailable(f"{source} is missing: ./dev pods makes it")
            shutil.copy2(source, pathlib.Path(folder, path))
        docker("build", "--tag", tag, *(f"--build-arg={key}={value}" for key, value in arguments.items()), folder)


def push(tag):
    docker("push", tag)
