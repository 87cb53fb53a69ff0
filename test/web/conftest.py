"""What tests of the dashboard share: a browser, and a server that measures a Redis."""

import http.server
import threading

import pytest

from support.brokers.redis import Redis
from support.clients.grpc_client import Client
from support.pages.browser import Browser
from support.pages.stub import ALL, OfWhatIsSaid
from support.process import wait_until
from support.server.server import Server

WAIT_SECONDS = 60


@pytest.fixture(scope="session")
def shared_browser():
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(shared_browser):
    if not shared_browser.is_in_step:  # a test has ended in the middle of something
        shared_browser.child.kill()
        shared_browser.end()
        shared_browser.start()
    yield shared_browser
    if shared_browser.is_in_step:
        shared_browser.leave()


@pytest.fixture
def broker():
    with Redis(config="requirepass pass-phrase") as broker:
        yield broker


@pytest.fixture
def redis(broker):
    with broker.connect() as redis:
        redis.call("AUTH", "pass-phrase")
        yield redis


@pytest.fixture
def server(broker):
    config = f"connections:\n  shop-redis: {{scaler: redis, address: \"{broker.address}\", password: pass-phrase}}\n"
    with Server(http=True, config=config, arguments=["--hold", "1h"]) as server:
        yield server


@pytest.fixture(scope="session")
def idle_server():
    """Nobody calls it."""
    with Server(http=True) as server:
        yield server


@pytest.fixture
def client(server):
    with Client(server.port) as client:
        yield client


@pytest.fixture
def stub(browser):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), OfWhatIsSaid) as stub:
        threading.Thread(target=stub.serve_forever, daemon=True).start()
        stub.http_port, stub.readers, stub.is_over = stub.server_port, [], threading.Event()
        browser.open(stub)
        wait_until(lambda: stub.readers, WAIT_SECONDS, "a reader")
        stub.readers[0].put(ALL)
        browser.wait_for_text("Live", "#status")
        yield stub
        browser.leave()
        stub.is_over.set()
        for reader in stub.readers:
            reader.put(None)
        stub.shutdown()
