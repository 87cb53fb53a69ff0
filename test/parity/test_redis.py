"""redis and redis-streams, beside KEDA's."""

import pytest

from support.certificates import make_certificates
from support.clients.keda import Refused, Trigger
from support.process import free_port
from support.brokers.redis import Redis, Sentinel, single_node_cluster
from support.clients.side_by_side import REFUSED, alike, both_refuse, compare, differs, each

PASSWORD = "the-right-word"
KINDS = {
    "list": ("RPUSH", *range(4)),
    "set": ("SADD", *range(5)),
    "zset": ("ZADD", *[word for i in range(6) for word in (i, f"member-{i}")]),
    "hash": ("HSET", *[word for i in range(7) for word in (f"field-{i}", i)]),
    "a list/with:odd.(characters) 100%": ("RPUSH", *range(3)),
}

LIST_LENGTH = "listLength must be at least 1; KEDA accepts 0 and negative ones."
UNKNOWN_LAG = "A lag that Redis does not know (after XDEL or XGROUP SETID) is an error; KEDA answers 0."
UNKNOWN_GROUPS = "An error of XINFO GROUPS is an error; KEDA answers the length of the stream instead."
LAG_TARGETS = "lagCount must not be negative, pendingEntriesCount and streamLength must be at least 1."


def of_list(name, address="$address", **keys):
    return Trigger("redis", {"address": address, "listName": name, **keys})


def of_stream(stream, **keys):
    return Trigger("redis-streams", {"address": "$address", "stream": stream, **keys})


def of_pending(stream, group="workers", **keys):
    return of_stream(stream, consumerGroup=group, **keys)


def of_lag(stream, group="workers", lagCount="5", **keys):
    return of_stream(stream, consumerGroup=group, lagCount=lagCount, **keys)


LISTS = [
    alike("a list", of_list("list"), 4),
    alike("a set", of_list("set"), 5),
    alike("a sorted set", of_list("zset"), 6),
    alike("a hash", of_list("hash"), 7),
    alike("no such key", of_list("missing"), 0),
    alike("characters that a metric may not have", of_list("a list/with:odd.(characters) 100%"), 3),
    alike("as much as the activation", of_list("list", activationListLength="4"), 4, active=False),
    alike("one more than the activation", of_list("list", activationListLength="3"), 4, active=True),
    alike("an activation below zero, and nothing", of_list("missing", activationListLength="-1"), 0, active=True),
    alike("another target", of_list("list", listLength="2"), 4),
    alike("values with spaces around", of_list(" list ", listLength=" 2 ", activationListLength=" 3 "), 4),
    alike("an empty value is none", of_list("list", listLength="", activationListLength=" "), 4),
    alike("another database", of_list("elsewhere", databaseIndex="3"), 9),
    alike("not that of the first database", of_list("list", databaseIndex="3"), 0),
    alike("host and port", Trigger("redis", {"host": "127.0.0.1", "port": "$port", "listName": "list"}), 4),
    alike("addresses, of which the first counts",
          Trigger("redis", {"addresses": "$address,127.0.0.1:1", "listName": "list"}), 4),
    alike("the address from the environment", Trigger("redis", {"listName": "list"}, env={"address": "$address"}), 4),
    alike("a password from the environment",
          Trigger("redis", {"address": "$guarded", "listName": "list"}, env={"password": PASSWORD}), 2),
    alike("a password of a TriggerAuthentication",
          Trigger("redis", {"address": "$guarded", "listName": "list"}, auth={"password": PASSWORD}), 2),
    alike("a user and its password",
          of_list("list", "$guarded", username="reader", password="reading"), 2),
    both_refuse("a stream", of_list("stream"), "unsupported key type: stream"),
    both_refuse("a string", of_list("string"), "unsupported key type: string"),
    both_refuse("no password", of_list("list", "$guarded"), "NOAUTH"),
    both_refuse("a wrong password", of_list("list", "$guarded", password="no"), "WRONGPASS"),
    both_refuse("nobody listens", of_list("list", "127.0.0.1:$nobody"), "connection refused"),
    both_refuse("no address", Trigger("redis", {"listName": "list"}), "no addresses or hosts given"),
    both_refuse("no listName", Trigger("redis", {"address": "$address"}), "missing required parameter"),
    both_refuse("more hosts than ports", Trigger("redis", {"host": "a,b", "port": "1", "listName": "list"}),
                "not enough hosts or ports"),
    both_refuse("a target that is no whole number", of_list("list", listLength="1.5"), "unable to set param"),
    both_refuse("a target in JSON's wrong words", of_list("list", listLength="+5"), "unable to set param"),
    differs("a target of 0", of_list("list", listLength="0"), keda=(4, True), ours=REFUSED, because=LIST_LENGTH),
    differs("a target below 0", of_list("list", listLength="-5"), keda=(4, True), ours=REFUSED, because=LIST_LENGTH),
    differs("a user without a password", of_list("list", username="default"), keda=(4, True), ours=REFUSED,
            because="username without password is a mistake; KEDA logs in as the default user."),
    alike("TLS that is not wanted", of_list("list", tls="disable"), 4),
    alike("TLS by enableTLS",
          Trigger("redis", {"address": "$sealed", "listName": "list", "enableTLS": "true"}, auth={"ca": "$ca"}), 4,
          server=Trigger("redis", {"address": "$sealed", "listName": "list", "brokerTls": "true"}, auth={"ca": "$ca"})),
    alike("TLS that is not verified",
          Trigger("redis", {"address": "$sealed", "listName": "list", "unsafeSsl": "true"}, auth={"tls": "enable"}), 4,
          server=Trigger("redis", {"address": "$sealed", "listName": "list", "brokerUnsafeSsl": "true"},
                         auth={"tls": "enable"})),
    both_refuse("TLS of an unknown authority",
                Trigger("redis", {"address": "$sealed", "listName": "list"}, auth={"tls": "enable"}),
                "unknown authority"),
    differs("no right to EVAL", of_list("list", "$guarded", username="no-scripts", password="plain"),
            keda=Refused("NOPERM"), ours=(2, True),
            because="No script is sent: the user needs no right to EVAL, but to LLEN (#7758)."),
]

STREAMS = [
    alike("entries", of_stream("stream"), 8),
    alike("no such stream", of_stream("missing"), 0),
    alike("another target of the length", of_stream("stream", streamLength="3"), 8),
    alike("lagCount without a group", of_stream("stream", lagCount="3"), 8),
    alike("entries: as many as the activation", of_stream("stream", activationLagCount="8"), 8, active=False),
    alike("entries: one more than the activation", of_stream("stream", activationLagCount="7"), 8, active=True),
    alike("pending", of_pending("stream"), 3),
    alike("pending, and another target", of_pending("stream", pendingEntriesCount="2"), 3),
    alike("pending: as many as the activation", of_pending("stream", activationLagCount="3"), 3, active=False),
    alike("pending: one more than the activation", of_pending("stream", activationLagCount="2"), 3, active=True),
    alike("nothing was delivered", of_pending("stream", "sleepers"), 0),
    alike("all were acknowledged", of_pending("done"), 0),
    alike("lagCount of 0: pending", of_lag("stream", lagCount="0"), 3),
    alike("lag", of_lag("stream"), 5),
    alike("lag, and another target", of_lag("stream", lagCount="2"), 5),
    alike("lag: as much as the activation", of_lag("stream", activationLagCount="5"), 5, active=False),
    alike("lag: one more than the activation", of_lag("stream", activationLagCount="4"), 5, active=True),
    alike("lag of a group from the beginning", of_lag("stream", "sleepers"), 8),
    alike("lag when all were read", of_lag("done"), 0),
    alike("lag of a missing stream", of_lag("missing"), 0),
    alike("lag of a missing group: all entries", of_lag("stream", "nobody"), 8),
    alike("lag of a stream without groups", of_lag("lonely"), 2),
    both_refuse("pending of a missing stream", of_pending("missing"), "NOGROUP"),
    both_refuse("pending of a missing group", of_pending("stream", "nobody"), "NOGROUP"),
    both_refuse("the length of a list", of_stream("list"), "WRONGTYPE"),
    both_refuse("pending of a list", of_pending("list"), "WRONGTYPE"),
    both_refuse("no stream", Trigger("redis-streams", {"address": "$address"}), "missing required parameter"),
    both_refuse("a threshold that is no number", of_stream("stream", streamLength="many"), "unable to set param"),
    differs("a lag that Redis does not know", of_lag("holes"), keda=(0, False), ours=REFUSED, because=UNKNOWN_LAG),
    both_refuse("lag of a list", of_lag("list"), "WRONGTYPE"),
    differs("no right to XINFO",
            Trigger("redis-streams", {"address": "$guarded", "stream": "stream", "consumerGroup": "workers",
                                      "lagCount": "5", "username": "no-xinfo", "password": "plain"}),
            keda=(4, True), ours=REFUSED, because=UNKNOWN_GROUPS),
    differs("a negative lagCount", of_lag("stream", lagCount="-5"), keda=(5, True), ours=REFUSED, because=LAG_TARGETS),
    differs("a length target of 0", of_stream("stream", streamLength="0"), keda=(8, True), ours=REFUSED,
            because=LAG_TARGETS),
    differs("a pending target of 0", of_pending("stream", pendingEntriesCount="0"), keda=(3, True), ours=REFUSED,
            because=LAG_TARGETS),
]

SENTINELS = {"address": "127.0.0.1:$nobody,$sentinel", "sentinelMaster": "shop"}


def by_sentinel(**keys):
    return Trigger("redis-sentinel", SENTINELS | keys)


def stream_by_sentinel(**keys):
    return Trigger("redis-sentinel-streams", SENTINELS | {"stream": "stream"} | keys)


MASTERS = [
    alike("a list", by_sentinel(listName="list"), 4),
    alike("a set", by_sentinel(listName="set"), 5),
    alike("a sorted set", by_sentinel(listName="zset"), 6),
    alike("a hash", by_sentinel(listName="hash"), 7),
    alike("no such key", by_sentinel(listName="missing"), 0),
    alike("another database", by_sentinel(listName="elsewhere", databaseIndex="3"), 9),
    alike("entries", stream_by_sentinel(), 8),
    alike("pending", stream_by_sentinel(consumerGroup="workers"), 3),
    alike("lag", stream_by_sentinel(consumerGroup="workers", lagCount="5"), 5),
    both_refuse("a master that no Sentinel knows",
                by_sentinel(listName="list", sentinelMaster="store", address="$sentinel"),
                "connection to redis sentinel failed"),
    both_refuse("a string", by_sentinel(listName="string"), "unsupported key type: string"),
    differs("no name of a master", Trigger("redis-sentinel", {"address": "$sentinel", "listName": "list"}),
            keda=Refused("sentinel"), ours=Refused("sentinelMaster is missing"),
            because="sentinelMaster must be set, and sentinelUsername needs sentinelPassword."),
]

CLUSTER = {"address": "127.0.0.1:$nobody,$cluster"}


def in_cluster(**keys):
    return Trigger("redis-cluster", CLUSTER | keys)


def stream_in_cluster(**keys):
    return Trigger("redis-cluster-streams", CLUSTER | {"stream": "stream"} | keys)


NODES = [
    alike("a list", in_cluster(listName="list"), 4),
    alike("a set", in_cluster(listName="set"), 5),
    alike("a sorted set", in_cluster(listName="zset"), 6),
    alike("a hash", in_cluster(listName="hash"), 7),
    alike("no such key", in_cluster(listName="missing"), 0),
    alike("entries", stream_in_cluster(), 8),
    alike("pending", stream_in_cluster(consumerGroup="workers"), 3),
    alike("lag", stream_in_cluster(consumerGroup="workers", lagCount="5"), 5),
    both_refuse("nobody there", in_cluster(listName="list", address="127.0.0.1:$nobody"),
                "connection to redis cluster failed"),
    both_refuse("a server that is no node", in_cluster(listName="list", address="$address"), "cluster support disabled"),
    both_refuse("a string", in_cluster(listName="string"), "unsupported key type: string"),
    differs("another database", in_cluster(listName="list", databaseIndex="3"), keda=(4, True), ours=Refused("databaseIndex"),
            because="databaseIndex counts, where the nodes have such a database (Valkey 9); KEDA ignores it."),
]


# Every kind of value over TLS: what is read, and how much it is.
VALUES = {"list": ({"listName": "list"}, 4), "set": ({"listName": "set"}, 5), "zset": ({"listName": "zset"}, 6),
          "hash": ({"listName": "hash"}, 7), "nothing": ({"listName": "missing"}, 0), "entries": ({"stream": "stream"}, 8),
          "pending": ({"stream": "stream", "consumerGroup": "workers"}, 3),
          "lag": ({"stream": "stream", "consumerGroup": "workers", "lagCount": "5"}, 5)}
SEALED = {"redis": {"address": "$sealed"}, "redis-sentinel": {"address": "$sealed_sentinel", "sentinelMaster": "shop"},
          "redis-cluster": {"address": "$encrypted"}}
OVER_TLS = [alike(f"{scaler}, {name}", Trigger(scaler + "-streams" * ("stream" in keys), place | keys,
                                               auth={"tls": "enable", "ca": "$ca"}), value)
            for scaler, place in SEALED.items() for name, (keys, value) in VALUES.items()]


def fill(redis):
    for name, (command, *words) in KINDS.items():
        redis.call(command, name, *words)
    redis.call("SET", "string", "value")
    redis.add("stream", 8)
    redis.call("XGROUP", "CREATE", "stream", "workers", "0")
    redis.call("XGROUP", "CREATE", "stream", "sleepers", "0")
    redis.read("stream", "workers", 3)
    redis.add("lonely", 2)
    fill_read_stream(redis, "done")
    fill_stream_with_holes(redis)


def fill_another_database(redis):
    redis.call("SELECT", 3)
    redis.call("RPUSH", "elsewhere", *range(9))


def fill_read_stream(redis, stream):
    redis.add(stream, 4)
    redis.call("XGROUP", "CREATE", stream, "workers", "0")
    redis.call("XACK", stream, "workers", *redis.read(stream, "workers", 4))


def fill_stream_with_holes(redis):
    entries = redis.add("holes", 6)
    redis.call("XGROUP", "CREATE", "holes", "workers", "0")
    redis.read("holes", "workers", 1)
    redis.call("XDEL", "holes", entries[3])


def fill_guarded(redis):
    redis.call("RPUSH", "list", *range(2))
    redis.add("stream", 4)
    redis.call("XGROUP", "CREATE", "stream", "workers", "0")
    redis.call("ACL", "SETUSER", "reader", "on", ">reading", "~*", "+@all")
    redis.call("ACL", "SETUSER", "no-scripts", "on", ">plain", "~*", "+@all", "-@scripting")
    redis.call("ACL", "SETUSER", "no-xinfo", "on", ">plain", "~*", "+@all", "-xinfo|groups")
    redis.call("CONFIG", "SET", "requirepass", PASSWORD)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    with Redis() as broker, Redis() as guarded, Redis(certificates=folder) as sealed, Sentinel("shop", broker.port, 1) as sentinel, \
            Sentinel("shop", sealed.tls_port, 1, "tls-replication yes", folder) as sealed_sentinel, single_node_cluster() as node, single_node_cluster(folder) as sealed_node:
        with broker.connect() as redis, guarded.connect() as other, sealed.connect() as third, node.connect() as fourth, \
                sealed_node.connect() as fifth:
            fill(redis)
            fill_another_database(redis)
            fill(fourth)
            fill(fifth)
            fill_guarded(other)
            fill(third)
        yield {"address": broker.address, "port": str(broker.port), "guarded": guarded.address,
               "sealed": sealed.tls_address, "sealed_sentinel": sealed_sentinel.tls_address, "sentinel": sentinel.address, "ca": (folder / "ca.pem").read_text(),
               "nobody": str(free_port()),
               "cluster": node.address, "encrypted": sealed_node.tls_address}


@each(LISTS)
def test_lists(case, keda, client, places):
    compare(case, keda, client, places)


@each(STREAMS)
def test_streams(case, keda, client, places):
    compare(case, keda, client, places)


@each(NODES)
def test_nodes(case, keda, client, places):
    compare(case, keda, client, places)


@each(MASTERS)
def test_masters(case, keda, client, places):
    compare(case, keda, client, places)


@each(OVER_TLS)
def test_values_over_tls(case, keda, client, places):
    compare(case, keda, client, places)
