"""What is wrong with TLS or a Sentinel is named in time, whichever way the server is found; what is right notices nothing."""

import concurrent.futures
import contextlib
import time
import types

import pytest

from support.certificates import Authority
from support.clients.grpc_client import Client
from support.brokers.redis import Redis, Sentinel, single_node_cluster
from support.server.server import Server
from support.clients.story import Values, answers, unavailable

CALL_TIMEOUT_SECONDS = 5

# The certificates of servers: the names they are for, and for how many days.
CERTIFICATES = {"right": ("IP:127.0.0.1", 2), "expired": ("IP:127.0.0.1", -1), "misnamed": ("DNS:redis.shop", 2)}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """For each certificate a server, a node of a cluster that has all slots, and a Sentinel that names the server."""
    folder = tmp_path_factory.mktemp("redis-wrong")
    with contextlib.ExitStack() as stack:
        start = stack.enter_context
        places = types.SimpleNamespace(folder=folder)
        authority, other = Authority(folder, "ca"), Authority(folder, "other")
        places.ca, places.other = (open(each.certificate).read() for each in (authority, other))
        for name, (names, days) in CERTIFICATES.items():
            own = folder / name
            own.mkdir()
            for made, wanted in zip(authority.issue(name, alternative=(names,), days=days), ("own.pem", "own.key")):
                (own / wanted).write_bytes(open(made, "rb").read())
            (own / "ca.pem").write_text(places.ca)
            server, node = start(Redis(certificates=own)), start(single_node_cluster(own))
            for broker in (server, node):
                with broker.connect() as redis:
                    redis.call("RPUSH", "jobs", *range(3))
            setattr(places, name, types.SimpleNamespace(
                server=server, node=node, sentinel=start(Sentinel("shop", server.tls_port, 1, "tls-replication yes", own)),
                # These have a right certificate, or none, themselves: what is wrong is the server that they name.
                before=start(Sentinel("shop", server.tls_port, 1, "tls-replication yes", folder / "right")),
                plain=start(Sentinel("shop", server.tls_port, 1))))
        yield places


def single(place, at="tls_address"):
    return {"scaler": "redis", "address": getattr(place.server, at)}


def by_sentinel(place, at="tls_address", which="sentinel"):
    return {"scaler": "redis-sentinel", "sentinelMaster": "shop", "address": getattr(getattr(place, which), at)}


def in_cluster(place, at="tls_address"):
    return {"scaler": "redis-cluster", "address": getattr(place.node, at)}


def behind_sentinel(place, at="tls_address"):
    """The Sentinel's own certificate is right."""
    return by_sentinel(place, at, "before")


WAYS = [single, by_sentinel, behind_sentinel, in_cluster]

# What is wrong: the server's certificate, the address, keys of the trigger (None: without), the words of the error.
WRONG = {
    "another authority": ("right", "tls_address", {"ca": "other"}, "TLS handshake failed: self-signed certificate"),
    "an expired certificate": ("expired", "tls_address", {}, "certificate has expired"),
    "another name": ("misnamed", "tls_address", {}, "mismatch"),
    "TLS to a plain port": ("right", "address", {}, "does this port speak TLS?"),
    "plain to a port for TLS": ("right", "tls_address", {"brokerTls": None, "ca": None}, "set brokerTls: enable"),
}


def trigger(places, metadata, keys):
    metadata = {"listName": "jobs", "brokerTls": "enable", "ca": places.ca, **metadata}
    for key, value in keys.items():
        if value is None:
            del metadata[key]
        else:
            metadata[key] = getattr(places, value)
    return metadata


def cases(places):
    for way in WAYS:
        for name, (place, at, keys, words) in WRONG.items():
            yield f"{way.__name__}, {name}", trigger(places, way(getattr(places, place), at), keys), words
    server_is_for_tls = trigger(places, by_sentinel(places.right, "address", "plain"), {"brokerTls": None, "ca": None})
    yield "the Sentinel's port is plain, and the server's for TLS", server_is_for_tls, "set brokerTls: enable"
    for way in (by_sentinel, behind_sentinel):
        unknown = trigger(places, way(places.right), {}) | {"sentinelMaster": "store"}
        yield f"{way.__name__}, another master", unknown, 'does not know the master "store"'


def test_what_is_wrong_is_named_in_time_and_harms_nobody(places):
    right = [trigger(places, way(places.right), {}) for way in WAYS]
    wrong = list(cases(places))

    def refuse(case):
        name, metadata, words = case
        began = time.monotonic()
        text = unavailable(client, metadata)  # two calls
        seconds = time.monotonic() - began
        if not text or words not in text or seconds > 2 * CALL_TIMEOUT_SECONDS:
            return f"{name}: {text or 'it answered'} ({seconds:.1f} s)"
        return None

    with Server(interval="500ms") as server, Client(server.port) as client, contextlib.ExitStack() as stack:
        for metadata in right:
            answers(client, metadata, 3, True)
        seen = [stack.enter_context(Values(client, metadata)) for metadata in right]
        with concurrent.futures.ThreadPoolExecutor(len(wrong)) as pool:
            for _ in range(2):  # as a first call, and to a connection that is known to fail
                assert not list(filter(None, pool.map(refuse, wrong)))
        stack.close()
    assert all(set(each.seen) == {3} and each.longest_seconds < CALL_TIMEOUT_SECONDS for each in seen)
