"""`--kubernetes`: the password of every source is changed, and the Secret that its TriggerAuthentication names."""

import contextlib
import os
import time

import grpc
import pytest

from support.brokers.sources import BUSY, IDLE, NEW_PASSWORD, PASSWORD, all_sources
from support.certificates import make_certificate, make_root
from support.clients.grpc_client import Client, refusal
from support.kubernetes.fake_kubernetes import FakeKubernetes, path_of
from support.kubernetes.pod_server import PodServer
from support.process import wait_until
from test_credentials import side_by_side

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a service account")

START_SECONDS = 30


@pytest.fixture(scope="module")
def sources():
    with all_sources() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("api")
    make_root(found)
    make_certificate(found, "api")
    return found


class Rotated:
    """A source with a ScaledObject, an authentication and a Secret, all of its name."""

    def __init__(self, source, api, client):
        self.source, self.name, self.api, self.client = source, source.name, api, client
        self.secret = path_of("Secret", source.name)
        keys = {"scalerAddress": "backlog:9090", "scaler": source.scaler, **source.connect_to("127.0.0.1")}
        self.busy = {**keys, **source.work(BUSY)}
        self.idle = {**keys, **source.work(IDLE)}
        self.probe = self.busy
        if source.add is None:  # of which nothing is known, so that nothing is held
            self.probe = {**self.busy, "query": self.busy["query"] + " + 0"}
        source.set_password(PASSWORD)
        ref = {"name": source.name}
        api.secret(source.name, password=PASSWORD)
        api.authentication(source.name, source.name, "password")
        api.scaled((self.busy, ref), (self.idle, ref), (self.probe, ref), name=source.name)

    def value(self, metadata):
        return self.client.metrics(metadata, "", name=self.name).metricValue

    def begin(self):
        def is_answered():
            with contextlib.suppress(grpc.RpcError):
                self.before = self.value(self.busy)
                return True
            return False

        wait_until(is_answered, START_SECONDS, "the first reading")

    def change_secret(self):
        self.api.secret(self.name, password=NEW_PASSWORD)

    def change_password(self):
        self.source.change_password(NEW_PASSWORD)

    def is_in_use_within(self, seconds):
        """What is added is counted; until then what was known is held."""
        began, expected = time.monotonic(), self.before
        if self.source.add:
            self.source.add(BUSY, 2)
            expected += 2
        found = None
        while found != expected:
            assert time.monotonic() - began < seconds, f"{self.name}: no reading with the new password"
            time.sleep(0.05)
            assert self.before <= self.value(self.busy) <= expected  # the jobs come one by one
            with contextlib.suppress(grpc.RpcError):
                found = self.value(self.probe)


@contextlib.contextmanager
def started(folder, sources, watched=True):
    with FakeKubernetes(folder, watched=watched) as api, \
            PodServer(folder / "ca.pem", api.server_port, api.token, arguments=["--kubernetes"], interval="500ms",
                      hold="60s") as server, Client(server.port) as client:
        rotated = [Rotated(source, api, client) for source in sources]
        side_by_side(Rotated.begin, rotated)
        yield api, client, rotated
        assert not [password for password in (PASSWORD, NEW_PASSWORD) if password in server.log()]


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "at intervals"])
def test_a_rotated_secret_of_each_source_is_in_use_within_10_s(folder, sources, watched):
    with started(folder, sources, watched) as (_api, _client, rotated):
        def story(each):
            each.change_password()
            each.change_secret()
            each.is_in_use_within(10)

        side_by_side(story, rotated)


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "at intervals"])
def test_a_changed_secret_is_in_use_within_10_s_though_the_old_password_is_right(folder, sources, watched):
    """No refusal has it read again. The new one is wrong: that is how it shows."""
    with started(folder, sources, watched) as (api, _client, rotated):
        def story(each):
            assert each.value(each.idle) == 0
            time.sleep(1)  # the watches begin
            api.secret(each.name, password=NEW_PASSWORD)

            def is_refused():
                try:
                    return each.value(each.idle) != 0
                except grpc.RpcError as error:
                    return error.code() == grpc.StatusCode.UNAVAILABLE

            wait_until(is_refused, 10, f"{each.name}: the refusal of the new password")
            assert each.value(each.busy) == each.before  # held

        side_by_side(story, rotated)


def test_a_secret_is_read_at_once_where_the_source_refuses_the_old_password(folder, sources):
    """No watch says that it has changed, and it is read again after an hour."""
    with started(folder, sources) as (api, client, rotated):
        wait_until(lambda: all(api.watches(each.name) for each in rotated), START_SECONDS, "the watches")
        time.sleep(3)  # what a watch may have missed is read again when it begins
        api.is_withholding = True
        since = time.monotonic()
        for each in rotated:
            each.change_secret()
        time.sleep(3)
        refusal(client.metrics, rotated[0].busy, "", name="other")  # it answers: 10 s later it would be tried with some object
        assert not [at for each in rotated for at in api.times(each.secret) if at > since], "something else has it read"

        def story(each):
            each.change_password()
            each.is_in_use_within(5)

        side_by_side(story, rotated)
        assert all(api.times(each.secret)[-1] > since for each in rotated)
