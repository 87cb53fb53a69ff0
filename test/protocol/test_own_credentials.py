"""`--kubernetes`: a trigger uses the TriggerAuthentication that its ScaledObject names, and no forged call does."""

import json
import os
import pathlib
import socket
import threading
import time
import urllib.request

import grpc
import pytest

from support.certificates import Authority, make_certificate, make_root
from support.kubernetes.fake_kubernetes import ALL, FIRST, FakeKubernetes, path_of
from support.clients.grpc_client import Client, refusal, scaled_object
from support.clients.transports import BOTH, nghttp2 as transport  # noqa: F401
from support.kubernetes.pod_server import PodServer
from support.brokers.redis import Redis

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a service account")

SECONDS = 20
PASSWORD = "p4ssw0rd"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("api")
    make_root(found)
    make_certificate(found, "api")
    return found


@pytest.fixture
def api(folder):
    with FakeKubernetes(folder) as found:
        yield found


@pytest.fixture
def unwatched(folder):
    """It permits `get` alone: objects are read at intervals."""
    with FakeKubernetes(folder, watched=False) as found:
        yield found


@pytest.fixture(scope="module")
def redis():
    with Redis(f"requirepass {PASSWORD}") as found:
        with found.connect() as client:
            client.call("AUTH", PASSWORD)
            client.call("RPUSH", "jobs", *range(7))
        yield found


def pod(folder, api, arguments=("--kubernetes",), **options):
    return PodServer(folder / "ca.pem", api.server_port, api.token, arguments=arguments, **options)


class Listener:
    """Records who connects; nobody should."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.connections = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, address = self.socket.accept()
            except OSError:
                return
            self.connections.append(address)
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def trigger(address, **more):
    return {"scalerAddress": "backlog:9090", "scaler": "redis", "address": address, "listName": "jobs", "listLength": "1",
            **more}


def value(client, metadata, **named):
    return client.metrics(metadata, "", **named).metricValue


def until(condition, seconds=SECONDS):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.05)


def shop(api, address, password=PASSWORD):
    api.secret("redis", password=password)
    api.authentication("redis", "redis", "password")
    metadata = trigger(address)
    api.scaled((metadata, {"name": "redis"}))
    return metadata


@pytest.mark.first
def test_a_trigger_uses_the_authentication_that_its_object_names(folder, api, redis):
    metadata = shop(api, redis.address)
    with pod(folder, api, http=True) as server, Client(server.port) as client:
        assert value(client, metadata) == 7
        pages = [urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}{path}").read().decode()
                 for path in ("/metrics", "/api/triggers", "/api/log", "/api/connections")]
        assert 'backlog_trigger_credentials{state="verified"} 1' in pages[0]
        assert not any(PASSWORD in page for page in pages), "a password on a page"
        assert PASSWORD not in server.log()


def test_a_scaled_job_and_keys_in_the_metadata_that_win(folder, api, redis):
    """authenticationRef is for KEDA's channel here."""
    api.secret("redis", password=PASSWORD)
    api.authentication("redis", "redis", "password")
    metadata = trigger(redis.address, triggerAuthentication="redis")
    api.scaled((metadata, {"name": "channel", "kind": "ClusterTriggerAuthentication"}), kind="ScaledJob")
    with pod(folder, api) as server, Client(server.port) as client:
        assert value(client, metadata) == 7


def test_a_cluster_wide_authentication_only_reaches_its_own_address(folder, api, redis):
    api.secret("redis", "keda", password=PASSWORD, address=redis.address)
    ref = {"name": "redis", "kind": "ClusterTriggerAuthentication"}
    with pod(folder, api) as server, Client(server.port) as client, Listener() as listener:
        own = {key: text for key, text in trigger("").items() if key != "address"}
        foreign = trigger(f"127.0.0.1:{listener.port}", interval="5s")
        api.authentication("redis", "redis", "password", "address", kind="ClusterTriggerAuthentication")
        api.scaled((own, ref))
        assert value(client, own) == 7
        api.authentication("leak", "redis", "password", kind="ClusterTriggerAuthentication")
        api.scaled((foreign, {**ref, "name": "leak"}), name="team", namespace="team")
        code, text = refusal(client.metrics, foreign, "", name="team", namespace="team")
        assert code == grpc.StatusCode.PERMISSION_DENIED
        assert "address in the trigger cannot be used together with ClusterTriggerAuthentication leak" in text
        assert not listener.connections


def test_a_list_allows_addresses_of_triggers_beside_a_cluster_wide_authentication(folder, api, redis):
    """... in the namespaces that it names, and nowhere else."""
    api.secret("redis", "keda", password=PASSWORD)
    api.authentication("redis", "redis", "password", kind="ClusterTriggerAuthentication")
    ref = {"name": "redis", "kind": "ClusterTriggerAuthentication"}
    _host, _, port = redis.address.rpartition(":")
    listed = f"{{redis: {{hosts: [{redis.address}, 'localhost'], namespaces: [shop, team-*]}}}}"
    arguments = ["--kubernetes", "--kubernetes-cluster-authentications", listed]
    with pod(folder, api, arguments=arguments) as server, Client(server.port) as client, Listener() as listener:
        separate = {key: text for key, text in trigger("", host="localhost", port=port).items() if key != "address"}
        for metadata, namespace in ((trigger(redis.address), "shop"), (trigger(redis.address), "team-a"), (separate, "shop")):
            api.scaled((metadata, ref), namespace=namespace)
            assert value(client, metadata, namespace=namespace) == 7
        evil = f"127.0.0.1:{listener.port}"
        refused = {
            "another namespace": (trigger(redis.address), "foreign"),
            "another port": (trigger(evil), "shop"),
            "one of two": (trigger(f"{redis.address},{evil}"), "shop"),
            "a user that looks like the host": (trigger(f"redis://{redis.address}@{evil}"), "shop"),
            "a port of its own": ({**separate, "host": "127.0.0.1", "port": str(listener.port)}, "shop"),
            "a port and no host": ({"port": str(listener.port), **trigger(redis.address)}, "shop"),
            "another certificate authority": (trigger(redis.address, ca="-----BEGIN CERTIFICATE-----"), "shop"),
            "no verification": (trigger(redis.address, brokerUnsafeSsl="true"), "shop"),
        }
        for number, (what, (metadata, namespace)) in enumerate(refused.items()):
            api.scaled((metadata, ref), name=f"refused-{number}", namespace=namespace)
            code, text = refusal(client.metrics, metadata, "", name=f"refused-{number}", namespace=namespace)
            assert code == grpc.StatusCode.PERMISSION_DENIED, (what, code, text)
            assert "ClusterTriggerAuthentication redis" in text, (what, text)
        assert not listener.connections


@pytest.mark.parametrize("scaler", ["redis-sentinel", "redis-sentinel-streams", "redis-cluster", "redis-cluster-streams"])
def test_sentinels_and_listed_nodes_are_the_address_that_counts(folder, api, scaler):
    """Each is written out: what a caller sends as a variable's value names no master or node."""
    api.secret("redis", password=PASSWORD)
    api.authentication("redis", "redis", "password")
    more = {"listName": "jobs", "listLength": "1"} if not scaler.endswith("streams") else \
        {"stream": "jobs", "consumerGroup": "workers", "pendingEntriesCount": "1"}
    metadata = {"scalerAddress": "backlog:9090", "scaler": scaler, **more}
    master = {"sentinelMaster": "mymaster"} if "sentinel" in scaler else {}
    with Listener() as listener, pod(folder, api) as server, Client(server.port) as client:
        evil = f"127.0.0.1:{listener.port}"
        written = {**metadata, **master, "addresses": "127.0.0.1:1"}
        metadata |= master
        api.scaled(({**metadata, "addressesFromEnv": "SENTINELS"}, {"name": "redis"}), (written, {"name": "redis"}))
        for call in ({**metadata, "addressesFromEnv": evil}, {**written, "addresses": evil},
                     {**written, "addresses": f"127.0.0.1:1,{evil}"}, {**written, "interval": "7s", "addresses": evil}):
            code, text = refusal(client.metrics, call, "")
            assert code == grpc.StatusCode.PERMISSION_DENIED, (call, code, text)
        assert not listener.connections


@pytest.mark.first
def test_forged_calls_reach_nobody(folder, api, redis):
    metadata = shop(api, redis.address)
    with pod(folder, api) as server, Client(server.port) as client, Listener() as listener:
        assert value(client, metadata) == 7
        evil = f"127.0.0.1:{listener.port}"
        variable = {**trigger(redis.address), "addressFromEnv": "REDIS"}
        del variable["address"]
        api.scaled((variable, {"name": "redis"}), name="variable")
        forged = {
            "another namespace": (metadata, {"namespace": "other"}),
            "another name": (metadata, {"name": "other"}),
            "a path": (metadata, {"namespace": "../shop"}),
            "another address": ({**metadata, "address": evil}, {}),
            "one key changed": ({**metadata, "listLength": "2"}, {}),
            "one key more": ({**metadata, "databaseIndex": "1"}, {}),
            "one key less": ({key: text for key, text in metadata.items() if key != "scalerAddress"}, {}),
            "a variable that is not there": ({**metadata, "addressFromEnv": evil}, {}),
            "a variable's value": ({**variable, "addressFromEnv": evil}, {"name": "variable"}),
            "an authentication": ({**metadata, "triggerAuthentication": "redis", "address": evil}, {}),
        }
        for what, (call, named) in forged.items():
            code, text = refusal(client.metrics, call, "", **named)
            assert code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT), (what, code, text)
        code, text = refusal(client.metrics, forged["a variable's value"][0], "", name="variable")
        assert "addressFromEnv cannot be used together with TriggerAuthentication shop/redis" in text
        assert not listener.connections
        assert value(client, metadata) == 7


@BOTH
@pytest.mark.parametrize("names, is_taken", [((), False), (("--tls-client-names", "keda-operator"), True)])
def test_the_value_of_a_variable_counts_where_the_caller_proves_keda_s_name(folder, api, redis, tmp_path, names, is_taken):
    """Others may have certificates of the authority."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    own_certificate, own_key = [pathlib.Path(path).read_bytes() for path in authority.issue("keda", "keda-operator", ())]
    variable = {**trigger(redis.address), "addressFromEnv": "REDIS"}
    del variable["address"]
    api.secret("redis", password=PASSWORD)
    api.authentication("redis", "redis", "password")
    api.scaled((variable, {"name": "redis"}))
    flags = ["--kubernetes", "--tls-cert", certificate, "--tls-key", key, "--tls-client-ca", authority.certificate, *names]
    credentials = grpc.ssl_channel_credentials(pathlib.Path(authority.certificate).read_bytes(), own_key, own_certificate)
    with pod(folder, api, arguments=flags) as server, Client(server.port, credentials=credentials) as client:
        call = {**variable, "addressFromEnv": redis.address}
        if is_taken:
            assert value(client, call) == 7
        else:
            _code, text = refusal(client.metrics, call, "")
            assert "--tls-client-names" in text


def test_forged_calls_leave_requests_to_others(folder, api, redis):
    """Each names another object, of which there is none: at most 24 of 32 requests at a time are for what was never read."""
    metadata = shop(api, redis.address)
    api.delays["noisy"] = 0.2
    with pod(folder, api) as server, Client(server.port) as client:
        calls = [client.stub.IsActive.future(scaled_object(metadata, name=f"object-{number}", namespace="noisy"))
                 for number in range(100)]
        assert value(client, metadata) == 7
        for call in calls:
            call.cancel()
        assert 1 <= api.max_waiting["noisy", FIRST] <= 24


def test_at_most_32_requests_are_sent_at_a_time(folder, api):
    """However many objects there are: 24 for what is read for the first time, the others for what is read again."""
    metadata = trigger("127.0.0.1:1")
    objects = [(f"o{number}", f"team-{team}") for team in range(12) for number in range(10)]
    for name, namespace in objects:
        api.secret(name, namespace, password=PASSWORD)
        api.authentication(name, name, "password", namespace=namespace)
        api.scaled((metadata, {"name": name}), name=name, namespace=namespace)
    api.delay = 0.3
    with pod(folder, api) as server, Client(server.port) as client:
        calls = [client.stub.GetMetricSpec.future(scaled_object(metadata, *each), timeout=SECONDS) for each in objects]
        for call in calls:
            call.result()
        until(lambda: all(api.times(path_of("Secret", *each)) for each in objects), 60)
        assert 24 < api.max_waiting[ALL] <= 32


def test_secrets_of_cluster_wide_authentications_are_in_the_namespace_of_the_flag(folder, api, redis):
    api.secret("redis", "platform", password=PASSWORD, address=redis.address)
    api.secret("redis", "keda", password="wrong", address="127.0.0.1:1")
    api.authentication("redis", "redis", "password", "address", kind="ClusterTriggerAuthentication")
    metadata = {key: text for key, text in trigger("").items() if key != "address"}
    api.scaled((metadata, {"name": "redis", "kind": "ClusterTriggerAuthentication"}))
    with pod(folder, api, arguments=["--kubernetes", "--kubernetes-cluster-namespace", "platform"]) as server, \
            Client(server.port) as client:
        assert value(client, metadata) == 7


def test_equal_metadata_with_different_authentications_is_refused(folder, api, redis):
    metadata = shop(api, redis.address)
    api.scaled((metadata, {"name": "other"}), kind="ScaledJob")
    with pod(folder, api) as server, Client(server.port) as client:
        _code, text = refusal(client.metrics, metadata, "")
        assert "add a key that differs" in text


def test_a_watch_reads_again_what_has_changed_and_nothing_else(folder, api, redis):
    metadata = shop(api, redis.address)
    with pod(folder, api) as server, Client(server.port) as client:
        assert value(client, metadata) == 7
        time.sleep(2)  # the watches begin
        before = len(api.requests)
        for _ in range(50):
            api.touch("ScaledObject", "orders")
            time.sleep(0.01)
        api.scaled(({**metadata, "listLength": "3"}, {"name": "redis"}), name="somebody-elses")
        time.sleep(2)
        assert len(api.requests) <= before + 1, api.requests[before:]  # one, every 10 s, finds out whether the API is there
        secret = path_of("Secret", "redis")
        count = len(api.times(secret))
        api.secret("redis", password="wrong")
        until(lambda: len(api.times(secret)) > count, 5)
        time.sleep(2)
        assert len(api.times(secret)) == count + 1
        api.delete("ScaledObject", "orders")
        until(lambda: is_refused(client, metadata), 5)


def test_what_changes_before_a_watch_begins_is_read_again(folder, api, redis):
    """The list that it begins with is newer than what was read meanwhile."""
    metadata = shop(api, redis.address)
    api.list_delay = 2
    with pod(folder, api) as server, Client(server.port) as client:
        assert value(client, metadata) == 7
        api.delete("ScaledObject", "orders")
        until(lambda: is_refused(client, metadata), 10)


def test_a_secret_deleted_between_its_read_and_its_watch_is_noticed(folder, api, redis):
    """The watch says what there is when it begins: nothing of what is gone."""
    metadata = shop(api, redis.address)
    other = trigger(redis.address, interval="5s")
    api.scaled((other, {"name": "redis"}), name="other")
    api.late_watches.add("redis")
    with pod(folder, api) as server, Client(server.port) as client:
        assert value(client, metadata) == 7
        until(lambda: api.watches("redis"))
        api.delete("Secret", "redis")
        api.watching.set()

        def is_missed():
            try:
                value(client, other, name="other")
            except grpc.RpcError as error:
                return "Secret shop/redis does not exist" in error.details()
            return False

        until(is_missed)


def test_watches_that_are_not_answered_give_up_their_places(folder, api, redis):
    metadata = shop(api, redis.address)
    names = [f"late-{number}" for number in range(20)]  # more than may wait at a time
    api.late_watches.update(names)
    for name in names:
        api.secret(name, password=PASSWORD)
        api.authentication(name, name, "password")
        api.scaled((metadata, {"name": name}), name=name)
    with pod(folder, api) as server, Client(server.port) as client:
        for name in names:
            assert value(client, metadata, name=name) == 7
        until(lambda: all(api.watches(name) for name in names), 60)
        assert value(client, metadata) == 7  # the API as a whole is there


def test_a_watch_goes_on_behind_an_event_that_is_none(folder, api, redis):
    metadata = shop(api, redis.address)
    with pod(folder, api) as server, Client(server.port) as client:
        assert value(client, metadata) == 7
        time.sleep(2)  # the watches begin
        path = path_of("ScaledObject", "orders")
        api.change("BROKEN", path, json.loads(json.dumps(api.objects[path])))
        time.sleep(1)
        api.delete("ScaledObject", "orders")
        until(lambda: is_refused(client, metadata), 50)  # by its interval at the latest


def test_a_watch_that_begins_anew_reads_again_only_what_has_changed(folder, api, redis):
    """As after a restart of the API server: nobody knows what happened meanwhile, but the generations say it."""
    metadata = trigger(redis.address)
    names = [f"o{number}" for number in range(10)]
    for name in names:
        api.secret(name, password=PASSWORD)
        api.authentication(name, name, "password")
        api.scaled((metadata, {"name": name}), name=name)
    with pod(folder, api) as server, Client(server.port) as client:
        for name in names:
            assert value(client, metadata, name=name) == 7
        until(lambda: all(api.watches(name) for name in names))
        time.sleep(3)
        before = len(api.requests)
        edited, gone = path_of("ScaledObject", "o1"), path_of("ScaledObject", "o2")
        with api.together():
            del api.objects[gone]
            api.objects[edited]["metadata"]["generation"] += 1000
            path = path_of("ScaledObject", "o0")
            api.change("GONE", path, json.loads(json.dumps(api.objects[path])))
        until(lambda: len(api.times(gone)) > 1 and len(api.times(edited)) > 1)
        time.sleep(2)
        read = [path for _, path in api.requests[before:] if "?" not in path]
        others = [path for path in read if path not in (edited, gone)]
        assert len(others) <= 2, read  # one, every 10 s, finds out whether the API is there
        assert "neither a ScaledObject" in refusal(client.metrics, metadata, "", name="o2")[1]
        assert value(client, metadata, name="o1") == 7


def is_refused(client, metadata):
    try:
        value(client, metadata)
    except grpc.RpcError as error:
        return "neither a ScaledObject nor a ScaledJob" in error.details()
    return False


def test_retry_after_is_obeyed(folder, api, redis):
    metadata = shop(api, redis.address)
    api.status, api.retry_after = 429, 6
    with pod(folder, api) as server, Client(server.port) as client:
        refusal(client.metrics, metadata, "")
        time.sleep(1)
        count = len(api.requests)
        time.sleep(4)
        assert len(api.requests) == count, api.requests[count:]
        api.status = None

        def is_answered():
            try:
                return value(client, metadata) == 7
            except grpc.RpcError:
                return False

        until(is_answered)


def test_a_deleted_object_is_refused_within_60_s(folder, unwatched, redis):
    api = unwatched
    metadata = shop(api, redis.address)
    with pod(folder, api) as server, Client(server.port) as client:
        assert value(client, metadata) == 7
        api.delete("ScaledObject", "orders")

        def is_refused():
            try:
                value(client, metadata)
            except grpc.RpcError as error:
                return "neither a ScaledObject nor a ScaledJob shop/orders" in error.details()
            return False

        until(is_refused, 60)


def test_an_edit_is_read_at_once_and_the_former_trigger_stays(folder, api, redis):
    metadata = shop(api, redis.address)
    with pod(folder, api) as server, Client(server.port) as client:
        began = time.monotonic()
        assert value(client, metadata) == 7
        until(lambda: api.watches("redis"))
        for length in range(2, 6):  # the call may come before the object is read again
            edited = {**metadata, "listLength": str(length)}
            api.scaled((edited, {"name": "redis"}))
            assert value(client, edited) == 7
            assert value(client, metadata) == 7
        assert api.watches("redis") == 1, "the Secret is the same"
        for number in range(30):  # forged ones make it read no more often
            refusal(client.metrics, {**metadata, "listLength": str(100 + number)}, "")
        count = len(api.times(path_of("ScaledObject", "orders")))
        assert count <= time.monotonic() - began + 1, "more than once per second"


@BOTH
def test_a_call_waits_2_s_at_most_for_an_api_that_is_slow(folder, api, redis):
    """1 s until the object may be read again, and 1 s for the reply; the call after that may have it."""
    metadata = shop(api, redis.address)
    with pod(folder, api) as server, Client(server.port) as client:
        assert value(client, metadata) == 7
        time.sleep(2)  # the watches begin
        edited = {**metadata, "listLength": "2"}
        api.delays["shop"] = 4
        api.scaled((edited, {"name": "redis"}))
        began = time.monotonic()
        code, text = refusal(client.metrics, edited, "")
        assert 1.5 < time.monotonic() - began < 3.5
        assert code == grpc.StatusCode.UNAVAILABLE and "the Kubernetes API answers too slowly" in text, (code, text)
        assert value(client, metadata) == 7
        api.delays.clear()
        until(lambda: is_answered(client, edited, "orders"))


def test_objects_that_change_together_are_no_error_between(folder, api, redis):
    """The Secret's news wait for its second, those of the authentication do not."""
    metadata = shop(api, redis.address)
    with pod(folder, api) as server, Client(server.port) as client:
        assert value(client, metadata) == 7
        former = {}
        for values in ({"databaseIndex": "0"}, {}):
            api.secret("redis", password=PASSWORD, user="shop", **former)
            time.sleep(0.3)
            former = values
            with api.together():  # a Secret that is read between the two lacks a key, which is an error
                api.secret("redis", password=PASSWORD, **values)
                api.authentication("redis", "redis", "password", *values)
            end = time.monotonic() + 2
            while time.monotonic() < end:
                assert value(client, metadata) == 7
                time.sleep(0.01)


def test_what_is_missing_is_named(folder, api, redis):
    metadata = shop(api, redis.address)
    with pod(folder, api) as server, Client(server.port) as client:
        cases = {
            "no-such": (None, "TriggerAuthentication shop/no-such does not exist"),
            "no-key": ({"secretTargetRef": [{"parameter": "password", "name": "redis", "key": "pw"}]},
                       "Secret shop/redis has no text under the key pw"),
            "no-secret": ({"secretTargetRef": [{"parameter": "password", "name": "gone", "key": "pw"}]},
                          "Secret shop/gone does not exist; it should have the key pw"),
            "env": ({"env": [{"parameter": "password", "name": "PASSWORD"}]}, "uses env for password"),
            "identity": ({"podIdentity": {"provider": "azure-workload"}}, "uses podIdentity"),
            "vault": ({"hashiCorpVault": {"address": "x"}}, "uses hashiCorpVault"),
            "file": ({"filePath": [{"parameter": "password", "path": "/p"}]}, "uses filePath"),
            "both": ({"secretTargetRef": [{"parameter": "address", "name": "redis", "key": "password"}]},
                     "address is given in the trigger and in TriggerAuthentication shop/both"),
        }
        for name, (spec, words) in cases.items():
            if spec:
                api.put("TriggerAuthentication", name, spec=spec)
            api.scaled((metadata, {"name": name}), name=name)
            _code, text = refusal(client.metrics, metadata, "", name=name)
            assert words in text, (name, text)
        path = path_of("Secret", "redis", "billing")
        api.refused[path] = 403
        api.authentication("redis", "redis", "password", namespace="billing")
        api.scaled((metadata, {"name": "redis"}), namespace="billing")
        code, text = refusal(client.metrics, metadata, "", namespace="billing")
        assert code == grpc.StatusCode.UNAVAILABLE and "Secret billing/redis cannot be read" in text and "403" in text, text
        api.scaled((metadata, {"name": "redis"}))
        assert value(client, metadata) == 7  # it stops no other
        del api.refused[path]  # the right is given
        api.secret("redis", "billing", password=PASSWORD)

        def is_answered():
            try:
                return value(client, metadata, namespace="billing") == 7
            except grpc.RpcError:
                return False

        until(is_answered, 40)


def gaps(api, part, since):
    """Between the requests whose path has this part, and until now."""
    times = [since, *(at for at, path in list(api.requests) if part in path and at > since), time.monotonic()]
    return [later - earlier for earlier, later in zip(times, times[1:])]


@pytest.mark.parametrize("part", ["/keda.sh/", "/secrets"])
def test_rights_that_come_back_are_used_within_15_s(folder, api, redis, part):
    """However long they were away: both of a trigger that had its credentials, and of one that is new."""
    metadata = shop(api, redis.address)
    new = trigger(redis.address, interval="5s")
    api.secret("new", password=PASSWORD)
    api.authentication("new", "new", "password")
    api.scaled((new, {"name": "new"}), name="new")
    with pod(folder, api, http=True) as server, Client(server.port) as client:
        def failing():
            page = urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/metrics").read().decode()
            return [line for line in page.splitlines() if line.startswith("backlog_kubernetes_failing_objects ")][0] != \
                "backlog_kubernetes_failing_objects 0"

        assert value(client, metadata) == 7
        time.sleep(2)  # the watches begin
        since = time.monotonic()
        api.is_forbidden = lambda path: part in path
        until(lambda: "403" in refusal(client.metrics, new, "", name="new")[1])
        while time.monotonic() < since + 45:
            assert value(client, metadata) == 7
            time.sleep(1)
        paths = ("/scaledobjects?", "/namespaces/shop/scaledobjects/new") if part == "/keda.sh/" else \
            ("/namespaces/shop/secrets/new", "/namespaces/shop/secrets/redis")
        for one in paths:
            found = gaps(api, one, since)
            assert 4 < len(found) < 25 and max(found[1:]) < 13, (one, found)
        since = time.monotonic()
        api.is_forbidden = lambda _path: False
        until(lambda: is_answered(client, new, "new"), 15)
        until(lambda: not failing(), since + 15 - time.monotonic())
        api.secret("redis", password="wrong")  # watched again
        count = len(api.times(path_of("Secret", "redis")))
        until(lambda: len(api.times(path_of("Secret", "redis"))) > count, 3)


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "at intervals"])
def test_a_rotated_secret_is_in_use_within_10_s(folder, api, unwatched, watched):
    api = api if watched else unwatched
    with Redis(f"requirepass {PASSWORD}") as redis, redis.connect() as admin:
        admin.call("AUTH", PASSWORD)
        admin.call("RPUSH", "jobs", *range(7))
        metadata = shop(api, redis.address)
        with pod(folder, api, interval="1s") as server, Client(server.port) as client:
            assert value(client, metadata) == 7
            for password in ("second", "third"):
                admin.call("CONFIG", "SET", "requirepass", password)
                admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                api.secret("redis", password=password)
                began = time.monotonic()
                admin.call("RPUSH", "jobs", "one more")
                expected = admin.call("LLEN", "jobs")

                def is_new():
                    return value(client, metadata) == expected  # an error fails: what was known is held

                until(is_new, 10)
                assert time.monotonic() - began < 10


@pytest.mark.parametrize("trouble", ["frozen", "429", "500", "token"])
def test_what_is_known_goes_on_while_the_api_is_away(folder, api, redis, trouble):
    metadata = shop(api, redis.address)
    new = trigger(redis.address, interval="5s")
    api.scaled((new, {"name": "redis"}), name="new")
    with pod(folder, api, http=True) as server, Client(server.port) as client:
        def readiness():
            return urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/readyz?verbose").read().decode()

        assert value(client, metadata) == 7
        if trouble == "frozen":
            api.answering.clear()
        elif trouble == "token":
            api.token = "another-token"
        else:
            api.status = int(trouble)
        until(lambda: "of the Kubernetes API cannot be read" in readiness())
        assert value(client, metadata) == 7
        code, text = refusal(client.metrics, new, "", name="new")
        assert code == grpc.StatusCode.UNAVAILABLE and "Kubernetes API" in text, (code, text)
        api.answering.set()
        api.status = None
        server.write_token(api.token)

        def is_back():
            try:
                return value(client, new, name="new") == 7
            except grpc.RpcError:
                return False

        until(is_back)
        until(lambda: "cannot be read" not in readiness())
        assert value(client, metadata) == 7


@pytest.mark.parametrize("lost", [1, 2])
def test_an_object_that_the_api_cannot_read_stops_no_other(folder, api, redis, lost):
    """As a Secret whose encryption key is lost: a 500 each time. Several of them are not the whole API either."""
    metadata = shop(api, redis.address)
    for number in range(lost):
        api.authentication(f"lost-{number}", f"lost-{number}", "password")
        api.scaled((metadata, {"name": f"lost-{number}"}), name=f"broken-{number}")
        api.refused[path_of("Secret", f"lost-{number}")] = 500
        api.refused_watches.add(f"lost-{number}")
    with pod(folder, api) as server, Client(server.port) as client:
        for number in range(lost):
            refusal(client.metrics, metadata, "", name=f"broken-{number}")
        time.sleep(1 if lost == 1 else 8)  # from then on two are due in turn whenever the API is tried

        for number in range(3):
            api.scaled((metadata, {"name": "redis"}), name=f"other-{number}")
            until(lambda name=f"other-{number}": is_answered(client, metadata, name))
        for number in range(3, 9):  # it is known by now
            api.scaled((metadata, {"name": "redis"}), name=f"other-{number}")
            assert value(client, metadata, name=f"other-{number}") == 7
            time.sleep(0.5)
        for number in range(lost):
            _code, text = refusal(client.metrics, metadata, "", name=f"broken-{number}")
            assert f"Secret shop/lost-{number} cannot be read: the Kubernetes API: 500" in text, text


def test_secrets_that_are_lost_later_stop_no_other_object(folder, api, redis):
    """All that are read again are refused: what is not due shows that the API answers."""
    metadata = trigger(redis.address)
    names = [f"lost-{number}" for number in range(4)]
    api.is_forbidden = lambda path: "watch=1" in path and "/secrets?" in path
    for name in names:
        api.secret(name, password=PASSWORD)
        api.authentication(name, name, "password")
        api.scaled((metadata, {"name": name}), name=name)
    with pod(folder, api) as server, Client(server.port) as client:
        for name in names:
            assert value(client, metadata, name=name) == 7
        for name in names:
            api.refused[path_of("Secret", name)] = 500
        time.sleep(25)
        api.scaled((metadata, None), name="plain", namespace="other")
        until(lambda: is_read(client, metadata, "plain"))


def is_read(client, metadata, name):
    """Its password is missing: the object was read."""
    _code, text = refusal(client.metrics, metadata, "", name=name, namespace="other")
    return "Kubernetes API" not in text and "has not been read" not in text


def test_what_is_read_again_leaves_room_for_what_never_was(folder, unwatched, redis):
    """More objects than can be read in their interval, as the API is slow."""
    namespaces, count = [f"team-{number}" for number in range(4)], 40
    metadata = trigger(redis.address)
    for namespace in namespaces:
        for number in range(count):
            unwatched.secret(f"redis-{number}", namespace, password=PASSWORD)
            unwatched.authentication(f"redis-{number}", f"redis-{number}", "password", namespace=namespace)
        unwatched.scaled(*(({**metadata, "listLength": str(number + 1)}, {"name": f"redis-{number}"})
                           for number in range(count)), namespace=namespace)
    with pod(folder, unwatched) as server, Client(server.port) as client:
        for namespace in namespaces:
            for number in range(count):
                assert value(client, {**metadata, "listLength": str(number + 1)}, namespace=namespace) == 7
        unwatched.delay = 1
        time.sleep(10)
        unwatched.secret("redis", "quiet", password=PASSWORD)
        unwatched.authentication("redis", "redis", "password", namespace="quiet")
        unwatched.scaled((metadata, {"name": "redis"}), name="new", namespace="quiet")
        until(lambda: is_answered(client, metadata, "new", "quiet"))


def is_answered(client, metadata, name, namespace="shop"):
    try:
        return value(client, metadata, name=name, namespace=namespace) == 7
    except grpc.RpcError:
        return False


def test_denied_addresses_may_come_from_an_authentication(folder, api, redis):
    api.secret("redis", password=PASSWORD, address=redis.address)
    api.authentication("redis", "redis", "password", "address")
    metadata = {key: text for key, text in trigger("").items() if key != "address"}
    inline = trigger(redis.address)
    api.scaled((metadata, {"name": "redis"}))
    api.scaled((inline, None), name="inline")
    flags = ["--kubernetes", "--deny-inline-connections"]
    with pod(folder, api, arguments=flags) as server, Client(server.port) as client:
        assert refusal(client.metrics, metadata, "")[0] == grpc.StatusCode.PERMISSION_DENIED
    with pod(folder, api, arguments=[*flags, "--kubernetes-allow-authentications"]) as server, \
            Client(server.port) as client:
        assert value(client, metadata) == 7
        assert refusal(client.metrics, inline, "", name="inline")[0] == grpc.StatusCode.PERMISSION_DENIED


def test_a_stream_lives_through_a_rotation(folder, api):
    with Redis(f"requirepass {PASSWORD}") as redis, redis.connect() as admin:
        admin.call("AUTH", PASSWORD)
        metadata = shop(api, redis.address)
        with pod(folder, api, interval="1s") as server, Client(server.port) as client:
            stream = client.stream_is_active(metadata, seconds=60)
            assert value(client, metadata) == 0
            admin.call("CONFIG", "SET", "requirepass", "second")
            api.secret("redis", password="second")
            admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            time.sleep(1)
            admin.call("RPUSH", "jobs", "one")
            assert next(iter(stream)).result


def resident_growth(server, act):
    before = server.resident_bytes()
    act()
    return (server.resident_bytes() - before) >> 20


@pytest.mark.parametrize("what", ["values", "objects", "keys"])
def test_what_a_team_has_read_is_bounded(folder, api, what):
    """Values that many triggers have, and many large objects: some 64 MiB at most."""
    ref = {"name": "redis"}
    api.secret("redis", password="x" * 60_000 if what == "values" else PASSWORD)
    api.authentication("redis", "redis", "password")
    many = [trigger("127.0.0.1:1", interval=f"{each + 1}s") for each in range(400 if what == "values" else 1)]
    if what == "values":
        calls = [(metadata, "orders") for metadata in many]
        api.scaled(*((metadata, ref) for metadata in many))
    else:
        other = {"scaler": "none", **{f"{each:x}": "" for each in range(50_000)}}
        junk = [(other, None)] if what == "keys" else [({}, None)] * 20_000
        calls = [(many[0], f"o{each}") for each in range(40)]
        for _, name in calls:
            api.scaled((many[0], ref), *junk, name=name)
    with pod(folder, api, program=os.environ.get("BACKLOG_RELEASE")) as server, Client(server.port) as client:
        def act():
            for metadata, name in calls:
                refusal(client.metrics, metadata, "", name=name)

        assert resident_growth(server, act) < 80, "MiB"
        assert value_of_another_team(folder, api, client) == 0


def value_of_another_team(folder, api, client):
    with Redis() as redis:
        metadata = trigger(redis.address)
        api.secret("redis", "team", password="any")
        api.authentication("redis", "redis", "password", namespace="team")
        api.scaled((metadata, {"name": "redis"}), name="team", namespace="team")
        return value(client, metadata, name="team", namespace="team")


def test_comparing_a_teams_triggers_delays_no_other_team(folder, api):
    """Many triggers that differ in their last key alone, and a large one that has all of their keys."""
    keys = {f"k{each}": "" for each in range(240)}
    many = [trigger("127.0.0.1:1", **keys, last=str(each)) for each in range(40)]
    large = {**{f"{each:x}": "" for each in range(36_000)}, **many[0], "last": ""}
    api.scaled((large, None), *((metadata, None) for metadata in many))
    with pod(folder, api, program=os.environ.get("BACKLOG_RELEASE")) as server, Client(server.port) as client:
        for metadata in many:
            client.metric_spec(metadata)
        assert value_of_another_team(folder, api, client) == 0


@pytest.mark.parametrize("namespaces", [[f"claimed{each}" for each in range(6)], ["team"]], ids=["of many namespaces", "of its own"])
def test_forged_names_delay_no_new_trigger(folder, api, namespaces):
    """Thousands of objects that do not exist, each to be looked up: a new trigger is answered at once."""
    api.delay = 0.2
    forged = trigger("127.0.0.1:1")
    with pod(folder, api) as server, Client(server.port) as client:
        for first in range(0, 3000, 100):
            calls = [client.stub.GetMetricSpec.future(scaled_object(forged, f"n{each}", namespaces[each % len(namespaces)]), timeout=SECONDS)
                     for each in range(first, first + 100)]
            for call in calls:
                call.result()
        assert value_of_another_team(folder, api, client) == 0
        assert len(api.requests) < 5000, "all were looked up: nobody had to wait"
