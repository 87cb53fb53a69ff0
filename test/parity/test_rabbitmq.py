"""rabbitmq, beside KEDA's."""

import threading

import pytest

from support.certificates import make_certificates
from support.clients.keda import Answer, Refused, Trigger, fetch_from_server
from support.process import free_port, wait_until
from support.brokers.rabbitmq import RabbitMQ, quoted
from support.clients.side_by_side import REFUSED, alike, both_refuse, compare, differs, each, placed

QUEUES = {
    "/": {"empty": 0, "busy": 37, "held": 10, "all-held": 5, "shop/orders.new": 3, "per%cent": 2, "two words": 4,
          "waiting": 9},
    "shop": {"orders": 6},
    "my shop": {"orders": 7},
    "many": {"r-1": 1, "r-2": 4, "r-3": 0, "other": 100},
}
HELD = {"held": 4, "all-held": 5}

ODD = "a b/c:d@e%41?f#g+h&ö"

PAGES = "With `useRegex` all queues count, up to 10,000, whatever `pageSize` is; in KEDA more than one page is an error (#7143)."
FRACTIONS = "With `operation: avg` the result keeps its fraction; in KEDA one message in two queues is 0."
AT_ONCE = "An invalid `operation` or `pageSize` is reported at once, whether or not a queue matches."
DEAD = ("What a quorum queue keeps until it is dead-lettered (`at-least-once`) does not count: no consumer gets it. "
    "KEDA counts it over HTTP.")
NAMES = "Names of queues and virtual hosts can contain spaces, slashes and percent signs."
UNTOLD = ("A count or a rate that the management API does not report (statistics disabled, or `rates_mode` "
    "`none`) is an error, not 0 (#7180).")


def of(queue, host, **keys):
    return Trigger("rabbitmq", {"queueName": queue, "host": host, **keys})


def length(queue, host, value="5", **keys):
    return of(queue, host, mode="QueueLength", value=value, **keys)


def matching(pattern, **keys):
    return of(pattern, "$http/many", useRegex="true", **keys)


def of_both(host):
    """What does not depend on the protocol."""
    protocol = host.strip("$")

    def named(state):
        return f"{protocol}: {state}"

    return [
        alike(named("messages"), length("busy", host), 37),
        alike(named("no message"), length("empty", host), 0),
        alike(named("neither mode nor value"), of("busy", host), 37),
        alike(named("queueLength"), of("busy", host, queueLength="7"), 37),
        alike(named("a decimal value"), length("busy", host, value="2.5"), 37),
        alike(named("an exponent"), length("busy", host, value="1e1"), 37),
        alike(named("as many as the activation"), length("busy", host, activationValue="37"), 37, active=False),
        alike(named("a little more than the activation"), length("busy", host, activationValue="36.99"), 37),
        alike(named("no message, and an activation below 0"), length("empty", host, activationValue="-1"), 0,
              active=True),
        alike(named("a slash and a dot in the name"), length("shop/orders.new", host), 3),
        alike(named("a per cent sign in the name"), length("per%cent", host), 2),
        alike(named("the virtual host of the URL"), length("orders", f"{host}/shop"), 6),
        alike(named("the virtual host / of the URL"), length("busy", f"{host}/%2F"), 37),
        alike(named("a closing slash"), length("busy", f"{host}/"), 37),
        alike(named("several closing slashes"), length("busy", f"{host}//"), 37),
        alike(named("vhostName"), length("orders", host, vhostName="shop"), 6),
        alike(named("vhostName before the URL"), length("orders", f"{host}/nowhere", vhostName="shop"), 6),
        alike(named("the protocol in words"), length("busy", host, protocol=protocol), 37),
        alike(named("the host from the environment"),
              Trigger("rabbitmq", {"queueName": "busy", "mode": "QueueLength", "value": "5"}, env={"host": host}), 37),
        alike(named("user and password from the environment, before the URL's"),
              Trigger("rabbitmq", {"queueName": "busy", "host": f"${protocol}_wrong"},
                      env={"username": "guest", "password": "guest"}), 37),
        alike(named("user and password of a TriggerAuthentication"),
              Trigger("rabbitmq", {"queueName": "busy", "host": f"${protocol}_wrong"},
                      auth={"username": "guest", "password": "guest"}), 37),
        alike(named("a password of any characters, percent-encoded"), length("busy", f"${protocol}_odd"), 37),
        alike(named("a password of any characters, apart"),
              Trigger("rabbitmq", {"queueName": "busy", "host": f"${protocol}_wrong"},
                      auth={"username": "odd", "password": ODD}), 37),
        alike(named("TLS"), Trigger("rabbitmq", {"queueName": "busy", "host": f"${protocol}s"},
                                    auth={"tls": "enable", "ca": "$ca", "cert": "$cert", "key": "$key"}), 37),
        both_refuse(named("TLS, and an unknown authority"),
                    Trigger("rabbitmq", {"queueName": "busy", "host": f"${protocol}s"},
                            auth={"tls": "enable", "cert": "$cert", "key": "$key"}), "certificate"),
        both_refuse(named("no such queue"), length("missing", host), "NOT_FOUND" if protocol == "amqp" else "404"),
        both_refuse(named("no such virtual host"), length("busy", f"{host}/nowhere"),
                    "vhost" if protocol == "amqp" else "404"),
        both_refuse(named("a wrong password"), length("busy", f"${protocol}_wrong"),
                    "username or password" if protocol == "amqp" else "401"),
        both_refuse(named("nobody listens"), length("busy", f"{protocol}://guest:guest@127.0.0.1:$nobody"),
                    "connection refused"),
        both_refuse(named("no queueName"), Trigger("rabbitmq", {"host": host}), "missing required parameter"),
        both_refuse(named("mode without value"), of("busy", host, mode="QueueLength"), "value must be specified"),
        both_refuse(named("value without mode"), of("busy", host, value="5"), "mode must be specified"),
        both_refuse(named("value and queueLength"), length("busy", host, queueLength="5"), "deprecated"),
        both_refuse(named("a mode that is none"), of("busy", host, mode="Length", value="5"), "must be one of"),
        both_refuse(named("a user without a password"),
                    Trigger("rabbitmq", {"queueName": "busy", "host": host}, auth={"username": "guest"}),
                    "given together"),
        both_refuse(named("a certificate without a key"),
                    Trigger("rabbitmq", {"queueName": "busy", "host": host}, auth={"cert": "$cert"}),
                    "both key and certificate"),
        both_refuse(named("a protocol that is none"), length("busy", host, protocol="stomp"), "protocol has to be"),
        both_refuse(named("pages of 0"), length("busy", host, pageSize="0"), "pageSize should be 1 or greater"),
    ]


AMQP = [
    alike("amqp: ready messages only", length("held", "$amqp"), 6),
    alike("amqp: none is ready", length("all-held", "$amqp"), 0),
    alike("amqp: a blank in the name", length("two words", "$amqp"), 4),
    alike("amqp: a blank in the virtual host", length("orders", "$amqp", vhostName="my shop"), 7),
    both_refuse("amqp: several slashes before the virtual host", length("orders", "$amqp//shop"), "vhost"),
    alike("amqp: a mechanism", length("busy", "$amqp/?auth_mechanism=amqplain"), 37),
    alike("amqp: the second mechanism, as the broker lacks the first",
          length("busy", "$amqp/?auth_mechanism=EXTERNAL&auth_mechanism=PLAIN"), 37),
    alike("amqp: a mechanism beside vhostName", length("orders", "$amqp/?auth_mechanism=EXTERNAL", vhostName="shop"), 6),
    both_refuse("amqp: a mechanism that the broker lacks", length("busy", "$amqp/?auth_mechanism=external"), "mechanism"),
    both_refuse("amqp: a mechanism that is none", length("busy", "$amqp/?auth_mechanism=SCRAM"), "unsupported"),
    both_refuse("amqp: no scheme", length("busy", "127.0.0.1:5672"), "can't parse host"),
    both_refuse("amqp: another scheme", length("busy", "stomp://127.0.0.1:$nobody"), "unknown host URL scheme"),
    both_refuse("amqp: no host", Trigger("rabbitmq", {"queueName": "busy"}), "missing required parameter"),
    both_refuse("amqp: a rate", of("busy", "$amqp", mode="MessageRate", value="5"), "must be HTTP"),
    both_refuse("amqp: a pattern", length("b.*", "$amqp", useRegex="true"), "only with HTTP"),
    both_refuse("amqp: excludeUnacknowledged", length("busy", "$amqp", excludeUnacknowledged="true"),
                "only with HTTP"),
    both_refuse("amqp: a timeout", length("busy", "$amqp", timeout="1s"), "doesn't support custom timeouts"),
]

HTTP = [
    alike("http: several slashes before the virtual host", length("orders", "$http//shop"), 6),
    alike("http: unacknowledged count, too", length("held", "$http"), 10),
    alike("http: all are unacknowledged", length("all-held", "$http"), 5),
    alike("http: ready ones only", length("held", "$http", excludeUnacknowledged="true"), 6),
    alike("http: none is ready", length("all-held", "$http", excludeUnacknowledged="true"), 0),
    alike("http: a timeout", length("busy", "$http", timeout="2s"), 37),
    alike("http: a timeout in milliseconds", length("busy", "$http", timeout="2000"), 37),
    both_refuse("http: a timeout in words", length("busy", "$http", timeout="soon"), "unable to parse duration"),
    differs("http: a blank in the name", length("two words", "$http"), keda=Refused("404"), ours=(4, True),
            because=NAMES),
    differs("http: a blank in the virtual host", length("orders", "$http", vhostName="my shop"),
            keda=Refused("404"), ours=(7, True), because=NAMES),
    alike("http: the sum of the queues", matching("^r-"), 5),
    alike("http: a part of the name", matching("r"), 105),
    alike("http: in whichever case", matching("^R-"), 5),
    alike("http: characters of a URL in a pattern", matching("^(r-[1&2]|a b+|x%41/#)$$"), 5),
    alike("http: the greatest queue", matching("^r-", operation="max"), 4),
    alike("http: the mean of one queue", matching("^r-2", operation="avg"), 4),
    alike("http: no queue matches", matching("^nothing"), 0),
    alike("http: no queue matches, and avg", matching("^nothing", operation="avg"), 0),
    alike("http: as many queues as a page has", matching("^r-", pageSize="3"), 5),
    alike("http: sum, and the activation", matching("^r-", activationValue="5"), 5, active=False),
    differs("http: the mean", matching("^r-", operation="avg"), keda=(1, True), ours=(1.667, True), because=FRACTIONS),
    differs("http: more than a page", matching("^r-", pageSize="2"), keda=Refused("more queues than"), ours=(5, True),
            because=PAGES),
    both_refuse("http: an operation that is none", matching("^r-", operation="median"), "must be one of"),
    differs("http: an operation that is none, and no queue", matching("^nothing", operation="median"),
            keda=(0, False), ours=REFUSED, because=AT_ONCE),
    both_refuse("http: larger pages than there are", matching("^r-", pageSize="501"), "400"),
    both_refuse("http: a pattern that is none", matching("r-["), "400"),
]

MODES = ["MessageRate", "DeliverGetRate", "PublishedToDeliveredRatio", "ExpectedQueueConsumptionTime"]

# Nothing flows: rates are 0, and each mode has its own idea of what a queue without any is.
STILL = [
    *[alike(f"{mode} of an empty queue", of("empty", "$http", mode=mode, value="5", activationValue="2"), 0)
      for mode in MODES],
    alike("MessageRate of what waits", of("waiting", "$http", mode="MessageRate", value="5"), 0, active=True),
    alike("MessageRate of what waits, as many as the activation",
          of("waiting", "$http", mode="MessageRate", value="5", activationValue="9"), 0, active=False),
    alike("DeliverGetRate of what waits", of("waiting", "$http", mode="DeliverGetRate", value="5"), 0),
    alike("DeliverGetRate, and an activation below 0",
          of("waiting", "$http", mode="DeliverGetRate", value="5", activationValue="-1"), 0, active=True),
    alike("PublishedToDeliveredRatio of what waits",
          of("waiting", "$http", mode="PublishedToDeliveredRatio", value="5", activationValue="3"), 0),
    alike("ExpectedQueueConsumptionTime of what waits: the activation",
          of("waiting", "$http", mode="ExpectedQueueConsumptionTime", value="5", activationValue="3"), 3, active=True),
    alike("ExpectedQueueConsumptionTime of no queue",
          of("^nothing", "$http", mode="ExpectedQueueConsumptionTime", value="5", useRegex="true"), 0),
]

# Messages a second that come and that go, how many there are at first, and whether those that go come back.
FLOWS = {"fed": (40, 0, 0, False), "drained": (0, 20, 2000, False), "flowing": (40, 20, 2000, False),
         "returned": (0, 20, 2, True)}

# In a quorum queue whose messages expire at once, and cannot be delivered to where dead letters go.
DEAD_LETTERS = [
    alike("dead letters: amqp", length("dead", "$amqp"), 0),
    alike("dead letters: ready ones only", length("dead", "$http", excludeUnacknowledged="true"), 0),
    differs("dead letters: http", length("dead", "$http"), keda=(4, True), ours=(0, False), because=DEAD),
]

UNCOUNTED = [
    differs("no statistics: messages", length("busy", "$http"), keda=(0, False), ours=(5, True), because=UNTOLD),
    differs("no statistics: messages of all queues", length("^b", "$http", useRegex="true"), keda=(0, False),
            ours=(5, True), because=UNTOLD),
    *[differs(f"no statistics: {mode}", of("busy", "$http", mode=mode, value="5"), keda=(0, False), ours=REFUSED,
              because=UNTOLD) for mode in MODES],
    alike("no statistics: amqp", length("busy", "$amqp"), 5),
]


class SecureRabbitMQ(RabbitMQ):
    """Speaks TLS, too, with those who show a certificate. Its statistics are fresh."""

    certificates = {"cacertfile": "ca.pem", "certfile": "own.pem", "keyfile": "own.key"}

    def __init__(self, folder):
        make_certificates(folder)
        self.amqps_port, self.https_port = free_port(), free_port()
        lines = ["collect_statistics_interval = 500", f"listeners.ssl.1 = 127.0.0.1:{self.amqps_port}",
                 "management.ssl.ip = 127.0.0.1", f"management.ssl.port = {self.https_port}"]
        for options in ("ssl_options", "management.ssl"):
            lines += [f"{options}.{key} = {folder / name}" for key, name in self.certificates.items()]
            lines += [f"{options}.verify = verify_peer", f"{options}.fail_if_no_peer_cert = true"]
        super().__init__("\n".join(lines))

    def places(self):
        ports = {"amqp": self.port, "amqps": self.amqps_port, "http": self.management_port, "https": self.https_port}
        return {place: f"{scheme}://{user}@127.0.0.1:{port}" for scheme, port in ports.items()
                for place, user in ((scheme, "guest:guest"), (f"{scheme}_wrong", "guest:wrong"),
                                    (f"{scheme}_odd", f"odd:{quoted(ODD)}"))}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def broker(certificates):
    with SecureRabbitMQ(certificates) as broker:
        yield broker


@pytest.fixture(scope="module")
def places(broker, certificates):
    fill(broker)
    files = {"ca": "ca.pem", "cert": "own.pem", "key": "own.key"}
    return {**broker.places(), **{name: (certificates / file).read_text() for name, file in files.items()},
            "nobody": str(free_port())}


def fill(broker):
    broker.create_user("odd", ODD)
    for vhost, queues in QUEUES.items():
        if vhost != "/":
            broker.create_vhost(vhost)
        broker.declare(*queues, vhost=vhost)
        for queue, count in queues.items():
            broker.publish(queue, count, vhost)
    for queue, count in HELD.items():
        broker.consume_without_ack(queue, count)
    wait_until(lambda: all(reported(broker, vhost, queue, count)
                           for vhost, queues in QUEUES.items() for queue, count in queues.items()),
               20, "the management's numbers")


def reported(broker, vhost, queue, count):
    """KEDA reads statistics, which follow the queue in a while."""
    found = broker.api("GET", f"/queues/{quoted(vhost)}/{quoted(queue)}")
    return (found["messages"], found["messages_unacknowledged"]) == (count, HELD.get(queue, 0))


@each(of_both("$amqp") + AMQP)
def test_amqp(case, keda, client, places):
    compare(case, keda, client, places)


@each(of_both("$http") + HTTP)
def test_http(case, keda, client, places):
    compare(case, keda, client, places)


@each(STILL)
def test_rates_of_nothing(case, keda, client, broker, places):
    wait_until(lambda: rates_are_0(broker, "waiting"), 30, "what was published is forgotten")
    compare(case, keda, client, places)


def rates_are_0(broker, queue):
    stats = broker.api("GET", f"/queues/%2F/{queue}").get("message_stats", {})
    return stats.get("publish_details", {}).get("rate", 0) == 0


@pytest.mark.nightly
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("queue", FLOWS)
def test_rates(mode, queue, live_keda, client, places, flows):
    """Two questions are never asked at the same time: the answers must be near."""
    trigger = placed(of(queue, "$http", mode=mode, value="5", activationValue="1.5"), places)

    def near():
        theirs, ours = live_keda.fetch(trigger), fetch_from_server(client, trigger)
        assert isinstance(theirs, Answer) and isinstance(ours, Answer), (theirs, ours)
        assert abs(theirs.value - ours.value) <= 0.1 * theirs.value, (theirs, ours)
        assert (theirs.metric, theirs.target, theirs.active) == (ours.metric, ours.target, ours.active)
        return True

    wait_until(near, 20, "answers that are near")


@pytest.fixture(scope="module")
def flows(broker):
    flows = [Flow(broker, queue, *flow) for queue, flow in FLOWS.items()]
    for flow in flows:
        flow.start()
    wait_until(lambda: all(flow.is_notified() for flow in flows), 30, "rates of all that flows")
    yield
    for flow in flows:
        flow.stop()


class Flow(threading.Thread):
    """Publishes and takes so many messages a second."""

    def __init__(self, broker, queue, published, taken, at_first, returned):
        super().__init__(daemon=True)
        self.broker, self.queue = broker, queue
        self.published, self.taken, self.returned = published, taken, returned
        self.stopped = threading.Event()
        broker.declare(queue)
        broker.publish(queue, at_first)

    def run(self):
        with self.broker.connect() as connection:
            channel = connection.channel()
            while not self.stopped.wait(0.1):
                for _ in range(self.published // 10):
                    channel.basic_publish("", self.queue, b"work")
                for _ in range(self.taken // 10):
                    method, _properties, _body = channel.basic_get(self.queue, auto_ack=not self.returned)
                    if self.returned:
                        channel.basic_nack(method.delivery_tag, requeue=True)

    def is_notified(self):
        stats = self.broker.api("GET", f"/queues/%2F/{self.queue}")["message_stats"]
        return all(stats[f"{what}_details"]["rate"] > 0
                   for what, rate in (("publish", self.published), ("deliver_get", self.taken)) if rate)

    def stop(self):
        self.stopped.set()
        self.join(10)


@each(DEAD_LETTERS)
def test_dead_letters(case, keda, client, dead_letters):
    wait_until(lambda: isinstance(fetch_from_server(client, placed(case.trigger, dead_letters)), Answer), 20,
               "what is known of the queue's leader")
    compare(case, keda, client, dead_letters)


@pytest.fixture(scope="module")
def dead_letters(broker, places):
    broker.declare("dead", arguments={
        "x-queue-type": "quorum", "x-message-ttl": 10, "x-overflow": "reject-publish", "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "nowhere", "x-dead-letter-strategy": "at-least-once"})
    broker.publish("dead", 4)
    wait_until(lambda: reported(broker, "/", "dead", 4), 20, "the management's numbers")
    return places


@each(UNCOUNTED)
def test_without_statistics(case, keda, client, uncounted):
    compare(case, keda, client, uncounted)


@pytest.fixture(scope="module")
def uncounted():
    with RabbitMQ("management_agent.disable_metrics_collector = true") as broker:
        broker.declare("busy")
        broker.publish("busy", 5)
        yield {"amqp": broker.amqp_url(), "http": broker.http_url()}
