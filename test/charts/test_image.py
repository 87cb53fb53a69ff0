"""The image that the chart runs: what of its Dockerfile can be checked without a container engine."""

import json
import pathlib
import platform
import re
import subprocess

from support.chart import pod_of, render
from support.process import need
from support.server import REPOSITORY

DOCKERFILE = pathlib.Path(REPOSITORY, "Dockerfile").read_text()
NOT_LINKED = {"libc6-dev", "libcmocka-dev"}  # always there; for tests alone


def libraries():
    """The packages of libraries that ./dev builds with."""
    packages = re.findall(r"^build +(z?lib\S+-dev) ", pathlib.Path(REPOSITORY, "dev").read_text(), re.MULTILINE)
    assert len(packages) > 10
    return sorted(set(packages) - NOT_LINKED)


def dependencies(package):
    listed = subprocess.run([need("dpkg-query"), "--show", "--showformat", "${Depends}", package], check=True,
                            stdout=subprocess.PIPE, text=True)
    return set(re.findall(r"[a-z0-9][a-z0-9.+-]+(?= |,|$)", listed.stdout))


def without_version(package):
    return re.sub(r"[0-9.-]+(t64)?$", "", package)


def test_the_image_has_every_library_that_the_program_is_built_with():
    release = re.search(r"^FROM debian:(\w+)", DOCKERFILE, re.MULTILINE)[1]
    is_here = platform.freedesktop_os_release().get("VERSION_CODENAME") == release
    name = str if is_here else without_version  # other releases have other versions
    installed = set(re.search(r"--no-install-recommends(.*?)&&", DOCKERFILE, re.DOTALL)[1].split())
    for package in libraries():
        linked = map(name, dependencies(package))
        assert set(linked) & set(map(name, installed)), f"what {package} is linked with is not in the image"


def test_the_image_is_what_the_chart_runs():
    pod = pod_of(render())
    user = pod["securityContext"]["runAsUser"]
    assert re.search(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)[1] == f"{user}:{user}"
    assert json.loads(re.search(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE)[1]) == ["backlog"]
    assert pod["containers"][0]["args"][0] == "serve"
