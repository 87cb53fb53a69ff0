"""KEDA's questions about RabbitMQ's queues, to the server, with a real broker behind it."""

import concurrent.futures
import contextlib
import os
import socket
import threading
import time

import grpc
import pytest

from support.clients.grpc_client import Client, refusal
from support.process import wait_until
from support.brokers.rabbitmq import RabbitMQ
from support.server.server import Server
from support.clients.story import answers, assert_unavailable, outage, value, wait_for_value
from support.network.tap import Tap

PROTOCOLS = ["amqp", "http"]
INTERVAL_SECONDS = 0.5
HOLD_SECONDS = 3


@pytest.fixture(scope="module")
def shared_broker():
    with RabbitMQ() as broker:
        yield broker


@pytest.fixture
def broker(shared_broker):
    yield shared_broker
    shared_broker.release()


@pytest.fixture
def server():
    with Server(interval=f"{INTERVAL_SECONDS * 1000:.0f}ms", hold=f"{HOLD_SECONDS}s") as server:
        yield server


@pytest.fixture
def client(server):
    with Client(server.port) as client:
        yield client


def trigger(host, queue, **keys):
    return {"scaler": "rabbitmq", "host": host, "queueName": queue, "queueLength": "5", **keys}


def host_of(broker, protocol, **parts):
    return broker.amqp_url(**parts) if protocol == "amqp" else broker.http_url(**parts)


@pytest.mark.first
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_37_messages_are_37_and_active(broker, client, protocol):
    queue = f"thirty-seven-{protocol}"
    broker.declare(queue)
    broker.publish(queue, 37)
    requested = trigger(host_of(broker, protocol), queue)

    spec = client.metric_spec(requested)
    assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == (f"rabbitmq-{queue}", 5, 5)
    assert value(client, requested) == 37
    assert client.is_active(requested)


@pytest.mark.first
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_empty_queue_is_0_and_inactive(broker, client, protocol):
    broker.declare(f"empty-{protocol}")
    requested = trigger(host_of(broker, protocol), f"empty-{protocol}")
    if protocol == "http":  # the first totals of a broker that has just started may come late
        wait_until(lambda: value(client, requested) == 0, 15, "the totals of queues")
    assert value(client, requested) == 0
    assert not client.is_active(requested)


@pytest.mark.first
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_missing_queue_fails_alone(broker, client, protocol):
    vhost = f"missing-{protocol}"
    broker.create_vhost(vhost)
    queues = [f"q{i}" for i in range(100)]
    broker.declare(*queues, vhost=vhost)
    requested = [trigger(host_of(broker, protocol, vhost=vhost), queue) for queue in queues]
    assert [value(client, one) for one in requested] == [0] * 100

    broker.delete("q50", vhost)
    wait_until(lambda: refusal(client.metrics, requested[50]), 5, "q50 failing")
    text = assert_unavailable(client.metrics, requested[50], f"no queue 'q50' in vhost '{vhost}'")
    assert "guest:guest" not in text
    assert_unavailable(client.is_active, requested[50], "q50")
    neighbours = requested[:50] + requested[51:]
    for _ in range(3):  # no measurement of theirs has failed, or their zeros were refused
        assert [value(client, one) for one in neighbours] == [0] * 99
        time.sleep(INTERVAL_SECONDS)
    broker.publish("q99", 7, vhost)
    wait_for_value(client, requested[99], 7)

    broker.declare("q50", vhost=vhost)
    wait_for_value(client, requested[50], 0)


class Vanishing(Tap):
    """To a node whose connections nobody ends when it is gone, and then to the one in its place."""

    def __init__(self, port):
        self.used = set()
        self.vanished = set()
        self.over = threading.Event()
        super().__init__(port)

    def passes(self, data, to_broker):
        self.used.add(threading.current_thread())
        if threading.current_thread() in self.vanished:
            self.over.wait()

    def vanish(self):
        self.vanished = set(self.used)

    def __exit__(self, *_):
        self.over.set()
        super().__exit__()


def test_a_node_that_vanishes_while_its_only_queue_is_missing_is_noticed(broker, client):
    queue = "not-declared-yet"
    with Vanishing(broker.port) as tap:
        requested = trigger(broker.amqp_url().replace(str(broker.port), str(tap.port)), queue)
        for _ in range(2):  # from the second on it waits for a channel of its own
            assert_unavailable(client.metrics, requested, f"no queue '{queue}'")
            time.sleep(INTERVAL_SECONDS)
        tap.vanish()
        broker.declare(queue)
        broker.publish(queue, 3)
        wait_for_value(client, requested, 3, seconds=15)
        assert tap.connections == 2


def test_http_needs_no_statistics(client):
    """They can be disabled: KEDA's built-in takes the missing counts for zeros."""
    with RabbitMQ("management_agent.disable_metrics_collector = true") as broker:
        broker.declare("counted")
        broker.publish("counted", 5)
        broker.consume_without_ack("counted", 2)
        wait_for_value(client, trigger(broker.http_url(), "counted"), 5)
        assert value(client, trigger(broker.http_url(), "counted", excludeUnacknowledged="true")) == 3
        assert value(client, trigger(broker.http_url(), "^COUNT", useRegex="true")) == 5
        broker.declare("idle-1", "idle-2")
        idle = trigger(broker.http_url(), "^idle-", useRegex="true")
        answers(client, idle, 0, False)
        broker.declare("idle-3", arguments=QUORUM)  # its totals of 0 are no more than a guess
        wait_until(lambda: refusal(client.metrics, idle), HOLD_SECONDS + 5, "the end of the hold")
        rates = {"queueLength": "", "mode": "MessageRate", "value": "5"}
        for keys in (rates, {**rates, "useRegex": "true"}):  # but rates do
            assert_unavailable(client.metrics, trigger(broker.http_url(), "counted", **keys), "does not report its rates",
                               "management_agent.disable_metrics_collector")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_hanging_queue_does_not_disturb_its_neighbours(broker, client, protocol):
    vhost = f"hanging-{protocol}"  # a vhost of its own: its listing hangs, too
    broker.create_vhost(vhost)
    queues = [f"q{i}" for i in range(100)]
    broker.declare(*queues, vhost=vhost)
    broker.publish("q0", 7, vhost)
    requested = [trigger(host_of(broker, protocol, vhost=vhost), queue) for queue in queues]
    assert [value(client, one) for one in requested] == [7] + [0] * 99

    # Asking the queues themselves hangs; their statistics do not, but begin seconds after a queue does.
    wait_until(lambda: sum(queue["messages_ready"] for queue in broker.api("GET", f"/queues/{vhost}")) == 7, 15,
               "statistics of all queues")
    broker.hang("q50", vhost=vhost)
    try:
        time.sleep(2 * INTERVAL_SECONDS)
        if protocol == "amqp":
            wait_until(lambda: refusal(client.metrics, requested[50]), 10, "q50 failing")
        neighbours = requested[:50] + requested[51:]
        if protocol == "http":  # a 0 of the statistics is doubted at first
            assert value(client, requested[0]) == 7
            wait_until(lambda: value(client, requested[1]) == 0, 15, "zeros of statistics")
        for _ in range(3):
            assert [value(client, one) for one in neighbours] == [7] + [0] * 98
            time.sleep(INTERVAL_SECONDS)
    finally:
        broker.unhang("q50", vhost=vhost)
    broker.publish("q50", 3, vhost)
    wait_for_value(client, requested[50], 3, seconds=40)


QUORUM = {"x-queue-type": "quorum"}


def test_a_quorum_queue_whose_leader_is_busy_is_not_empty(broker, client):
    """RabbitMQ gives it 250 ms, and answers 0 then."""
    broker.declare("busy", "idle", arguments=QUORUM)
    broker.publish("busy", 3)
    busy, idle = (trigger(broker.amqp_url(), queue) for queue in ("busy", "idle"))
    answers(client, busy, 3, True)
    answers(client, idle, 0, False)
    for queue in ("idle", "busy"):  # the busy one is held for a while
        broker.hang(queue)
    try:
        wait_until(lambda: refusal(client.metrics, idle), 10, "the refusal")
        assert_unavailable(client.is_active, idle, "queue 'idle'", "leader of a quorum queue is too busy")
        assert (value(client, busy), client.is_active(busy)) == (3, True)  # held
        wait_until(lambda: refusal(client.metrics, busy), HOLD_SECONDS + 5, "the end of the hold")
    finally:
        for queue in ("busy", "idle"):
            broker.unhang(queue)
    wait_for_value(client, busy, 3, seconds=40)
    wait_for_value(client, idle, 0, seconds=40)


@pytest.mark.parametrize("keys", [{}, {"useRegex": "true"}], ids=["listed", "matched"])
def test_a_quorum_queue_of_which_the_api_knows_nothing_yet_is_not_empty(broker, client, keys):
    """Until its leader reports for the first time, totals are 0."""
    refused = None
    for number in range(5):  # on a busy machine a leader may report before the first call
        queue = f"new-{len(keys)}-{number}"
        broker.declare(queue, arguments=QUORUM)
        broker.publish(queue, 3)
        requested = trigger(broker.http_url(), queue, **keys)
        with contextlib.suppress(AssertionError):
            refused = refusal(client.metrics, requested)
        wait_for_value(client, requested, 3, seconds=20)
        if refused:
            break
    code, text = refused
    assert code == grpc.StatusCode.UNAVAILABLE
    assert f"queue '{queue}': the management API does not report its messages_ready" in text


def test_a_pattern_of_new_and_idle_classic_queues_is_0(client):
    """There are no statistics of them for a minute; totals show that they are empty, and a message at once. On a busy machine
    totals can take a second, and are not believed then."""
    with RabbitMQ("collect_statistics_interval = 60000") as broker:
        requested = trigger(broker.http_url(), "^job-", useRegex="true", pageSize="2")
        answers(client, requested, 0, False)
        broker.declare("job-0", "job-1", "job-2")
        for _ in range(4):
            time.sleep(2 * INTERVAL_SECONDS)
            answers(client, requested, 0, False)
        broker.publish("job-1", 3)
        answers(client, requested, 3, True)


def test_unacknowledged_messages_count_over_http_only(broker, client):
    broker.declare("unacknowledged")
    broker.publish("unacknowledged", 10)
    broker.consume_without_ack("unacknowledged", 4)
    assert value(client, trigger(broker.amqp_url(), "unacknowledged")) == 6
    wait_for_value(client, trigger(broker.http_url(), "unacknowledged"), 10)
    assert value(client, trigger(broker.http_url(), "unacknowledged", excludeUnacknowledged="true")) == 6

    broker.consume_without_ack("unacknowledged", 6)
    wait_for_value(client, trigger(broker.amqp_url(), "unacknowledged"), 0)
    assert not client.is_active(trigger(broker.amqp_url(), "unacknowledged"))
    assert client.is_active(trigger(broker.http_url(), "unacknowledged"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_active_is_above_the_activation_value(broker, client, protocol):
    queue = f"activation-{protocol}"
    broker.declare(queue)
    requested = trigger(host_of(broker, protocol), queue, activationValue="2")
    broker.publish(queue, 2)
    wait_for_value(client, requested, 2)
    assert not client.is_active(requested)
    broker.publish(queue, 1)
    wait_for_value(client, requested, 3)
    assert client.is_active(requested)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_any_name_of_queue_and_vhost_is_found(broker, client, protocol):
    vhost = f"v host/100% {protocol}"
    queues = {"a b/c%25+d?e#f&g": 1, "größe": 2, "x" * 255: 3, "dot.ted-and_more~": 4}
    broker.create_vhost(vhost)
    broker.declare(*queues, vhost=vhost)
    for queue, count in queues.items():
        broker.publish(queue, count, vhost)
    for queue, count in queues.items():
        assert value(client, trigger(host_of(broker, protocol, vhost=vhost), queue)) == count
        assert value(client, trigger(host_of(broker, protocol), queue, vhostName=vhost)) == count
    assert_unavailable(client.metrics, trigger(host_of(broker, protocol), "größe"), "größe")
    assert_unavailable(client.metrics, trigger(host_of(broker, protocol, vhost="nowhere"), "größe"), "nowhere")


def test_a_name_with_a_nul_disturbs_no_other_queue(broker, client):
    vhost = "nul"
    broker.create_vhost(vhost)
    broker.declare("a", vhost=vhost)
    with broker.connect(vhost) as connection:
        connection.channel().queue_declare("a\0b", durable=True)
    broker.publish("a", 3, vhost)
    wait_for_value(client, trigger(broker.http_url(vhost), "a"), 3)
    broker.publish("a\0b", 2, vhost)
    wait_for_value(client, trigger(broker.http_url(vhost), "^a", useRegex="true"), 5)
    wait_for_value(client, trigger(broker.http_url(vhost), "a"), 3)


def test_1000_triggers_are_one_connection(broker, server, client):
    vhost = "thousand"
    broker.create_vhost(vhost)
    queues = [f"q{i}" for i in range(1000)]
    broker.declare(*queues, vhost=vhost)
    for i in range(0, 1000, 100):
        broker.publish(f"q{i}", i // 100 + 1, vhost)
    with Tap(broker.port) as tap:
        host = broker.amqp_url(vhost).replace(str(broker.port), str(tap.port))
        answers = {queue: value(client, trigger(host, queue)) for queue in queues}
        assert answers == {f"q{i}": i // 100 + 1 if i % 100 == 0 else 0 for i in range(1000)}
        ours = [one for one in broker.connections() if one["vhost"] == vhost]
        assert (len(ours), tap.connections) == (1, 1)


def test_two_replicas_share_the_few_channels_of_a_user(broker):
    vhost, count = "limited", 200  # of which one channel has 64 in flight
    broker.create_vhost(vhost)
    broker.create_user("limited", "secret", vhost)
    broker.ctl("set_user_limits", "limited", '{"max-channels": 3}')
    queues = [f"q{i}" for i in range(count)]
    broker.declare(*queues, vhost=vhost)
    host = broker.amqp_url(vhost, "limited", "secret")
    with concurrent.futures.ThreadPoolExecutor(count) as pool, contextlib.ExitStack() as stack:
        replicas = [stack.enter_context(Server()) for _ in range(2)]
        clients = [stack.enter_context(Client(server.port)) for server in replicas]
        for _ in range(3):
            for client in clients:
                assert list(pool.map(lambda queue: value(client, trigger(host, queue)), queues)) == [0] * count
            time.sleep(INTERVAL_SECONDS)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_equal_questions_are_measured_once(broker, server, client, protocol):
    """Triggers that differ in their thresholds only ask the same; so do GetMetrics and IsActive."""
    queue = f"equal-{protocol}"
    broker.declare(queue)
    port = broker.port if protocol == "amqp" else broker.management_port
    with Tap(port) as tap:
        host = host_of(broker, protocol).replace(str(port), str(tap.port))
        requested = [trigger(host, queue, activationValue=str(i)) for i in range(50)]
        for one in requested:
            assert value(client, one) == 0
        tap.forget()
        start = time.monotonic()
        while time.monotonic() - start < 4 * INTERVAL_SECONDS:
            for one in requested:
                assert value(client, one) == 0
                assert not client.is_active(one)
        question = queue.encode() if protocol == "amqp" else b"GET /api/queues/"
        assert 1 <= tap.count(question) <= (time.monotonic() - start) / INTERVAL_SECONDS + 2
        assert tap.senders(question) == 1


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_an_outage_is_never_zero_and_ends_by_itself(how):
    hold_seconds = 10  # longer than it takes to find out that the slower of the two protocols fails
    keys = {"amqp": {}, "http": {"timeout": "2s"}}
    with RabbitMQ() as broker, Server(interval="500ms", hold=f"{hold_seconds}s") as server, Client(server.port) as client:
        broker.declare("busy", "idle")
        broker.publish("busy", 12)
        busy, idle = ([trigger(host_of(broker, protocol), queue, **keys[protocol]) for protocol in PROTOCOLS]
                      for queue in ("busy", "idle"))
        outage(client, broker, how, hold_seconds, busy, idle)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_wrong_password_is_reported_without_it(broker, server, client, protocol):
    broker.declare("guarded")
    words = {"amqp": "ACCESS_REFUSED", "http": "401"}
    in_host = trigger(host_of(broker, protocol, password="not-the-word"), "guarded")
    separate = trigger(host_of(broker, protocol), "guarded", username="guest", password="not-the-word")
    for requested in (in_host, separate):
        text = assert_unavailable(client.metrics, requested, words[protocol])
        assert "not-the-word" not in text
    assert "not-the-word" not in server.log()
    right = trigger(host_of(broker, protocol, password="wrong"), "guarded", username="guest", password="guest")
    assert value(client, right) == 0


@pytest.mark.first
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_message_in_an_idle_queue_is_pushed(broker, client, protocol):
    queue = f"pushed-{protocol}"
    broker.declare(queue)
    requested = trigger(host_of(broker, protocol), queue)
    assert not client.is_active(requested)
    stream = client.stream_is_active(requested, seconds=20)
    time.sleep(1)
    start = time.monotonic()
    broker.publish(queue)
    assert next(iter(stream)).result
    assert time.monotonic() - start < {"amqp": 1.5, "http": 3}[protocol]
    stream.cancel()


def test_every_mistake_is_reported(client):
    code, text = refusal(client.metrics, trigger(
        "amqp://u:word@rabbit/", "q", mode="QueueLength", excludeUnacknowledged="true", username="u", vhostname="v"))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    for word in ("queueLength is deprecated", "excludeUnacknowledged", "username and password", "vhostName"):
        assert word in text
    assert "word@" not in text


def processes_with(variable):
    """Of this machine, those that have it in their environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as environment, \
                open(f"/proc/{pid}/cmdline", "rb") as command:
            if variable.encode() in environment.read().split(b"\0"):
                found.append(command.read().replace(b"\0", b" ").decode())
    return found


@pytest.mark.nightly
def test_nothing_that_a_broker_starts_stays_behind():
    with RabbitMQ() as broker:
        broker.ctl("status")
        mine = f"ERL_EPMD_PORT={broker.epmd_port}"
        assert processes_with(mine)
        assert not [command for command in processes_with(mine) if "epmd" in command and "-daemon" in command]
        assert [command for command in processes_with(mine) if "epmd" in command]
    wait_until(lambda: not processes_with(mine), 30, "the end of all")


def test_a_broker_that_accepts_and_says_nothing_is_no_wrong_password(client):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"amqp://guest:guest@127.0.0.1:{silent.getsockname()[1]}"
        requested = {"scaler": "rabbitmq", "host": host, "queueName": "videos", "mode": "QueueLength", "value": "5"}
        text = assert_unavailable(client.metrics, requested, "no answer in time, after it accepted the connection")
        assert "login" not in text and "authentication" not in text
