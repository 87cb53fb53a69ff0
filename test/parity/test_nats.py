"""nats-jetstream, beside KEDA's: of the monitoring port, which KEDA asks, and over the client protocol."""

import dataclasses

import pytest

from support.clients.keda import Refused, Trigger
from support.brokers.nats import Nats, NatsCluster
from support.process import free_port
from support.clients.side_by_side import REFUSED, alike, both_refuse, compare, differs, each

MESSAGES = 10
THRESHOLD = "lagThreshold must be at least 1 and activationLagThreshold at least 0; KEDA accepts any."
ACCOUNTS = """
accounts {
  SHOP { jetstream: enabled, users: [{ user: shop, password: the-right-word }] }
  "R&D a=b%41" { jetstream: enabled, users: [{ user: odd, password: the-right-word }] }
  $SYS { users: [{ user: admin, password: secret }] }
}
no_auth_user: shop
"""

MONITOR = {"natsServerMonitoringEndpoint": "$monitor", "account": "$$G"}
SHOP = {"natsServerMonitoringEndpoint": "$shop_monitor", "account": "SHOP"}


def of(consumer, stream="orders", at=(), **keys):
    return Trigger("nats-jetstream", {**(at or MONITOR), "stream": stream, "consumer": consumer, **keys})


def without(trigger, key):
    return Trigger(trigger.type, {name: text for name, text in trigger.metadata.items() if name != key})


LAGS = [
    alike("nothing was delivered", of("idle"), 10),
    alike("delivered ones count until they are acknowledged", of("slow"), 10),
    alike("acknowledged ones do not", of("quick"), 6),
    alike("all were acknowledged", of("done"), 0),
    alike("all are delivered, none is acknowledged", of("stuck"), 10),
    alike("asked for again", of("again"), 10),
    alike("given up", of("given-up"), 7),
    alike("no acknowledgements", of("careless"), 6),
    alike("of one subject", of("mail"), 3),
    alike("of no subject that came", of("nothing"), 0),
    alike("new ones only", of("new"), 0),
    alike("from the last one on", of("last"), 1),
    alike("from the fourth on", of("fourth"), 7),
    alike("an empty stream", of("idle", "empty"), 0),
    alike("a purged stream", of("idle", "purged"), 0),
    alike("a stream with holes", of("idle", "holes"), 8),
    alike("a work queue", of("worker", "queue"), 7),
    alike("a stream's name in capitals and dashes", of("idle", "ORDERS-of_1"), 2),
    alike("as many as the activation", of("quick", activationLagThreshold="6"), 6, active=False),
    alike("one more than the activation", of("quick", activationLagThreshold="5"), 6, active=True),
    alike("another threshold", of("quick", lagThreshold="3"), 6),
    alike("values with blanks around", of(" quick ", " orders ", lagThreshold=" 3 "), 6),
    both_refuse("no such consumer", of("missing"), "not found in stream"),
    both_refuse("no such stream", of("idle", "missing"), "not found in stream"),
    both_refuse("a stream in other capitals", of("idle", "Orders"), "not found in stream"),
    both_refuse("no consumer", without(of("idle"), "consumer"), "missing required parameter"),
    both_refuse("no stream", without(of("idle"), "stream"), "missing required parameter"),
    both_refuse("a decimal threshold", of("idle", lagThreshold="2.5"), "unable to set param"),
    differs("a threshold of 0", of("idle", lagThreshold="0"), keda=(10, True), ours=REFUSED, because=THRESHOLD),
    differs("a threshold below 0", of("idle", lagThreshold="-5"), keda=(10, True), ours=REFUSED, because=THRESHOLD),
    differs("an activation below 0", of("done", activationLagThreshold="-1"), keda=(0, True), ours=REFUSED,
            because=THRESHOLD),
]

MONITORING = [
    alike("the account's name", of("idle", at=SHOP), 4),
    alike("the account's id", of("idle", at={**SHOP, "account": "", "accountID": "SHOP"}), 4),
    alike("the id before the name", of("idle", at={**SHOP, "account": "other", "accountID": "SHOP"}), 4),
    alike("an account's name with characters of a URL", of("idle", at={**SHOP, "account": "R&D a=b%41"}), 2),
    alike("the endpoint and the account of a TriggerAuthentication",
          Trigger("nats-jetstream", {"stream": "orders", "consumer": "idle"}, auth=SHOP), 4),
    alike("useHttps in words", of("idle", useHttps="false"), 10),
    both_refuse("another account", of("idle", at={**SHOP, "account": "OTHER"}), "not found in stream"),
    both_refuse("no account", of("idle", at={"natsServerMonitoringEndpoint": "$monitor"}), "no account name or id"),
    both_refuse("no endpoint", of("idle", at={"account": "$$G"}), "missing required parameter"),
    both_refuse("nobody listens", of("idle", at={**MONITOR, "natsServerMonitoringEndpoint": "127.0.0.1:$nobody"}),
                "connection refused"),
    both_refuse("no monitoring port", of("idle", at={**MONITOR, "natsServerMonitoringEndpoint": "$client"}),
                # NATS speaks first; Go reads that before or after it has sent its request.
                ("malformed HTTP", "readLoopPeekFailLocked")),
    both_refuse("TLS that is not spoken", of("idle", useHttps="true"), "server gave HTTP response"),
]

def of_node(place, stream="orders"):
    return of("worker", stream, at={**MONITOR, "natsServerMonitoringEndpoint": place})


CLUSTER = [
    alike("of the leader", of_node("$leader"), 10),
    alike("of a follower", of_node("$follower"), 10),
    *[alike(f"of one replica, at node {i}", of_node(f"$node_{i}", "one"), 10) for i in range(3)],
    alike("of a follower, over the client protocol", of_node("$follower"), 10,
          server=Trigger("nats-jetstream", {"servers": "$follower_url", "stream": "orders", "consumer": "worker"})),
]


@pytest.fixture(scope="module")
def places():
    with Nats() as broker, Nats(ACCOUNTS) as shop:
        with broker.connect() as client, shop.connect() as other:
            fill(client)
            with shop.connect(user="odd", password="the-right-word") as odd:
                for account, messages in ((other, 4), (odd, 2)):
                    account.create_stream("orders")
                    account.publish("orders", messages)
                    account.create_consumer("orders", "idle")
            yield {"monitor": broker.monitor_address, "shop_monitor": shop.monitor_address,
                   "client": broker.address, "servers": broker.url, "nobody": str(free_port())}


def fill(client):
    from nats.js.api import AckPolicy, DeliverPolicy, RetentionPolicy

    client.create_stream("orders")
    client.publish("orders", 3, "mail")
    client.publish("orders", MESSAGES - 3)
    for consumer in ("idle", "slow", "quick", "done", "stuck", "given-up"):
        client.create_consumer("orders", consumer)
    client.create_consumer("orders", "again", ack_wait=0.2)
    client.create_consumer("orders", "careless", ack_policy=AckPolicy.NONE)
    client.create_consumer("orders", "mail", filter_subject="orders.mail")
    client.create_consumer("orders", "nothing", filter_subject="orders.fax")
    client.create_consumer("orders", "new", deliver_policy=DeliverPolicy.NEW)
    client.create_consumer("orders", "last", deliver_policy=DeliverPolicy.LAST)
    client.create_consumer("orders", "fourth", deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=4)
    for consumer, count in (("slow", 4), ("stuck", MESSAGES), ("again", 3), ("careless", 4)):
        client.fetch("orders", consumer, count)
    client.take("orders", "quick", 4)
    client.take("orders", "done", MESSAGES)
    for message in client.fetch("orders", "given-up", 3):
        client.run(message.term())
    client.fetch("orders", "again", 3)  # once more, since their time is up

    for stream, count in {"empty": 0, "purged": 5, "holes": MESSAGES, "ORDERS-of_1": 2}.items():
        client.create_stream(stream)
        client.publish(stream, count)
        client.create_consumer(stream, "idle")
    client.run(client.jetstream.purge_stream("purged"))
    for sequence in (3, 7):
        client.run(client.jetstream.delete_msg("holes", sequence))

    client.create_stream("queue", retention=RetentionPolicy.WORK_QUEUE)
    client.publish("queue", MESSAGES)
    client.create_consumer("queue", "worker")
    client.take("queue", "worker", 3)
    client.fetch("queue", "worker", 2)


@each(LAGS + MONITORING)
def test_of_a_monitoring_port(case, keda, client, places):
    compare(case, keda, client, places)


@each(LAGS)
def test_over_the_client_protocol(case, keda, client, places):
    keys = {key: text for key, text in case.trigger.metadata.items() if key not in MONITOR}
    server = Trigger(case.trigger.type, {"servers": "$servers", **keys})
    compare(dataclasses.replace(case, server=server), keda, client, places)


@pytest.fixture(scope="module")
def cluster():
    with NatsCluster(3, as_pods=True) as cluster, cluster.nodes[0].connect() as client:
        cluster.create_stream(client, "orders")
        client.create_stream("one")
        for stream in ("orders", "one"):
            client.create_consumer(stream, "worker")
            client.publish(stream, MESSAGES)
            client.fetch(stream, "worker", 4)
        leader = client.leader("orders", "worker")
        follower = next(node for node in cluster.nodes if node.server_name != leader)
        yield {"leader": cluster.node(leader).monitor_address, "follower": follower.monitor_address,
               "follower_url": follower.url, **{f"node_{i}": node.monitor_address
                                                for i, node in enumerate(cluster.nodes)}}


@each(CLUSTER)
def test_in_a_cluster(case, keda, client, cluster):
    compare(case, keda, client, cluster)
