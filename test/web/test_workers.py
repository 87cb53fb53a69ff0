"""The workers of a cluster in a real Chromium, before an API server of our own."""

import os
import time

import pytest

from support.clients.grpc_client import Client
from support.pages.page import get
from support.kubernetes.pod_server import PodServer
from support.process import wait_until
from support.brokers.redis import Redis
from support.kubernetes.workers_api import TOKEN, Api, Worker, make_api_certificate

def card(label, part="value"):
    return (f"[...document.querySelectorAll('.card')].find((card) => card.querySelector('dt').textContent === '{label}')"
            f"?.querySelector('.{part}').textContent")


ROWS = "[...document.querySelectorAll('tbody tr:not(.space)')].map((row) => row.innerText)"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a service account")


def test_the_page_shows_pods_why_they_wait_and_their_logs(browser, tmp_path):
    folder = make_api_certificate(tmp_path)
    with Redis() as redis, Worker() as worker, Api(folder, worker.server_port) as api, \
            PodServer(folder / "ca.pem", api.server_port, TOKEN, arguments=["--workers", "shop"]) as server:
        with Client(server.port) as client:
            for name in ("orders", "reports"):
                client.is_active({"scaler": "redis", "address": redis.address, "listName": "jobs", "listLength": "1"}, name=name)
        api.log = b"worker <b>begins</b>\n"
        browser.open(server, "/#/workers")
        browser.wait_for_text("3 workers, 1 pending")
        browser.wait(f"{ROWS}[0]?.includes('37')")
        first, second, third = browser.evaluate(ROWS)
        assert all(word in first for word in ("orders-1", "shop/orders", "Running", "2", "37", "25 %", "64 MiB")), first
        assert all(word in second for word in ("orders-2", "Pending", "Unschedulable", "0/3 nodes are available: 3 Insufficient cpu.", "–")), second
        assert "Job reports-7" in third
        # Where the column is too narrow for it.
        assert browser.evaluate("document.querySelectorAll('td.of-reason')[1].title") == "Unschedulable\n0/3 nodes are available: 3 Insufficient cpu."
        browser.screenshot("workers")
        assert browser.problems() == [] and browser.axe() == []
        browser.open(server, "/#/workers", width=390, height=844, scheme="dark")
        browser.wait_for_text("Pending")
        browser.wait(f"{ROWS}[0]?.includes('37') && {ROWS}[1]?.includes('Unschedulable')")
        assert browser.evaluate("document.documentElement.scrollWidth") == 390
        assert browser.evaluate("[...document.querySelectorAll('.scroller, .chip, thead button')].every((part) => part.scrollWidth <= part.clientWidth)")
        browser.screenshot("workers-phone")
        assert browser.axe() == []

        browser.open(server, "/#/workers")
        browser.wait_for_text("3 workers, 1 pending")
        browser.click("tbody tr:not(.space) button")
        browser.wait_for_text("worker <b>begins</b>", "dialog pre")
        browser.evaluate("getSelection().setBaseAndExtent(document.querySelector('dialog pre').firstChild, 0, document.querySelector('dialog pre').firstChild, 6)")
        api.log += b"and goes on\n"
        browser.wait_for_text("and goes on", "dialog pre")
        assert browser.evaluate("getSelection().toString()") == "worker"
        browser.screenshot("worker-log")
        api.refused = {"/log"}  # as of a pod that is gone: what was read stays
        browser.wait_for_text("Log, not renewed since ", "dialog .problem")
        assert "and goes on" in browser.text("dialog pre")
        api.refused = set()
        browser.wait("document.querySelector('dialog .problem').hidden")
        requests = "performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/log')).length"
        browser.hide()
        time.sleep(1)  # of a request that was under way
        before = browser.evaluate(requests)
        time.sleep(3)
        assert browser.evaluate(requests) == before  # nobody sees it
        api.log += b"and ends\n"
        browser.hide(False)
        browser.wait_for_text("and ends", "dialog pre")
        browser.evaluate("location.hash = '#/'")  # as with the button "Back"
        browser.wait_for_text("shop/orders", "main table")
        assert browser.evaluate("document.querySelector('dialog') === null")
        browser.open(server, "/#/workers")
        browser.wait_for_text("3 workers, 1 pending")

        api.refused = {"metrics.k8s.io"}
        browser.wait_for_text("shop/orders and 1 more: CPU and memory are not known: the Kubernetes API: 403 pods is forbidden")
        api.refused = {"/pods"}
        browser.wait_for_text("shop/orders and 1 more: the Kubernetes API: 403 pods is forbidden (shown as of up to ")
        assert len(browser.evaluate(ROWS)) == 3

        # The cards of the first page count them.
        api.refused = set()
        browser.evaluate("location.hash = '#/'")
        browser.wait(f"{card('Active jobs')} === '2' && {card('Active jobs', 'note')} === 'of 3 pods'", seconds=60)
        browser.screenshot("cards-with-workers")
        assert browser.problems() == [] and browser.axe() == []

        # By the trigger's page to those of one object.
        api.refused = set()
        browser.evaluate("location.hash = '#/trigger/shop/reports'")
        browser.wait("document.querySelector('main a[href=\"#/workers/shop/reports\"]') !== null")
        browser.wait_for_text("Replicas\n1\n")  # its pods
        browser.click("main a[href=\"#/workers/shop/reports\"]")
        browser.wait_for_text("Workers of shop/reports")
        browser.wait(f"{ROWS}.length === 1 && {ROWS}[0].includes('reports-x')")
        assert browser.problems() == [] and browser.axe() == []


def test_the_page_of_a_trigger_has_the_replicas_of_the_hpa(browser, tmp_path):
    """Where the right to read it is given; only while somebody looks."""
    folder = make_api_certificate(tmp_path)
    with Redis() as redis, Worker() as worker, Api(folder, worker.server_port) as api, \
            PodServer(folder / "ca.pem", api.server_port, TOKEN, arguments=["--kubernetes", "--kubernetes-hpa"]) as server:
        hpa = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/keda-hpa-orders"
        metadata = {"scaler": "redis", "connectionName": "none", "listName": "jobs", "listLength": "1"}
        with Client(server.port) as client:
            with pytest.raises(Exception, match="none"):
                client.is_active(metadata, name="orders")
        api.hpa = {"status": {"currentReplicas": 3, "desiredReplicas": 7}}
        assert get(server, "/api/replicas/shop/nobody", 404).json()["error"].startswith("no trigger")
        assert hpa not in [path for path, _ in api.requests]
        browser.open(server, "/#/trigger/shop/orders")
        browser.wait_for_text("Replicas\n3\n")
        api.hpa = {"status": {"desiredReplicas": 7}}  # it counts none
        browser.wait_for_text("Replicas\n0\n")
        assert browser.problems() == []
        api.hpa = {}
        wait_until(lambda: "no status" in (get(server, "/api/replicas/shop/orders").json()["error"] or ""), 30, "it is unknown")
        browser.wait_for_text("Replicas\n–\n")
