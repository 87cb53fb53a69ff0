"""The examples with a stack of their own, in real time: their manifests as they are, and their own assertions.

None is marked core: with their windows and cooldowns they take two to fourteen minutes each.
"""

import pytest

from support.example import play
from support.process import free_port

PLAYS = [("video-rendering-kafka", "render"),  # the longest first
         ("cdc-prometheus-postgresql", "buffer,throughput"), ("cdc-prometheus-postgresql", "late"),
         ("csv-jobs-rabbitmq", "worker,broker,many"), ("csv-jobs-rabbitmq", "burst"),
         ("video-conversion-rabbitmq", "timeline"), ("video-conversion-rabbitmq", "slow,cpu"),
         ("memes-nats", "first")]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name, chapters", PLAYS)
def test_an_example_shows_on_a_real_kubernetes_what_it_promises(api, name, chapters):
    """`api`: where there is no stack, this is skipped."""
    printed = play(name, "--e2e", "--only", chapters)
    assert "With a real Kubernetes and KEDA" in printed


@pytest.mark.timeout(1800)
def test_the_dashboard_lists_the_pods_of_an_example(api):
    printed = play("csv-jobs-rabbitmq", "--e2e", "--only", "burst", "--http", f"127.0.0.1:{free_port()}")
    assert "five workers on the dashboard, with CPU, memory and log" in printed
