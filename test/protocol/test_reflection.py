"""gRPC's reflection: clients that have no proto files."""

import signal
import threading

import grpc
import pytest
from google.protobuf import descriptor_pool

import reflection_pb2 as messages
from support.clients.grpc_client import Client, grpcurl, refusal
from support.server.server import Server

VERSIONS = ["grpc.reflection.v1", "grpc.reflection.v1alpha"]
SERVICES = ["externalscaler.ExternalScaler", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection"]
SECONDS = 10


def info(client, version="grpc.reflection.v1"):
    return client.channel.stream_stream(
        f"/{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=messages.ServerReflectionRequest.SerializeToString,
        response_deserializer=messages.ServerReflectionResponse.FromString)


def fetch(client, *requests, version="grpc.reflection.v1"):
    """One call; returns the answers. Each echoes its request."""
    requests = [messages.ServerReflectionRequest(host="here", **request) for request in requests]
    answers = list(info(client, version)(iter(requests), timeout=SECONDS))
    assert [answer.original_request for answer in answers] == requests
    assert {answer.valid_host for answer in answers} <= {"here"}
    return answers


def files(answer):
    """The names of the files in an answer, which make up a pool that knows all they refer to."""
    pool = descriptor_pool.DescriptorPool()
    return [pool.AddSerializedFile(content).name for content in answer.file_descriptor_response.file_descriptor_proto]


@pytest.mark.first
@pytest.mark.parametrize("version", VERSIONS)
def test_the_services_are_listed(client, version):
    answer, = fetch(client, {"list_services": "*"}, version=version)
    assert [service.name for service in answer.list_services_response.service] == SERVICES


@pytest.mark.first
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("symbol, file", [
    ("externalscaler.ExternalScaler", "externalscaler.proto"),
    ("externalscaler.ExternalScaler.GetMetrics", "externalscaler.proto"),
    ("externalscaler.ScaledObjectRef", "externalscaler.proto"),
    ("externalscaler.ScaledObjectRef.ScalerMetadataEntry", "externalscaler.proto"),
    ("grpc.health.v1.HealthCheckResponse.ServingStatus", "health.proto"),
    ("grpc.reflection.v1.ErrorResponse", "reflection.proto"),
    ("grpc.reflection.v1alpha.ErrorResponse", "reflection_v1alpha.proto"),
])
def test_symbols_are_found_in_their_files(client, version, symbol, file):
    by_symbol, by_name = fetch(client, {"file_containing_symbol": symbol}, {"file_by_filename": file}, version=version)
    assert files(by_symbol) == files(by_name) == [file]


@pytest.mark.parametrize("request_, text", [
    ({"file_containing_symbol": "externalscaler"}, 'there is no symbol "externalscaler"'),
    ({"file_containing_symbol": "externalscaler.Scaled"}, 'there is no symbol "externalscaler.Scaled"'),
    ({"file_containing_symbol": "externalscaler.ScaledObjectRef."}, 'there is no symbol "externalscaler.ScaledObjectRef."'),
    ({"file_containing_symbol": ""}, 'there is no symbol ""'),
    ({"file_by_filename": "externalscaler"}, 'there is no file "externalscaler"'),
    ({"all_extension_numbers_of_type": "externalscaler.ExternalScaler"}, 'there is no type "externalscaler.ExternalScaler"'),
    ({"file_containing_extension": {"containing_type": "externalscaler.ScaledObjectRef", "extension_number": 1}},
     "there are no extensions"),
])
def test_unknown_names_are_not_found_and_the_call_goes_on(client, request_, text):
    refused, listed = fetch(client, request_, {"list_services": ""})
    assert refused.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert refused.error_response.error_message == text
    assert len(listed.list_services_response.service) == len(SERVICES)


def test_a_type_has_no_extensions(client):
    answer, = fetch(client, {"all_extension_numbers_of_type": "externalscaler.ScaledObjectRef"})
    assert answer.all_extension_numbers_response.base_type_name == "externalscaler.ScaledObjectRef"
    assert list(answer.all_extension_numbers_response.extension_number) == []


def test_a_request_for_nothing_known_is_refused(client):
    answer, = fetch(client, {})
    assert answer.error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_many_requests_on_one_call_are_answered_in_turn(client):
    symbols = ["externalscaler.MetricSpec", "grpc.health.v1.Health", "no.such"] * 100
    answers = fetch(client, *({"file_containing_symbol": symbol} for symbol in symbols))
    assert [answer.HasField("error_response") for answer in answers] == [False, False, True] * 100


def test_an_undecodable_request_ends_the_call(client):
    call = client.channel.stream_unary("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    for garbage in b"\xff", b"\x1a\x01\xff", b"\x2a\x02\x10":
        assert refusal(call, iter([garbage]), timeout=SECONDS)[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_grpcurl_needs_no_proto_file(server):
    code, out, complaints = grpcurl(server.port, "list")
    assert (code, out.split()) == (0, SERVICES), complaints
    for symbol in SERVICES:
        code, out, complaints = grpcurl(server.port, "describe", symbol)
        assert code == 0 and out.startswith(f"{symbol} is a service"), complaints
    code, out, complaints = grpcurl(server.port, "externalscaler.ExternalScaler/GetMetricSpec",
                                    request={"scalerMetadata": {"scaler": "none"}})
    assert code == 0 and "backlog-invalid" in out, complaints


@pytest.mark.first
def test_a_drain_ends_an_open_call_with_ok():
    ended = threading.Event()

    def fetch_once_and_stay():
        yield messages.ServerReflectionRequest(list_services="*")
        ended.wait(60)

    with Server() as server, Client(server.port) as client:
        answers = info(client)(fetch_once_and_stay())
        next(answers)
        server.signal(signal.SIGTERM)
        assert list(answers) == [] and answers.code() == grpc.StatusCode.OK
        ended.set()
        assert server.child.wait(15) == 0
