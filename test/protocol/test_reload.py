"""The connections file is replaced under a running server, while streams are open and calls run."""

import json
import os
import random
import re
import signal
import subprocess
import threading
import time
import urllib.request

import grpc
import pytest

from support.clients.grpc_client import Client, refusal
from support.clients.transports import BOTH, nghttp2 as transport  # noqa: F401
from support.process import wait_until
from support.brokers.redis import Redis
from support.server.server import Server, binary

STREAMS = 200
NOTICED = 10  # seconds; a look each second, and then it must rest for another


@pytest.fixture(scope="module")
def redis():
    with Redis() as running, running.connect() as client:
        client.call("RPUSH", "jobs", *range(7))
        yield running


def connection(redis, name="orders", more=""):
    return f"connections:\n  {name}: {{scaler: redis, address: \"{redis.address}\"{more}}}\n"


def trigger(number=0, name="orders"):
    """Another trigger for each number, of one list."""
    return {"scaler": "redis", "connectionName": name, "listName": "jobs", "listLength": str(number + 1)}


def get(server, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}{path}", timeout=10) as answer:
        return answer.read().decode()


def invalid(server):
    """Which connections the metrics call invalid, and what is in use instead."""
    page = get(server, "/metrics")
    found = dict(re.findall(r'backlog_invalid_connection\{connection="([^"]+)",in_use="([^"]+)"\} 1', page))
    count = int(re.search(r"^backlog_invalid_connections (\d+)$", page, re.MULTILINE)[1])
    assert (count == 0) == (not found)
    return found


def reloads(server):
    return server.log().count(" reloaded: ")


def reload(server, config):
    """Without waiting until the change is noticed."""
    before = reloads(server)
    server.write_config(config)
    server.signal(signal.SIGHUP)
    wait_until(lambda: reloads(server) > before, NOTICED, "the reload")


@pytest.mark.first
@BOTH
def test_streams_and_calls_live_through_reloads(redis):
    with Server(config=connection(redis)) as server, Client(server.port) as client:
        streams = [client.stream_is_active(trigger(number)) for number in range(STREAMS)]
        for stream in streams:
            assert next(stream).result is True
        ended = threading.Event()
        failures, answered = [], []

        def call():
            with Client(server.port) as own:
                while not ended.is_set():
                    try:
                        answered.append(own.metrics(trigger()).metricValueFloat)
                    except grpc.RpcError as error:
                        failures.append(error)

        callers = [threading.Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        for number in range(5):  # a name of the client is part of no address: it is let in as before
            reload(server, connection(redis, more=f", username: default, password: \"{number}\"")
                   if number % 2 == 0 else connection(redis))
        wait_until(lambda: len(answered) > 20, NOTICED, "the load")
        ended.set()
        for caller in callers:
            caller.join()
        assert failures == [] and set(answered) == {7.0}
        assert all(stream.is_active() for stream in streams)


def many(redis, count, version):
    return "connections:\n" + "".join(
        f"  c{number}: {{scaler: redis, address: \"{redis.address}\", username: default, "
        f"password: \"{version} {number}\"}}\n" for number in range(count))


@pytest.mark.parametrize("flags, count", [(["--max-connections"], 40), (["--all-in-agents", "--max-agents"], 8)],
                         ids=["", "isolated"])
def test_as_many_connections_as_are_allowed_are_replaced_at_a_time(redis, flags, count):
    """Each is shared by two triggers, which go over one after the other."""
    config = many(redis, count, "first")
    with Server(config=config, arguments=[*flags, str(count)]) as server, Client(server.port) as client:
        triggers = [trigger(number, f"c{connection}") for number in range(2) for connection in range(count)]
        streams = [client.stream_is_active(metadata) for metadata in triggers]
        assert [next(stream).result for stream in streams] == [True] * len(triggers)
        for version in "second", "third":
            reload(server, many(redis, count, version))
            assert {client.metrics(metadata).metricValueFloat for metadata in triggers} == {7}
        assert all(stream.is_active() for stream in streams)
        another = {"scaler": "redis", "address": redis.address, "listName": "jobs"}
        code, details = refusal(client.is_active, another)
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED and f"({flags[-1]})" in details


@pytest.mark.first
def test_a_stream_of_an_unknown_connection_works_once_it_comes_and_outlives_its_end(redis):
    with Server(config="connections: {}\n") as server, Client(server.port) as client:
        stream = client.stream_is_active(trigger(name="late"))
        code, details = refusal(client.is_active, trigger(name="late"))
        assert code == grpc.StatusCode.INVALID_ARGUMENT and '"late" is not in the connections file' in details
        reload(server, connection(redis, "late", ", namespaces: [kitchen]"))
        code, details = refusal(client.is_active, trigger(name="late"))
        assert code == grpc.StatusCode.PERMISSION_DENIED
        assert 'connection "late" cannot be used in namespace "shop"' in details
        assert stream.is_active()
        reload(server, connection(redis, "late", ", namespaces: [kitchen, \"sh*\"]"))
        assert next(stream).result is True
        reload(server, "connections: {}\n")
        assert refusal(client.is_active, trigger(name="late"))[0] == grpc.StatusCode.INVALID_ARGUMENT
        reload(server, connection(redis, "late"))
        assert next(stream).result is True
        assert client.metrics(trigger(name="late")).metricValueFloat == 7


@pytest.mark.first
def test_a_broken_file_changes_nothing_and_is_reported_once(redis):
    with Server(config=connection(redis)) as server, Client(server.port) as client:
        server.write_config("connections: [")
        wait_until(lambda: "not YAML" in server.log(), NOTICED, "the complaint")
        time.sleep(2.5)  # it is read again, and not logged again
        assert server.log().count("not YAML") == 1
        server.write_config("- orders\n")
        server.signal(signal.SIGHUP)
        wait_until(lambda: "must begin with connections:" in server.log(), NOTICED, "the complaint")
        server.write_config("")
        server.signal(signal.SIGHUP)
        wait_until(lambda: "is empty" in server.log(), NOTICED, "the complaint")
        assert client.metrics(trigger()).metricValueFloat == 7
        assert reloads(server) == 0
        server.write_config(connection(redis))
        wait_until(lambda: reloads(server) == 1, NOTICED, "the reload")
        assert client.metrics(trigger()).metricValueFloat == 7


@pytest.mark.parametrize("more, words", [(", pasword: x", 'did you mean "password"?'),
                                         (", username: worker", "username needs password"),
                                         (", passwordFile: nowhere", "passwordFile: cannot open")])
def test_the_last_good_version_of_an_invalid_connection_stays_in_use(redis, more, words):
    with Server(config=connection(redis), http=True) as server, Client(server.port) as client:
        assert client.metrics(trigger()).metricValueFloat == 7
        reload(server, connection(redis, more=more) + f"  late: {{scaler: redis, address: \"{redis.address}\"}}\n")
        assert words in server.log() and "its last good version stays in use" in server.log()
        assert client.metrics(trigger()).metricValueFloat == 7
        assert client.metrics(trigger(name="late")).metricValueFloat == 7
        assert invalid(server) == {"orders": "last_good"}
        time.sleep(6.5)  # it is read again, and not logged again
        assert server.log().count(words) == 1
        reload(server, connection(redis))
        assert invalid(server) == {}


@pytest.mark.first
def test_a_missing_secret_at_the_start_concerns_its_connection_alone(redis):
    """As after a node drain, when somebody has deleted one Secret."""
    both = connection(redis, more=", username: default, passwordFile: secret") \
        + f"  late: {{scaler: redis, address: \"{redis.address}\"}}\n"
    with Server(config=both, http=True) as server, Client(server.port) as client:
        assert client.metrics(trigger(name="late")).metricValueFloat == 7
        code, details = refusal(client.metrics, trigger())
        assert code == grpc.StatusCode.UNAVAILABLE
        assert 'connection "orders" is invalid' in details and "passwordFile: cannot open" in details
        assert os.path.join(server.folder, "secret") in details
        assert client.metric_spec(trigger()).targetSizeFloat == 1
        stream = client.stream_is_active(trigger(1))
        assert invalid(server) == {"orders": "none"}
        verbose = get(server, "/readyz?verbose")
        assert '[-]connection "orders" is invalid' in verbose and "late" not in verbose and verbose.endswith("ok\n")
        assert get(server, "/readyz") == "ok\n"

        secret = os.path.join(server.folder, "secret")
        open(secret, "w").close()
        wait_until(lambda: "secret is empty" in refusal(client.metrics, trigger())[1], NOTICED, "the new mistake")
        with open(secret, "w") as file:
            file.write("any")
        assert next(stream).result is True
        assert client.metrics(trigger()).metricValueFloat == 7
        assert invalid(server) == {} and get(server, "/readyz?verbose") == "[+]event loop ok\nok\n"
        assert server.log().count("cannot open") == 1


def test_strict_config_refuses_invalid_connections(redis):
    broken = connection(redis, more=", username: default, passwordFile: secret")
    with Server(config=connection(redis), arguments=["--strict-config"]) as server, Client(server.port) as client:
        server.write_config(broken)
        server.signal(signal.SIGHUP)
        wait_until(lambda: "(--strict-config): " in server.log(), NOTICED, "the refusal")
        assert "passwordFile: cannot open" in server.log() and "the former connections stay in use" in server.log()
        assert client.metrics(trigger()).metricValueFloat == 7 and reloads(server) == 0
        done = subprocess.run(server.command(), capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "passwordFile: cannot open" in done.stderr


@pytest.mark.first
@pytest.mark.parametrize("text", ["", "connections: [", "- a\n", "conections: {}\n"])
def test_a_file_that_is_no_connections_file_refuses_to_start(text, tmp_path):
    (tmp_path / "c.yaml").write_text(text)
    done = subprocess.run([binary(), "serve", "--listen", "127.0.0.1:0", "--config", tmp_path / "c.yaml"],
                          capture_output=True, text=True, timeout=20)
    errors = [line for line in done.stderr.splitlines() if " error " in line]
    assert done.returncode == 1 and len(errors) == 1 and "c.yaml:" in errors[0]


def test_a_folder_is_followed_and_a_name_twice_is_the_later_files_mistake(redis, tmp_path):
    def team(name, more=""):
        return connection(redis, name, more)

    mount(tmp_path, "..1", {"b.yaml": team("orders"), "c.yaml": team("late")})
    with Server(arguments=["--config", str(tmp_path)], http=True) as server, Client(server.port) as client:
        for name in ("orders", "late"):
            assert client.metrics(trigger(name=name)).metricValueFloat == 7
        broken = {"b.yaml": team("orders", ", address: again"), "c.yaml": "connections: [", "d.yaml": team("new"),
                  "e.yaml": team("orders", ", namespaces: [other]")}
        mount(tmp_path, "..2", broken)
        wait_until(lambda: reloads(server) == 1, NOTICED, "the reload")
        for name in ("orders", "late", "new"):
            assert client.metrics(trigger(name=name)).metricValueFloat == 7, name
        assert invalid(server) == {"orders": "last_good", "late": "last_good"}
        verbose = get(server, "/readyz?verbose")
        assert "e.yaml:2: orders is there twice: the one at" in verbose and "c.yaml" in verbose and "not YAML" in verbose
        os.unlink(tmp_path / "b.yaml")
        os.unlink(tmp_path / "c.yaml")
        wait_until(lambda: reloads(server) == 2, NOTICED, "the reload")
        assert refusal(client.metrics, trigger(name="late"))[0] == grpc.StatusCode.INVALID_ARGUMENT
        assert refusal(client.metrics, trigger())[0] == grpc.StatusCode.PERMISSION_DENIED  # e.yaml's is the first now
        assert invalid(server) == {}
        os.unlink(tmp_path / "d.yaml")
        os.unlink(tmp_path / "e.yaml")
        wait_until(lambda: "has no *.yaml or *.yml file any more" in server.log(), NOTICED, "the complaint")
        assert client.metrics(trigger(name="new")).metricValueFloat == 7 and reloads(server) == 2
        mount(tmp_path, "..3", {"d.yaml": "connections: {}"})
        wait_until(lambda: reloads(server) == 3, NOTICED, "the reload")
        assert refusal(client.metrics, trigger(name="new"))[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_a_missing_secret_that_comes_mends_the_file(redis):
    with Server(config=connection(redis)) as server, Client(server.port) as client:
        server.write_config(connection(redis, "late", ", usernameFile: user, passwordFile: secret"))
        wait_until(lambda: reloads(server) == 1, NOTICED, "the reload")
        assert "usernameFile: cannot open" in server.log() and "passwordFile: cannot open" in server.log()
        for name, content in (("user", "default"), ("secret", "any-words-at-all")):
            with open(os.path.join(server.folder, name), "w") as file:
                file.write(content)
        wait_until(lambda: "1 connections, 0 invalid" in server.log(), NOTICED, "the reload")
        assert client.metrics(trigger(name="late")).metricValueFloat == 7
        assert "any-words-at-all" not in server.log()


def any_file(redis, dice):
    """Connections a, b and c, each as it may be next: gone, forbidden, elsewhere, let in otherwise, or as before."""
    text = f"connections:\n  steady: {{scaler: redis, address: \"{redis.address}\"}}\n"
    for name in "abc":
        address = "127.0.0.1:1" if dice.random() < 0.2 else redis.address
        more = dice.choice(["", ", namespaces: [kitchen]", f", username: default, password: \"{dice.random()}\""])
        if dice.random() < 0.8:
            text += f"  {name}: {{scaler: redis, address: \"{address}\"{more}}}\n"
    return text


@pytest.mark.parametrize("arguments", [(), ("--all-in-agents",)], ids=["", "isolated"])
def test_a_storm_of_reloads_harms_neither_calls_nor_streams_nor_other_connections(redis, arguments):
    dice = random.Random(1)
    with Server(interval="200ms", hold="0s", config=any_file(redis, dice), arguments=arguments) as server:
        ended = threading.Event()
        codes, values, streams_ended = set(), set(), []

        def call(own_dice):
            with Client(server.port) as client:
                while not ended.is_set():
                    try:
                        client.is_active(trigger(own_dice.randrange(20), own_dice.choice("abc")))
                    except grpc.RpcError as error:
                        codes.add(error.code())

        def call_steady():
            with Client(server.port) as client:
                while not ended.is_set():
                    values.add(client.metrics(trigger(name="steady")).metricValueFloat)

        def open_streams(own_dice):
            with Client(server.port) as client:
                while not ended.is_set():
                    streams = [client.stream_is_active(trigger(number, own_dice.choice("abc")))
                               for number in range(30)]
                    time.sleep(own_dice.random() / 2)
                    streams_ended.extend(stream.code() for stream in streams if not stream.is_active())
                    for stream in streams:
                        stream.cancel()

        with Client(server.port) as client:  # its agent may start slowly on a busy machine
            wait_until(lambda: client.metrics(trigger(name="steady")), 30, "the steady connection has a value")
        threads = [threading.Thread(target=call, args=[random.Random(2)]), threading.Thread(target=call_steady),
                   threading.Thread(target=open_streams, args=[random.Random(3)])]
        for thread in threads:
            thread.start()
        for _ in range(40):
            reload(server, any_file(redis, dice))
            time.sleep(dice.random() / 20)
        ended.set()
        for thread in threads:
            thread.join()
        assert values == {7.0} and streams_ended == []
        assert codes <= {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED,
                         grpc.StatusCode.UNAVAILABLE}


def mount(folder, version, files):
    """As the kubelet writes a volume: files are links into a folder that is a link, which is swapped."""
    os.mkdir(os.path.join(folder, version))
    for name, content in files.items():
        with open(os.path.join(folder, version, name), "w") as file:
            file.write(content)
        link = os.path.join(folder, name)
        if not os.path.islink(link):
            os.symlink(os.path.join("..data", name), link)
    os.symlink(version, os.path.join(folder, "..data_tmp"))
    os.rename(os.path.join(folder, "..data_tmp"), os.path.join(folder, "..data"))


def test_a_volume_of_kubernetes_is_followed_by_its_swapped_link(redis, tmp_path):
    mount(tmp_path, "..1", {"connections.yaml": "connections: {}\n"})
    with Server(arguments=["--config", str(tmp_path / "connections.yaml")]) as server:
        with Client(server.port) as client:
            mount(tmp_path, "..2", {"connections.yaml": connection(redis)})
            wait_until(lambda: reloads(server) == 1, NOTICED, "the reload")
            assert client.metrics(trigger()).metricValueFloat == 7


def test_sighup_reads_the_file_at_once(redis):
    with Server(config=connection(redis)) as server, Client(server.port) as client:
        for count in range(1, 11):
            server.signal(signal.SIGHUP)
            wait_until(lambda: reloads(server) >= count, NOTICED, "the reload")
        assert client.metrics(trigger()).metricValueFloat == 7


# What each scaler's triggers say of themselves; the connection's keys are in the file.
SCALERS = {
    "kafka": ({"bootstrapServers": "127.0.0.1:1"}, {"consumerGroup": "workers", "topic": "jobs", "lagThreshold": "7"}),
    "nats-jetstream": ({"servers": "nats://127.0.0.1:1"}, {"stream": "JOBS", "consumer": "workers", "lagThreshold": "7"}),
    "postgresql": ({"connection": "postgresql://127.0.0.1:1/shop"}, {"query": "select 1", "targetQueryValue": "7"}),
    "prometheus": ({"serverAddress": "http://127.0.0.1:1"}, {"query": "up", "threshold": "7"}),
    "rabbitmq": ({"host": "amqp://127.0.0.1:1/"}, {"queueName": "jobs", "mode": "QueueLength", "value": "7"}),
    "redis": ({"address": "127.0.0.1:1"}, {"listName": "jobs", "listLength": "7"}),
    "redis-streams": ({"address": "127.0.0.1:1"}, {"stream": "jobs", "streamLength": "7"}),
}


def every_connection(more=None, swapped=False):
    """Named as their scalers; or as each other's."""
    names = list(SCALERS)
    scalers = names[1:] + names[:1] if swapped else names
    connections = {name: {"scaler": scaler, **SCALERS[scaler][0], **(more or {})} for name, scaler in zip(names, scalers)}
    return json.dumps({"connections": connections})


@BOTH
def test_no_reload_changes_what_a_stream_of_specs_has_sent():
    """Name and target follow from the trigger's metadata alone, so that the last one streamed stays right."""
    triggers = [{"scaler": name, "connectionName": name, **metadata} for name, (_, metadata) in SCALERS.items()]
    with Server(config="connections: {}\n") as server, Client(server.port) as client:
        streams = [client.stream_metric_spec(metadata) for metadata in triggers]
        reported = [next(stream).metricSpecs[0] for stream in streams]
        assert {spec.targetSizeFloat for spec in reported} == {7} and len({spec.metricName for spec in reported}) > 4
        for config in (every_connection(), every_connection({"namespaces": ["kitchen"]}), every_connection(swapped=True),
                       every_connection(), "connections: {}\n"):
            reload(server, config)
            assert [client.metric_spec(metadata) for metadata in triggers] == reported
        assert all(stream.is_active() for stream in streams)
        server.signal(signal.SIGTERM)
        assert [list(stream) for stream in streams] == [[]] * len(streams)  # nothing else was sent
        assert {stream.code() for stream in streams} == {grpc.StatusCode.OK}
        assert server.child.wait(15) == 0
