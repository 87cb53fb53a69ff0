"""./dev leaves the machine alone: it says what it installs, no unit of systemd stays masked or is stopped, and no process of its
own stays. The programs that would change the machine are stood in for by scripts that write down how they were called."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from support.process import wait_until
from support.server.server import REPOSITORY

SYSTEMCTL = """#!/bin/bash
echo "systemctl $*" >>"$STATE/log"
arguments=()
for word in "$@"; do [[ $word == --* ]] || arguments+=("$word"); done
case ${arguments[0]} in
    is-system-running) echo running ;;
    cat) [ -e "$STATE/${arguments[1]}" ] ;;
esac
"""
APT = """#!/bin/bash
echo "apt-get $*" >>"$STATE/log"
[[ $* != *" install "* ]] || { touch "$STATE/rabbitmq-server.service"; sleep "$SECONDS_TO_INSTALL"; }
"""
DPKG = """#!/bin/bash
[[ $* == *rabbitmq-server* ]] || printf installed
"""
SUDO = """#!/bin/bash
exec "$@"
"""


@pytest.fixture(scope="module", autouse=True)
def transport():
    """Nothing of it is the server's."""


INTERRUPTS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


def take_signals():
    """Those that a background job of a shell ignores, and with it all that it starts: it could not trap them."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """What is kept for other clones is not this test's."""
    monkeypatch.setenv("BACKLOG_CACHE", str(tmp_path / "cache"))


def copy_dev(folder):
    shutil.copy(os.path.join(REPOSITORY, "dev"), folder / "dev")
    shutil.copytree(os.path.join(REPOSITORY, "tools", "dev"), folder / "tools" / "dev")


@pytest.fixture
def machine(tmp_path):
    """One with systemd and a Redis that is somebody's, and without RabbitMQ."""
    copy_dev(tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("systemctl", SYSTEMCTL), ("apt-get", APT), ("dpkg-query", DPKG), ("sudo", SUDO)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (tmp_path / "redis-server.service").touch()

    def install(seconds=0):
        env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "STATE": str(tmp_path), "SECONDS_TO_INSTALL": str(seconds)}
        return subprocess.Popen([tmp_path / "dev", "install", "brokers"], stderr=subprocess.PIPE, text=True, env=env,
                                start_new_session=True, preexec_fn=take_signals)

    install.log = tmp_path / "log"
    return install


@pytest.mark.parametrize("command", ["install", "build", "test", "e2e", "lint", "demo", "bench", "example", "clean", "image"])
def test_every_command_has_help_and_does_nothing_for_it(machine, command):
    folder = machine.log.parent
    env = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "STATE": str(folder)}
    before = sorted(os.listdir(folder))
    for flag in ("--help", "-h"):
        done = subprocess.run([folder / "dev", command, flag], capture_output=True, text=True, timeout=60, env=env)
        assert done.returncode == 0 and done.stdout.startswith("usage: ./dev <command>")
    assert sorted(os.listdir(folder)) == before


def units(log, verb):
    return {unit for line in log.read_text().splitlines() if line.startswith("systemctl") and f" {verb} " in line
            for unit in line.split(f" {verb} ")[1].split()}


def test_it_says_what_it_installs_and_leaves_no_service_behind(machine):
    child = machine()
    _, message = child.communicate(timeout=60)
    assert child.returncode == 0 and "installing missing Debian packages: rabbitmq-server" in message
    masked = units(machine.log, "mask")
    assert "rabbitmq-server.service" in masked and "redis-server.service" not in masked
    assert units(machine.log, "unmask") == masked
    assert units(machine.log, "disable") == {"rabbitmq-server.service"}
    assert " stop " not in machine.log.read_text() and "--now" not in machine.log.read_text()


@pytest.mark.parametrize("number", INTERRUPTS, ids=lambda number: number.name)
def test_an_installation_that_is_interrupted_leaves_nothing_masked(machine, number):
    child = machine(seconds=30)
    wait_until(lambda: " install " in machine.log.read_text(), 30, "apt-get install")
    time.sleep(0.2)
    os.killpg(child.pid, number)
    _, message = child.communicate(timeout=60)
    wait_until(lambda: units(machine.log, "unmask"), 30, "unmask")
    assert units(machine.log, "unmask") == units(machine.log, "mask")
    assert child.returncode != 0 and " of 3 failed" not in message, message  # it is not tried again


PRESETS = '{"version": 3, "configurePresets": [{"name": "debug", "generator": "Ninja", "binaryDir": "${sourceDir}/build/debug"}]}'


def test_a_build_folder_that_was_moved_is_configured_anew(tmp_path):
    """CMake refuses it, as the cache names the folder that it was made as."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("dpkg-query", "#!/bin/sh\nprintf installed\n"), ("npm", "#!/bin/sh\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "src" / "web").mkdir(parents=True)
    copy_dev(old)
    for path, text in (("CMakePresets.json", PRESETS), ("CMakeLists.txt", "cmake_minimum_required(VERSION 3.25)\nproject(some NONE)\n"),
                       ("src/web/package.json", "{}"), ("src/web/package-lock.json", "{}")):
        (old / path).write_text(text)

    def build(folder):
        return subprocess.run([folder / "dev", "build"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                              env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"})

    first = build(old)
    assert first.returncode == 0 and "configuring it again" not in first.stdout, first.stdout
    old.rename(new)
    moved = build(new)
    assert moved.returncode == 0 and f"build/debug was made as {old}/build/debug: configuring it again" in moved.stdout, moved.stdout
    again = build(new)
    assert again.returncode == 0 and "configuring it again" not in again.stdout, again.stdout


def make_programs(folder, **texts):
    """The environment in which these programs, shell scripts, come first."""
    folder.mkdir()
    for name, text in texts.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "STATE": str(folder.parent)}


def test_a_tool_that_failed_to_build_does_not_count_as_made(tmp_path):
    """One of several: what comes after it succeeds. The second time, too."""
    copy_dev(tmp_path)
    (tmp_path / "test" / "tools" / "helm_server").mkdir(parents=True)
    for name in ("go.mod", "go.sum", "helm_server/main.go"):
        (tmp_path / "test" / "tools" / name).touch()
    env = make_programs(tmp_path / "bin", go='[ "$1" != env ] || { echo go1.26.0; exit; }\ntouch "$GOBIN/client"; exit 1')
    (tmp_path / "dev").write_text((tmp_path / "dev").read_text().replace('\nmain "$@"\n', "\n"))
    for _ in range(2):
        done = subprocess.run(["bash", "-c", ". ./dev; go_tools"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode != 0 and "interop client" in done.stdout and ": not made" in done.stdout, done.stdout


def test_what_is_kept_is_made_once_for_all_clones_and_again_when_it_changes(tmp_path):
    stamps = tmp_path / "stamps"
    for clone in ("one", "two"):
        (tmp_path / clone).mkdir()
        copy_dev(tmp_path / clone)
        dev = tmp_path / clone / "dev"
        dev.write_text(dev.read_text().replace('\nmain "$@"\n', "\n"))

    def thing(clone, text):
        folder = tmp_path / clone
        (folder / "input").write_text(text)
        script = '. ./dev; make() { cp input "$1/made"; echo made >>"$STAMPS"; }; kept some/thing "a thing" make input; cat build/some/thing/made'
        done = subprocess.run(["bash", "-c", script], cwd=folder, env={**os.environ, "STAMPS": str(stamps)}, stdout=subprocess.PIPE, text=True)
        assert done.returncode == 0
        return done.stdout.splitlines()[-1]

    assert thing("one", "first") == "first" and thing("two", "first") == "first"
    assert stamps.read_text().split() == ["made"]
    assert thing("two", "second") == "second" and thing("one", "first") == "first"
    assert stamps.read_text().split() == ["made", "made"]


@pytest.mark.parametrize("programs, words", [
    ({"unshare": "exit 1"}, "where mounts are forbidden"),
    ({"id": "echo 1000"}, "needs root, or sudo"),
], ids=["no mounts", "no root"])
def test_a_machine_that_cannot_have_a_root_folder_is_told_in_one_line_what_to_do(tmp_path, programs, words):
    env = make_programs(tmp_path / "bin", **programs)
    tools = [name for name in os.listdir("/usr/bin") if name != "sudo"]  # all but sudo
    (tmp_path / "tools").mkdir()
    for name in tools:
        (tmp_path / "tools" / name).symlink_to(f"/usr/bin/{name}")
    env["PATH"] = f"{tmp_path / 'bin'}:{tmp_path / 'tools'}"
    done = subprocess.run([os.path.join(REPOSITORY, "tools", "root"), "enter", "bookworm", "true"], env=env, capture_output=True, text=True)
    [line] = done.stderr.splitlines()
    assert done.returncode != 0 and words in line and "README.md" in line
    assert not (tmp_path / "cache").exists()


# Starts what would go on, as compilers do, and writes down who that is.
GOES_ON = '/bin/sleep 300 & echo $! >"$STATE/pid.new"; mv "$STATE/pid.new" "$STATE/pid"; wait'


def is_alive(folder):
    """The one of GOES_ON."""
    return os.path.exists(f"/proc/{(folder / 'pid').read_text().strip()}")


def end(folder):
    if (folder / "pid").exists() and is_alive(folder):
        os.kill(int((folder / "pid").read_text()), signal.SIGKILL)


def test_no_build_goes_on_after_a_part_that_cannot_be_prepared(tmp_path):
    """apt gives up while the builds run in the background. The next ./dev test would build into the same folders."""
    copy_dev(tmp_path)
    (tmp_path / "src" / "web").mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        (tmp_path / "src" / "web" / name).write_text("{}")
    env = make_programs(tmp_path / "bin", npm="", systemctl="exit 1", sudo='exec "$@"',
                        dpkg_query="[[ $* == *python3-venv* ]] || printf installed",
                        sleep="", cmake=f'[[ $* != *--build* ]] || {{ {GOES_ON}; }}',
                        apt_get='until [ -e "$STATE/pid" ]; do /bin/sleep 0.05; done; exit 100')
    try:
        done = subprocess.run([tmp_path / "dev", "test"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        assert done.returncode != 0 and "gave up" in done.stdout, done.stdout
        wait_until(lambda: not is_alive(tmp_path), 30, "the end of the build")
    finally:
        end(tmp_path)


def test_the_linters_of_ci_end_with_it(tmp_path):
    """Ctrl-C: what a shell has in the background does not get it."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(os.path.join(REPOSITORY, ".ci", "run"), tmp_path / ".ci" / "run")
    (tmp_path / "dev").write_text(f'#!/bin/bash\ncase $1 in lint) {GOES_ON} ;; test) touch "$STATE/testing"; exec sleep 300 ;; esac\n')
    (tmp_path / "dev").chmod(0o755)
    child = subprocess.Popen([tmp_path / ".ci" / "run"], env={**os.environ, "STATE": str(tmp_path)}, start_new_session=True, preexec_fn=take_signals)
    try:
        def is_testing():  # a shell that is between two commands would go on
            with open(f"/proc/{child.pid}/task/{child.pid}/children") as children:
                names = [open(f"/proc/{pid}/comm").read() for pid in children.read().split()]
            return (tmp_path / "testing").exists() and "sleep\n" in names

        wait_until(lambda: (tmp_path / "pid").exists() and is_testing(), 60, "linters and tests")
        os.killpg(child.pid, signal.SIGINT)
        assert child.wait(60) != 0
        wait_until(lambda: not is_alive(tmp_path), 30, "the end of the linters")
    finally:
        end(tmp_path)
