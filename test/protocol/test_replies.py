"""No source can bring the server down, nor take much of its memory, nor keep others from being measured.

Memory is measured, so that the server is the release build: a sanitizer keeps what was freed.
"""

import os

import pytest

from attacks.replies import HELD, SOURCES
from attacks.suffering import attacked, held, silenced
from support.process import Unavailable

SECONDS = 0.6
SILENT_SECONDS = 3
GROWTH_MIB = 32
TOGETHER_MIB = 112  # 48 MiB of replies, what malloc and libraries add, and the connections themselves
worst = {}
pytestmark = pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)  # that of the callers says nothing here


@pytest.fixture(scope="module")
def program():
    path = os.environ.get("BACKLOG_RELEASE")
    if not path or not os.access(path, os.X_OK):
        raise Unavailable("BACKLOG_RELEASE names no release build (./dev build release)")
    yield path
    for source, (growth, reply) in worst.items():
        print(f"{source}: {growth:.1f} MiB ({reply})")


def check(source, reply, outcome):
    worst[source.name] = max(worst.get(source.name, (0, "")), (outcome.growth_mib, reply))
    assert outcome.connections > 0 and outcome.sent_mib > 0
    assert outcome.growth_mib <= GROWTH_MIB
    assert outcome.calls > 0 and not outcome.failures


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_source_that_falls_silent_after_any_byte_affects_no_other(program, transport, source):
    count, outcome = silenced(program, source, SILENT_SECONDS)
    check(source, "silence", outcome)
    assert outcome.connections >= count


@pytest.mark.parametrize("source,reply", [(source, reply) for source in SOURCES for reply in source.hostile],
                         ids=lambda value: getattr(value, "name", None) or value.title)
def test_a_hostile_reply_costs_little_and_affects_no_other(program, transport, source, reply):
    check(source, reply.title, attacked(program, source, reply, SECONDS))


@pytest.mark.parametrize("name,trigger,script,triggers", HELD, ids=[row[0] for row in HELD])
def test_many_connections_of_one_namespace_take_little_together(program, transport, name, trigger, script, triggers):
    outcome = held(program, trigger, script, 64, triggers, SILENT_SECONDS)  # --max-inline's default
    print(f"{name}: {outcome.growth_mib:.1f} MiB")
    assert outcome.growth_mib <= TOGETHER_MIB
    assert outcome.calls > 0 and not outcome.failures
