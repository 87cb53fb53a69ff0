"""What people look up: texts that they see, and defaults that documents and examples promise."""

import pathlib
import re
import subprocess

import pytest

from support.server.server import REPOSITORY, binary

SEEN = ["got empty metric spec", "no metric specs returned from scalers",
        "Triggers defined in ScaledObject are not working correctly", "encountered error",
        "2 to 60 s after a crash"]


@pytest.fixture(scope="module", autouse=True)
def transport():
    """No server is started."""


def read(name):
    return pathlib.Path(REPOSITORY, name).read_text()


@pytest.mark.parametrize("text", SEEN)
def test_the_troubleshooting_page_has_what_people_see(text):
    rows = [line for line in read("docs/troubleshooting.md").splitlines() if line.startswith("|")]
    # Other rows may send a reader to this one.
    assert len([row for row in rows if text in row.split(" | ")[0]]) == 1


def test_no_row_of_the_troubleshooting_page_is_there_twice():
    first = [line.split(" | ")[0] for line in read("docs/troubleshooting.md").splitlines() if line.startswith("| `")]
    assert len(first) == len(set(first)) > 20


def test_an_active_answer_is_held_for_an_hour_by_default():
    help_text = subprocess.run([binary(), "serve", "--help"], check=True, capture_output=True, text=True, timeout=20).stdout
    assert re.search(r"--hold DURATION [^-]*\(default: 1h\)", help_text)
    assert re.search(r"^  hold: 1h\b", read("charts/backlog/values.yaml"), re.MULTILINE)


def test_the_nats_example_activates_at_the_first_message():
    page = read("docs/triggers.md")
    [example] = [block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "nats-jetstream" in block]
    assert 'activationLagThreshold: "0"' in example


# A figure that stands in two pages, and the expression that finds it in each.
FIGURES = {
    "what polls of 10,000 triggers cost": [
        ("docs/sizing.md", r"KEDA's polls of 10,000 .*?\[(\d+) MiB and ([\d.]+) % of a core"),
        ("bench/README.md", r"\| Redis, 10,000 (?:\| [\d.]+ / [\d.]+ ){3}\| [\d.]+ / ([\d.]+) \| \d+ / (\d+) \|")],
    "when the first replica starts": [
        ("README.md", r"\| RabbitMQ: first message until `replicas: 1`, median \| ([\d.]+) s \| ([\d.]+) s \| \*\*([\d.]+) s\*\* \|"),
        ("docs/evaluate.md", r"until `replicas: 1`, .*?: ([\d.]+) s with one pod of Backlog; ([\d.]+) s with KEDA's default; ([\d.]+) s with a poll each second")],
    "who loses all workers while all of Backlog is down": [
        ("README.md", r"(\d+) of (\d+) workloads with KEDA's defaults, (\d+) of (\d+) with a poll every 2 s on overloaded cores"),
        ("bench/README.md", r"All down for seven minutes: \[(\d+) of (\d+)\]\(\S+ workloads lost theirs with KEDA's defaults, (\d+) of (\d+) on overloaded cores")],
    "a poll each second at the API server": [
        ("README.md", r"\| CPU of the Kubernetes API server \| \*\*([\d.]+)\*\* \| ([\d.]+) \| ([\d.]+) \|"),
        ("bench/README.md", r"\| CPU of the Kubernetes API server, % \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|")],
}


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_is_the_same_wherever_it_stands(figure):
    found = []
    for page, expression in FIGURES[figure]:
        match = re.search(expression, re.sub(r"\n(?=[^|\n])", " ", read(page)))
        assert match, f"{page} has it no longer"
        found.append(sorted(match.groups()))
    assert all(each == found[0] for each in found), found


def test_two_pods_open_twice_the_connections_of_the_benchmarks_one_process():
    both = re.search(r"RabbitMQ \(AMQP\) \| (\d+) \| \1 \| \*\*(\d+)\*\* \|\n\| Redis \| (\d+) \| \3 \| \*\*(\d+)\*\* \|\n"
                     r"\| Kafka, one broker \| (\d+) \| \5 \| \*\*(\d+)\*\* \|", read("README.md"))
    again = re.search(r"RabbitMQ \(AMQP\) (\d+) and (\d+), Redis (\d+) and (\d+), Kafka with one broker (\d+) and (\d+) ", read("docs/evaluate.md"))
    one = re.search(r"\| connections at the broker \| \d+ / (\d+) \| (\d+) / (\d+) \| (\d+) / (\d+) \|", read("bench/README.md"))
    assert both.groups() == again.groups()
    _, rabbitmq, of_redis, redis, of_kafka, kafka = map(int, both.groups())
    own, redis_keda, redis_own, kafka_keda, kafka_own = map(int, one.groups())
    assert (rabbitmq, redis, kafka) == (2 * own, 2 * redis_own, 2 * kafka_own)
    assert (of_redis, of_kafka) == (redis_keda, kafka_keda)
