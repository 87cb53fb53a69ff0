"""KEDA's problems, by tests of KEDA's own packages: a test here fails when KEDA has solved one. See README.md."""

import os
import re
import subprocess

import pytest

from support.process import Unavailable
from support.server.server import REPOSITORY

FOLDER = os.path.join(REPOSITORY, "build", "upstream")
TIMES = 20
PROBLEMS = {
    "TestWorkersStayWhenTheCacheIsClosedDuringAPoll": "every answer was an error, and the workers were scaled from 8 to 0",
    "TestWorkersStayWhenTheCacheIsClosedBeforeAPoll": "its list of scalers was empty, and the workers were scaled from 8 to 0",
    "TestAPushStreamOutlivesAnError": "it closed the connection under an open push stream",
    "TestTheDelayOfAStreamStartsAgain": "it waits 2s after the first loss of a stream, and 4s after the next",
    "TestAnEventSaysWhyGetMetricSpecFailed": "the event says \"Warning KEDAScalerFailed got empty metric spec\"",
    "TestFallbackToTheCurrentReplicasLeavesNone": "fallback to the current replicas, which were 0, started 1",
    "TestDNSIsAskedAgainWhenCallsFail": "calls failed after the server had moved, and DNS was asked 0 times meanwhile",
    "TestTheFirstNotificationScales": "the first notification of a new ScaledObject was dropped",
    "TestAScaledJobWithTwoStreamsDoesNotPanic": "send on closed channel",
    "TestNotificationsOfATriggerThatWasAwayScale": "notifications of a trigger that is back are dropped",
    "TestTheHPAKeepsTheMetricOfATriggerThatIsAway": "had the metrics [s0-jobs s1-jobs], and has [s1-jobs]",
}
PATCHED = ["TestWorkersStayWhenTheCacheIsClosedDuringAPoll", "TestWorkersStayWhenTheCacheIsClosedBeforeAPoll",
           "TestTheHPAKeepsTheMetricOfATriggerThatIsAway"]

HELPS = ["TestAStreamOfMetricSpecsRepairs"]  # what Backlog relies on


def run(program, test):
    path = os.path.join(FOLDER, program)
    if not os.path.exists(path):
        raise Unavailable(f"{path} is not built: ./dev test upstream")
    found = subprocess.run([path, f"-test.run=^{test}$", "-test.v", f"-test.parallel={TIMES}"], cwd=FOLDER, capture_output=True,
                           text=True, timeout=170)
    output = found.stdout + found.stderr
    print(output)
    assert "the test is wrong" not in output
    return output


def run_repeatedly(program, test):
    """The output, and how many of the repetitions failed and passed."""
    output = run(program, test)
    return output, *(len(re.findall(rf"^ +--- {result}: {test}/\d+ ", output, re.MULTILINE)) for result in ("FAIL", "PASS"))


@pytest.mark.parametrize("test", PROBLEMS)
def test_the_problem_is_there_each_time(test):
    output, failed, passed = run_repeatedly("tests", test)
    assert (failed, passed) == (TIMES, 0), "KEDA may have solved it: docs/upstream/README.md says what to do then"
    assert output.count(PROBLEMS[test]) == TIMES


@pytest.mark.parametrize("test", PATCHED)
def test_the_patch_solves_it(test):
    _, failed, passed = run_repeatedly("patched", test)
    assert (failed, passed) == (0, TIMES)


@pytest.mark.parametrize("test", HELPS)
def test_what_helps(test):
    _, failed, passed = run_repeatedly("tests", test)
    assert (failed, passed) == (0, TIMES)


def lost(program):
    """By errors, and by held values."""
    return tuple(map(int, re.search(r"of 300 each, (\d+) lost their workers by errors and (\d+) by held", run(program, "TestOutage")).groups()))


def test_the_provoked_race_loses_workers_by_errors_and_none_by_held_values():
    by_errors, by_values = lost("provoked")
    assert by_errors >= 30
    assert by_values == 0


def test_the_patch_keeps_them_in_the_provoked_race():
    assert lost("patched") == (0, 0)
