"""--http-token-file: who may read the HTTP port, by a bearer token and by the page where browsers log in."""

import http.server
import json
import os
import re
import subprocess
import threading

import pytest
import requests

from support.pages.page import asset
from support.clients.grpc_client import Client
from support.network.pods import PodProxy
from support.process import wait_until
from support.brokers.redis import Redis
from support.server.server import Server, binary

TOKEN = "4e7d0c1f9a+b/6=32&85"  # with what forms encode
OTHER = "another-token-of-the-server"
SECONDS = 30
CLOSED = ("/api/triggers", "/api/triggers/shop/orders", "/api/history/shop/orders", "/api/events", "/api/server", "/api/connections",
          "/api/log", "/api/workers", "/api/workers/shop/pod/log", "/nowhere", "/index.html")
OPEN = ("/livez", "/healthz", "/readyz", "/metrics", "/login")


class TokenFile:
    """As a mounted Secret: replaced at once."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "token")
        self.write(TOKEN + "\n")

    def write(self, text):
        with open(self.path + ".new", "w") as file:
            file.write(text)
        os.rename(self.path + ".new", self.path)


@pytest.fixture
def token(tmp_path):
    return TokenFile(tmp_path)


@pytest.fixture
def server(token):
    with Server(http=True, arguments=["--http-token-file", token.path]) as server:
        yield server


def url(server, path):
    return f"http://127.0.0.1:{server.http_port}{path}"


def status(server, path, **argument):
    with requests.get(url(server, path), timeout=SECONDS, allow_redirects=False, stream=True, **argument) as answer:
        return answer.status_code


def bearer(token):
    return {"headers": {"Authorization": f"Bearer {token}"}}


def log_in(server, token):
    answer = requests.post(url(server, "/login"), data={"token": token}, timeout=SECONDS, allow_redirects=False)
    assert answer.status_code == 303
    return answer


def session_of(answer):
    """The cookie: its name is of the token."""
    (session,) = answer.cookies.items()
    assert re.fullmatch("backlog_session_[0-9a-f]{8}", session[0])
    return session


def test_what_is_closed_needs_the_token_and_probes_do_not(server):
    for path in CLOSED:
        assert status(server, path) == 401, path
        assert status(server, path, **bearer(TOKEN[:-1])) == 401
        assert status(server, path, **bearer(TOKEN + "x")) == 401
        assert status(server, path, **bearer(TOKEN)) in (200, 404), path
    for path in (*OPEN, asset(server, "style.css")):
        assert status(server, path) == 200, path
    answer = requests.get(url(server, "/api/triggers"), timeout=SECONDS)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert requests.post(url(server, "/api/triggers"), timeout=SECONDS).status_code == 405
    assert requests.get(url(server, "/livez"), timeout=SECONDS).text == requests.get(url(server, "/healthz"), timeout=SECONDS).text == "ok\n"
    assert TOKEN not in server.log()


def test_the_login_page_gives_a_cookie_without_the_token(server):
    html = {"headers": {"Accept": "text/html,*/*;q=0.8"}}
    page = requests.get(url(server, "/"), timeout=SECONDS, allow_redirects=False, **html)
    assert (page.status_code, page.headers["Location"]) == (303, "/login")
    wrong = log_in(server, "not-the-token-at-all")
    assert wrong.headers["Location"] == "/login?wrong" and "Set-Cookie" not in wrong.headers
    assert requests.post(url(server, "/login"), data="x" * 5000, timeout=SECONDS, allow_redirects=False).status_code == 413
    right = log_in(server, TOKEN)
    cookie = right.headers["Set-Cookie"]
    assert right.headers["Location"] == "/" and TOKEN not in cookie
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"} <= set(cookie.split("; ")) and "Secure" not in cookie
    for proxied, is_secure in (("https", True), ("https,http", True), ("HTTPS, http", True), ("http, https", False),
                               ("httpsx", False)):
        answer = requests.post(url(server, "/login"), data={"token": TOKEN}, timeout=SECONDS, allow_redirects=False,
                               headers={"X-Forwarded-Proto": proxied})
        assert ("Secure" in answer.headers["Set-Cookie"].split("; ")) == is_secure, proxied
    name, session = session_of(right)
    assert status(server, "/api/server", cookies={name: session}) == 200
    assert status(server, "/", cookies={"other": "1", name: session}, **html) == 200
    end, digest = session.split(".")
    for forged in (f"{int(end) + 1}.{digest}", f"{end}.{digest[:-1]}0" if digest[-1] != "0" else f"{end}.{digest[:-1]}1", f"{end}.", end, ".", ""):
        assert status(server, "/api/server", cookies={name: forged}) == 401, forged
    assert TOKEN not in server.log() and digest not in server.log()


def test_who_needs_no_login_is_not_asked_for_one(server):
    """As behind a proxy that sends the token: only the proxy knows it."""
    name, session = session_of(log_in(server, TOKEN))
    for argument in (bearer(TOKEN), {"cookies": {name: session}}):
        answer = requests.get(url(server, "/login"), timeout=SECONDS, allow_redirects=False, **argument)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert status(server, "/login", **bearer(OTHER)) == status(server, "/login", cookies={name: "1.0"}) == 200


def test_only_who_has_a_session_ends_it(server):
    def log_out(**argument):
        answer = requests.post(url(server, "/logout"), timeout=SECONDS, allow_redirects=False, **argument)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
        return answer.headers.get("Set-Cookie")

    assert log_out() is None  # as a form of another site sends it: the cookie is SameSite=Lax
    name, session = session_of(log_in(server, TOKEN))
    assert log_out(cookies={name: "1.0"}) is None
    ended = log_out(cookies={name: session})
    assert ended.startswith(f"{name}=;") and "Max-Age=0" in ended


def test_wrong_tokens_are_logged_once_and_counted(server):
    def failures():
        page = requests.get(url(server, "/metrics"), timeout=SECONDS).text
        return float(re.search(r"^backlog_http_login_failures_total (.*)$", page, re.M).group(1))

    name, _ = session_of(log_in(server, TOKEN))
    assert failures() == 0
    assert status(server, "/api/server") == 401  # who shows no token has not failed
    assert status(server, "/api/server", cookies={name: "1.0"}) == 401  # nor who has an old session
    for scheme in ("Basic d29ya2VyOnBhc3M=", "Negotiate abc", "Bearers abc", "Bearer"):  # nor for whom a proxy shows something else
        assert status(server, "/api/server", cookies={name: "1.0"}, headers={"Authorization": scheme}) == 401
    assert failures() == 0
    for _ in range(3):
        assert status(server, "/api/server", **bearer("not-the-token-at-all")) == 401
        log_in(server, "not-the-token-either")
    assert failures() == 6
    assert status(server, "/api/server", headers={"Authorization": "bEARER not-the-token-at-all"}) == 401
    assert failures() == 7
    assert server.log().count("HTTP: authentication failed: wrong token from 127.0.0.1") == 1
    assert "not-the-token" not in server.log()


def test_another_token_ends_sessions_and_streams(server, token):
    session = dict([session_of(log_in(server, TOKEN))])
    with requests.get(url(server, "/api/events"), cookies=session, stream=True, timeout=SECONDS) as events:
        lines = events.iter_lines()
        assert next(lines)
        token.write(f"  {OTHER}\n")
        wait_until(lambda: status(server, "/api/server", **bearer(OTHER)) == 200, SECONDS, "the new token is used")
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            for _ in lines:
                pass
    assert status(server, "/api/server", cookies=session) == 401
    assert status(server, "/api/server", **bearer(TOKEN)) == 401
    token.write("short\n")
    wait_until(lambda: "must have one token of 16" in server.log(), SECONDS, "an invalid file is reported")
    assert status(server, "/api/server", **bearer(OTHER)) == 200
    assert OTHER not in server.log() and "short" not in server.log().replace("shorter", "")


@pytest.mark.parametrize("content", ["", "short", "two tokens-of-the-server", "t\u00f6ken-of-the-server", "x" * 1025])
def test_a_server_without_a_usable_token_does_not_start(token, content):
    token.write(content)
    run = subprocess.run([binary(), "serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--http-token-file", token.path],
                         capture_output=True, text=True, timeout=SECONDS)
    assert run.returncode == 1 and "--http-token-file" in run.stderr and "16 to 1024" in run.stderr or len(content) > 1024
    assert not content or content not in run.stderr


def test_commands_show_the_token(server, token, tmp_path):
    def run(*words):
        return subprocess.run([binary(), *words, "--server-http", f"127.0.0.1:{server.http_port}"], capture_output=True, text=True, timeout=60)

    with Redis() as broker, Client(server.port) as client:
        client.metrics({"scaler": "redis", "address": broker.address, "listName": "jobs", "listLength": "5"}, metric_name="", name="orders")
        refused = run("explain", "shop/orders")
        assert refused.returncode == 1 and "401" in refused.stderr and "--http-token-file" in refused.stderr
        explained = run("explain", "shop/orders", "--output", "json", "--http-token-file", token.path)
        assert explained.returncode == 0, explained.stderr
        assert json.loads(explained.stdout)[0]["name"] == "orders"
        watched = run("watch", "--once", "--http-token-file", token.path)
        assert watched.returncode == 0 and "shop/orders" in watched.stdout
        missing = run("watch", "--once", "--http-token-file", str(tmp_path / "missing"))
        assert missing.returncode == 1 and "--http-token-file" in missing.stderr


def test_a_browser_logs_in_and_out(browser, server, token):
    browser.open(server, "/#/log?q=listening")
    browser.wait("location.pathname === '/login'")
    assert browser.axe() == []
    browser.fill("#token", "not-the-token-at-all")
    browser.press("Enter")
    browser.wait("document.querySelector('#wrong:not([hidden])') !== null")
    browser.screenshot("login")
    assert browser.axe() == []
    browser.fill("#token", TOKEN)
    browser.press("Enter")
    browser.wait_for_text("listening on")  # the page that was wanted
    assert browser.evaluate("location.pathname + location.hash") == "/#/log?q=listening"
    assert browser.evaluate("document.cookie") == ""
    browser.click("#logout button")
    browser.wait("location.pathname === '/login'")
    browser.fill("#token", TOKEN)
    browser.press("Enter")
    browser.wait_for_text("No triggers yet")
    token.write(OTHER)
    browser.wait("location.pathname === '/login'")  # by itself


def hello(server, **argument):
    """The first event of the stream."""
    with requests.get(url(server, "/api/events"), stream=True, timeout=SECONDS, **argument) as events:
        return json.loads(next(line for line in events.iter_lines() if line.startswith(b"data: ")).removeprefix(b"data: "))


def test_only_who_has_a_session_can_log_out(server):
    session = dict([session_of(log_in(server, TOKEN))])
    assert hello(server, cookies=session)["hasSession"] is True
    assert "hasSession" not in hello(server, **bearer(TOKEN))
    assert "hasSession" not in hello(server, cookies=session, **bearer(TOKEN))  # to end it would change nothing
    with Server(http=True) as other:  # which needs no login
        assert "hasSession" not in hello(other, cookies=session)


def test_behind_a_proxy_that_sends_the_token_nobody_is_offered_to_log_out(browser, server):
    """As the documented OAuth proxy: /logout would lead back to the page."""
    with PodProxy(server.http_port, authorization=f"Bearer {TOKEN}") as proxy:
        browser.open(proxy)
        browser.wait_for_text("No triggers yet")
        browser.wait_for_text("Live", "#status")
        assert browser.evaluate("document.querySelector('#logout').hidden")
        browser.open(server)
        browser.fill("#token", TOKEN)
        browser.press("Enter")
        browser.wait_for_text("No triggers yet")
        browser.wait("!document.querySelector('#logout').hidden")


def test_a_link_of_another_site_finds_the_session_and_its_form_does_not(browser, server):
    """Of a chat, or of Grafana. localhost and 127.0.0.1 are two sites."""
    class OfAnotherSite(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            page = (f'<a href="{url(server, "/#/log?q=listening")}">log</a>'
                    f'<form method="post" action="{url(server, "/logout")}"><button>out</button></form>').encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), OfAnotherSite) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()

        def follow(selector):
            browser.evaluate(f"location.assign('http://localhost:{other.server_port}/')")
            browser.wait(f"location.hostname === 'localhost' && document.querySelector('{selector}') !== null")
            browser.click(selector)

        browser.open(server)
        browser.fill("#token", TOKEN)
        browser.press("Enter")
        browser.wait_for_text("No triggers yet")
        follow("a")
        browser.wait_for_text("listening on")
        assert browser.evaluate("location.pathname + location.hash") == "/#/log?q=listening"
        follow("button")
        browser.wait_for_text("requests of pages of other sites are not permitted", selector="body")
        browser.evaluate(f"location.assign('{url(server, '/')}')")
        browser.wait_for_text("No triggers yet")  # the session goes on
        other.shutdown()
