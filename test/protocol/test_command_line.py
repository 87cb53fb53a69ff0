"""The command line as a person or a script meets it: help, mistakes, environment, log, man page, completion."""

import contextlib
import http.server
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import termios
import threading
import time
import xml.etree.ElementTree
from concurrent import futures

import grpc
import pytest
import yaml

from support.clients.grpc_client import Client
from support.process import Unavailable, need, wait_until
from support.server.server import REPOSITORY, Server, binary
from support.clients.triggers import UNREACHABLE


@pytest.fixture(scope="module", autouse=True)
def transport():
    """The command line is the same over each."""


def backlog(*words, status=0, env=None, stdout=subprocess.PIPE):
    done = subprocess.run([binary(), *words], stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60,
                          env={**os.environ, **(env or {})})
    assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
    return done.stderr if status else done.stdout


def commands():
    """Those that the help lists."""
    listed = backlog("help").split("\nCommands:\n")[1].split("\nExamples:\n")[0]
    return re.findall(r"^  (\w+) ", listed, re.MULTILINE)


# ---- help and version ----

def test_help_is_the_same_however_one_asks():
    assert backlog("-h") == backlog("--help") == backlog("help") == backlog()
    names = commands()
    assert {"serve", "compare", "help", "version"} <= set(names)
    for name in names:
        page = backlog("help", name)
        assert page == backlog(name, "-h") == backlog(name, "--help"), name
        assert all(len(line) <= 80 for line in page.splitlines()), name
        assert re.search(r"\nExit status: 0 \w[^.]*;\s+2\s+wrong\s+usage\.\n", page), name


def test_the_help_of_serve_is_grouped_and_has_three_examples_and_no_limits_of_the_wire():
    page, limits = backlog("serve", "-h"), backlog("serve", "--help-limits")
    for group in ("Examples", "Addresses", "Connections", "Measuring", "TLS", "Limits"):
        assert f"\n{group}:\n" in page
    assert len(re.findall(r"^  backlog serve ", page, re.MULTILINE)) == 3
    assert "window-updates" in limits and "window-updates" not in page
    assert all(len(line) <= 80 for line in limits.splitlines())


def test_the_example_of_a_variable_is_of_the_command():
    commands = re.findall(r"^  ([a-z]+) ", backlog("help").partition("Examples:")[0], re.MULTILINE)
    named = {}
    for command in commands:
        page = backlog(command, "--help")
        for variable, flag in re.findall(r"environment\s+variable:\s+(BACKLOG_\w+)\s+for\s+--([\w-]+)", page):
            assert re.search(rf"^ +(-\w, )?--{flag}\b", page, re.MULTILINE), page
            of_command = "" if command == "serve" else command.upper() + "_"
            assert variable == "BACKLOG_" + of_command + flag.upper().replace("-", "_")
            named[command] = flag
    assert named.items() >= {"serve": "log-level", "rehearse": "server-http", "explain": "server-http"}.items() and len(named) >= 8


@pytest.mark.first
def test_the_version():
    assert re.fullmatch(r"backlog \d+\.\d+\.\d+\n", backlog("-V"))
    assert backlog("-V") == backlog("--version") == backlog("serve", "-V")
    assert backlog("version").startswith(backlog("-V"))
    version = json.loads(backlog("version", "--output", "json"))
    assert version["commit"] and version["transports"][0] == "nghttp2" and "kafka" in version["scalers"]
    names = {library.partition(" ")[0] for library in version["libraries"]}
    assert names >= {"nghttp2", "librdkafka", "nats.c", "rabbitmq-c", "libpq", "libcurl", "hiredis", "OpenSSL"}
    assert all(re.search(r" v?\d+\.\d+", library) for library in version["libraries"]), version["libraries"]


# ---- mistakes ----

@pytest.mark.first
def test_all_mistakes_are_reported_at_once():
    reported = backlog("serve", "--interval", "5", "--hodl=1s", "--tls-cert", "x", "--grace=", status=2)
    assert [line.split(": ", 1)[1] for line in reported.splitlines()[:-1]] == [
        "unknown flag --hodl: did you mean --hold?",
        '--interval "5" must have a unit, as in 30s, 5m or 500ms',
        "--grace is empty: give it a value, or leave it out"]
    assert "backlog serve --help" in reported.splitlines()[-1]


@pytest.mark.parametrize("words, reported", [
    (["sevre"], 'unknown command "sevre": did you mean "serve"?'),
    (["help", "sevre"], 'unknown command "sevre": did you mean "serve"?'),
    (["--hold", "5s"], "unknown flag --hold: flags follow the command"),
    (["serve", "--inter", "5s"], "unknown flag --inter: did you mean --interval?"),
    (["serve", "5s"], 'unexpected argument "5s"'),
    (["serve", "--http", ":0", "--workers", "a..b"], '--workers "a..b" must be the name of a namespace'),
    (["rehearse"], "--file is missing"),
    (["rehearse", "-f", "so.yaml", "--server-http", "9091"],
     '--server-http "9091" must be an address and a port, such as localhost:9091, or a URL of http or https'),
    (["migrate", "--write", "--output", "json", "-"], "name a file, or remove --output"),
    (["simulate"], "TRACE.csv|- is missing"),
    (["simulate", "trace.csv", "--rate", "1"], "the target is missing"),
    (["simulate", "trace.csv", "--rate", "1", "--set", "treshold=1"], 'no key "treshold"'),
    (["reference", "kafak"], 'unknown scaler "kafak": there are '),
    (["completion", "csh"], "it must be bash, zsh or fish"),
    (["agent"], "internal"),
])
def test_a_mistake_says_what_is_wrong_and_exits_2(words, reported):
    assert reported in backlog(*words, status=2)


@pytest.mark.parametrize("words", [["reference"], ["help"], ["serve", "--help"], ["-V"], ["man"],
                                   ["reference", "--output", "json"]], ids=" ".join)
def test_a_write_error_is_a_failure(words):
    with open("/dev/full", "w") as full:
        assert "cannot write to standard output: No space left on device" in backlog(*words, status=1, stdout=full)


# ---- the environment ----

def test_a_variable_is_a_flag_and_others_are_ignored():
    env = {"BACKLOG_REFERENCE_OUTPUT": "json", "BACKLOG_OUTPUT": "markdown", "BACKLOG_SERVICE_HOST": "10.0.0.1", "BACKLOG_PORT": "tcp://10.0.0.1:9090"}
    assert json.loads(backlog("reference", env=env))["scalers"]
    assert "\n## kafka\n" in backlog("reference", "--output=markdown", env=env)


def test_a_variable_that_is_empty_or_wrong_is_named():
    reported = backlog("serve", env={"BACKLOG_CONFIG": "", "BACKLOG_HOLD": "60"}, status=2)
    assert "BACKLOG_CONFIG is empty: give it a value, or unset it" in reported
    assert 'BACKLOG_HOLD "60" must have a unit' in reported


# ---- the server ----

class Configured(Server):
    def __init__(self, *arguments, **variables):
        super().__init__(arguments=arguments)
        self.variables = variables

    def environment(self):
        return {**super().environment(), **self.variables}


@pytest.mark.first
def test_the_server_logs_its_configuration_and_where_it_comes_from():
    with Configured("--interval", "2s", BACKLOG_HOLD="2m", BACKLOG_LOG_FORMAT="json") as server:
        lines = [json.loads(line)["message"] for line in server.log().splitlines()]
    assert lines[0].startswith("configuration: listen=127.0.0.1:0 (flag) transport=nghttp2 ")
    for setting in ("interval=2s (flag)", "hold=2m (BACKLOG_HOLD)", "heartbeat=120s", "max-streams=50000"):
        assert f" {setting} " in lines[0]


@pytest.mark.parametrize("flags, reported", [
    (["--call-timeout", "1s"], "--call-timeout is below --measure-timeout"),
    (["--heartbeat", "10m"], "--heartbeat is above 300 s, KEDA's default cooldownPeriod"),
    (["--forget", "5s"], "--forget is below 30 s, KEDA's default pollingInterval"),
    (["--grace", "1s"], "--grace is below --call-timeout"),
    (["--all-in-agents"], "--all-in-agents: of --max-connections 1024 only --max-agents 64"),
    (["--deny-inline-connections"], "--deny-inline-connections without --config or --kubernetes-allow-authentications"),
])
def test_settings_that_do_not_go_together_are_warned_of(flags, reported):
    with Server(arguments=flags) as server:
        assert f" warning {reported}" in server.log()


def test_usual_settings_are_not_warned_of():
    with Server() as server:
        warnings = [line for line in server.log().splitlines() if " warning " in line]
        assert not [line for line in warnings if "descriptors may be open" not in line]  # the machine's


def test_sigusr1_toggles_debug_messages():
    with Server() as server:
        def is_debugging():
            """A connection that sends no HTTP/2 is worth a debug message."""
            before = server.log().count("sent no HTTP/2 preface")
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(b"GET / HTTP/1.1\r\n\r\n")
                client.recv(1)
            time.sleep(0.2)
            return server.log().count("sent no HTTP/2 preface") > before

        assert not is_debugging()
        for level, expected in (("debug", True), ("info", False), ("debug", True)):
            server.signal(signal.SIGUSR1)
            wait_until(lambda: f"SIGUSR1: logging from level {level} on" in server.log().splitlines()[-1], 10, "a line")
            assert is_debugging() == expected


@pytest.mark.parametrize("name", ["nghttp2", "grpc-core"])
def test_a_port_alone_is_all_addresses(name):
    child = subprocess.Popen([binary(), "serve", "--listen", ":0", "--http=:0", "--transport", name],
                             stderr=subprocess.PIPE, text=True)
    try:
        log = ""
        while "listening on" not in log:
            line = child.stderr.readline()
            assert line, log
            log += line
        assert re.search(r"HTTP on :\d+", log)
        with Client(int(re.search(r"listening on \[::\]:(\d+)", log)[1])) as client:
            assert client.metric_spec(UNREACHABLE).metricName == "rabbitmq-orders"
    finally:
        child.terminate()
        assert child.wait(20) == 0
        child.stderr.close()


def test_a_bare_number_in_a_trigger_is_a_mistake_but_for_a_key_of_keda():
    with Server() as server, Client(server.port) as client:
        with pytest.raises(grpc.RpcError) as mistake:
            client.metrics({**UNREACHABLE, "hold": "60", "interval": "5"})
        assert mistake.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        for key in ('hold "60"', 'interval "5"'):
            assert f"{key} must have a unit" in mistake.value.details()
        with pytest.raises(grpc.RpcError) as other:
            client.metrics({"scaler": "prometheus", "serverAddress": "http://127.0.0.1:1", "query": "up",
                            "threshold": "5", "timeout": "2000"})
        assert other.value.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("words", [["check"], ["simulate", "--rate", "1", "--set", "threshold=5"]])
def test_a_pipe_in_place_of_a_file_is_waited_for(tmp_path, words):
    """Such as that of `backlog check <(helm template .)`: nothing is in it at first."""
    content = {"check": "kind: ConfigMap\n", "simulate": "time,arrivals\n0,5\n60,0\n"}[words[0]]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write():
        with open(pipe, "w") as file:
            time.sleep(0.5)
            file.write(content)

    writer = threading.Thread(target=write, daemon=True)  # which waits for a reader
    writer.start()
    backlog(words[0], str(pipe), *words[1:])
    writer.join(30)
    assert not writer.is_alive()


# ---- the reference ----

def test_the_reference_of_one_scaler():
    text = backlog("reference", "kafka")
    assert text.startswith("kafka: ") and "bootstrapServers" in text and "listName" not in text
    assert all(len(line) <= 80 for line in text.splitlines() if " " in line.strip())
    assert backlog("reference", "redis", "--output", "markdown").startswith("## redis\n")
    one = json.loads(backlog("reference", "redis", "--output=json"))
    assert list(one["scalers"]) == ["redis"] and "flags" not in one and one["trigger"]


# ---- the man page and the completion ----

def test_the_man_page_renders_without_warnings():
    page = backlog("man")
    groff = need("groff")
    done = subprocess.run([groff, "-man", "-ww", "-Tutf8"], input=page, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    plain = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
    for flag in ("--listen", "--tls-client-names", "--rate", "--output", "window-updates", "EXIT STATUS", "BACKLOG_LOG_LEVEL"):
        assert flag in plain, flag


def test_an_installation_has_the_man_page_and_the_completion(tmp_path):
    build = os.path.dirname(binary())
    if not os.path.exists(os.path.join(build, "cmake_install.cmake")):
        raise Unavailable(f"{build} is no build folder")
    subprocess.run([need("cmake"), "--install", build, "--prefix", tmp_path], check=True, capture_output=True, timeout=120)
    assert (tmp_path / "share/man/man1/backlog.1").read_text() == backlog("man")
    for shell, path in (("bash", "bash-completion/completions/backlog"), ("zsh", "zsh/site-functions/_backlog"),
                        ("fish", "fish/vendor_completions.d/backlog.fish")):
        assert (tmp_path / "share" / path).read_text() == backlog("completion", shell), shell
    assert os.access(tmp_path / "bin/backlog", os.X_OK)


SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"],
             "bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'; source ./completion\n"),
    "zsh": (["-f", "-i"], "PS1='READY>'; autoload -U compinit; compinit -D -u; source ./completion\n"),
}


class Shell:
    """An interactive one on a terminal, with the completion and nothing else."""

    def __init__(self, name, folder):
        words, setup = SHELLS[name]
        script = os.path.join(folder, "completion")
        with open(script, "w") as file:
            file.write(backlog("completion", name))
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(need(name), [name, *words],
                      {"PATH": os.path.dirname(binary()) + ":" + os.environ["PATH"], "TERM": "dumb", "PS1": "READY>",
                       "INPUTRC": "/dev/null", "HOME": str(folder)})
        self.read()
        self.type(setup)

    def read(self, seconds=20):
        """Until the prompt, or what is typed behind it, stands still."""
        found, deadline = b"", time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([self.terminal], [], [], 2 if b"READY>" in found else 5)[0]:
                found += os.read(self.terminal, 65536)
            elif found:
                break
        return found.decode(errors="replace")

    def type(self, text):
        os.write(self.terminal, text.encode())
        return self.read()

    def complete(self, line):
        """What stands on the line after TAB, and the words that are offered."""
        shown = self.type(line + "\t")
        os.write(self.terminal, b"\x15")
        return shown

    def close(self):
        os.close(self.terminal)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def shell_of(name, tmp_path_factory):
    need(name)
    folder = tmp_path_factory.mktemp("completion")
    (folder / "connections.yaml").write_text("connections: {}\n")
    running = Shell(name, folder)
    yield running
    running.close()


def assert_completes(shell, typed, whole):
    shown = shell.complete(typed)
    assert whole in shown.replace("\r", "").replace("\x07", ""), shown


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    yield from shell_of("bash", tmp_path_factory)


@pytest.fixture(scope="module")
def zsh(tmp_path_factory):
    yield from shell_of("zsh", tmp_path_factory)


@pytest.mark.parametrize("typed, whole", [
    ("backlog reh", "backlog rehearse "),
    ("backlog serve --tls-client-n", "backlog serve --tls-client-names "),
    ("backlog serve --log-level de", "backlog serve --log-level debug "),
    ("backlog serve --log-format=j", "backlog serve --log-format=json "),
    ("backlog serve --config conn", "backlog serve --config connections.yaml "),
    ("backlog rehearse -f conn", "backlog rehearse -f connections.yaml "),
    ("backlog serve --hold 5s --http=:1 --max-st", "backlog serve --hold 5s --http=:1 --max-streams "),
    ("backlog reference kaf", "backlog reference kafka "),
    ("backlog help simu", "backlog help simulate "),
    ("backlog completion b", "backlog completion bash "),
    ("backlog simulate conn", "backlog simulate connections.yaml "),
])
def test_bash_completes(bash, typed, whole):
    assert_completes(bash, typed, whole)


@pytest.mark.parametrize("typed, offered", [
    ("backlog ", commands),
    ("backlog serve --log-level ", ["debug", "info", "warn", "warning", "error"]),
    ("backlog reference ", ["kafka", "redis", "prometheus"]),
    ("backlog serve --tls-", ["--tls-cert", "--tls-key", "--tls-client-ca"]),
])
def test_bash_completes_commands_flags_and_values(bash, typed, offered):
    shown = bash.complete(typed)
    assert all(word in shown for word in (offered() if callable(offered) else offered)), shown
    assert "agent" not in shown.split()


@pytest.mark.parametrize("typed, whole", [
    ("backlog reh", "backlog rehearse "),
    ("backlog serve --tls-client-n", "backlog serve --tls-client-names="),
    ("backlog serve --log-level de", "backlog serve --log-level debug "),
    ("backlog serve --log-format=j", "backlog serve --log-format=json "),
    ("backlog ask -f conn", "backlog ask -f connections.yaml "),
    ("backlog reference kaf", "backlog reference kafka "),
])
def test_zsh_completes(zsh, typed, whole):
    assert_completes(zsh, typed, whole)


@pytest.mark.parametrize("typed, offered", [
    ("backlog reh", ["rehearse"]),
    ("backlog serve --tls-client-n", ["--tls-client-names"]),
    ("backlog serve --log-level de", ["debug"]),
    ("backlog ask -f conn", ["connections.yaml"]),
    ("backlog reference kaf", ["kafka"]),
    ("backlog explain conn", []),
])
def test_fish_completes(tmp_path, typed, offered):
    (tmp_path / "connections.yaml").write_text("connections: {}\n")
    (tmp_path / "completion").write_text(backlog("completion", "fish"))
    done = subprocess.run([need("fish"), "--no-config", "-c", f"source completion; complete -C '{typed}'"], cwd=tmp_path, check=True,
                          capture_output=True, text=True, timeout=60)
    assert ([line.split("\t")[0] for line in done.stdout.splitlines()], done.stderr) == (offered, "")


def test_the_script_is_sound():
    script = backlog("completion", "bash")
    subprocess.run(["bash", "-n"], input=script, check=True, text=True, capture_output=True)
    shellcheck = shutil.which("shellcheck")
    if shellcheck:
        done = subprocess.run([shellcheck, "--shell=bash", "-"], input=script, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_the_repositorys_reference_is_of_this_program():
    with open(os.path.join(REPOSITORY, "scalers", "README.md")) as page:
        assert page.read() == backlog("reference", "--output", "markdown")


# ---- files of others ----

@pytest.mark.parametrize("command", ["ask --timeout 1s", "rehearse --duration 1ms"])
def test_a_template_beside_the_files_of_a_folder_is_skipped(command, tmp_path):
    """And said so: what is no YAML may be one."""
    (tmp_path / "object.yaml").write_text(OBJECT)
    (tmp_path / "template.yaml").write_text("kind: ScaledObject\nmetadata:\n{{- include \"labels\" . | nindent 2 }}\n")
    with http_server((500, "")) as address:
        done = subprocess.run([binary(), *command.split(), "-f", str(tmp_path), "--server", address], capture_output=True, text=True,
                              timeout=60)
    assert "template.yaml: note: skipped: a Helm template" in done.stderr and "cannot be read" not in done.stderr, done.stderr
    assert "orders" in done.stdout


def test_a_silent_server_takes_no_time_of_another():
    """Whose trigger had an error, too: that there was no answer in time."""
    with socket.create_server(("127.0.0.1", 0)) as silent, Server() as server:
        ports = silent.getsockname()[1], server.port
        text = "---\n".join("kind: ScaledObject\nmetadata: {name: o}\nspec:\n  scaleTargetRef: {name: w}\n  triggers:\n"
                            f"    - {{type: external, metadata: {{scalerAddress: '127.0.0.1:{port}', scaler: redis, "
                            "address: '127.0.0.1:1', listName: x}}\n" for port in ports)
        done = subprocess.run([binary(), "ask", "-f", "-", "--metric-spec", "--timeout", "1s"], input=text, capture_output=True,
                              text=True, timeout=60)
    assert done.returncode == 1 and done.stdout.count("no answer in time") == 1, done.stdout
    assert "GetMetricSpec  s0-redis-x, target 5" in done.stdout, done.stdout


@pytest.mark.parametrize("command", ["ask -f", "check --measure", "rehearse --duration 1s -f"])
def test_a_file_gets_only_the_variables_that_the_user_names(command, tmp_path):
    """Neither to a server that it names, nor to a source."""
    with socket.create_server(("127.0.0.1", 0)) as hostile:
        address = f"127.0.0.1:{hostile.getsockname()[1]}"
        path = tmp_path / "object.yaml"
        path.write_text("kind: ScaledObject\nmetadata: {name: o}\nspec:\n  scaleTargetRef: {name: w}\n  triggers:\n"
                        f"    - {{type: external, metadata: {{scalerAddress: '{address}', scaler: redis, address: '{address}', "
                        "listName: x, passwordFromEnv: A_SECRET}}\n")
        done = subprocess.run([binary(), *command.split(), str(path), "--timeout", "1s"], capture_output=True, text=True,
                              timeout=60, env={**os.environ, "A_SECRET": "the-word"})
        assert done.returncode == 1 and "passwordFromEnv: give --env A_SECRET" in done.stdout + done.stderr
        hostile.settimeout(0)
        with pytest.raises(BlockingIOError):  # nobody has connected
            hostile.accept()


def test_a_rehearsal_ends_when_nobody_reads_it(tmp_path):
    """As behind `head -1`."""
    path = tmp_path / "object.yaml"
    path.write_text(OBJECT)
    child = subprocess.Popen([binary(), "rehearse", "-f", str(path), "--server", "127.0.0.1:1", "--output", "json"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert json.loads(child.stdout.readline())["object"] == "default/orders"
        child.stdout.close()
        assert child.wait(60) == 1
        assert "cannot write to standard output: Broken pipe" in child.stderr.read()
    finally:
        child.kill()
        child.wait()


# Each leaves a file when it has begun, and ends once those of both objects have been terminated.
WORKER = """cd {folder} && trap ': >$$-$BACKLOG_REPLICA-ended; until [ "$(ls | grep -c ended)" = 2 ]; do sleep 0.05; done; exit' TERM && \
: >$$ && while :; do sleep 0.05; done"""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_a_signal_ends_a_rehearsal_with_its_workers(number, tmp_path):
    """The shell has a child, as of most commands. All objects' workers have their grace period at the same time."""
    path, folder, script = tmp_path / "objects.yaml", tmp_path / "workers", tmp_path / "worker"
    folder.mkdir()
    path.write_text("---\n".join([OBJECT, OBJECT.replace("orders", "mails")]))
    script.write_text(WORKER.format(folder=folder))
    child = subprocess.Popen([binary(), "rehearse", "-f", str(path), "--server", "127.0.0.1:1", "--replicas", "1", "--grace", "1h",
                              "--worker", f"sh {script}; true"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: len(list(folder.iterdir())) == 2, 60, "a file of each worker")
        workers = [int(each.name) for each in folder.iterdir()]
        child.send_signal(number)
        assert child.wait(60) == 0
        assert not any(os.path.exists(f"/proc/{worker}") for worker in workers)
    finally:
        child.kill()
        child.wait()


# ---- errors that name what to do ----

def test_compare_says_what_kedas_chart_needs(tmp_path):
    """Its metrics are off by default."""
    (tmp_path / "object.yaml").write_text("kind: ScaledObject\nmetadata: {name: orders}\nspec: {triggers: [{type: redis, "
                                          "metadata: {address: 127.0.0.1:1, listName: orders, listLength: '5'}}]}\n")
    errors = backlog("compare", "--keda-metrics", "127.0.0.1:1", "--for", "1s", str(tmp_path / "object.yaml"), status=1)
    assert "KEDA's metrics: " in errors and "prometheus.operator.enabled=true" in errors and "--http" not in errors


def test_nothing_to_compare_is_no_success(tmp_path):
    """So is the list of a kubectl that failed, in a pipe."""
    (tmp_path / "list.json").write_text('{"kind": "List", "items": []}')
    done = subprocess.run([binary(), "compare", "--keda-metrics", "127.0.0.1:1", "--for", "1s", str(tmp_path / "list.json")],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "nothing to compare" in done.stderr and done.stdout == ""


def test_of_input_that_is_too_large_nothing_is_passed_on(tmp_path):
    """In a pipe a part of it is valid YAML, and would be applied."""
    whole = b"# orders\n" * (2 << 20)
    done = subprocess.run([binary(), "migrate", "--write", "-"], input=whole, capture_output=True, timeout=120)
    assert done.returncode == 1 and done.stdout == b""
    assert b"standard input is larger than 16777216 bytes" in done.stderr


# ---- what terminals show ----

ESCAPE = "\x1b[2J"


def on_terminal(*words, cwd, ends=lambda _: False, columns=80):
    """What a terminal gets from the command, until it ends or that is enough."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        termios.tcsetwinsize(0, (24, columns))
        os.execve(binary(), [binary(), *words], {**os.environ, "TERM": "dumb"})
    found, deadline = b"", time.monotonic() + 30
    try:
        while time.monotonic() < deadline and not ends(found.decode(errors="replace")):
            if select.select([terminal], [], [], 1)[0]:
                found += os.read(terminal, 65536)
    except OSError:  # it has ended
        pass
    finally:
        os.close(terminal)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
    return found.decode(errors="replace")


def test_explain_marks_what_policies_decided_before_an_outage():
    policy = {"replicas": 5, "boundBy": "threshold"}
    trigger = {"metricName": "jobs", "scaler": "redis", "policy": policy, "target": 1,
               "reading": {"ageSeconds": 240, "waiting": 50}}
    for state, when in ("answered", ""), ("held", ", when measured last"), ("refused", ", when measured last"):
        now = {"state": state, **({} if state == "refused" else {"value": 5, "active": True, "replicas": 5})}
        with http_server((200, json.dumps([{**trigger, "now": now}]))) as address:
            explained = backlog("explain", "shop/orders", "--server-http", address)
        assert f"  Policy{when}: 5 replicas, bound by threshold.\n" in explained, explained
        assert "  Measured 4 min ago: 50 waiting.\n" in explained, explained


@contextlib.contextmanager
def http_server(*replies):
    """Each request has the next reply, and the last one again: its status, and its body."""
    left = list(replies)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


OBJECT = ("kind: ScaledObject\nmetadata: {name: orders}\nspec: {scaleTargetRef: {name: w}, triggers: [\n"
          "  {type: redis, metadata: {address: 127.0.0.1:1, listName: orders, listLength: '5'}}]}\n")


def test_a_diff_moves_no_cursor_and_is_whole_for_a_program(tmp_path):
    path = tmp_path / f"a{ESCAPE}.yaml"
    lines = "# \tone\u0085# two\r# three\r\n"
    path.write_bytes(OBJECT.replace("spec:", lines + "spec:").encode())
    shown = on_terminal("migrate", path.name, cwd=tmp_path)
    assert "#  one??# two?# three \r\n" in shown and "+++ b/a?[2J.yaml" in shown and ESCAPE not in shown
    done = subprocess.run([binary(), "migrate", path.name], capture_output=True, cwd=tmp_path, timeout=60)
    assert lines.encode() in done.stdout and f"+++ b/a{ESCAPE}.yaml".encode() in done.stdout


def test_the_keys_of_a_connection_are_only_what_they_say(tmp_path):
    """A file of one team becomes a part of a file that is for all."""
    def written(secret):
        (tmp_path / "a.yaml").write_text(
            OBJECT.replace("name: orders}", 'name: orders, namespace: "shop]\\n  evil: {scaler: redis}\\n#"}', 1)
            .replace("'5'}", "'5'}, authenticationRef: {name: a}")
            + '---\nkind: TriggerAuthentication\nmetadata: {name: a, namespace: "shop]\\n  evil: {scaler: redis}\\n#"}\n'
            f'spec: {{secretTargetRef: [{{parameter: password, name: "{secret}", key: "k\\n    ca: x\\u009b"}},\n'
            '  {parameter: username, name: "t", key: "u"}]}\n')
        return "migrate", "--connection", "jobs", str(tmp_path / "a.yaml")
    keys = backlog(*written("s"))
    connections = yaml.safe_load(keys)["connections"]
    assert list(connections) == ["jobs"] and set(connections["jobs"]) == {
        "scaler", "secret", "address", "passwordFile", "usernameFile", "namespaces"}, keys
    assert "\u009b" not in keys
    assert '"s?    username: eve" is not the name of a Secret' in backlog(*written("s\\n    username: eve"), status=1)


def test_replies_of_other_servers_move_no_cursor(tmp_path):
    with http_server((500, f"a{ESCAPE}b")) as address:
        shown = on_terminal("watch", "--server-http", address, cwd=tmp_path, ends=lambda text: "a?[2Jb" in text)
        assert "HTTP 500: a?[2Jb" in shown and f"a{ESCAPE}" not in shown
    (tmp_path / "object.yaml").write_text(OBJECT)
    with http_server((200, "# HELP\n"), (500, f"a{ESCAPE}b")) as address:
        done = subprocess.run([binary(), "compare", "--keda-metrics", address, "--for", "3s", "--interval", "1s",
                               str(tmp_path / "object.yaml")], capture_output=True, text=True, timeout=60)
        assert "warning: " in done.stderr and "a?[2Jb" in done.stderr and "\x1b" not in done.stdout + done.stderr


def test_compare_prints_its_counts_as_they_change(tmp_path):
    """A day is long; a program gets the table alone."""
    (tmp_path / "object.yaml").write_text(OBJECT)
    with http_server((200, "# HELP\n")) as address:
        def compare(*more):
            return subprocess.run([binary(), "compare", "--keda-metrics", address, "--for", "2500ms", "--interval", "1s", *more,
                                   str(tmp_path / "object.yaml")], capture_output=True, text=True, timeout=60)
        done = compare()
        assert re.findall(r"1 failed here", done.stderr) == ["1 failed here"] and done.stderr.count("\n") == 1, done.stderr
        lines = done.stdout.splitlines()
        assert re.fullmatch(rf"after \d+ s: {re.escape(lines[-1])}\n", done.stderr) and len(lines) == 3
        assert compare("--output", "json").stderr == ""


def test_a_metric_whose_name_is_no_utf8_is_listed(tmp_path):
    """Its line would be missing from JSON."""
    spec = b"\x0a\x03m\xf6n\x10\x05"
    replies = {"GetMetricSpec": bytes([0x0a, len(spec)]) + spec, "IsActive": b"", "GetMetrics": b"\x0a\x02\x10\x07"}
    methods = {name: grpc.unary_unary_rpc_method_handler(lambda _request, _context, reply=reply: reply) for name, reply in replies.items()}
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("externalscaler.ExternalScaler", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        (tmp_path / "object.yaml").write_text(OBJECT)
        lines = backlog("ask", "-f", str(tmp_path / "object.yaml"), "--server", f"127.0.0.1:{port}", "--output", "json").splitlines()
    finally:
        server.stop(None)
    (trigger,) = next(json.loads(line) for line in lines if "triggers" in line)["triggers"]
    assert (trigger["metricName"], trigger["value"]) == ("m?n", 7)


def test_a_trace_whose_name_is_no_utf8_has_a_result(tmp_path):
    trace, plot = os.fsencode(tmp_path) + b"/tr\xe4ce\xef\xbf\xbf\x1b.csv", tmp_path / "out.svg"
    with open(trace, "w") as file:
        file.write("time,arrivals\n0,1\n60,1\n")
    words = "simulate", trace, "--rate", "1", "--set", "threshold=5", "--plot", str(plot)
    assert json.loads(backlog(*words, "--output", "json"))["trace"] == f"{tmp_path}/tr?ce\uffff\x1b.csv"
    assert backlog(*words).startswith(f"{tmp_path}/tr?ce\uffff?.csv: 60 s, 60 arrived\n")
    texts = [text.text for text in xml.etree.ElementTree.parse(plot).iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == f"{tmp_path}/tr?ce??.csv"


def test_a_setting_to_compare_costs_no_memory_for_each_second_of_the_trace(tmp_path):
    seconds = 31 * 24 * 3600
    (tmp_path / "trace.csv").write_text(f"time,arrivals\n0,2\n{seconds},2\n")
    env = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=16"}

    def peak_bytes(settings):
        values = "; ".join(f"threshold={number + 1}" for number in range(settings))
        process = subprocess.Popen([binary(), "simulate", str(tmp_path / "trace.csv"), "--rate", "10", "--set", values,
                                    "--plot", str(tmp_path / "out.svg")], stdout=subprocess.DEVNULL, env=env)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_maxrss * 1024
    assert peak_bytes(4) - peak_bytes(1) < 3 * 8 * seconds


def test_check_lists_a_metric_whose_variable_is_no_utf8(tmp_path):
    path = tmp_path / "object.yaml"
    path.write_text(OBJECT.replace("listName: orders", "listNameFromEnv: LIST"))
    assert "listNameFromEnv" in path.read_text()
    done = subprocess.run([binary(), "check", "--measure", "--env", "LIST", "--output", "json", str(path)], capture_output=True,
                          env={**os.environ, "LIST": os.fsdecode(b"j\xf6bs")}, timeout=60)
    (measured,) = [line for line in map(json.loads, done.stdout.splitlines()) if line["type"] == "measurement"]
    assert [trigger["metricName"] for trigger in measured["triggers"]] == ["redis-j?bs"]


def test_check_applies_rules_beside_what_only_the_worker_knows(tmp_path):
    path = tmp_path / "object.yaml"
    path.write_text("""apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: orders, namespace: shop}
spec:
  triggers:
    - {type: external-push, metadata: {scalerAddress: 'b:1', scaler: redis, address: 'r:1', passwordFromEnv: PASSWORD,
       listName: orders, keys: 'a,b'}}
""")
    done = subprocess.run([binary(), "check", str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "set one of listName and keys" in done.stdout, done.stdout
    assert "not checked, as only the worker has the value: passwordFromEnv" in done.stdout


@pytest.mark.parametrize("key, text", [
    ("cortexOrgID: shop", "cortexOrgID is no key of KEDA any more: set customHeaders: X-Scope-OrgID=VALUE"),
    ("disableScaleToZero: 'true'", "disableScaleToZero is no key of KEDA any more: set minReplicaCount: 1 in the ScaledObject"),
    ("enableTLS: 'true'", "enableTLS makes KEDA call Backlog with TLS"),
])
def test_check_names_what_to_write_for_a_key_of_keda(tmp_path, key, text):
    path = tmp_path / "object.yaml"
    path.write_text(f"""apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: orders, namespace: shop}}
spec:
  advanced: {{scalingModifiers: {{formula: a, target: '1'}}}}
  triggers:
    - {{type: external, name: a, metadata: {{scalerAddress: 'b:1', scaler: prometheus, serverAddress: 'http://p', query: up, {key}}}}}
""")
    shown = subprocess.run([binary(), "check", str(path)], capture_output=True, text=True, timeout=60).stdout
    assert text in shown, shown
    assert "threshold is missing: " in shown and "with scalingModifiers any number serves, such as threshold: \"1\"" in shown, shown


def test_what_a_server_says_is_shown_as_it_is():
    """C1, bidirectional controls and marks, and the ends of lines of Unicode."""
    name = "".join(f"x{chr(code)}" for code in (0x9b, 0x61c, 0x200e, 0x200f, *range(0x2028, 0x202f), *range(0x2066, 0x206a))) + "\u20ac"
    trigger = {"namespace": "shop", "name": name, "scaler": name, "metricName": name, "why": name, "now": {"state": "held", "error": name},
               "failing": {"sinceSeconds": 1, "error": name}, "lastAnswer": {"call": name, "error": name}}
    for command, status, body in ((["explain", "shop/orders"], 200, [trigger]), (["explain", "shop/orders"], 500, name),
                                  (["watch", "--once"], 200, {"triggers": [trigger]})):
        with http_server((status, body if status == 500 else json.dumps(body))) as address:
            done = subprocess.run([binary(), *command, "--server-http", address], capture_output=True, text=True, timeout=60)
        shown = done.stdout + done.stderr
        assert "x?" in shown and not set(shown) & set(name) - {"x", "\u20ac"}, ascii(shown)


def test_watch_shows_the_change_of_the_trigger_itself(tmp_path):
    """Two triggers of one object may have one metric: their names differ only in what the source's name leaves out."""
    triggers = [{"id": number, "namespace": "shop", "name": "orders", "scaler": "redis", "metricName": "redis-jobs",
                 "now": {"state": "answered", "value": value}} for number, value in ((1, 10), (2, 1000), (3, 500))]

    def changes(shown):
        return [row.split()[3] for row in shown.splitlines() if row.startswith("shop/orders") and row.split()[3] != "-"]
    with http_server((200, json.dumps({"triggers": triggers})), (200, json.dumps({"triggers": triggers[::-1]}))) as address:
        shown = on_terminal("watch", "--server-http", address, "--interval", "100ms", cwd=tmp_path, columns=120,
                            ends=lambda text: len(changes(text)) > 3)
    assert set(changes(shown)[:3]) == {"+0"}, shown


def test_watch_counts_the_replicas_of_each_object_once():
    """As /api/server: two triggers of one object want the more of both."""
    def trigger(name, metric, replicas, namespace="shop"):
        return {"namespace": namespace, "name": name, "metricName": metric, "now": {"state": "answered", "replicas": replicas}}
    triggers = [trigger("orders", "a", 8), trigger("mails", "a", None), trigger("orders", "b", 5), trigger("mails", "b", 2),
                trigger("orders", "a", 1, "other"), trigger("none", "a", None)]
    for body, head in ((triggers, "6 triggers, 0 active, 0 failing, 11 replicas wanted\n"),
                       ([], "0 triggers, 0 active, 0 failing, 0 replicas wanted\n")):
        with http_server((200, json.dumps({"triggers": body}))) as address:
            shown = backlog("watch", "--once", "--server-http", address)
        assert shown.startswith(head), shown


def test_migrate_turns_tls_on_for_what_has_moved_without(tmp_path):
    path = tmp_path / "object.yaml"
    to_plain = ["migrate", "--scaler-address", "backlog.keda.svc:9090"]
    to_tls = ["migrate", "--scaler-address", "backlog-tls.keda.svc:9090", "--authentication", "backlog-tls"]
    before = OBJECT.replace("'5'}", "'5'}, authenticationRef: {name: a}")
    path.write_text(before)
    backlog(*to_plain, "--write", str(path))
    backlog(*to_tls, "--write", str(path))
    (trigger,) = yaml.safe_load(path.read_text())["spec"]["triggers"]
    assert trigger["authenticationRef"] == {"name": "backlog-tls", "kind": "ClusterTriggerAuthentication"}
    assert trigger["metadata"] == {"scalerAddress": "backlog-tls.keda.svc:9090", "enableTLS": "true", "scaler": "redis",
                                   "triggerAuthentication": "a", "address": "127.0.0.1:1", "listName": "orders", "listLength": "5"}
    backlog("migrate", "--back", "--authentication", "backlog-tls", "--write", str(path))
    assert path.read_text() == before
    path.write_text(before.replace("type: redis, metadata: {", "type: external, metadata: {scaler: redis, scalerAddress: *a, ")
                    .replace("metadata: {name: orders}", "metadata: {name: orders, annotations: {a: &a 'x:1'}}"))
    done = subprocess.run([binary(), *to_tls, "--write", str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "a YAML alias is used here" in done.stderr


def test_migrate_writes_the_type_that_is_given(tmp_path):
    path = tmp_path / "object.yaml"
    path.write_text(OBJECT)
    def type_of():
        (trigger,) = yaml.safe_load(path.read_text())["spec"]["triggers"]
        return trigger["type"]
    backlog("migrate", "--type", "external", "--write", str(path))
    assert type_of() == "external"
    moved = path.read_text()
    backlog("migrate", "--write", str(path))
    assert path.read_text() == moved, "without --type what has moved stays"
    backlog("migrate", "--type", "external-push", "--write", str(path))
    assert type_of() == "external-push" and path.read_text().replace("external-push", "external") == moved
    backlog("migrate", "--back", "--write", str(path))
    assert path.read_text() == OBJECT
    job = OBJECT.replace("ScaledObject", "ScaledJob")
    assert job != OBJECT
    path.write_text(job)
    backlog("migrate", "--type", "external-push", "--write", str(path))
    assert type_of() == "external"
    for flags, reason in ((("--type", "pull"), '--type "pull" must be external-push or external'),
                          (("--type", "external", "--back"), "--back takes the type from the metadata: remove --type")):
        done = subprocess.run([binary(), "migrate", *flags, str(path)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and reason in done.stderr


def test_former_metadata_counts_for_nothing():
    """A ScaledObject was edited, from 1 item per replica to 10, and a mistake of another one was repaired."""
    def trigger(name, target, superseded, now):
        return {"id": target, "namespace": "shop", "name": name, "scaler": "redis", "metricName": f"redis-{name}", "target": target,
                "superseded": superseded, "now": now}
    answered = {"state": "answered", "value": 40, "active": True}
    refused = {"state": "refused", "error": "listLength \"x\" must be a number"}
    jobs = [trigger("jobs", 10, False, {**answered, "replicas": 4}), trigger("jobs", 1, True, {**answered, "replicas": 40})]
    mails = [trigger("mails", 20, False, {**answered, "replicas": 2}), trigger("mails", 5, True, refused)]

    def run(body, *command):
        with http_server((200, json.dumps(body))) as address:
            return subprocess.run([binary(), *command, "--server-http", address], capture_output=True, text=True, timeout=60).stdout
    explained = run(jobs, "explain", "shop/jobs")
    assert explained.startswith("shop/jobs: 4 replicas are wanted.\n"), explained
    assert "\nredis-jobs (redis): 4 replicas" in explained
    assert "\nFormer metadata, KEDA no longer calls for it: redis-jobs (redis): 40 replicas" in explained
    assert "no value: the HPA" not in run(mails, "explain", "shop/mails")
    watched = run({"triggers": jobs + mails}, "watch", "--once")
    assert "2 triggers, 2 active, 0 failing, 6 replicas wanted" in watched, watched
    assert watched.count("shop/") == 2 and "listLength" not in watched


def test_names_show_nothing_else_than_they_are(tmp_path):
    """CSI as one character (C1), and U+202E, after which a terminal writes from right to left; JSON has both as escapes."""
    (tmp_path / "trace.csv").write_text("time,arrivals\n0,1\n60,1\n")
    (tmp_path / "object.yaml").write_text(OBJECT.replace("name: orders", 'name: "o\\u009b2J\\u202elmay.\\u2067\\u20ac"', 1))
    words = [binary(), "simulate", str(tmp_path / "trace.csv"), "--rate", "1", "-f", str(tmp_path / "object.yaml")]
    text = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert text.returncode == 0 and "o??2J???lmay.???\u20ac" in text.stdout, text
    lines = subprocess.run([*words, "--output", "json"], capture_output=True, text=True, timeout=60)
    assert lines.returncode == 0 and lines.stdout.isascii(), lines
    assert "o\u009b2J\u202elmay.\u2067\u20ac" in json.dumps(json.loads(lines.stdout), ensure_ascii=False)


def test_names_in_simulations_move_no_cursor(tmp_path):
    (tmp_path / "trace.csv").write_text("time,arrivals\n0,1\n60,1\n")
    (tmp_path / "object.yaml").write_text(OBJECT.replace("name: orders", 'name: "o\\e[2J"', 1)
                                          .replace("]}\n", ", {type: cpu, metadata: {value: '5'}}, "
                                                   "{type: redis, metadata: {listLength: '9'}}]}\n"))
    done = subprocess.run([binary(), "simulate", str(tmp_path / "trace.csv"), "--rate", "1", "-f", str(tmp_path / "object.yaml")],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "o?[2J" in done.stderr and "o?[2J" in done.stdout, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
