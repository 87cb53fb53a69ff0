import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from support.process import Unavailable  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """What this machine does not have skips a test aloud; where CI is set it is a failure."""
    outcome = yield
    _skip_or_fail(outcome)


@pytest.hookimpl(hookwrapper=True)
def pytest_fixture_setup(fixturedef, request):
    outcome = yield
    _skip_or_fail(outcome)


def _skip_or_fail(outcome):
    error = outcome.excinfo and outcome.excinfo[1]
    if isinstance(error, Unavailable):
        if os.environ.get("CI"):
            pytest.fail(f"must not be skipped in CI: {error}")
        pytest.skip(str(error))
