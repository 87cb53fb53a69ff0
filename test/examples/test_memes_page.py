"""The page of examples/memes-nats in a real Chromium, with a real NATS over WebSocket, a real Redis and the worker."""

import functools
import http.server
import os
import re
import threading

import pytest

from support.pages.browser import Browser
from support.example import Worker, command
from support.brokers.nats import Nats
from support.process import Process, Unavailable, free_port, wait_until
from support.brokers.redis import Redis
from support.server.server import REPOSITORY

NAME = "memes-nats"
PAGE = os.path.join(REPOSITORY, "build", "meme-frontend", "dist")
SECONDS = 60


class ImageApi(Process):
    name = "image API"

    def command(self):
        return ["python", os.path.join(REPOSITORY, "examples", NAME, "image_api.py")]

    def environment(self):
        return {**os.environ, "PORT": "0", "HOST": "127.0.0.1"}

    def ready(self):
        found = re.search(r"listening on port (\d+)", self.log())
        self.url = found and f"http://127.0.0.1:{found[1]}/models/memes"
        return found


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Site:
    """The built page on a free port."""

    def __init__(self):
        if not os.path.isdir(PAGE):
            raise Unavailable(f"{PAGE} is missing: ./dev test web builds it")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=PAGE))
        self.http_port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


def order(browser, text):
    browser.fill("#text", text)
    browser.click("button")


def test_a_request_becomes_a_picture_and_a_mistake_an_error(browser):
    websocket = free_port()
    with Nats(f'websocket {{ listen: "127.0.0.1:{websocket}", no_tls: true }}') as broker, Redis() as redis, ImageApi() as api, Site() as site:
        command(NAME, "streams.py", NATS_URL=broker.url)
        with Worker(NAME, NATS_URL=broker.url, REDIS_URL=f"redis://{redis.address}", IMAGE_API_URL=api.url):
            browser.open(site, f"/?nats=ws://127.0.0.1:{websocket}")
            browser.wait_for_text("NATS: connected")
            order(browser, "one does not simply scale")
            browser.wait("document.querySelector('.meme.done img')?.naturalWidth > 0", seconds=SECONDS)
            browser.wait_for_text("newly made")

            order(browser, "one does not simply scale")
            browser.wait("document.querySelectorAll('.meme.done img').length === 2", seconds=SECONDS)
            browser.wait_for_text("from the cache")

            order(browser, "???")
            browser.wait_for_text("at least one letter", ".meme.failed [role=alert]")
            browser.screenshot("memes")
            assert browser.problems() == [] and browser.axe() == []

        order(browser, "nobody works")  # it is stored, and made when a worker is there
        browser.wait_for_text("Waiting for a worker")
        browser.evaluate("location.href = 'about:blank'")  # the response comes while the page is away
        with Worker(NAME, NATS_URL=broker.url, REDIS_URL=f"redis://{redis.address}", IMAGE_API_URL=api.url) as worker:
            next(line for line in worker.child.stdout if line.endswith(" made\n"))
            browser.evaluate("void setTimeout(() => history.back(), 100)")  # once this has returned
            browser.wait("document.querySelectorAll('.meme.failed').length === 1", seconds=SECONDS)
            browser.wait("document.querySelectorAll('.meme.done').length === 3", seconds=SECONDS)

        broker.kill()
        browser.wait_for_text("connection lost")
        assert browser.evaluate("document.querySelector('button').disabled") is True
        broker.start()
        browser.wait_for_text("NATS: connected")
        wait_until(lambda: browser.evaluate("document.querySelector('button').disabled") is False, SECONDS, "the page goes on")


def test_the_page_says_where_it_cannot_connect_and_tries_again(browser):
    websocket = free_port()
    url = f"ws://127.0.0.1:{websocket}"
    with Site() as site:
        browser.open(site, f"/?nats={url}")
        browser.wait_for_text("No meme yet.")
        browser.wait_for_text(f"cannot connect to {url}, trying again")
        with Nats(f'websocket {{ listen: "127.0.0.1:{websocket}", no_tls: true }}'):
            browser.wait_for_text("NATS: connected")
