"""No client can bring the nghttp2 transport down, nor keep others from their answers.

Shorter than test/attacks/run, which prints the figures: enough to see that a limit is gone.
"""

import os

import pytest

from attacks.attacks import ATTACKS, refused_requests, title
from attacks.ordeal import attacked
from support.server.server import Server

SECONDS = 2
GROWTH_MIB = 64
REFUSED_GROWTH_MIB = 32  # 250 connections
P99_MS = 50
SANITIZED_P99_MS = 250  # it takes several times as long, on a machine that runs other tests


@pytest.fixture(scope="module")
def server(transport):
    """A sanitizer keeps what was freed: here not so much that it looks like growth."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8")
        with Server() as running:
            yield running


@pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)
@pytest.mark.parametrize("attack", ATTACKS, ids=title)
def test_an_attack_affects_no_other_client(server, attack):
    outcome = attacked(server, attack, SECONDS)
    assert outcome.growth_mib <= (REFUSED_GROWTH_MIB if attack is refused_requests else GROWTH_MIB)
    assert outcome.calls > 100 and outcome.lost == 0
    assert outcome.p99_ms <= (SANITIZED_P99_MS if server.is_sanitized() else P99_MS)
    assert outcome.back_ms is not None and outcome.back_ms <= 1000
