"""Plays an example: a real broker, the Backlog server, workers as processes, and KEDA with the HPA.

Without --e2e KEDA and the HPA are the model of `backlog rehearse`, sped up so that CI has the time; --full is real time. With --e2e
they are the real ones, with a real Kubernetes, as processes. A play prints each change and fails where what it shows does not happen.
"""

import argparse
import contextlib
import glob
import json
import os
import queue
import shlex
import signal
import socket
import sys
import tempfile
import time
import urllib.request

import yaml

from support.process import Unavailable, free_port
from support.server.server import Server

from .rehearsal import Rehearsal


MAX_LOGS = 4  # of workers that are shown of a run that failed
DASHBOARD_PORT = 9092  # with --live; pages and APIs have PAGE_PORT and the next ones
PAGE_PORT = 8000
PATIENCE = 3   # a busy machine may take so many times as long as what a run waits for should take


class Failed(Exception):
    """What the example shows did not happen."""


def show(text=""):
    print(text, flush=True)


def local(address):
    """What to open of an address that a server listens on: from outside of a container, its published port."""
    host, _, port = address.rpartition(":")
    return f"localhost:{port}" if host in ("0.0.0.0", "") else address


def number(value):
    """Large values, such as bytes, without an exponent."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def arguments(doc, speed, chapters=(), by_name=(), **more):
    """The options that all examples have. `by_name` are parts that only --only plays, so that a run is short. `more` are
    numbers of one example, with their defaults."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("--speed", type=float, default=speed, help="how much faster than in production (default: %(default)g)")
    parser.add_argument("--full", action="store_true", help="in real time, with the manifest's own windows: --speed 1")
    parser.add_argument("--e2e", action="store_true", help="with a real Kubernetes and KEDA, in real time; ./dev e2e builds them")
    parser.add_argument("--http", metavar="ADDRESS", help="where the live dashboard is, such as localhost:9092; default: a free port, with --live "
                        f"port {DASHBOARD_PORT}")
    parser.add_argument("--bind", metavar="ADDRESS", default="127.0.0.1", help="what dashboard, pages and APIs listen on (default: %(default)s); in a "
                        "container 0.0.0.0")
    parser.add_argument("--live", action="store_true", help="starts everything, plays no part of it unless --only names some, and stays until "
                        "Ctrl-C: use it yourself")
    parser.add_argument("--report", metavar="FOLDER", help="leaves the reports of the loads there, as JSON and SVG")
    if chapters:
        parser.add_argument("--only", type=lambda text: text.split(","), default=None, metavar="PART,...",
                            help=f"of {', '.join(chapters)}" + (f"; not played otherwise: {', '.join(by_name)}" if by_name else ""))
    for name, default in more.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(default), default=default, help="default: %(default)s")
    options = parser.parse_args()
    if chapters and options.only is None:
        options.only = [] if options.live else list(chapters)
    unknown = set(getattr(options, "only", [])) - {*chapters, *by_name}
    if unknown:
        parser.error(f"--only: no part {', '.join(sorted(unknown))}; there are {', '.join([*chapters, *by_name])}")
    if options.speed <= 0:
        parser.error("--speed: must be above 0")
    if options.full or options.e2e:
        options.speed = 1
    if not options.http and not options.e2e:
        options.http = f"{options.bind}:{options_port(options, DASHBOARD_PORT)}"
    return options


claims = []  # of ports, until this run ends


def claim(port):
    """Raises OSError where another run has chosen this port, though nothing listens there yet."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0backlog-example-{port}")
    except OSError:
        name.close()
        raise
    claims.append(name)


def options_port(options, port):
    """This port where somebody is to use it and it is free, else a free one."""
    if options.live:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((options.bind, port))
            claim(port)
            return port
    return free_port()


def grace_of(objects, scaled):
    """How long a worker that is removed may take for its last job."""
    name = scaled["spec"].get("scaleTargetRef", {}).get("name")
    pods = [item["spec"]["template"]["spec"] for item in objects if (item["kind"], item["metadata"]["name"]) == ("Deployment", name)]
    return f"{(pods[0] if pods else {}).get('terminationGracePeriodSeconds', 30)}s"


class Play(contextlib.ExitStack):
    """Whatever ends the play ends its processes. `replicas` is what KEDA and the HPA have set; `history` has (time, replicas).

    `units` is of the values: the target of a trigger, and what its value is. `reasons` has why the replicas changed, for each entry of `history`; of a real KEDA and HPA only who changed them.
    """

    def __init__(self, folder, options):
        super().__init__()
        self.folder, self.options, self.speed = folder, options, options.speed
        self.scratch = self.enter_context(tempfile.TemporaryDirectory(prefix="backlog-example-"))
        self.replicas, self.ready, self.waiting, self.error = 0, 0, None, None
        self.history, self.reasons = [], []
        self.control = self.cluster = None
        self.units = {}
        self.began = None  # the workers are scaled since then
        self.shown = None
        self.load_options = {}  # of ./dev load for this example, at this run's addresses
        self.seen = []

    # What is started.

    def port(self, number=0):
        """Of what a user opens: with --live the same in each run, PAGE_PORT + number."""
        return options_port(self.options, PAGE_PORT + number)

    def start(self, process):
        """A broker or server of test/support; killed at the end, however that comes."""
        self.callback(process.remove)
        show(f"Starting {process.name} ...")
        return process.start()

    def serve(self, **connections):
        """The Backlog server, with a connections file as in the cluster but with the addresses of this laptop's brokers."""
        text = yaml.safe_dump({"connections": connections})
        interval = None if self.speed == 1 else f"{max(200, 5000 / self.speed):.0f}ms"  # 5s is the default
        make, http = Server, f"127.0.0.1:{free_port()}"
        if self.options.e2e:
            make, http = self._start_cluster(), self.options.http or http
        ports = ["--listen", f"127.0.0.1:{free_port()}", "--http", http]  # the same after its end and a start
        self.server = self.start(make(config=text, arguments=ports, interval=interval))
        return self.server

    def _start_cluster(self):
        """Returns what makes its server."""
        from .cluster import Cluster  # needs programs that only ./dev e2e builds
        show("Starting Kubernetes and KEDA ...")
        [scaled] = [item for item in self.manifests("manifests") if item["kind"] == "ScaledObject"]
        self.cluster = Cluster(self.scratch, scaled["metadata"]["namespace"], self.options.http)
        self.callback(self.cluster.stop)
        return self.cluster.make_server

    def manifests(self, *folders):
        """The objects of these folders after `kubectl apply -f` of one after the other."""
        objects = {}
        for folder in folders:
            for path in sorted(glob.glob(os.path.join(self.folder, folder, "*.yaml"))):
                with open(path) as file:
                    for item in filter(None, yaml.safe_load_all(file)):
                        objects[item["kind"], item["metadata"]["name"]] = item
        return list(objects.values())

    def scale(self, worker, startup="0s", change=None, folders=("manifests",), **environment):
        """KEDA and the HPA with the ScaledObject of these folders, and a process `worker` per replica.

        `change(object)` may shorten what --speed does not reach; print what it does. The environment is the workers'. Called
        again, at zero replicas, it replaces the ScaledObject.
        """
        objects = self.manifests(*folders)
        [scaled] = [item for item in objects if item["kind"] == "ScaledObject"]
        if change:
            change(scaled)
        self.maximum = scaled["spec"]["maxReplicaCount"]
        environment = {name: str(value) for name, value in environment.items()}
        is_first = self.control is None
        if self.cluster:
            self.control = self.cluster
            self.control.scale(objects, scaled, self.server, worker, environment)
        else:
            if is_first:
                self.log = self.enter_context(open(os.path.join(self.scratch, "workers.log"), "a"))
            else:
                self.control.stop()
            path = os.path.join(self.scratch, "scaledobject.yaml")
            with open(path, "w") as file:
                json.dump(scaled, file)
            self.control = Rehearsal(path, self.server, worker, environment, self.speed, self.log, startup,
                                     grace=grace_of(objects, scaled), http=self.options.http)
        self.callback(self.control.stop)
        if is_first:
            self._announce()
            self.began = time.time()

    def _announce(self):
        if self.options.e2e:
            show("With a real Kubernetes and KEDA. The HPA synchronizes every 2 s in place of 15.")
        elif self.speed == 1:
            show("In real time, with the manifest's own windows.")
        else:
            show(f"Shortened: KEDA, the HPA, their windows, Backlog's interval and the jobs are {self.speed:g} times as fast. Times below are those of "
                f"production: {self.speed:g} s are one second here. --full is real time.")
        if self.options.http:
            address = local(self.options.http)
            show(f"Dashboard and API: http://{address}/   in a terminal: backlog watch --server-http {address}, with -w its workers")
        if not (self.cluster and self.options.http):  # there it is the dashboard's
            show(f"The server's own:  http://127.0.0.1:{self.server.http_port}/")

    def stay(self):
        """Until Ctrl-C: for whoever uses it."""
        options = dict(self.load_options)
        if self.options.http:
            options.update(dashboard=f"http://{local(self.options.http)}", speed=f"{self.speed:g}")
        words = [f"--{name}={value}" for name, value in options.items()]
        show(f"\nJobs, and a report of them: {shlex.join(['./dev', 'load', os.path.basename(self.folder), *words])}")
        show("\nIt stays as it is until Ctrl-C.")
        while True:
            self.follow(60)

    # Time, as in production.

    def clock(self):
        if self.began is None:
            return ""
        seconds = (time.time() - self.began) * self.speed
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

    def shorter(self, seconds):
        """How long these seconds of production take here."""
        return seconds / self.speed

    # What happens.

    def _unit(self, target=None):
        """What the value of this trigger is, as wide as each of them."""
        width = max((len(unit) + 1 for unit in self.units.values()), default=0)
        return f" {self.units.get(target, '')}"[:width].ljust(width)

    def _change(self, line):
        self.replicas = line["to"]
        self.history.append((line["at"], line["to"]))
        self.reasons.append(line["why"])
        self.event(f"{line['from']} -> {line['to']} replicas ({line['why']})")

    def _state(self, line):
        self.ready, self.waiting, self.error = line["ready"], line["value"], line["error"]
        unit = self._unit(line.get("target"))
        shown = (self.waiting, self.replicas, self.ready, self.error)
        if shown != self.shown:
            self.shown = shown
            waiting = "?" if self.error or self.waiting is None else number(self.waiting)
            bar = "#" * self.ready + "." * max(0, self.replicas - self.ready)
            show(f"{self.clock():>6} {waiting:>8}{unit} {self.replicas:>4}  {bar} {self.error or ''}".rstrip())

    def follow(self, seconds=1):
        """Prints what KEDA and the HPA do for so long, of real time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self.control.lines.get(timeout=left)
            except queue.Empty:
                return
            if line is None:
                raise Failed("KEDA and the HPA ended")
            {"change": self._change, "state": self._state}.get(line["type"], lambda line: None)(line)

    def until(self, condition, seconds, what):
        """Follows until condition() is true, for at most PATIENCE times so many seconds of real time."""
        seconds *= PATIENCE
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise Failed(f"{what} did not happen in {seconds:g} s; {self.replicas} replicas, "
                             f"{self.waiting} waiting, last error: {self.error}")
            self.follow(0.1)

    def until_zero(self, seconds=120):
        self.until(lambda: self.replicas == 0 and not self.control.workers(), seconds, "scaling to zero")
        return self.history[-1][0]

    # What is printed.

    def chapter(self, text):
        show(f"\n{text}\n  time    value{self._unit()}  replicas (# ready)")

    def event(self, text):
        show(f"{self.clock():>6}      --> {text}")

    def check(self, condition, text):
        """What the example shows: printed and listed at the end, or the play fails."""
        if not condition:
            raise Failed(f"expected: {text}")
        self.seen.append(text)
        show(f"{self.clock():>6}  seen: {text}")

    def kubectl(self, *words):
        """With --e2e, what kubectl prints about the example's namespace."""
        if self.options.e2e:
            show(f"$ kubectl {' '.join(words)}\n{self.control.kubectl(*words)}")

    def dashboard(self):
        """The rows of workers that the live dashboard shows now (--http); `log` is the path of each one's log."""
        if self.cluster:
            return self.cluster.listed()
        url, event = f"http://{local(self.options.http)}/api/events", None
        with urllib.request.urlopen(url, timeout=30) as events:
            for line in map(bytes.decode, events):
                if line.startswith("event: "):
                    event = line.removeprefix("event: ").strip()
                elif event == "rows" and line.startswith("data: "):
                    rows = json.loads(line.removeprefix("data: "))
                    if rows["table"] == "workers":
                        return [{**row["live"], "log": f"/api/workers/{row['id']}/log"} for row in rows["rows"]]
                elif event == "ready":
                    return []
        return []

    def dashboard_log(self, worker):
        with urllib.request.urlopen(f"http://{local(self.options.http)}{worker['log']}", timeout=30) as answer:
            return answer.read().decode(errors="replace")

    def peak(self, since=0):
        return max((replicas for when, replicas in self.history if when >= since), default=self.replicas)

    def save(self, report):
        """Prints a load's report, and leaves it as JSON and SVG in --report."""
        show("        " + report.text().replace("\n", "\n        ").rstrip())
        if self.options.report:
            os.makedirs(self.options.report, exist_ok=True)
            for form in ("json", "svg"):
                with open(os.path.join(self.options.report, f"{report.name}.{form}"), "w") as file:
                    file.write(getattr(report, form)())

    def check_cooldown(self, zero, done, cooldown, poll, what):
        """A busy machine may poll two seconds late."""
        idle = (zero - done) * self.speed
        self.check(idle >= cooldown - poll - 2 * self.speed,
                   f"zero replicas {idle:.0f} s after the last {what}: the cooldown of {cooldown} s began at KEDA's last poll that saw it")

    def removed(self, since, until=None):
        """How many replicas were removed in that time."""
        lost, before = 0, 0
        for when, replicas in self.history:
            if when >= since and (until is None or when <= until):
                lost += max(0, before - replicas)
            before = replicas
        return lost

    def stop(self):
        self.control.stop()
        self.server.stop()

    def show_logs(self):
        """For whoever reads why the example failed."""
        for path in sorted(glob.glob(os.path.join(self.scratch, "*.log")), key=os.path.getmtime)[-MAX_LOGS:]:
            with open(path, errors="replace") as file:
                show(f"Last lines of {os.path.basename(path)}:\n" + "".join(file.readlines()[-40:]))
        if hasattr(self, "server"):
            show("Last lines of the server:\n" + self.server.log()[-4000:])


def interrupt(*_):
    raise KeyboardInterrupt


def run(story, folder, options):
    """Plays `story(play)`; the exit code of the program."""
    signal.signal(signal.SIGTERM, interrupt)
    began = time.monotonic()
    try:
        with Play(folder, options) as play:
            try:
                story(play)
                if options.live:
                    play.stay()
            except Failed:
                play.show_logs()
                raise
            play.stop()
            show("\nSeen:")
            for text in dict.fromkeys(play.seen):
                show(f"  {text}")
            show(f"Took {time.monotonic() - began:.0f} s.")
            return 0
    except Failed as failed:
        show(f"\nThe example failed: {failed}.")
        return 1
    except Unavailable as missing:
        show(f"The example cannot run here: {missing}.")
        return 3
    except KeyboardInterrupt:
        show("\nStopped.")
        return 130
