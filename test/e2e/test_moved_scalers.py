"""Every scaler with the TriggerAuthentication that KEDA's documentation shows: moved, its password changed, and moved back."""

import contextlib
import re
import time
import urllib.request

import pytest

from support.certificates import Authority
from support.kubernetes.namespace import scaled_job, trigger
from support.kubernetes.own_credentials import allow, authentication_of, channel, create_account, pod
from support.brokers.redis import Redis
from support.brokers.sources import BUSY, HASHES, NEW_PASSWORD, PASSWORD, USER, all_sources
from support.brokers.work import ScrapingPrometheus

TARGET = 5


@pytest.fixture(scope="module", autouse=True)
def account(api):
    create_account(api)


class Moved:
    """A source as a trigger has it: keys of the metadata, and parameters of the authentication by the password."""

    def __init__(self, source, metadata, parameters, scaler=None, built_in=True):
        self.source, self.metadata, self.parameters = source, metadata, parameters
        self.scaler, self.has_built_in = scaler or source.scaler, built_in

    def built_in(self, ref):
        return {"type": self.scaler, "metadata": dict(self.metadata), "authenticationRef": ref}


class ScrapedSource:
    """Prometheus with users and a gauge that grows."""

    scaler = "prometheus"

    def __init__(self, broker):
        self.broker = broker
        self.change_password(PASSWORD)

    def add(self, _queue, count):
        self.broker.jobs += count

    def change_password(self, password):
        self.broker.write_web(f"basic_auth_users: {{{USER}: '{HASHES[password]}'}}\n")


def moved_sources(stack):
    """By the name of their ScaledObjects; 7 messages wait in each."""
    found = {source.name: source for source in stack.enter_context(all_sources())}
    scraped = ScrapedSource(stack.enter_context(ScrapingPrometheus()))
    scraped.add(BUSY, 7)
    login = {"username": USER}
    kafka, nats, sql = found["kafka"], found["nats-jetstream"], found["postgresql"]
    group = {"bootstrapServers": f"localhost:{kafka.proxy.port}", "consumerGroup": "workers", "topic": BUSY,
             "lagThreshold": str(TARGET), "allowIdleConsumers": "true"}
    consumer = {"stream": BUSY, "consumer": "workers", "lagThreshold": str(TARGET)}
    return {
        "kafka": Moved(kafka, group, lambda password: {"sasl": "scram_sha256", "password": password, **login}),
        "apache-kafka": Moved(kafka, group, lambda password: {"sasl": "scram_sha256", "password": password, **login},
                              scaler="apache-kafka"),
        "nats": Moved(nats, consumer, lambda _: {"natsServerMonitoringEndpoint": nats.monitor, "account": "$G"}),
        "nats-client": Moved(nats, consumer, lambda password: {
            "servers": f"nats://127.0.0.1:{nats.proxy.port}", "user": USER, "password": password}, built_in=False),
        "postgresql": Moved(sql, {"query": f"SELECT count(*) FROM jobs WHERE queue = '{BUSY}'", "targetQueryValue": str(TARGET)},
                            lambda password: {"connection": f"postgresql://{USER}:{password}@127.0.0.1:{sql.proxy.port}/{USER}"
                                                            "?sslmode=disable"}),
        "prometheus": Moved(scraped, {"serverAddress": scraped.broker.url(), "query": "sum(jobs)", "threshold": str(TARGET),
                                      "authModes": "basic"}, lambda password: {"password": password, **login}),
        **{name: Moved(found[name], {"queueName": f"{BUSY}-{scheme}", "mode": "QueueLength", "value": str(TARGET)},
                       lambda password, scheme=scheme, port=found[name].proxy.port: {
                           "host": f"{scheme}://{scheme}:{password}@127.0.0.1:{port}/%2F"})
           for name, scheme in (("rabbitmq-amqp", "amqp"), ("rabbitmq-http", "http"))},
        **{name: Moved(found[name], {"address": f"127.0.0.1:{found[name].proxy.port}", **keys},
                       lambda password, name=name: {"username": name, "password": password})
           for name, keys in (("redis", {"listName": BUSY, "listLength": str(TARGET)}),
                              ("redis-streams", {"stream": f"{BUSY}-stream", "consumerGroup": "workers",
                                                 "lagCount": str(TARGET)}))},
    }


class Fleet:
    """Of each source two ScaledObjects, one for each form."""

    def __init__(self, namespace, sources):
        self.namespace, self.sources = namespace, sources
        self.replicas, self.work = 0, 7
        self.names = [f"{name}{form}" for name in sources for form in ("", "-mtls")]

    def set_secrets(self, password):
        for name, source in self.sources.items():
            authentication_of(self.namespace, name, **source.parameters(password))

    def put(self, make):
        """`make` is asked for the trigger of each, or None."""
        for name, source in self.sources.items():
            for form in ("", "-mtls"):
                found = make(name, source, form)
                if found:
                    self.namespace.scale(f"{name}{form}", found, replicas=self.replicas)

    def add(self, count):
        for source in {id(source.source): source.source for source in self.sources.values()}.values():
            source.add(BUSY, count)
        self.work += count

    def wait(self):
        self.replicas = -(-self.work // TARGET)
        for name in self.names:
            self.namespace.wait_for_replicas(name, self.replicas)

    def check_none_was_lost(self):
        for name in self.names:
            numbers = self.namespace.history(name)
            assert numbers == sorted(numbers), (name, numbers)


def test_each_scaler_is_moved_rotated_and_moved_back_in_both_forms(api, namespace, tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    with contextlib.ExitStack() as stack:
        sources = moved_sources(stack)
        allow(api, {namespace.name: sorted(sources)})
        channel(namespace, authority)
        plain = stack.enter_context(pod(api, "--interval", "1s"))
        secure = stack.enter_context(pod(api, "--interval", "1s", "--tls-cert", certificate, "--tls-key", key, "--tls-client-ca",
                                         authority.certificate))
        fleet = Fleet(namespace, sources)
        fleet.set_secrets(PASSWORD)

        def move(name, source, form):
            more = {"scaler": source.scaler, **source.metadata}
            if not form:
                return trigger(plain, push=True, auth={"name": name}, **more)
            return trigger(secure, push=True, auth={"name": "channel"}, enableTLS="true", triggerAuthentication=name, **more)

        def move_back(name, source, _form):
            return source.built_in({"name": name}) if source.has_built_in else None

        fleet.put(lambda name, source, form: move_back(name, source, form) or move(name, source, form))
        fleet.wait()                   # 2
        fleet.put(move)
        fleet.add(8)
        fleet.wait()                   # 3
        for source in {id(source.source): source.source for source in sources.values()}.values():
            source.change_password(NEW_PASSWORD)
        fleet.set_secrets(NEW_PASSWORD)
        fleet.add(10)  # of 6, those who measure between two of them would keep 4 replicas: 21 is within the HPA's tolerance
        fleet.wait()                   # 5
        sources["rabbitmq-http"].source.wait_for_statistics(BUSY, fleet.work)  # KEDA's scaler could read an older count
        fleet.put(move_back)
        fleet.add(5)
        fleet.wait()                   # 6
        fleet.check_none_was_lost()
        assert not any(word in server.log() for word in (PASSWORD, NEW_PASSWORD) for server in (plain, secure))


@pytest.mark.core
def test_jobs_and_a_cluster_wide_authentication(api, namespace):
    """It names its address; the Secret is in KEDA's own namespace."""
    name = f"redis-{namespace.name}"
    with Redis("requirepass p4ssw0rd") as broker, broker.connect() as client:
        client.call("AUTH", "p4ssw0rd")
        client.call("RPUSH", BUSY, *range(3))
        allow(api, {"keda": [name]})
        api.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "keda"},
                   "stringData": {"password": "p4ssw0rd", "address": broker.address}},
                  {"apiVersion": "keda.sh/v1alpha1", "kind": "ClusterTriggerAuthentication", "metadata": {"name": name},
                   "spec": {"secretTargetRef": [{"parameter": each, "name": name, "key": each}
                                                for each in ("password", "address")]}})
        ref = {"name": name, "kind": "ClusterTriggerAuthentication"}
        with pod(api) as server:
            own = trigger(server, auth=ref, scaler="redis", listName=BUSY, listLength=1)
            namespace.apply(scaled_job("jobs", own))
            namespace.scale("worker", own)
            namespace.wait(lambda: len(namespace.jobs_of("jobs")) >= 3, "three jobs")
            namespace.wait_for_replicas("worker", 3)


EDITS, OBJECTS, EDIT_SECONDS = 200, 10, 0.3
USERS = {"one": "p4ssw0rd-one", "two": "p4ssw0rd-two"}


def test_200_edits_under_load_are_no_error_at_keda(api, namespace):
    """Of metadata, authenticationRef, Secrets and authentications, while KEDA polls each object every 2 s. All are right, so
    that no call may fail, and no replica may change."""
    config = "\n".join(f"user {user} on >{password} ~* &* +@all" for user, password in USERS.items())
    names = [f"worker-{number}" for number in range(OBJECTS)]
    turns = dict.fromkeys(("interval", "ref", "user", "key"), 0)
    with Redis(config) as broker, broker.connect() as client:
        client.call("RPUSH", BUSY, *range(37))
        allow(api, {namespace.name: ["first", "second"]})
        for name in ("first", "second"):
            authentication_of(namespace, name, username="one", password=USERS["one"])

        def put(server, name):
            found = trigger(server, push=True, auth={"name": ("first", "second")[turns["ref"] % 2]}, scaler="redis",
                            address=broker.address, listName=BUSY, listLength=5, interval=f"{1 + turns['interval'] % 3}s")
            namespace.scale(name, found, replicas=8)

        def put_secrets():
            user = ("one", "two")[turns["user"] % 2]
            parameters = {"username": user, "password": USERS[user]}
            if turns["key"] % 2:  # an authentication with other keys, too
                parameters["databaseIndex"] = "0"
            authentication_of(namespace, ("first", "second")[turns["key"] // 2 % 2], **parameters)

        with pod(api, "--interval", "1s") as server:
            for name in names:
                put(server, name)
            for name in names:
                namespace.wait_for_replicas(name, 8)
            namespace.wait_until_ready(*names)
            begin = time.monotonic()
            for number in range(EDITS):
                what = ("interval", "ref", "user", "key")[number % 4]
                turns[what] += 1
                if what in ("interval", "ref"):
                    put(server, names[number // 4 % OBJECTS])
                else:
                    put_secrets()
                time.sleep(EDIT_SECONDS)
            namespace.stays(5, **dict.fromkeys(names, 8))
            # KEDA has this text for its own cancelled calls, too; those that fail here are counted below.
            warnings = [event for event in namespace.warnings(since=begin) if "got empty metric spec" not in event.message]
            assert not warnings, warnings
            assert not any(namespace.history(name, begin) for name in names)
            with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/metrics") as page:
                ended = re.findall(r'^backlog_calls_total\{.*code="(.*)"\}', page.read().decode(), re.MULTILINE)
            assert set(ended) <= {"OK", "CANCELLED"}
