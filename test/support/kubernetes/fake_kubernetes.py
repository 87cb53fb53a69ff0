"""A Kubernetes API of our own, over HTTPS, which serves single objects, and watches."""

import base64
import collections
import http.server
import json
import re
import ssl
import threading
import time

PLURALS = {"ScaledObject": "scaledobjects", "ScaledJob": "scaledjobs", "TriggerAuthentication": "triggerauthentications",
           "ClusterTriggerAuthentication": "clustertriggerauthentications", "Secret": "secrets", "ConfigMap": "configmaps"}

ALL = "all objects"  # in the place of a namespace: requests for single objects, of any
FIRST = "requested for the first time"


def path_of(kind, name, namespace="shop"):
    group = "/api/v1" if kind in ("Secret", "ConfigMap") else "/apis/keda.sh/v1alpha1"
    where = "" if kind.startswith("Cluster") else f"/namespaces/{namespace}"
    return f"{group}{where}/{PLURALS[kind]}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802, the name that http.server calls
        server = self.server
        path, _, query = self.path.partition("?")
        server.requests.append((time.monotonic(), self.path))
        namespace = path.partition("/namespaces/")[2].partition("/")[0]
        places = [(namespace, FIRST)] if server.is_first(self.path) else []
        places += [namespace] if query else [namespace, ALL]
        server.count(places, 1)
        server.answering.wait()
        if "watch=1" not in query:
            time.sleep(server.delays.get(namespace, server.delay))
        server.count(places, -1)
        if self.headers["Authorization"] != f"Bearer {server.token}":
            self.reply(401, {"kind": "Status", "reason": "Unauthorized", "message": "Unauthorized"})
        elif self.path in server.refused:
            self.reply(server.refused[self.path], {"kind": "Status", "message": f"{self.path} is forbidden"})
        elif server.status:
            self.reply(server.status, {"kind": "Status", "message": "too many requests"}, server.retry_after)
        elif server.is_forbidden(self.path):
            self.reply(403, {"kind": "Status", "reason": "Forbidden", "message": f"{path} is forbidden"})
        elif self.name_of(query) in server.refused_watches:
            self.reply(500, {"kind": "Status", "message": "unable to transform key"})
        elif server.watched and "watch=1" in query:
            self.watch(path, dict(part.split("=", 1) for part in query.split("&")))
        elif server.watched and query == "limit=1":
            time.sleep(server.list_delay)
            self.reply(200, {"metadata": {"resourceVersion": str(len(server.events))}, "items": []})
        elif (item := server.find(self.path)) is not None:
            self.reply(200, item)
        else:
            name = self.path.rsplit("/", 1)[1]
            self.reply(404, {"kind": "Status", "reason": "NotFound", "message": f"{name} not found", "details": {"name": name}})

    @staticmethod
    def name_of(query):
        """Of the object that is watched; "": all are."""
        return query.partition("fieldSelector=metadata.name%3D")[2].partition("&")[0]

    def watch(self, collection, query):
        """Of metadata; from a version on, or of what there is and then on."""
        server, name = self.server, query.get("fieldSelector", "").partition("%3D")[2]
        if name in server.late_watches:
            server.watching.wait()
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with server.changed:
            at = int(query.get("resourceVersion", len(server.events)))
            for item in [] if "resourceVersion" in query else [*server.objects.values()]:
                self.send_event("ADDED", item, collection, name)
            while not server.ended and server.answering.is_set() and not server.status and \
                    not server.is_forbidden(self.path):
                news = [] if server.is_withholding else server.events[at:]
                for kind, item in news:
                    self.send_event(kind, item, collection, name)
                at = len(server.events)
                self.wfile.flush()
                if any(kind == "GONE" for kind, _ in news):
                    break
                server.changed.wait(0.2)
        self.close_connection = True

    def send_event(self, event, item, collection, name):
        """Where the watch is of it: the collection may be of one namespace, or of all."""
        metadata = item["metadata"]
        path = path_of(item["kind"], metadata["name"], metadata.get("namespace")).rpartition("/")[0]
        everywhere = re.sub("/namespaces/[^/]*", "", path)
        if collection in (path, everywhere) and name in ("", metadata["name"]):
            text = "no event" if event == "BROKEN" else json.dumps({"type": event, "object": {"metadata": metadata}})
            if event == "GONE":
                text = json.dumps({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}})
            line = text.encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))

    def reply(self, status, item, retry_after=None):
        body = json.dumps(item).encode()
        self.send_response(status)
        if retry_after:
            self.send_header("Retry-After", str(retry_after))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


class FakeKubernetes(http.server.ThreadingHTTPServer):
    daemon_threads = True
    token = "a-token"

    def __init__(self, folder, watched=True):
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects, self.requests, self.refused, self.status, self.retry_after = {}, [], {}, None, None
        self.watched, self.events, self.changed, self.ended = watched, [], threading.Condition(), False
        self.delays, self.waiting, self.max_waiting = {}, collections.Counter(), collections.Counter()
        self.counting, self.paths = threading.Lock(), set()
        self.is_forbidden = lambda _path: False  # may it be requested? Its watches end, too
        self.is_withholding = False  # watches go on, and say nothing of what changes
        self.refused_watches = set()  # names of objects
        self.late_watches = set()  # names of objects, until `watching`
        self.watching = threading.Event()
        self.delay = 0  # seconds, of each answer
        self.list_delay = 0  # ... of lists, before they are made
        self.answering = threading.Event()
        self.answering.set()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "api.pem", folder / "api.key")
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, *_arguments):  # the server under test ends its connections
        pass

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_arguments):
        self.ended = True
        self.answering.set()
        self.watching.set()
        self.shutdown()
        self.server_close()

    def count(self, places, step):
        """Requests that wait for their answer."""
        with self.counting:
            for place in places:
                self.waiting[place] += step
                self.max_waiting[place] = max(self.max_waiting[place], self.waiting[place])

    def is_first(self, path):
        """Whether it was never requested before."""
        with self.counting:
            is_first = path not in self.paths
            self.paths.add(path)
            return is_first

    def find(self, path):
        with self.changed:
            return self.objects.get(path)

    def together(self):
        """What is changed within it is seen, and read, at once."""
        return self.changed

    def put(self, kind, name, namespace="shop", **parts):
        metadata = {"name": name} if kind.startswith("Cluster") else {"name": name, "namespace": namespace}
        self.change("MODIFIED", path_of(kind, name, namespace), {"kind": kind, "metadata": metadata, **parts})

    def change(self, event, path, item):
        """Each change has a generation, too, but that of a status (touch())."""
        with self.changed:
            number = str(len(self.events) + 1)
            item["metadata"]["resourceVersion"] = number
            if event == "MODIFIED":
                if item["kind"] not in ("Secret", "ConfigMap"):
                    item["metadata"]["generation"] = int(number)
                self.objects[path] = item
            self.events.append((event, json.loads(json.dumps(item))))
            self.changed.notify_all()

    def touch(self, kind, name, namespace="shop"):
        """As KEDA writes lastActiveTime."""
        with self.changed:
            item = self.objects[path_of(kind, name, namespace)]
            item["metadata"]["resourceVersion"] = str(len(self.events) + 1)
            self.events.append(("MODIFIED", json.loads(json.dumps(item))))
            self.changed.notify_all()

    def delete(self, kind, name, namespace="shop"):
        path = path_of(kind, name, namespace)
        self.change("DELETED", path, self.objects.pop(path))

    def scaled(self, *triggers, name="orders", namespace="shop", kind="ScaledObject"):
        """Each trigger is its metadata and its authenticationRef, or None."""
        items = [{"type": "external-push", "metadata": metadata, **({"authenticationRef": ref} if ref else {})}
                 for metadata, ref in triggers]
        self.put(kind, name, namespace, spec={"triggers": items})

    def secret(self, name, namespace="shop", **values):
        self.put("Secret", name, namespace,
                 data={key: base64.b64encode(value.encode()).decode() for key, value in values.items()})

    def authentication(self, name, secret, *parameters, namespace="shop", kind="TriggerAuthentication"):
        """Each parameter is the key of the same name in the Secret."""
        self.put(kind, name, namespace, spec={"secretTargetRef": [{"parameter": each, "name": secret, "key": each}
                                                                  for each in parameters]})

    def times(self, path):
        return [at for at, requested in list(self.requests) if requested == path]

    def watches(self, name):
        """How many there were of the object of this name."""
        return sum("watch=1" in path and f"metadata.name%3D{name}&" in path for _, path in list(self.requests))
