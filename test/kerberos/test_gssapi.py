"""`sasl: gssapi` of the kafka scaler: a real KDC, a real Kafka, a keytab."""

import base64
import time

import grpc
import pytest

from support.clients.grpc_client import Client, refusal
from support.brokers.kerberos import Kdc, KerberosKafka
from support.process import wait_until
from support.server.server import Server

SECONDS = 90  # a busy machine
KAFKA = "kafka/localhost"


@pytest.fixture(scope="module")
def kdc():
    with Kdc() as kdc:
        yield kdc


@pytest.fixture(scope="module")
def kafka(kdc):
    with KerberosKafka(kdc) as kafka:
        kafka.create_topic("jobs")
        kafka.produce("jobs", 12)
        kafka.commit("workers", "jobs", [0, 0, 0])
        yield kafka


@pytest.fixture
def server():
    with Server(hold="0s") as server:
        yield server


@pytest.fixture
def client(server):
    with Client(server.port) as client:
        yield client


def trigger(kdc, kafka, user, keytab, lines="", **keys):
    config = kdc.krb5_conf.read_text().replace("[libdefaults]", f"[libdefaults]\n{lines}")
    return {"scaler": "kafka", "bootstrapServers": kafka.secured, "topic": "jobs", "consumerGroup": "workers",
            "lagThreshold": "5", "sasl": "gssapi", "username": user, "realm": kdc.realm, "keytab": keytab,
            "kerberosConfig": config, **keys}


def wait_for_lag(client, metadata):
    wait_until(lambda: client.metrics(metadata).metricValue == 12, SECONDS, "the lag")


def wait_for_refusal(client, metadata, words):
    def refused():
        code, details = refusal(client.metrics, metadata)
        assert code == grpc.StatusCode.UNAVAILABLE and f"Kafka at {metadata['bootstrapServers']}" in details and words in details, details
        return True
    wait_until(refused, SECONDS, words)


def test_a_keytab_logs_in_and_leaves_no_ticket_in_a_file(kdc, kafka, tmp_path, monkeypatch):
    tickets, keytab = tmp_path / "tickets", kdc.keytab_text("worker")
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tickets}")
    with Server() as server, Client(server.port) as client:
        wait_for_lag(client, trigger(kdc, kafka, "worker", keytab))
        assert keytab not in server.log()
    assert kdc.tickets("worker", KAFKA) >= 1
    assert not tickets.exists()


def test_a_ticket_that_has_expired_is_replaced(kdc, kafka, client):
    """As soon as the broker asks for one again."""
    metadata = trigger(kdc, kafka, "night", kdc.keytab_text("night"), "    ticket_lifetime = 10s")
    wait_for_lag(client, metadata)
    before = kdc.tickets("night", f"krbtgt/{kdc.realm}")
    assert before >= 1
    time.sleep(11)
    kafka.restart(kafka.nodes[0])
    wait_for_lag(client, metadata)
    assert kdc.tickets("night", f"krbtgt/{kdc.realm}") > before


def test_a_keytab_that_is_no_longer_valid_is_refused(kdc, kafka, server, client):
    old, new = (kdc.keytab_text("former") for _ in range(2))
    wait_for_refusal(client, trigger(kdc, kafka, "former", old), "Decrypt integrity check failed")
    wait_for_lag(client, trigger(kdc, kafka, "former", new))
    assert old not in server.log() and new not in server.log()


def test_the_principal_is_that_of_username_and_realm(kdc, kafka, client):
    """Though the Kerberos library takes the first one of a keytab."""
    first, second = (kdc.keytab(user).read_bytes() for user in ("anybody", "somebody"))
    keytab = base64.b64encode(first + second[2:]).decode()  # without its version
    wait_for_lag(client, trigger(kdc, kafka, "somebody", keytab))
    assert kdc.tickets("somebody", KAFKA) >= 1 and kdc.tickets("anybody", KAFKA) == 0
    code, details = refusal(client.metrics, trigger(kdc, kafka, "nobody", keytab))
    assert code == grpc.StatusCode.INVALID_ARGUMENT, details
    assert f"but of anybody@{kdc.realm}, somebody@{kdc.realm}" in details, details


def test_another_service_name_is_requested(kdc, kafka, client):
    metadata = trigger(kdc, kafka, "worker", kdc.keytab_text("worker"), kerberosServiceName="broker")
    wait_for_refusal(client, metadata, "broker/localhost@EXAMPLE.TEST not found in Kerberos database")


def test_a_line_that_the_library_would_cut_is_refused(kdc, kafka, client, tmp_path):
    """Behind 2,047 bytes a line of its own would begin, which reads a file of the server's."""
    (tmp_path / "other").write_text("[libdefaults]\n    default_realm = OTHER.TEST\n")
    begin = "    permitted_enctypes = "
    line = begin + ("aes256-cts " * 200)[:2047 - len(begin)] + f"include {tmp_path}/other"
    code, details = refusal(client.metrics, trigger(kdc, kafka, "worker", kdc.keytab_text("worker"), line))
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "a line must have at most 1000 bytes" in details, details


def test_a_kdc_that_is_away_is_an_error_that_ends_with_it(kdc, kafka, client):
    metadata = trigger(kdc, kafka, "early", kdc.keytab_text("early"))
    kdc.stop()
    try:
        wait_for_refusal(client, metadata, "Cannot contact any KDC for realm 'EXAMPLE.TEST'")
    finally:
        kdc.start()
    wait_for_lag(client, metadata)
