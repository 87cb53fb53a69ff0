"""Clients of the server: KEDA's stubs over grpcio, calls of raw bytes, and grpcurl.

The stubs are generated from proto/ (./dev does so, and puts them on PYTHONPATH).
"""

import json
import os
import shutil
import subprocess

import grpc

import externalscaler_pb2 as messages
import externalscaler_pb2_grpc as stubs

from ..process import Unavailable
from ..server.server import REPOSITORY

SECONDS = 10
SERVICE = "/externalscaler.ExternalScaler/"


def scaled_object(metadata, name="orders", namespace="shop"):
    return messages.ScaledObjectRef(name=name, namespace=namespace, scalerMetadata=metadata)


class Client:
    """Every call has a deadline of ten seconds unless another is given; streams have none.

    With `credentials` (of grpc.ssl_channel_credentials) it speaks TLS.
    """

    def __init__(self, *ports, options=(), credentials=None):
        target = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)
        options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1), *options]
        if credentials is None:
            self.channel = grpc.insecure_channel(target, options=options)
        else:
            self.channel = grpc.secure_channel(target, credentials, options=options)
        self.stub = stubs.ExternalScalerStub(self.channel)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def metric_spec(self, metadata, seconds=SECONDS):
        """The one spec of a trigger."""
        answer = self.stub.GetMetricSpec(scaled_object(metadata), timeout=seconds)
        assert len(answer.metricSpecs) == 1
        return answer.metricSpecs[0]

    def metrics(self, metadata, metric_name=None, seconds=SECONDS, **named):
        """The one value of a trigger; asked for by the name that its spec has, as KEDA does."""
        if metric_name is None:
            metric_name = self.metric_spec(metadata).metricName
        request = messages.GetMetricsRequest(scaledObjectRef=scaled_object(metadata, **named), metricName=metric_name)
        answer = self.stub.GetMetrics(request, timeout=seconds)
        assert len(answer.metricValues) == 1
        return answer.metricValues[0]

    def is_active(self, metadata, seconds=SECONDS, **named):
        return self.stub.IsActive(scaled_object(metadata, **named), timeout=seconds).result

    def stream_is_active(self, metadata, seconds=None, **named):
        return self.stub.StreamIsActive(scaled_object(metadata, **named), timeout=seconds)

    def stream_metric_spec(self, metadata, seconds=None):
        return self.stub.StreamMetricSpec(scaled_object(metadata), timeout=seconds)

    def raw(self, path, *requests, seconds=SECONDS, compression=None):
        """A call of bytes; no request at all closes without a message."""
        return self.channel.stream_unary(path)(iter(requests), timeout=seconds, compression=compression)


def refusal(call, *arguments, **options):
    """The status code and text that a call fails with."""
    try:
        answer = call(*arguments, **options)
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError(f"answered instead of refused: {answer}")


def grpcurl_binary():
    tools = os.path.join(REPOSITORY, "build", "tools")
    path = shutil.which("grpcurl", path=tools + os.pathsep + os.environ.get("PATH", ""))
    if not path:
        raise Unavailable("grpcurl is neither in build/tools nor in PATH")
    return path


def grpcurl(port, *what, request=None, flags=("-plaintext",), seconds=SECONDS):
    """Returns its exit code, what it printed, and its complaints."""
    command = [grpcurl_binary(), "-max-time", str(seconds), *flags]
    if request is not None:
        command += ["-d", json.dumps(request)]
    done = subprocess.run([*command, f"127.0.0.1:{port}", *what], capture_output=True, text=True,
                          timeout=3 * SECONDS)
    return done.returncode, done.stdout, done.stderr


def grpcurl_call(port, method, request, flags=("-plaintext",), seconds=SECONDS):
    """Calls a method of ours, which grpcurl finds by reflection; what it printed is read as JSON where the
    call succeeded."""
    code, out, complaints = grpcurl(port, SERVICE[1:] + method, request=request, flags=flags, seconds=seconds)
    return code, json.loads(out) if code == 0 and out.strip() else out, complaints
