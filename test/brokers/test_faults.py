"""Never a false zero: every source behind a network that fails, in every way, at once.

Jobs wait in one queue of each, and none in another. Whatever happens, an answer is the truth, or an error: what is
busy is held for a while, what is idle is refused at once; and when it is over, both are answered again without
anybody's help.
"""

import os
import time

import pytest

from support.server.dated_server import DatedServer
from support.clients.grpc_client import Client
from support.process import wait_until
from support.network.proxy import Proxy
from support.server.server import Server
from support.clients.witness import FAULT_SECONDS, HOLD_SECONDS, INTERVAL_SECONDS, court

TIMES = {"interval": f"{INTERVAL_SECONDS}s", "hold": f"{HOLD_SECONDS}s"}


def fail(sources, fault):
    for source in sources:
        source.proxy.fail(fault)


def heal(sources):
    for source in sources:
        source.proxy.heal()


@pytest.mark.parametrize("fault", [pytest.param("refuse", marks=pytest.mark.first),
                                   *(fault for fault in Proxy.FAULTS if fault != "refuse")])
def test_a_failing_network_is_never_a_zero(sources, fault):
    with Server(http=True, **TIMES) as server, Client(server.port) as client, \
            court(server, client, sources) as witnesses:
        failed = time.monotonic()
        try:
            fail(sources, fault)
            time.sleep(FAULT_SECONDS)
        finally:
            healed = time.monotonic()
            heal(sources)
        witnesses.evaluate(failed, healed)
        assert witnesses.held() == witnesses.busy()


class NamelessServer(Server):
    """In a mount namespace where the machine's names are in a file of the test's, and no name server answers."""

    def __init__(self, **options):
        super().__init__(**options)
        self.hosts = os.path.join(self.folder, "hosts")
        self.resolver = os.path.join(self.folder, "resolv.conf")
        self.set_names("localhost", "broker.test")
        with open(self.resolver, "w") as file:
            file.write("nameserver 127.0.0.1\n")

    def set_names(self, *names):
        """In the file as it is: it is mounted."""
        with open(self.hosts, "w") as file:
            file.writelines(f"127.0.0.1 {name}\n" for name in names)

    def command(self):
        script = f'mount --bind {self.hosts} /etc/hosts && mount --bind {self.resolver} /etc/resolv.conf && exec "$@"'
        own_users = [] if os.geteuid() == 0 else ["--map-root-user"]
        return ["unshare", "--mount", *own_users, "sh", "-c", script, "sh", *super().command()]


def test_names_that_cannot_be_looked_up_are_never_a_zero(sources):
    """Kafka's broker calls itself localhost, so that name is gone as well."""
    with NamelessServer(http=True, **TIMES) as server, Client(server.port) as client, \
            court(server, client, sources, host="broker.test") as witnesses:
        failed = time.monotonic()
        server.set_names()
        fail(sources, "refuse")
        time.sleep(1)  # so that each client gives up its connection, and what it remembers
        heal(sources)
        time.sleep(FAULT_SECONDS - 1)
        healed = time.monotonic()
        server.set_names("localhost", "broker.test")
        witnesses.evaluate(failed, healed)
        assert witnesses.held() == witnesses.busy()


def test_a_clock_that_jumps_is_never_a_zero(sources):
    """Nothing of ours looks at it. Kafka's library waits by it, so that a measurement may fail."""
    with DatedServer(http=True, **TIMES) as server, Client(server.port) as client, \
            court(server, client, sources) as witnesses:
        began = time.monotonic()
        for offset in ("+1h", "-1h", "+1y", "+0"):
            server.jump(offset)
            time.sleep(1)  # all before something would have to be refused
        witnesses.evaluate(began, time.monotonic())
        assert witnesses.refused() <= {"kafka-busy", "kafka-idle"}
        server.jump("+1y")
        heal(sources)  # so that something is logged
        year = time.gmtime().tm_year + 1
        wait_until(lambda: f"\n{year}-" in server.log(), 30, "a line of the year to come")
