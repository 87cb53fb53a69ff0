"""A client without credentials claims any namespace, name and metadata. Whatever it floods the server with, the triggers that others use
are answered, and rightly, and each connection of the connections file has its place.

Shorter than test/attacks/run, which prints the figures.
"""

import os

import pytest

from attacks.attacks import title
from attacks.strangers import IN_USE, LATE_POSTGRESQL, LATE_REDIS, SMALL_TABLE, STRANGERS, beside, new_triggers_for_a_small_table

SECONDS = 4
SOME = 100  # triggers of the flood, on a machine that is busy with agents
# Three times what was measured of the server, and of its agent processes.
GROWTH_MIB, AGENTS_GROWTH_MIB = 180, 420
SANITIZED_GROWTH_MIB, SANITIZED_AGENTS_GROWTH_MIB = 1100, 2500
MOST_AGENTS = 64 + 4  # one that ends may still be there
MOST_CONNECTIONS = 1024
MOST_DESCRIPTORS = 3000


@pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)
@pytest.mark.parametrize("attack", STRANGERS, ids=title)
def test_a_flood_of_a_stranger_harms_no_trigger_in_use(transport, attack, monkeypatch):
    """A sanitizer keeps what was freed: here not so much that it looks like growth."""
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8")
    outcome = beside(attack, SECONDS)
    print({name: value for name, value in vars(outcome).items() if not isinstance(value, list)})
    assert outcome.calls > IN_USE and outcome.triggers > IN_USE + SOME
    assert not outcome.failures and not outcome.wrong and outcome.evicted == 0
    assert outcome.late_calls == LATE_REDIS + LATE_POSTGRESQL and not outcome.late
    assert outcome.growth_mib <= (SANITIZED_GROWTH_MIB if outcome.is_sanitized else GROWTH_MIB)
    assert outcome.agents_growth_mib <= (SANITIZED_AGENTS_GROWTH_MIB if outcome.is_sanitized else AGENTS_GROWTH_MIB)
    assert outcome.agents <= MOST_AGENTS and outcome.connections <= MOST_CONNECTIONS and outcome.descriptors <= MOST_DESCRIPTORS
    if attack is new_triggers_for_a_small_table:
        assert outcome.triggers <= SMALL_TABLE
