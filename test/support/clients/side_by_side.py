"""Tables of what a source holds, and what KEDA's scaler and ours answer to it."""

import dataclasses
import os
import re
import string

import pytest

from .keda import Answer, Refused, Trigger, fetch_from_server
from ..server.server import REPOSITORY

REFUSED = Refused("")
ANSWERED = "answered"  # whatever it was


@dataclasses.dataclass(frozen=True)
class Case:
    """`keda` and `ours` are (value, active), or Refused with words of the error: else anything could be the reason.

    Where either of several errors is right, Refused has a tuple of their words.

    Texts of a trigger may have $places, such as $address.
    """

    state: str
    trigger: Trigger
    keda: object
    ours: object
    because: str = ""  # where they differ: a sentence of the reference
    server: Trigger = None  # where the server is asked in other words
    names_differ: bool = False  # the metric's name or target is a part of the difference
    calls: int = 1


def alike(state, trigger, value, active=None, **more):
    """Both give this value, and are active where it is above 0 unless `active` is given."""
    answer = (value, value > 0 if active is None else active)
    return Case(state, trigger, keda=answer, ours=answer, **more)


def both_refuse(state, trigger, words, **more):
    """`words` (or a tuple of alternatives) are KEDA's; which ones are ours is a matter of other tests."""
    return Case(state, trigger, keda=Refused(words), ours=REFUSED, **more)


def differs(state, trigger, keda, ours, because, **more):
    """Not (or no longer) to differ is a failure, too: then the reference is wrong."""
    assert keda != ours or more.get("names_differ"), f"{state}: that is no difference"
    return Case(state, trigger, keda=keda, ours=ours, because=because, **more)


def each(cases):
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.state) for case in cases])


def compare(case, keda, client, places):
    theirs = keda.fetch(placed(case.trigger, places), case.calls)
    ours = fetch_from_server(client, placed(case.server or case.trigger, places))
    assert _is(theirs, case.keda), f"KEDA: {theirs}; ours: {ours}"
    assert _is(ours, case.ours), f"ours: {ours}; KEDA: {theirs}"
    if isinstance(theirs, Answer) and isinstance(ours, Answer) and not case.names_differ:
        assert (ours.metric, ours.target) == (theirs.metric, theirs.target)
    if case.because:
        assert case.because in reference(case.trigger.type), "the reference does not say so"


def _is(answer, expected):
    if isinstance(answer, Refused):
        return isinstance(expected, Refused) and (answer.why is None or any(words in answer.why for words in _alternatives(expected.why)))
    return expected == ANSWERED or (answer.value, answer.active) == expected


def _alternatives(why):
    return why if isinstance(why, tuple) else (why,)


def placed(trigger, places):
    def put(texts):
        return {key: string.Template(text).safe_substitute(places) for key, text in texts.items()}

    return Trigger(trigger.type, put(trigger.metadata), put(trigger.env), put(trigger.auth))


def reference(scaler):
    """What scalers/README.md says of a scaler."""
    with open(os.path.join(REPOSITORY, "scalers", "README.md")) as file:
        sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", file.read(), re.M | re.S))
    return sections[scaler]
