"""What a trigger's metadata may have, and the errors that KEDA gets."""

import random

import grpc
import pytest

from support.clients.grpc_client import grpcurl_call, messages, refusal, scaled_object
from support.clients.triggers import UNREACHABLE

SECRET = "a-very-secret-thing"


def without(metadata, *keys):
    return {key: value for key, value in metadata.items() if key not in keys}


def assert_both_refuse(client, metadata):
    """GetMetrics and IsActive refuse alike; returns what they say."""
    code, text = refusal(client.metrics, metadata, metric_name="any")
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert refusal(client.is_active, metadata) == (code, text)
    return text


@pytest.mark.first
def test_a_spec_comes_from_the_metadata_alone(client):
    spec = client.metric_spec(UNREACHABLE)
    assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == ("rabbitmq-orders", 5, 5.0)


@pytest.mark.first
def test_a_target_that_is_no_integer_is_rounded_up_in_the_old_field(client):
    spec = client.metric_spec({**UNREACHABLE, "value": "2.5"})
    assert (spec.targetSize, spec.targetSizeFloat) == (3, 2.5)


@pytest.mark.first
def test_an_unknown_scaler_is_named_with_those_there_are_and_its_spec_never_fails(client):
    metadata = {"scaler": "rabitmq"}
    text = assert_both_refuse(client, metadata)
    assert "rabitmq" in text and "rabbitmq" in text and "kafka" in text and "nats-jetstream" in text
    spec = client.metric_spec(metadata)
    assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == ("backlog-invalid", 1, 1.0)


def test_rules_that_do_not_need_the_connection_are_applied_without_it(client):
    """Whatever is missing of the connection: both mistakes are reported at once."""
    text = assert_both_refuse(client, {"scaler": "redis", "connectionName": "missing", "listName": "l", "keys": "a,b"})
    assert "set one of listName and keys" in text and '"missing" is not in the connections file' in text
    text = assert_both_refuse(client, {"scaler": "postgresql", "connectionName": "missing", "query": "UPDATE x SET y=1",
                                       "targetQueryValue": "5"})
    assert "query must begin with SELECT" in text
    # These need the host.
    text = assert_both_refuse(client, {**without(UNREACHABLE, "host"), "connectionName": "missing", "mode": "MessageRate"})
    assert "MessageRate" not in text
    text = assert_both_refuse(client, {**without(UNREACHABLE, "host"), "connectionName": "missing", "scaleDownWhenIdle": "30s",
                                       "maxReplicaCount": "5"})
    assert text == 'connectionName "missing" is not in the connections file'


def test_no_scaler_at_all_says_which_key_is_missing(client):
    assert "scaler" in assert_both_refuse(client, {"queueName": "orders"})
    assert client.metric_spec({}).metricName == "backlog-invalid"


@pytest.mark.first
def test_all_mistakes_are_reported_at_once(client):
    text = assert_both_refuse(client, {**without(UNREACHABLE, "queueName"), "mode": "QueueLenght", "value": "many",
                                       "queuName": "orders"})
    for part in ("queuName", "queueName", "mode", "QueueLenght", "QueueLength", "value", "many"):
        assert part in text, part


def test_a_wrong_target_still_has_a_spec(client):
    spec = client.metric_spec({**UNREACHABLE, "value": "many"})
    assert spec.metricName == "rabbitmq-orders"
    assert spec.targetSizeFloat > 0 and spec.targetSize >= 1


@pytest.mark.parametrize("key, nearest", [
    ("queueNmae", "queueName"), ("quename", "queueName"), ("vHostName", "vhostName"),
])
def test_a_typo_is_answered_with_the_nearest_key(client, key, nearest):
    text = assert_both_refuse(client, {**UNREACHABLE, key: "x"})
    assert key in text and nearest in text


@pytest.mark.first
def test_a_secret_is_never_repeated(client):
    wrong = {**without(UNREACHABLE, "host"), "host": f"nonsense://user:{SECRET}@nowhere:port", "password": SECRET,
             "passwordFromEnv": SECRET, "unknownKey": SECRET, "valueFromEnv": SECRET, "mode": "wrong"}
    assert SECRET not in assert_both_refuse(client, wrong)


@pytest.mark.first
def test_a_secret_reaches_no_log(server, client):
    refusal(client.metrics, {**UNREACHABLE, "password": SECRET, "host": f"amqp://u:{SECRET}@127.0.0.1:1/"})
    assert SECRET not in server.log()


def test_kedas_own_keys_are_allowed(client):
    own = {"scalerAddress": "backlog.keda.svc:9090", "enableTLS": "false", "unsafeSsl": "false", "caCert": "x",
           "tlsCertFile": "x", "tlsClientCert": "x", "tlsClientKey": "x", "metricName": "x"}
    code, text = refusal(client.metrics, {**UNREACHABLE, **own})
    assert code == grpc.StatusCode.UNAVAILABLE, text  # nothing is wrong but that no broker is there


def test_the_order_of_the_map_does_not_matter(client):
    entries = list(UNREACHABLE.items())
    for seed in range(5):
        random.Random(seed).shuffle(entries)
        assert client.metric_spec(dict(entries)).metricName == "rabbitmq-orders"
        ordered = b"".join(scaled_object({key: value}, name="", namespace="").SerializeToString()
                           for key, value in entries)
        answer = client.raw("/externalscaler.ExternalScaler/GetMetricSpec", ordered)
        assert messages.GetMetricSpecResponse.FromString(answer).metricSpecs[0].targetSize == 5


@pytest.mark.first
def test_a_source_that_cannot_be_reached_is_an_error_and_never_zero(client):
    for call in (client.metrics, client.is_active):
        code, text = refusal(call, UNREACHABLE)
        assert code == grpc.StatusCode.UNAVAILABLE
        assert text and "guest:guest" not in text


@pytest.mark.first
def test_the_current_specs_are_streamed_at_open(client):
    with_stream = client.stream_metric_spec(UNREACHABLE, seconds=10)
    first = next(with_stream)
    assert [spec.metricName for spec in first.metricSpecs] == ["rabbitmq-orders"]
    assert first.metricSpecs[0] == client.metric_spec(UNREACHABLE)
    with_stream.cancel()


@pytest.mark.first
def test_a_stream_of_wrong_specs_fails_as_the_call_does(client):
    stream = client.stream_metric_spec({"scaler": "none"}, seconds=10)
    assert next(stream).metricSpecs[0] == client.metric_spec({"scaler": "none"})
    stream.cancel()


def test_grpcurl_calls_every_method(server):
    reference = {"name": "orders", "namespace": "shop", "scalerMetadata": UNREACHABLE}
    wrong = {**reference, "scalerMetadata": {"scaler": "none"}}

    code, answer, _ = grpcurl_call(server.port, "GetMetricSpec", reference)
    assert code == 0
    assert answer == {"metricSpecs": [{"metricName": "rabbitmq-orders", "targetSize": "5", "targetSizeFloat": 5}]}

    for method, request in (("GetMetrics", {"scaledObjectRef": wrong, "metricName": "x"}), ("IsActive", wrong)):
        code, _, complaints = grpcurl_call(server.port, method, request)
        assert code == 64 + grpc.StatusCode.INVALID_ARGUMENT.value[0]  # as grpcurl counts
        assert "InvalidArgument" in complaints and "rabbitmq" in complaints

    for method, request in (("GetMetrics", {"scaledObjectRef": reference, "metricName": "s0-rabbitmq-orders"}),
                            ("IsActive", reference)):
        code, _, complaints = grpcurl_call(server.port, method, request)
        assert code == 64 + grpc.StatusCode.UNAVAILABLE.value[0], complaints


def test_grpcurl_streams_until_its_time_is_up(server):
    reference = {"name": "orders", "namespace": "shop", "scalerMetadata": UNREACHABLE}
    for method in ("StreamMetricSpec", "StreamIsActive"):
        code, out, _ = grpcurl_call(server.port, method, reference, seconds=2)
        assert code == 64 + grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
        if method == "StreamMetricSpec":
            assert "rabbitmq-orders" in out
        else:
            assert out == ""  # not `false` either, which is printed as {}
