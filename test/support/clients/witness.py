"""Witnesses of a fault: each calls for one trigger without a pause, records the answers and when they came, and judges them by
what was known then."""

import contextlib
import json
import re
import threading
import time
import typing
import urllib.request

import grpc

from ..process import wait_until
from ..brokers.sources import BUSY, WAITING

INTERVAL_SECONDS = 0.3
DEADLINE_SECONDS = 2  # of a measurement, and of connecting
HOLD_SECONDS = 8  # it begins with the first call that nothing answers, which waits for up to 5 s by itself
CALL_SECONDS = 5
BACK_OFF_SECONDS = 5  # the longest
NOISE_SECONDS = 1.5  # of a busy machine
PAUSE_SECONDS = 0.1

# Some of a measurement's answers may have come before; these are missed by the next one.
NOTICE_SECONDS = INTERVAL_SECONDS + 2 * DEADLINE_SECONDS + NOISE_SECONDS
FAULT_SECONDS = NOTICE_SECONDS + HOLD_SECONDS + 1  # past the hold, too
RECOVERY_SECONDS = BACK_OFF_SECONDS + DEADLINE_SECONDS + NOISE_SECONDS


class Call(typing.NamedTuple):
    began: float
    ended: float
    answer: object  # None: it was refused
    code: grpc.StatusCode = None
    why: str = ""


class Observer:
    """Looks again and again, on a thread of its own."""

    def __init__(self):
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def run(self):
        while not self.stopping.wait(PAUSE_SECONDS):
            self.look()


class Witness(Observer):
    """Of what is answered for a source's queue, by both calls in turn."""

    def __init__(self, client, source, queue, host):
        super().__init__()
        self.client = client
        self.queue, self.host = queue, host
        self.name = f"{source.name}-{queue}"
        self.metadata = source.metadata(queue, host)
        self.hold = HOLD_SECONDS if queue == BUSY else 0
        self.calls = []

    def look(self):
        count = WAITING[self.queue]
        self.fetch(count, lambda: self.client.metrics(self.metadata, "", name=self.name).metricValue)
        self.fetch(count > 0, lambda: self.client.is_active(self.metadata, name=self.name))

    def fetch(self, truth, call):
        """The answer is kept as whether it is the truth."""
        began = time.monotonic()
        try:
            answer = call() == truth
            self.calls.append(Call(began, time.monotonic(), answer))
        except grpc.RpcError as error:
            self.calls.append(Call(began, time.monotonic(), None, error.code(), error.details()))

    def first(self, was, since=0):
        return next((call for call in self.calls if call.began >= since and was(call)), None)

    def is_back(self, since):
        return self.first(lambda call: call.answer, since) is not None

    def counted(self):
        """Until its source has answered for the first time there is nothing to hold."""
        first = self.first(lambda call: call.answer)
        return [call for call in list(self.calls) if call.answer is not None or (first and call.began > first.began)]

    def was_refused(self):
        return any(call.answer is None for call in self.counted())

    def complaints(self, failed, healed):
        """What was wrong, where a fault began and ended then."""
        if not self.is_back(healed):
            yield f"{self.name} did not come back"
            return
        back = self.first(lambda call: call.answer, healed).began
        for call in self.counted():
            wrong = self._wrong(call, failed, healed, back)
            if wrong:
                yield f"{self.name}, {call.began - failed:.2f} s after the fault began, {wrong}: {call}"

    def _wrong(self, call, failed, healed, back):
        refused = call.answer is None
        in_fault = failed + self.hold + NOTICE_SECONDS < call.began and call.ended < healed
        if call.ended - call.began > CALL_SECONDS + NOISE_SECONDS:
            return "took too long"
        if call.answer is False:
            return "a wrong value, or wrongly active"
        if refused and call.code != grpc.StatusCode.UNAVAILABLE:
            return "refused with another code"
        if refused and call.ended < failed + self.hold:
            return "refused too soon"
        if in_fault and not refused:
            return "answered, and nobody could know"
        if in_fault and not self._explains(call, failed):
            return "refused without what is wrong, or since when"
        if refused and call.began > healed + RECOVERY_SECONDS:
            return "refused still"
        if refused and call.began > back:
            return "refused again"
        return None

    def _explains(self, call, failed):
        """It began to fail after the fault began, and a hold before the first refusal."""
        failing = call.ended - next(call for call in self.counted() if call.answer is None).ended + self.hold
        since = re.search(r" \(failing since (?:.*T)?(\d+):(\d+):(\d+)Z\)$", call.why)
        if since is None:
            return False
        ended = time.time() - (time.monotonic() - call.ended)
        hours, minutes, whole = map(int, since.groups())
        seconds = (ended - 3600 * hours - 60 * minutes - whole) % 86400
        names_it = re.search(rf"{re.escape(self.host)}| answer|Kafka group workers", call.why)
        return names_it and failing - 1.5 < seconds <= call.ended - failed + 1


class Onlooker(Observer):
    """Of what the server says of its triggers: {trigger: in which states it was seen}."""

    def __init__(self, server):
        super().__init__()
        self.url = f"http://127.0.0.1:{server.http_port}/api/triggers"
        self.seen = {}

    def look(self):
        with contextlib.suppress(OSError), urllib.request.urlopen(self.url, timeout=CALL_SECONDS) as page:
            for trigger in json.load(page)["triggers"]:
                self.seen.setdefault(trigger["name"], set()).add(trigger["now"]["state"])


class Court:
    """The witnesses of all sources, from the first answer of each on."""

    def __init__(self, stack, server, client, sources, host):
        self.witnesses = [stack.enter_context(Witness(client, source, queue, host))
                          for source in sources for queue in WAITING]
        self._wait_for_all(0, 30)
        self.onlooker = stack.enter_context(Onlooker(server))
        time.sleep(2 * INTERVAL_SECONDS)

    def _wait_for_all(self, since, seconds):
        wait_until(lambda: all(witness.is_back(since) for witness in self.witnesses), seconds, "an answer of all")

    def evaluate(self, failed, healed):
        """Once all are back, or should be; after a little longer than it takes to measure again."""
        with contextlib.suppress(TimeoutError):  # who is not is among the complaints
            self._wait_for_all(healed, RECOVERY_SECONDS)
        time.sleep(3 * INTERVAL_SECONDS)
        complaints = [list(witness.complaints(failed, healed)) for witness in self.witnesses]
        such_as = [text for of_witness in complaints for text in of_witness[:3]]
        assert not such_as, f"{sum(map(len, complaints))} complaints, such as\n" + "\n".join(such_as)

    def refused(self):
        return {witness.name for witness in self.witnesses if witness.was_refused()}

    def held(self):
        """Those that were explained so."""
        return {name for name, states in self.onlooker.seen.items() if "held" in states}

    def busy(self):
        return {witness.name for witness in self.witnesses if witness.queue == BUSY}


@contextlib.contextmanager
def court(server, client, sources, host="127.0.0.1"):
    with contextlib.ExitStack() as stack:
        yield Court(stack, server, client, sources, host)
