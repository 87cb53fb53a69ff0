"""What a hostile Kubernetes API can reply: as in replies.py, over TLS. `path` is the request's, with its query."""

import base64
import json

from . import wire as h2
from .replies import (http_bodies, http_bomb, http_hostile, http_reply, http_requests, http_transfers,
                      named, repeated)

OBJECTS = 40
NAMESPACE = "shop"
GROUP = "/apis/keda.sh/v1alpha1"


def list_trigger(address, number):
    """One that needs its ScaledObject, for its authentication."""
    return {"scalerAddress": "backlog:9090", "scaler": "redis", "address": address, "listName": f"l{number}", "listLength": "5"}


def item(path, **parts):
    return {"metadata": {"name": path.partition("?")[0].rsplit("/", 1)[1], "namespace": NAMESPACE}, **parts}


# ---- the objects that a trigger's credentials follow from ----

def objects_body(path):
    """Object `oN` has the trigger `N`, whose authentication is `aN`, whose Secret is `sN`. The witness' address is in its name,
    as this process knows no other: `oN-PORT`."""
    name = path.partition("?")[0].rsplit("/", 1)[1]
    if "/scaledobjects/" in path:
        number, port = name[1:].split("-")
        metadata = list_trigger(f"127.0.0.1:{port}", number)
        return item(path, spec={"triggers": [{"type": "external-push", "metadata": metadata, "authenticationRef": {"name": f"a{number}"}}]})
    if "/scaledjobs/" in path:
        return None
    if "/triggerauthentications/" in path:
        return item(path, spec={"secretTargetRef": [{"parameter": "password", "name": f"s{name[1:]}", "key": "password"}]})
    return item(path, data={"password": base64.b64encode(b"x").decode()})


def absent_body(path):
    return {"kind": "Status", "reason": "NotFound", "message": "not found",
            "details": {"name": path.partition("?")[0].rsplit("/", 1)[1]}}


def send_object(wire, path, body):
    """None: there is none."""
    wire.send(http_reply(absent_body(path) if body is None else body))


def objects_good(wire):
    for path in http_requests(wire):
        send_object(wire, path, objects_body(path))


def until_kind(kind):
    """All is right but the objects of this kind."""
    def setup(path):
        return None if f"/{kind}/" in path else objects_body(path) or absent_body(path)
    return setup


def padded(path, body, parts):
    """The object, and in it `parts`, before what is looked for."""
    return b"{" + parts + b"," + json.dumps(body).encode()[1:]


def objects_large(title, kind, parts):
    """Objects that are right, and large."""
    def script(wire):
        for path in http_requests(wire):
            body = objects_body(path)
            if body is not None and f"/{kind}/" in path:
                body = parts(path, body)
            send_object(wire, path, body)
    return named(title, script)


def many_triggers(path, body):
    """What is kept of an object, and most of it: a thousand other triggers."""
    other = {"type": "external", "metadata": {f"k{number}": "v" for number in range(50)}}
    body["spec"]["triggers"] += [other] * 1000
    return body


def many_parameters(path, body):
    body["spec"]["secretTargetRef"] += [{"parameter": f"p{number}", "name": "s", "key": "k"} for number in range(12000)]
    return body


def much_data(path, body):
    body["data"].update({f"k{number}": base64.b64encode(b"x").decode() for number in range(20000)})
    return body


def large_data(path, body):
    body["data"]["large"] = base64.b64encode(b"x" * 190000).decode()
    return body


OBJECTS_HOSTILE = [
    *http_transfers(until_kind("scaledobjects")),
    *http_bodies(until_kind("scaledobjects")),
    *http_bodies(until_kind("secrets"))[:3],
    objects_large("objects with a thousand triggers", "scaledobjects", many_triggers),
    objects_large("objects with objects in them", "scaledobjects",
                  lambda path, body: padded(path, body, b'"x":[' + b",".join([b"{}"] * 250000) + b"]")),
    objects_large("authentications of 12,000 parameters", "triggerauthentications", many_parameters),
    objects_large("Secrets of 20,000 keys", "secrets", much_data),
    objects_large("Secrets as large as they may be", "secrets", large_data),
]


# ---- HTTP/2, which libcurl prefers ----

def h2_hostile(title, *chunks, before=b""):
    """After the preface; in place of the first reply."""
    def script(wire):
        wire.read(len(h2.PREFACE))
        wire.send(h2.settings() + before)
        wire.pour(*chunks)
    return named(title, script)


HEADERS_OK = h2.frame(h2.HEADERS, h2.END_HEADERS, 1, b"\x88")
DATA_16K = h2.frame(h2.DATA, 0, 1, b"[" * 16384)
BLOCK = h2.literal(b"x-header", b"y" * 16000)
INDEXED = h2.frame(h2.HEADERS, h2.END_HEADERS, 1, b"\x88" + h2.literal(b"x", b"y" * 4000, indexed=True) + b"\xbe" * 12000)

HTTP2_HOSTILE = [
    h2_hostile("HTTP/2: a body without end", HEADERS_OK, DATA_16K),
    h2_hostile("HTTP/2: headers without end", h2.frame(h2.HEADERS, 0, 1, b"\x88"), h2.frame(h2.CONTINUATION, 0, 1, BLOCK)),
    h2_hostile("HTTP/2: empty continuations", h2.frame(h2.HEADERS, 0, 1, b"\x88"), h2.frame(h2.CONTINUATION, 0, 1)),
    h2_hostile("HTTP/2: a header that is indexed 12,000 times", INDEXED),
    h2_hostile("HTTP/2: informational headers without end", h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.literal(b":status", b"103") + BLOCK)),
    h2_hostile("HTTP/2: settings without end", h2.settings()),
    h2_hostile("HTTP/2: pings without end", h2.frame(h2.PING, payload=bytes(8))),
    h2_hostile("HTTP/2: a frame of 16 MiB", b"\xff\xff\xff" + h2.frame(h2.DATA, 0, 1)[3:], b"x" * 65536),
    h2_hostile("HTTP/2: pushed streams", h2.frame(h2.PUSH_PROMISE, h2.END_HEADERS, 1, b"\0\0\0\2" + BLOCK)),
    h2_hostile("HTTP/2: empty data without end", HEADERS_OK, h2.frame(h2.DATA, 0, 1)),
    h2_hostile("HTTP/2: windows without end", h2.window_update(0, 1)),
    h2_hostile("HTTP/2: goaway without end", h2.frame(h2.GOAWAY, payload=b"\x7f\xff\xff\xff" + bytes(4) + b"x" * 16000)),
]


# ---- watches ----

def until_watch(path):
    if "limit=1" in path:
        return {"metadata": {"resourceVersion": "1"}, "items": []}
    return None if "watch=1" in path else objects_body(path) or absent_body(path)


EVENT = json.dumps({"type": "MODIFIED", "object": {
    "metadata": {"name": "o0", "namespace": NAMESPACE, "resourceVersion": "1", "annotations": {"a": "x" * 20000}}}}).encode() + b"\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


WATCHES_HOSTILE = [
    *http_bodies(until_watch),
    http_hostile("events without end", until_watch, CHUNKED, chunk(EVENT)),
    http_hostile("a line without end", until_watch, CHUNKED, chunk(b'{"x":"' + b"x" * 65536)),
    http_hostile("empty lines without end", until_watch, CHUNKED, chunk(b"\n" * 65536)),
    http_hostile("events of objects", until_watch, CHUNKED, chunk(b'{"object":[' + b",".join([b"{}"] * 250000) + b"]}\n")),
    h2_hostile("HTTP/2: events without end", HEADERS_OK, h2.frame(h2.DATA, 0, 1, EVENT[:16000] + b"\n")),
]


# ---- workers ----

def pod(number, **status):
    return {"metadata": {"name": f"p{number}", "uid": f"u{number}"}, "spec": {"containers": [{"name": "c"}]},
            "status": {"phase": "Running", **status}}


def workers_body(path):
    if "/scaledobjects/" in path:
        return item(path, spec={"scaleTargetRef": {"name": "d"}},
                    status={"scaleTargetGVKR": {"group": "apps", "version": "v1", "kind": "Deployment", "resource": "deployments"}})
    if path.endswith("/scale"):
        return {"status": {"selector": "app=d"}}
    if path.startswith("/apis/metrics.k8s.io"):
        return {"items": [{"metadata": {"name": "p0"}, "containers": [{"usage": {"cpu": "1", "memory": "1Mi"}}]}]}
    return {"metadata": {}, "items": [pod(0)]}


def until_pods(path):
    return None if "/api/v1/" in path else workers_body(path)


def until_usage(path):
    return None if path.startswith("/apis/metrics.k8s.io") else workers_body(path)


LONG = "x" * 60000
POD = json.dumps(pod(1, reason=LONG, message=LONG)).encode()
FAT_POD = json.dumps(pod(1)).encode()[:-1] + b',"x":[' + b",".join([b"{}"] * 5000) + b"]}"
PODS = b'{"metadata":{},"items":['

WORKERS_HOSTILE = [
    *http_bodies(until_pods),
    http_bomb("pods with long reasons", until_pods, repeated(POD, PODS, b"]}")),
    http_bomb("pods with objects in them", until_pods, repeated(FAT_POD, PODS, b"]}")),
    http_bomb("pods without end", until_pods, repeated(json.dumps(pod(1)).encode(), PODS, b"]}")),
    *http_bodies(until_usage)[:3],
    http_bomb("the use of 100,000 pods", until_usage,
              repeated(b'{"metadata":{"name":"p0"},"containers":[]}', b'{"items":[', b"]}")),
]
