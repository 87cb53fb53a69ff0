"""Types the commands of the pages, each page in a network of its own with a Redis and a server where the pages say that they
are. What needs a cluster, and what ends with another status, is in `exceptions`. `helm install` and `helm upgrade` are
rendered (`helm template`) with the page's own arguments. test/e2e types the pages of the charts and of the umbrella."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from support.process import need
from support.server.server import REPOSITORY, binary

ROOT = pathlib.Path(REPOSITORY)
HERE = pathlib.Path(__file__).parent
PAGES = sorted(path.relative_to(ROOT).as_posix() for pattern in ("*.md", "docs/*.md", "examples/*/*.md", "bench/*.md", "test/*.md", "test/*/*.md")
               for path in ROOT.glob(pattern) if path.parent.name != "umbrella")
SECONDS = 60
CALLS_A_SERVER = re.compile(r"localhost:909|^backlog (ask|check --measure|explain|watch)|^redis-cli (?!-p)")
EXCEPTIONS = [re.fullmatch(r"(skip|status \d+|stop|differs) (.*?)(?: -- (.*))?", line).groups()
              for line in (HERE / "exceptions").read_text().splitlines() if line and not line.startswith("#")]


def blocks(page):
    """The language of each block, and its text."""
    return re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def commands_of(text):
    """Lines that belong together: continued ones, here-documents, open quotes."""
    command = ""
    for line in text.splitlines():
        command += line + "\n"
        here = re.search(r"<<'?(\w+)'?", command)
        open_quote = re.sub(r"#.*|\\.", "", command).count("'") % 2
        if not (line.endswith("\\") or open_quote or here and line != here[1]):
            if command.strip() and not command.startswith("#"):
                yield command
            command = ""


def typed(page):
    """Of each block with commands: these, and the output that the page shows after it."""
    shown = blocks(page)
    for index, (language, text) in enumerate(shown):
        if language == "sh":
            after = shown[index + 1] if index + 1 < len(shown) else ("none", "")
            yield list(commands_of(text)), after[1] if after[0] == "" and not after[1].startswith("$ ") else ""
        elif text.startswith("$ "):
            command, output = text[2:].split("\n", 1)
            yield [command + "\n"], output


def exception(command):
    return next((kind for kind, expression, _ in EXCEPTIONS if re.match(expression, command)), "status 0")


def comments_of(command):
    """Outside of quotes and of here-documents."""
    quote, before = "", " "
    for character in command.split("<<")[0]:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#" and before.isspace():
            yield command
        before = character


def test_no_command_has_a_comment():
    """The shell of macOS knows none where commands are typed: it takes the words as arguments, and runs what is in `...`."""
    typed_in = [(page, command) for page in PAGES if not page.startswith("test/") for some, _ in typed(page) for command in some]
    assert [(page, command) for page, command in typed_in if not command.startswith("./dev ") and any(comments_of(command))] == []


def test_each_exception_is_of_some_command():
    commands = [command for page in PAGES for some, _ in typed(page) for command in some]
    assert len(commands) > 100
    assert [expression for _, expression, _ in EXCEPTIONS if not any(re.match(expression, command) for command in commands)] == []
    assert [expression for kind, expression, reason in EXCEPTIONS if kind == "skip" and not reason] == []


def own_server(page):
    return any(command.startswith("backlog serve --listen") for commands in to_type(page) for command in commands)


def to_type(page):
    return [[command for command in some if exception(command) != "skip"] for some, _ in typed(page)]


def write_files(page, folder):
    for language, text in blocks(page):
        if language == "yaml" and (named := re.search(r"# (\w+\.yaml)$", text.splitlines()[0])):
            (folder / named[1]).write_text(text)


@pytest.fixture
def folder(tmp_path):
    """The repository as a reader has it, and the files that pages name as the reader's own."""
    repository = tmp_path / "backlog"
    repository.mkdir()
    for path in ROOT.iterdir():
        if path.name not in ("build", ".git"):
            (repository / path.name).symlink_to(path)
    (repository / "build").mkdir()
    write_files("charts/backlog/README.md", repository)
    shutil.copytree(HERE / "reader" / "all", repository, dirs_exist_ok=True)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "backlog").symlink_to(binary())
    (programs / "helm").write_text(f'#!/bin/bash\nexec bash {HERE}/helm {need("helm")} "$@"\n')
    for path in programs.iterdir():
        path.chmod(0o755)
    return repository


def objects(page):
    """The ScaledObjects of a page: whole ones, or their triggers."""
    for language, text in blocks(page):
        found = [item for item in yaml.safe_load_all(text) if isinstance(item, dict)] if language == "yaml" else []
        for item in found:
            if "triggers" in item:
                item = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "of-the-page"},
                        "spec": {"scaleTargetRef": {"name": "worker"}, "triggers": item["triggers"]}}
            if item.get("kind") in ("ScaledObject", "ScaledJob"):
                yield item


@pytest.mark.parametrize("page", [page for page in PAGES if any(objects(page))])
def test_the_triggers_of_a_page_are_valid(page):
    text = yaml.safe_dump_all(objects(page))
    done = subprocess.run([binary(), "check", "-"], input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + text


@pytest.mark.parametrize("page", [page for page in PAGES if any(to_type(page))])
def test_the_commands_of_a_page(page, folder):
    own = HERE / "reader" / pathlib.Path(page).stem
    if own.exists():
        shutil.copytree(own, folder, dirs_exist_ok=True)
    write_files(page, folder)
    script = [f". {HERE}/shell\n"]
    if any(CALLS_A_SERVER.search(command) for commands in to_type(page) for command in commands) and not own_server(page):
        script.append("serve_pages\n")
    for number, commands in enumerate(to_type(page)):
        script.append(f"echo '== block {number}'\n")
        for command in commands:
            kind = exception(command)
            end = command.rstrip().endswith("&")
            script.append(f"echo {sh_quoted('$ ' + command.strip())}\n")
            if kind == "stop":
                command = f"stopped {sh_quoted(command)}\n"
            if end:
                script += [command, "until curl -sf localhost:9091/readyz >/dev/null; do sleep 0.1; done\n"]
            else:
                script += [f"{{ {command}}} || status=$?\n", f"expect {kind.split()[1] if kind.startswith('status') else 0}\n"]
    own_user = [] if os.geteuid() == 0 else ["--map-root-user"]
    try:
        run = subprocess.run([need("unshare"), *own_user, "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", need("bash")],
                             input="".join(script), text=True, cwd=folder, env={**os.environ, "PROGRAMS": str(folder.parent / "bin")},
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)
    except subprocess.TimeoutExpired as expired:
        print((expired.stdout or b"").decode(), *(path.read_text() for path in folder.parent.glob("*.log")))
        raise
    print(run.stdout)
    assert run.returncode == 0
    printed = re.split(r"^== block \d+\n", run.stdout, flags=re.MULTILINE)[1:]
    for output, (commands, (_, shown)) in zip(printed, zip(to_type(page), typed(page), strict=True), strict=True):
        if commands and not {"differs", "stop"} & set(map(exception, commands)):
            missing = set(map(shape, shown.splitlines())) - {"..."} - set(map(shape, output.splitlines()))
            assert missing == set(), output


def shape(line):
    """Without what differs from run to run."""
    return re.sub(r"\s+", " ", re.sub(r"\d+", "0", line)).strip()


def sh_quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"
