"""Changes one line of the code at a time, and looks whether a test fails: what survives is what no test checks.

usage: mutate.py [--count NUMBER] [--seed NUMBER] [--seconds NUMBER] [--own] [--only FILE:LINE] PATH...

PATH is a folder, or a C file. Of all mutants of its C files a fixed seed chooses COUNT (200); one that does not compile counts
as none, and the next one takes its place. A copy of the tree is changed, in build/mutation. The unit tests of the folder are asked
first, then all that are built of the changed file, then TRIED of the protocol tests. build/mutation/<path>.jsonl has a line for
each mutant: a run that was stopped, or that has had its SECONDS, goes on from there; --own asks the folder's own tests alone, --only takes no
sample, and neither writes that.
"""

import argparse
import collections
import contextlib
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "mutation"
SOURCE = WORK / "source"
BUILD = SOURCE / "build" / "release"  # as in a tree of its own, so that a compiler's cache knows it

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


class Tests:
    def __init__(self, paths):
        subprocess.run(["cmake", "--preset", "release"], check=True, stdout=subprocess.DEVNULL, cwd=SOURCE)
        self.programs = {}
        if not self.build([]):  # ctest knows a test's command once its program is there
            sys.exit("the tree does not build")
        found = subprocess.run(["ctest", "--test-dir", BUILD, "--show-only=json-v1"], check=True, capture_output=True, text=True)
        self.programs = {test["name"]: os.path.relpath(test["command"][0], BUILD) for test in json.loads(found.stdout)["tests"] if "command" in test}
        self.own = self.of_folder({room_of(path) for path in paths})
        self.others = sorted(set(self.programs) - set(self.own))
        self.seconds = {}  # that a test may take: of those that pass without any change
        self.prepare(self.own)

    def prepare(self, names):
        """In the unchanged copy. What fails there, as bounds do on a busy machine, is left out."""
        if not self.build(names):
            sys.exit(f"the tests of {' '.join(names)} do not build")
        for name in list(names):
            began = time.monotonic()
            if self.pass_(name, 300):
                self.seconds[name] = 10 + 10 * (time.monotonic() - began)
            else:
                names.remove(name)
                print(f"left out: {name} fails without any change", flush=True)
        names.sort(key=self.seconds.get)

    def of_folder(self, names):
        """Those of test/NAME, and for a scaler those that are named after it."""
        return [test for test in self.programs if any(test.startswith(f"{name}/") or
                re.match(rf"(scalers|keys)/{name.removesuffix('_jetstream')}", test) for name in names)]

    def pass_(self, name, seconds):
        return run("ctest", "--test-dir", BUILD, "-R", f"^{re.escape(name)}$", "--timeout", str(seconds))

    def build(self, names):
        """Of no names: all that there is."""
        return run("cmake", "--build", BUILD, "--", "--quiet", *sorted({self.programs[name] for name in names}), seconds=1200)

    def notice(self, mutant, own_alone):
        """What notices the change."""
        with changed(mutant):
            if not self.build(self.own):
                return "does not compile"
            for name in self.own:
                if not self.pass_(name, self.seconds[name]):
                    return name
        if own_alone:
            return "nothing"
        if not all(name in self.seconds for name in self.others):
            self.prepare(self.others)
        with changed(mutant):
            return self.notice_further()

    def notice_further(self):
        if not self.build(self.others) or not run("cmake", "--build", BUILD, "--target", "backlog", "--", "--quiet", seconds=600):
            return "does not compile"
        for name in self.others:
            if not self.pass_(name, self.seconds[name]):
                return name
        environment = {**os.environ, "BACKLOG": str(BUILD / "backlog"), "BACKLOG_RELEASE": str(BUILD / "backlog")}
        for path in TRIED:
            if not run(sys.executable, "-m", "pytest", "-q", "-x", "--timeout", "120", "-p", "no:cacheprovider", path, cwd=ROOT, env=environment):
                return path
        return "nothing"


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
    parser.add_argument("--only")
    parser.add_argument("path", nargs="+")
    arguments = parser.parse_args()
    mutants = list(all_mutants(arguments.path))
    if arguments.only:
        mutants = [mutant for mutant in mutants if f"{mutant.file}:{mutant.line}" == arguments.only]
    else:
        random.Random(arguments.seed).shuffle(mutants)
    WORK.mkdir(parents=True, exist_ok=True)
    log = pathlib.Path(os.devnull) if arguments.only or arguments.own else WORK / f"{'+'.join(arguments.path).replace('/', '-')}.jsonl"
    known = {}
    if log.is_file():
        known = {entry["mutant"]: entry["noticed"] for entry in map(json.loads, log.read_text().splitlines())}
    copy_tree()
    tests = Tests(arguments.path)
    began = time.monotonic()
    counts = collections.Counter()
    survivors = []
    for mutant in mutants:
        if counts["run"] == arguments.count or time.monotonic() - began > arguments.seconds:
            break
        if mutant.key not in known:
            known[mutant.key] = tests.notice(mutant, arguments.own)
            with log.open("a") as file:
                print(json.dumps({"mutant": mutant.key, "noticed": known[mutant.key]}), file=file)
        noticed = known[mutant.key]
        if noticed == "does not compile":
            continue
        counts["run"] += 1
        counts["noticed"] += noticed != "nothing"
        print(f"{noticed:30} {mutant.key}", flush=True)
        if noticed == "nothing":
            survivors.append(mutant.key)
    print(f"\n{counts['run']} mutants of {len(mutants)} of {' '.join(arguments.path)}: {counts['noticed']} noticed; not noticed:", *survivors, sep="\n")


if __name__ == "__main__":
    main()
