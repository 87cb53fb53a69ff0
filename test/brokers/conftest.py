"""Which tests of brokers take longest, as ./dev tests several at a time (tools/durations.py says where the time goes)."""

from support.shares import Shares, longest_first

LONGEST = ["test_faults.py", "test_hanging_queries.py", "test_push.py", "test_far_away.py", "test_rabbitmq_keys.py", "test_kafka.py",
           "test_policies.py", "test_policy_sources.py", "test_sigterm.py", "test_trouble.py", "test_dns.py"]
PIECES = {"test_dns.py", "test_far_away.py", "test_hanging_queries.py", "test_policies.py", "test_push.py", "test_trouble.py"}


def pytest_xdist_make_scheduler(config, log):
    return Shares(config, log, PIECES)


def pytest_collection_modifyitems(items):
    longest_first(items, LONGEST)
