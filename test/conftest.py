import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from support.process import Unavailable  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "first: of the broker and protocol tests, those that ./dev test runs: values, a fault, push and credentials of each source; calls, streams, TLS, reloads, limits and the end")
    config.addinivalue_line("markers", "nightly: what ./dev nightly runs and CI leaves out")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    return (yield from _skip_aloud())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    return (yield from _skip_aloud())


def _skip_aloud():
    """What this machine does not have skips a test aloud; where CI is set it is a failure."""
    try:
        return (yield)
    except Unavailable as error:
        if os.environ.get("CI"):
            pytest.fail(f"must not be skipped in CI: {error}")
        pytest.skip(str(error))
