"""Changes one line of the code at a time, and looks whether a test fails: what survives is what no test checks.

usage: mutate.py [--count NUMBER] [--seed NUMBER] [--seconds NUMBER] [--jobs NUMBER] [--own] [--only FILE:LINE]... PATH...

PATH is a folder, or a C file. Of all mutants of its C files a fixed seed chooses COUNT (200); one that does not compile counts
as none, and the next one takes its place. A copy of the tree is changed, in build/mutation. The unit tests of the changed file are asked
first, then those of the folder, then all that are built of the file, then TRIED of the protocol tests. build/mutation/<path>.jsonl has a line for
each mutant: a run that was stopped, or that has had its SECONDS, goes on from there. JOBS (2) mutants are tested at a time. --own asks the
folder's own tests alone; --only takes no sample, and does not write that line.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "mutation"
SOURCE = WORK / "source"
BUILD = SOURCE / "build" / "asan"
PROGRAMS = WORK / "programs"

# The cheapest of them, by what they say about the answers.
TRIED = ("test/protocol/test_metadata.py", "test/protocol/test_streams.py", "test/protocol/test_reload.py")

TOKEN = re.compile(r"""
    (?P<skipped>/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|^[ ]*\#(?:\\\n|[^\n])*)
    |(?P<word>[A-Za-z_]\w*)|(?P<number>\d[\w.]*)
    |(?P<operator>->|\+\+|--|<<=?|>>=?|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%<>!=&|^~?:;,.(){}\[\]])""", re.X | re.M | re.S)

OPERATORS = {"==": "!=", "!=": "==", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "&&": "||", "||": "&&",
             "+": "-", "-": "+", "/": "*", "+=": "-=", "-=": "+="}
COMPARISON = re.compile(r"[!<]|[^-]>|==|&&|\|\|")
WORDS = {"true": "false", "false": "true", "fmin": "fmax", "fmax": "fmin"}
ADDED = re.compile(r"^add_test\(\[=\[(.+?)\]=\] (.+)\)\nset_tests_properties\(\[=\[.+?\]=\] PROPERTIES (.*)$", re.M)
TREE = threading.Lock()  # of the copy: one mutant is built at a time
# A call, or an assignment, that is all of its line.
STATEMENT = re.compile(r"^ +(?:[a-z_]\w*\(.*\)|[\w\[\]>.*-]+ [-+|&]?= .*|[\w\[\]>.-]+(?:\+\+|--));$", re.M)


def mutants_of(path, text):
    """Each as a place, a length and what takes the place."""
    depth, before = 0, ""
    for token in TOKEN.finditer(text):
        kind, value = token.lastgroup, token.group()
        if kind == "skipped":
            continue
        depth += (value == "{") - (value == "}")
        is_operand = before == ")" or before == "]" or re.match(r"\w", before) and before not in ("return", "case")
        if depth > 0:
            other = None
            if value in OPERATORS and (is_operand or value not in "+-"):
                other = OPERATORS[value]
            elif value in WORDS:
                other = WORDS[value]
            elif value == "!":
                other = ""
            elif kind == "number" and re.fullmatch(r"\d+", value) and text[token.start() - 1:token.end() + 1] != "{0}":
                other = str(int(value) + 1)
            elif value == "if":
                begin = text.index("(", token.end())
                end = end_of(text, begin)
                if not COMPARISON.search(text, begin, end):  # one of these is changed itself
                    yield begin, 1, "(!", end
            if other is not None:
                yield token.start(), len(value), other, None
        before = value
    for line in STATEMENT.finditer(text):
        if line.group().count("(") != line.group().count(")"):  # the end of a longer one
            continue
        start = line.start() + len(line.group()) - len(line.group().lstrip())
        yield start, line.end() - start, ";", None


def end_of(text, begin):
    depth = 0
    for token in TOKEN.finditer(text, begin):
        if token.lastgroup != "skipped":
            depth += (token.group() == "(") - (token.group() == ")")
        if depth == 0:
            return token.start()
    raise ValueError("a bracket without its end")


def apply(text, start, length, other, end):
    if end is None:
        return text[:start] + other + text[start + length:]
    return f"{text[:start]}(!({text[start + length:end]}){text[end:]}"


class Mutant:
    def __init__(self, file, text, place):
        self.file, self.place = file, place
        self.changed = apply(text, *place)
        self.line = text.count("\n", 0, place[0]) + 1
        self.before = text.split("\n")[self.line - 1].strip()
        self.after = self.changed.split("\n")[self.line - 1].strip()

    @property
    def key(self):
        return f"{self.file}:{self.line}: {self.before} => {self.after}"


def all_mutants(paths):
    files = itertools.chain.from_iterable(sorted((ROOT / path).rglob("*.c")) if (ROOT / path).is_dir() else [ROOT / path] for path in paths)
    for path in files:
        text = path.read_text()
        for place in mutants_of(path, text):
            yield Mutant(str(path.relative_to(ROOT)), text, place)


def run(*command, seconds=None, **settings):
    """Whether it succeeded in its time. What it started ends with it."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          process_group=0, **settings) as child:  # of this session: the scheduler shares the machine by sessions
        try:
            return child.wait(seconds) == 0
        except BaseException as error:
            os.killpg(child.pid, 9)
            if isinstance(error, subprocess.TimeoutExpired):
                return False
            raise


def copy_tree():
    """What was built of an earlier copy is kept, where it has not changed."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for file in filter(None, files.split("\0")):
        source, copy = ROOT / file, SOURCE / file
        if source.is_file() and not (copy.is_file() and copy.read_bytes() == source.read_bytes()):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    (SOURCE / "build").mkdir(exist_ok=True)
    shutil.rmtree(SOURCE / "build" / "web", ignore_errors=True)
    shutil.copytree(ROOT / "build" / "web", SOURCE / "build" / "web")


def room_of(path):
    """The part or the scaler, which its tests are named after."""
    parts = pathlib.Path(path if (ROOT / path).is_dir() else os.path.dirname(path)).parts
    return parts[:2][-1]


@dataclasses.dataclass
class Test:
    name: str
    command: list
    environment: dict
    seconds: float = 0  # that it may take: of what it takes without any change

    @property
    def program(self):
        return os.path.relpath(self.command[0], BUILD)

    def passes(self, programs, seconds):
        """With the programs of one mutant, which has a folder of its own, so that others are built meanwhile."""
        command = [str(programs / self.program), *self.command[1:]]
        return run(*command, seconds=seconds, cwd=BUILD / "test", env={**os.environ, **self.environment})


def all_tests():
    """As CMake wrote them: ctest itself knows a test's command only once its program is built."""
    found = []
    for file in BUILD.rglob("CTestTestfile.cmake"):
        for name, command, properties in ADDED.findall(file.read_text()):
            environment = re.search(r' ENVIRONMENT "([^"]*)"', properties)
            variables = environment[1].split(";") if environment else []
            found.append(Test(name, shlex.split(command), dict(variable.split("=", 1) for variable in variables)))
    return found


class Tests:
    def __init__(self, paths):
        # With sanitizers, since a test may read what was freed and pass. What debug information costs the linker is most of a mutant's time.
        command = ("cmake", "--preset", "asan", "-DCMAKE_C_FLAGS=-O1 -g0 -funsigned-char", "-DCMAKE_C_FLAGS_DEBUG=")
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=SOURCE)
        tests = all_tests()
        rooms = {room_of(path) for path in paths}
        self.own = [test for test in tests if any(is_of(test.name, room) for room in rooms)]
        self.others = [test for test in tests if test not in self.own]
        self.are_others_ready = False
        self.prepare(self.own)

    def prepare(self, tests):
        """In the unchanged copy. What fails there, as bounds do on a busy machine, is left out."""
        if not build(tests):
            sys.exit(f"the tests {' '.join(test.name for test in tests)} do not build")
        for test in list(tests):
            began = time.monotonic()
            if test.passes(BUILD, 300):
                test.seconds = 20 + 2 * (time.monotonic() - began)
            else:
                tests.remove(test)
                print(f"left out: {test.name} fails without any change", flush=True)
        tests.sort(key=lambda test: test.seconds)

    def copy_own(self, folder):
        for program in {test.program for test in self.own}:
            (folder / program).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(BUILD / program, folder / program)

    def of(self, file):
        """Those that its name begins, or of its header, the quickest first: they notice most mutants, before the others are linked."""
        stem = pathlib.Path(file).stem
        header = re.compile(rf'#include ".*\b{stem}\.h"')
        named = [test for test in self.own if f"{source_of(test.name).stem}_".startswith(f"test_{stem}_")]
        return named or [test for test in self.own if header.search(source_of(test.name).read_text())][:3]

    def prepare_programs(self, mutant, folder):
        """Returns what noticed the change already. Else the programs of all own tests are in the folder, unless it does not compile."""
        with TREE, changed(mutant):
            first = self.of(mutant.file)
            if not build(first):
                return "does not compile"
            noticed = first_that_fails(first, BUILD)
            if noticed != "nothing":
                return noticed
            if build(self.own):
                self.copy_own(folder)
            return None

    def notice(self, mutant, folder, own_alone):
        """What notices the change. Its programs are in the folder, or nowhere: it did not compile."""
        if not folder.is_dir():
            return "does not compile"
        noticed = first_that_fails(self.own, folder)
        shutil.rmtree(folder)
        if noticed != "nothing" or own_alone:
            return noticed
        with TREE:
            if not self.are_others_ready:
                self.prepare(self.others)
                self.are_others_ready = True
            with changed(mutant):
                return self.notice_further()

    def notice_further(self):
        if not build(self.others) or not run("cmake", "--build", BUILD, "--target", "backlog", "--", "--quiet", seconds=600):
            return "does not compile"
        noticed = first_that_fails(self.others, BUILD)
        environment = {**os.environ, "BACKLOG": str(BUILD / "backlog"), "BACKLOG_RELEASE": str(BUILD / "backlog")}
        for path in TRIED if noticed == "nothing" else ():
            if not run(sys.executable, "-m", "pytest", "-q", "-x", "--timeout", "120", "-p", "no:cacheprovider", path, cwd=ROOT, env=environment):
                return path
        return noticed


def is_of(test, room):
    """The tests of a folder are in test/NAME, and those of a scaler are named after it."""
    return test.startswith(f"{room}/") or re.match(rf"(scalers|keys)/{room.removesuffix('_jetstream')}", test)


def source_of(test):
    """One that is run for several arguments has them after its name."""
    folder, name = os.path.split(test)
    source = ROOT / "test" / folder / f"test_{name}.c"
    return source if source.is_file() else source_of(folder)


def first_that_fails(tests, programs):
    """Twice, where it does not hang: a bound may fail once on a busy machine."""
    for test in tests:
        began = time.monotonic()
        if not test.passes(programs, test.seconds) and (
                time.monotonic() - began >= test.seconds or not test.passes(programs, test.seconds)):
            return test.name
    return "nothing"


def build(tests):
    return not tests or run("cmake", "--build", BUILD, "--", "--quiet", *sorted({test.program for test in tests}), seconds=1200)


@contextlib.contextmanager
def changed(mutant):
    path = SOURCE / mutant.file
    text = path.read_text()
    path.write_text(mutant.changed)
    try:
        yield
    finally:
        path.write_text(text)  # later than what was built of it


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=1 << 30)
    parser.add_argument("--own", action="store_true")
    parser.add_argument("--only", action="append")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("path", nargs="+")
    arguments = parser.parse_args()
    mutants = list(all_mutants(arguments.path))
    if arguments.only:
        mutants = [mutant for mutant in mutants if f"{mutant.file}:{mutant.line}" in arguments.only]
    else:
        random.Random(arguments.seed).shuffle(mutants)
    WORK.mkdir(parents=True, exist_ok=True)
    name = "+".join(arguments.path).replace("/", "-")[:200] + ("-own" if arguments.own else "")
    log = pathlib.Path(os.devnull) if arguments.only else WORK / f"{name}.jsonl"
    known = {}
    if log.is_file():
        known = {entry["mutant"]: entry["noticed"] for entry in map(json.loads, log.read_text().splitlines())}
    copy_tree()
    shutil.rmtree(PROGRAMS, ignore_errors=True)
    tests = Tests(arguments.path)
    began = time.monotonic()
    counts = collections.Counter()
    survivors = []

    def end(mutant, noticed):
        if mutant.key not in known:
            with log.open("a") as file:
                print(json.dumps({"mutant": mutant.key, "noticed": noticed}), file=file)
        if noticed == "does not compile":
            return
        counts["run"] += 1
        counts["noticed"] += noticed != "nothing"
        print(f"{noticed:30} {mutant.key}", flush=True)
        if noticed == "nothing":
            survivors.append(mutant.key)

    # While the tests of some wait, the next is built.
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        running = {}
        for number, mutant in enumerate(mutants):
            while len(running) == arguments.jobs or running and counts["run"] + len(running) >= arguments.count:
                for future in concurrent.futures.wait(running, return_when="FIRST_COMPLETED").done:
                    end(running.pop(future), future.result())
            if counts["run"] >= arguments.count or time.monotonic() - began > arguments.seconds:
                break
            if mutant.key in known:
                end(mutant, known[mutant.key])
                continue
            folder = PROGRAMS / str(number)
            noticed = tests.prepare_programs(mutant, folder)
            if noticed:
                end(mutant, noticed)
            else:
                running[pool.submit(tests.notice, mutant, folder, arguments.own)] = mutant
        for future in concurrent.futures.as_completed(running):
            end(running[future], future.result())
    print(f"\n{counts['run']} mutants of {len(mutants)} of {' '.join(arguments.path)}: {counts['noticed']} noticed; not noticed:", *survivors, sep="\n")


if __name__ == "__main__":
    main()
