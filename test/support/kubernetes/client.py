"""A client of the Kubernetes API for tests, by plain HTTP: apply, get, delete and watch."""

import json
import threading

import requests

CALL_SECONDS = 60
WATCH_SECONDS = 3600


class ApiError(Exception):
    """The API server refused a request; the text is its message."""


def path_of(item):
    """The plural of every kind in use is regular. What has no namespace in its metadata is cluster-wide."""
    version, metadata = item["apiVersion"], item["metadata"]
    group = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{group}{namespace}/{item['kind'].lower()}s/{metadata['name']}"


class Api:
    """As a client with a certificate. Each thread has a connection of its own."""

    def __init__(self, server, ca, certificate, key):
        self.server = server
        self.ca, self.client = ca, (certificate, key)
        self.local = threading.local()

    def session(self):
        if not hasattr(self.local, "session"):
            session = requests.Session()
            session.trust_env = False  # otherwise REQUESTS_CA_BUNDLE overrides `verify`
            session.verify, session.cert = self.ca, self.client
            self.local.session = session
        return self.local.session

    def call(self, method, path, **options):
        """All calls may be repeated: the server may just have closed a connection that was idle."""
        for last_try in (False, True):
            try:
                response = self.session().request(method, self.server + path, timeout=CALL_SECONDS, **options)
                break
            except requests.ConnectionError:
                if last_try:
                    raise
        if not response.ok:
            raise ApiError(f"{method} {path}: {response.status_code} {response.text[:1000]}")
        return response

    def get(self, path):
        return self.call("GET", path).json()

    def create(self, path, item):
        return self.call("POST", path, json=item).json()

    def delete(self, path):
        return self.call("DELETE", path)

    def apply(self, *items):
        """Server-side apply, which creates or changes."""
        for item in items:
            self.call("PATCH", path_of(item), data=json.dumps(item), params={"fieldManager": "test", "force": "true"},
                      headers={"Content-Type": "application/apply-patch+yaml"})

    def patch(self, path, change):
        self.call("PATCH", path, data=json.dumps(change), headers={"Content-Type": "application/merge-patch+json"})

    def watch(self, path, on_change, stopping):
        """Calls on_change(type, item) for all that exists and for every change, until `stopping` is set."""
        while not stopping.is_set():
            try:
                found = self.get(path)
                for item in found["items"]:
                    on_change("ADDED", item)
                self._follow(path, found["metadata"]["resourceVersion"], on_change, stopping)
            except (requests.RequestException, ApiError, ValueError):
                stopping.wait(0.2)  # the connection was lost, or the version is too old: list again

    def _follow(self, path, version, on_change, stopping):
        with self.call("GET", path, params={"watch": "1", "resourceVersion": version,
                                            "timeoutSeconds": str(WATCH_SECONDS)}, stream=True) as response:
            for line in response.iter_lines(chunk_size=None):
                if stopping.is_set():
                    return
                change = json.loads(line) if line else {"type": "EMPTY"}
                if change["type"] == "ERROR":
                    return
                if change["type"] != "EMPTY":
                    on_change(change["type"], change["object"])
