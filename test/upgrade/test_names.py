"""Every name of the previous version that people use in manifests, files, alerts and scripts: it is there still and means
the same, or renamed.md says what became of it."""

import pathlib
import re
import subprocess

import grpc

from support.clients.grpc_client import Client
from support.pages.page import get
from support.server.previous import previous
from support.server.server import REPOSITORY, Server, binary, reference

CHANGES = pathlib.Path(REPOSITORY, "test/upgrade/renamed.md").read_text().partition("\n## Other changes")[0]


def metrics(program):
    """Those of an idle server: each has its line of HELP or TYPE before anything is counted."""
    with Server(program=program, http=True) as server:
        return set(re.findall(r"^# TYPE (\S+)", get(server, "/metrics").text, re.MULTILINE))


def rows(program):
    """Of the reference: the section (a scaler, or the flags), and the cells of each row that begins with a key. A table may be a
    link to that of another scaler."""
    tables, section, heading = {}, None, None
    for line in reference(program=program).splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("### "):
            heading = line.removeprefix("### ")
        elif re.match(r"\| `[\w-]+` \|", line):
            tables.setdefault((section, heading), []).append([cell.strip(" `") for cell in line.strip("|").split(" | ")])
        elif same := re.match(r"The same as of \[([\w-]+)\]", line):
            tables[section, heading] = same[1]
    for (section, heading), table in tables.items():
        for cells in table if isinstance(table, list) else tables[table, heading]:
            yield section, cells


def keys(program):
    return {(section, cells[0]) for section, cells in rows(program)}


def flags(program):
    return {cells[0]: cells[1:] for _, cells in rows(program) if cells[0].startswith("--")}


def commands(program):
    """The first words of the lines of help that name a subcommand."""
    shown = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=20).stdout
    return set(re.findall(r"^ +(?:backlog )?([a-z]+)  ", shown, re.MULTILINE))


def without_word(names):
    return sorted(name for name in names if not re.search(rf"[`\s\-]{re.escape(name)}[`{{\s]", CHANGES))


def test_metrics_are_there_or_on_the_page():
    old = metrics(previous())
    assert len(old) > 20
    assert without_word(old - metrics(binary())) == []


def test_keys_and_flags_are_there_or_on_the_page():
    old = keys(previous())
    assert len(old) > 150
    assert without_word({key for _, key in old - keys(binary())}) == []


def test_subcommands_are_there_or_on_the_page():
    old = commands(previous())
    assert {"serve", "reference"} <= old
    assert without_word(old - commands(binary())) == []


def test_a_command_line_with_every_old_flag_at_its_default_still_starts():
    """As one would write it who wants to see them all, and has read the page."""
    old = {flag: default for flag, (allowed, default, *_) in flags(previous()).items()
           if default and allowed != "no value" and flag != "--listen"}
    assert len(old) > 15
    renamed = {flag for flag in old.keys() - flags(binary()).keys() if without_word([flag]) == []}
    for program, names in ((previous(), old.keys()), (binary(), old.keys() - renamed)):
        with Server(program=program, arguments=[word for flag in sorted(names) for word in (flag, old[flag])]):
            pass
