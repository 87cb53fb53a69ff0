"""`backlog migrate` on every trigger of the tests beside this one: there and back is the identity, and whatever stays has
a reason."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from support.server.server import REPOSITORY, binary
from support.clients.side_by_side import placed

MODULES = ["test_kafka", "test_metrics_api", "test_nats", "test_postgresql", "test_prometheus", "test_rabbitmq", "test_redis", "test_values"]
MIN_TRIGGERS = 500

# Nothing is asked here: places need only look like some.
PLACES = {
    **{name: "broker:9092" for name in ("bootstrap", "sasl_ssl", "sasl_plaintext", "ssl", "address", "sealed", "client")},
    **{name: "broker:8222" for name in ("monitor", "shop_monitor", "follower", "leader")},
    **{name: "http://broker:9090" for name in ("prometheus", "guarded", "proxy", "tokens", "api", "keyed", "basic", "bearer", "sealed", "user")},
    **{f"{scheme}{user}": f"{scheme}://guest:guest@broker:5672" for scheme in ("amqp", "amqps", "http", "https")
       for user in ("", "_wrong", "_odd")},
    "url": "postgresql://user:password@broker:5432/shop", "port": "6379", "nobody": "6379",
}


def load(name):
    """By its path: other folders have tests of the same name."""
    path = os.path.join(os.path.dirname(__file__), f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"parity_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def triggers():
    """Of all cases of all tables."""
    found = []
    for name in MODULES:
        module = load(name)
        for function in vars(module).values():
            for mark in getattr(function, "pytestmark", []):
                if mark.name == "parametrize" and mark.args[0] == "case":
                    found += [placed(parameter.values[0].trigger, PLACES) for parameter in mark.args[1]]
    return found


def quoted(text):
    return json.dumps(text)


def manifest(number, trigger):
    """As somebody writes it: with a comment, and every other one within brackets."""
    metadata = {**trigger.metadata, **{f"{key}FromEnv": f"THE_{key}" for key in trigger.env}}
    lines = ["apiVersion: keda.sh/v1alpha1", "kind: ScaledObject", f"metadata: {{name: t{number}, namespace: shop}}",
             "spec:"]
    if number % 3 == 0:
        lines += ["  fallback: {failureThreshold: 3, replicas: 6}"]
    lines += ["  triggers:"]
    reference = f"{{name: auth-{number}}}"
    if number % 2:
        keys = ", ".join(f"{key}: {quoted(value)}" for key, value in metadata.items())
        authentication = f", authenticationRef: {reference}" if trigger.auth else ""
        lines += [f"  - {{type: {trigger.type}, metadata: {{{keys}}}{authentication}}} # in one line"]
    else:
        lines += [f"  - type: {trigger.type}   # KEDA's own", "    metadata:",
                  *[f"      {key}:  {quoted(value)}" for key, value in metadata.items()]]
        lines += [f"    authenticationRef: {reference}"] if trigger.auth else []
    if trigger.auth:
        lines += ["---", "kind: TriggerAuthentication", f"metadata: {{name: auth-{number}, namespace: shop}}",
                  "spec:", "  secretTargetRef:",
                  *[f"    - {{parameter: {key}, name: secret-{number}, key: {key}}}" for key in trigger.auth]]
    return "\n".join(lines) + "\n" * (number % 5 != 0)


def migrate(folder, *arguments):
    done = subprocess.run([binary(), "migrate", "--output", "json", *arguments, "."], cwd=folder, capture_output=True,
                          text=True, timeout=300)
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def contents(folder):
    return {name: (folder / name).read_bytes() for name in sorted(os.listdir(folder)) if name.startswith("t")}


@pytest.fixture
def folder(tmp_path):
    for number, trigger in enumerate(triggers()):
        (tmp_path / f"t{number}.yaml").write_text(manifest(number, trigger))
    return tmp_path


@pytest.mark.parametrize("more", [(), ("--authentication", "backlog")], ids=["plain text", "mtls"])
def test_there_and_back_is_the_identity(folder, more):
    before = contents(folder)
    assert len(before) >= MIN_TRIGGERS
    lines = migrate(folder, "--write", *more)
    after = contents(folder)
    moved = {name for name in before if before[name] != after[name]}
    stays = {os.path.basename(line["path"]): line["text"] for line in lines if line.get("level") == "error"}
    assert moved | set(stays) == set(before), "each moves, or has a reason"
    assert not moved & set(stays)
    assert len(moved) > len(before) * 0.7
    migrate(folder, "--back", "--write", *more)
    assert contents(folder) == before


@pytest.mark.parametrize("more", [(), ("--authentication", "backlog")], ids=["plain text", "mtls"])
def test_moved_triggers_have_no_mistakes(folder, more):
    migrate(folder, "--write", *more)
    done = subprocess.run([binary(), "check", "--output", "json", "."], cwd=folder, capture_output=True, text=True,
                          timeout=300)
    errors = [line for line in map(json.loads, done.stdout.splitlines()) if line.get("level") == "error"]
    assert not errors


def test_the_manifests_of_this_project_go_there_and_back(tmp_path):
    """Those in examples, charts and tests that are whole manifests."""
    names = subprocess.run(["git", "ls-files", "*.yaml", "*.yml"], cwd=REPOSITORY, capture_output=True, text=True,
                           check=True).stdout.split()
    for number, name in enumerate(names):
        with open(os.path.join(REPOSITORY, name), "rb") as file:
            (tmp_path / f"t{number}.yaml").write_bytes(file.read())
    before = contents(tmp_path)
    migrate(tmp_path, "--write")
    after = contents(tmp_path)
    for name, text in before.items():
        if after[name] == text or b"external" in text:  # the way back is also that of what was Backlog's before
            os.unlink(tmp_path / name)
    moved = contents(tmp_path)
    assert moved
    migrate(tmp_path, "--back", "--write")
    assert contents(tmp_path) == {name: before[name] for name in moved}
