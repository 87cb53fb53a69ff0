"""The workflows for GitHub: valid, with few rights, and with actions that nobody can exchange."""

import json
import pathlib
import re
import subprocess

import pytest
import yaml

from support.process import need
from support.server.server import REPOSITORY

FOLDER = pathlib.Path(REPOSITORY, ".github", "workflows")
WORKFLOWS = sorted(path.name for path in FOLDER.glob("*.yml"))


def jobs(name):
    return yaml.safe_load((FOLDER / name).read_text())["jobs"].items()


def test_actionlint_finds_nothing():
    found = subprocess.run([need("actionlint"), "-no-color", "-shellcheck", need("shellcheck"), *WORKFLOWS], cwd=FOLDER,
                           capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned(name):
    for used, version in re.findall(r"uses: (\S+)(.*)", (FOLDER / name).read_text()):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used) and re.fullmatch(r" # v\d+\.\d+\.\d+", version), used


@pytest.mark.parametrize("name", WORKFLOWS)
def test_rights_are_few(name):
    workflow = yaml.safe_load((FOLDER / name).read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job, steps in jobs(name):
        allowed = {"contents": "read"}
        if name == "release.yml" and job in ("build", "publish"):
            allowed["packages"] = "write"
        if name == "release.yml" and job == "publish":
            allowed["id-token"] = "write"
        assert steps.get("permissions", {"contents": "read"}) == allowed, job
        assert steps["timeout-minutes"], job


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_registry_is_named_and_no_secret_is_in_a_command(name):
    text = (FOLDER / name).read_text()
    assert not re.search(r"\b(ghcr|quay|docker|gcr)\.io\b", text)
    for _, job in jobs(name):
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), "what comes from outside goes through env"


def test_tests_run_in_the_debian_of_the_image():
    base = re.search(r"^ARG BASE=(debian:\d+)-slim@", pathlib.Path(REPOSITORY, "Dockerfile").read_text(), re.MULTILINE)[1]
    assert {job["container"]["image"] for name in ("test.yml", "nightly.yml") for _, job in jobs(name)} == {base}


def test_both_architectures_are_built_tested_and_published():
    for name, job in (("test.yml", "image"), ("release.yml", "build")):
        matrix = str(dict(jobs(name))[job]["strategy"]["matrix"])
        assert "ubuntu-24.04'" in matrix and "ubuntu-24.04-arm'" in matrix
    assert "'architecture': 'amd64'" in matrix and "'architecture': 'arm64'" in matrix


def test_what_the_image_is_built_of_cannot_be_exchanged():
    dockerfile = pathlib.Path(REPOSITORY, "Dockerfile").read_text()
    assert re.search(r"^ARG BASE=debian:\d+-slim@sha256:[0-9a-f]{64}$", dockerfile, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${BASE}", "scratch"}
    assert all("--require-hashes --only-binary :all:" in line for line in dockerfile.replace("\\\n", "").splitlines()
               if "pip install" in line)
    required = pathlib.Path(REPOSITORY, "tools", "image", "requirements.txt").read_text().replace("\\\n", "")
    for line in required.splitlines():
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==\S+( +--hash=sha256:[0-9a-f]{64})+", line), line
    lock = json.loads(pathlib.Path(REPOSITORY, "src", "web", "package-lock.json").read_text())
    assert all(package["integrity"].startswith("sha512-") for name, package in lock["packages"].items() if name)


def test_a_released_chart_names_the_image_of_its_release():
    script = next(step["run"] for step in dict(jobs("release.yml"))["publish"]["steps"] if "helm package" in step.get("run", ""))
    assert script.index(".image.repository = strenv(IMAGE)") < script.index("helm package")
