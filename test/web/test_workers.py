"""The workers of a cluster in a real Chromium, before an API server of our own."""

import os

import pytest

from support.browser import Browser
from support.grpc_client import Client
from support.pod_server import PodServer
from support.redis import Redis
from support.workers_api import TOKEN, Api, Worker, make_api_certificate

ROWS = "[...document.querySelectorAll('tbody tr:not(.space)')].map((row) => row.innerText)"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a service account")


def test_the_page_shows_pods_why_they_wait_and_their_logs(tmp_path):
    folder = make_api_certificate(tmp_path)
    with Browser() as browser, Redis() as redis, Worker() as worker, Api(folder, worker.server_port) as api, \
            PodServer(folder / "ca.pem", api.server_port, TOKEN, arguments=["--workers", "shop"]) as server:
        with Client(server.port) as client:
            for name in ("orders", "reports"):
                client.is_active({"scaler": "redis", "address": redis.address, "listName": "jobs", "listLength": "1"}, name=name)
        api.log = b"worker <b>begins</b>\n"
        browser.open(server, "/#/workers")
        browser.wait_for_text("3 workers, 1 pending")
        first, second, third = browser.evaluate(ROWS)
        assert all(word in first for word in ("orders-1", "shop/orders", "Running", "2", "37", "25 %", "64 MiB")), first
        assert all(word in second for word in ("orders-2", "Pending", "Unschedulable", "0/3 nodes are available: 3 Insufficient cpu.", "–")), second
        assert "Job reports-7" in third
        browser.screenshot("workers")
        assert browser.problems() == [] and browser.axe() == []
        browser.open(server, "/#/workers", width=390, height=844, scheme="dark")
        browser.wait_for_text("Pending")
        browser.screenshot("workers-phone")
        assert browser.axe() == []

        browser.open(server, "/#/workers")
        browser.wait_for_text("3 workers, 1 pending")
        browser.click("tbody tr:not(.space) button")
        browser.wait_for_text("worker <b>begins</b>", "dialog pre")
        api.log += b"and goes on\n"
        browser.wait_for_text("and goes on", "dialog pre")
        browser.screenshot("worker-log")
        browser.press("Escape")

        api.refused = {"metrics.k8s.io"}
        browser.wait_for_text("shop/orders: CPU and memory are not known: the Kubernetes API: 403 pods is forbidden")
        api.refused = {"/pods"}
        browser.wait_for_text("shop/orders: the Kubernetes API: 403 pods is forbidden (shown as of")
        assert len(browser.evaluate(ROWS)) == 3

        # By the trigger's page to those of one object.
        api.refused = set()
        browser.evaluate("location.hash = '#/trigger/shop/reports'")
        browser.wait("document.querySelector('main a[href=\"#/workers/shop/reports\"]') !== null")
        browser.click("main a[href=\"#/workers/shop/reports\"]")
        browser.wait_for_text("Workers of shop/reports")
        browser.wait(f"{ROWS}.length === 1 && {ROWS}[0].includes('reports-x')")
        assert browser.problems() == [] and browser.axe() == []
