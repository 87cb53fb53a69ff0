"""KEDA's own scalers, and what they and the server answer to one trigger, in the same terms."""

import dataclasses
import json
import subprocess

import grpc

# The codes of a mistake in the metadata, and of a source that cannot be measured; any other is a mistake of ours.
REFUSALS = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE}


@dataclasses.dataclass(frozen=True)
class Trigger:
    """Of a ScaledObject: `env` are keys that it says as KEYFromEnv, `auth` those of its TriggerAuthentication."""

    type: str
    metadata: dict
    env: dict = dataclasses.field(default_factory=dict)
    auth: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the HPA gets: with three decimals, as KEDA rounds every number."""

    metric: str
    target: float
    value: float
    active: bool


@dataclasses.dataclass(frozen=True)
class Refused:
    why: str  # None: not recorded


class Keda:
    """build/keda/keda, which ./dev builds out of KEDA's module."""

    def __init__(self, path):
        self.child = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self):
        self.child.stdin.close()
        self.child.stdout.close()
        self.child.wait(20)

    def fetch(self, trigger, calls=1):
        """The last of several calls of one scaler counts: some compare with what they saw before."""
        names = {f"{key}FromEnv": f"THE_{key}" for key in trigger.env}
        question = {"type": trigger.type, "metadata": {**trigger.metadata, **names},
                    "env": {names[f"{key}FromEnv"]: value for key, value in trigger.env.items()},
                    "auth": trigger.auth, "calls": calls}
        self.child.stdin.write(json.dumps(question) + "\n")
        self.child.stdin.flush()
        found = json.loads(self.child.stdout.readline())
        if "error" in found:
            return Refused(found["error"])
        return Answer(found["metric"], found["target"], found["value"], found["active"])


def fetch_from_server(client, trigger):
    """KEDA resolves what is from the environment, and forwards no TriggerAuthentication: that stands in the trigger."""
    metadata = {"scaler": trigger.type, **trigger.metadata, **trigger.auth,
                **{f"{key}FromEnv": value for key, value in trigger.env.items()}}
    spec = client.metric_spec(metadata)
    refused = [refusal for refusal in (_refusal(client.metrics, metadata), _refusal(client.is_active, metadata))
               if refusal]
    if refused:
        assert len(refused) == 2, f"only one of GetMetrics and IsActive refused: {refused}"
        return refused[0]
    found = client.metrics(metadata)
    assert found.metricValueFloat <= found.metricValue < found.metricValueFloat + 1
    return Answer(spec.metricName, round(spec.targetSizeFloat, 3), round(found.metricValueFloat, 3),
                  client.is_active(metadata))


def _refusal(call, metadata):
    try:
        call(metadata)
    except grpc.RpcError as error:
        assert error.code() in REFUSALS, f"{error.code()}: {error.details()}"
        return Refused(error.details())
    return None
