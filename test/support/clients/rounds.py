"""KEDA's rounds over many triggers at a time: GetMetrics, then IsActive, of each."""

import time
import typing

import grpc

from ..process import wait_until
from .grpc_client import messages, scaled_object


class Answer(typing.NamedTuple):
    value: float | None  # None: an error
    active: bool | None
    error: str
    seconds: float  # that GetMetrics took


def fetch_all(client, triggers, seconds=20):
    """One round of all triggers at once; each is its own ScaledObject."""
    began = time.monotonic()
    ended = {}
    calls = []
    for i, metadata in enumerate(triggers):
        reference = scaled_object(metadata, name=f"object-{i}")
        call = client.stub.GetMetrics.future(messages.GetMetricsRequest(scaledObjectRef=reference), timeout=seconds)
        call.add_done_callback(lambda _, i=i: ended.setdefault(i, time.monotonic()))
        calls.append(call)
    answers = []
    for i, (call, metadata) in enumerate(zip(calls, triggers)):
        value, active, error = None, None, ""
        try:
            value = call.result().metricValues[0].metricValueFloat
        except grpc.RpcError as failure:
            error = f"{failure.code().name}: {failure.details()}"
        answers.append([value, active, error, ended.get(i, time.monotonic()) - began])
    checks = [client.stub.IsActive.future(scaled_object(metadata, name=f"object-{i}"), timeout=seconds)
              for i, metadata in enumerate(triggers)]
    for answer, check in zip(answers, checks):
        try:
            answer[1] = check.result().result
        except grpc.RpcError:
            answer[1] = None
    return [Answer(*answer) for answer in answers]


def rounds(client, triggers, count, every_seconds=5):
    """So many rounds, one behind the other, each a while after the one before began."""
    for i in range(count):
        began = time.monotonic()
        yield fetch_all(client, triggers)
        if i < count - 1:
            time.sleep(max(0, began + every_seconds - time.monotonic()))


def wait_for_readings(client, triggers):
    """Of all. On a slow machine a first round is over before all are measured."""
    wait_until(lambda: not errors(fetch_all(client, triggers)), 120, "readings of all")


def errors(answers):
    """What failed, and how often, for a message."""
    found = {}
    for answer in answers:
        if answer.value is None:
            found[answer.error] = found.get(answer.error, 0) + 1
    return found
