"""Which tests of brokers take longest, as ./dev tests several at a time (tools/durations.py says where the time goes)."""

import pytest

from support.brokers.sources import all_sources
from support.shares import Shares, longest_first

LONGEST = ["test_kafka.py", "test_rabbitmq.py", "test_faults.py", "test_grpcurl.py", "test_rabbitmq_keys.py", "test_rabbitmq_patterns.py",
           "test_hanging_queries.py", "test_policies.py", "test_policy_sources.py", "test_redis.py", "test_pgbouncer.py",
           "test_rabbitmq_cluster.py", "test_postgresql.py", "test_redis_sentinel.py", "test_prometheus.py", "test_nats.py",
           "test_slow_queries.py", "test_mistakes.py", "test_nats_cluster.py", "test_rehearse.py", "test_push.py"]
PIECES = {"test_dns.py", "test_far_away.py", "test_hanging_queries.py", "test_policies.py", "test_policy_sources.py", "test_push.py",
          "test_trouble.py"}


def pytest_xdist_make_scheduler(config, log):
    return Shares(config, log, PIECES, {"test_credentials.py": "test_faults.py", "test_grpcurl.py": "test_faults.py"})


def pytest_collection_modifyitems(items):
    longest_first(items, LONGEST)


@pytest.fixture(scope="session")
def sources():
    """Of test_faults.py and test_grpcurl.py, and then of test_credentials.py, which adds jobs."""
    with all_sources() as started:
        yield started


def pytest_terminal_summary(terminalreporter):
    """What grpcurl printed, so that it can be read in the log."""
    for report in terminalreporter.stats.get("passed", ()):
        for name, printed in report.user_properties:
            if report.when == "call" and name == "grpcurl":
                terminalreporter.write_line(printed)
