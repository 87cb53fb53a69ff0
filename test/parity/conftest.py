"""KEDA's answers: of its scalers, where BACKLOG_KEDA names the program that runs them, as ./dev test parity does; in CI those that it
gave then, which are in recorded.json."""

import hashlib
import json
import os

import pytest

from support.clients.grpc_client import Client
from support.clients.keda import Answer, Keda, Refused
from support.process import Unavailable
from support.server.server import Server

FOLDER = os.path.dirname(__file__)
RECORDED = os.path.join(FOLDER, "recorded.json")
NEEDED = "run ./dev test parity, and commit test/parity/recorded.json"


def sum_of_program():
    """Of what decides which answers KEDA gives."""
    found = hashlib.sha256()
    for name in ("go.mod", "main.go", "poll.go"):
        with open(os.path.join(FOLDER, name), "rb") as file:
            found.update(file.read())
    return found.hexdigest()


def read_recorded():
    """Answers by test; none, if they are of another program."""
    with open(RECORDED) as file:
        recorded = json.load(file)
    return recorded["answers"] if recorded["sha256"] == sum_of_program() else {}


def write_recorded(answers):
    lines = ",\n".join(f"  {json.dumps(test)}: {json.dumps(answer)}" for test, answer in sorted(answers.items()))
    with open(RECORDED, "w") as file:
        file.write(f'{{"sha256": "{sum_of_program()}", "answers": {{\n{lines}\n}}}}\n')


class Asked:
    """KEDA, for one test, which asks it once. What a refusal says differs from run to run, so it is not recorded."""

    def __init__(self, item, program, recorded):
        self.item, self.program, self.recorded = item, program, recorded
        self.test = f"{item.path.name}::{item.name}"

    def fetch(self, trigger, calls=1):
        if self.program is None:
            if self.test not in self.recorded:
                pytest.fail(f"no answer of KEDA is recorded: {NEEDED}")
            answer = self.recorded[self.test]
            return Refused(None) if answer is None else Answer(*answer)
        found = self.program.fetch(trigger, calls)
        answer = None if isinstance(found, Refused) else [found.metric, found.target, found.value, found.active]
        recorded = self.recorded.get(self.test, answer)
        assert answer == recorded, f"KEDA: {found}; recorded: {recorded}. If the test has changed, delete its line of recorded.json"
        self.item.user_properties.append(("keda", (self.test, answer)))
        return found


answers = {}  # of this run's tests that passed


def pytest_runtest_logreport(report):
    if report.when == "call" and report.passed:
        answers.update(value for name, value in report.user_properties if name == "keda")


def pytest_sessionfinish(session):
    """Also after a failure: the test that failed is without an answer then, and so fails in CI."""
    if answers and not hasattr(session.config, "workerinput"):
        write_recorded({**read_recorded(), **answers})


@pytest.fixture(scope="session")
def recorded():
    return read_recorded()


@pytest.fixture(scope="session")
def program():
    """Or None."""
    path = os.environ.get("BACKLOG_KEDA")
    if path is None:
        yield None
        return
    keda = Keda(path)
    yield keda
    keda.close()


@pytest.fixture
def keda(request, program, recorded):
    return Asked(request.node, program, recorded)


@pytest.fixture
def live_keda(program):
    if program is None:
        raise Unavailable("KEDA's scalers are not built: run ./dev test parity")
    return program


@pytest.fixture(scope="module")
def client():
    with Server() as server, Client(server.port) as client:
        yield client
