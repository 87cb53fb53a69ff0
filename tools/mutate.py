"""Changes one place of the code at a time (a mutant), and reports the changes that no test notices.

usage: mutate.py [--count NUMBER] [--seed NUMBER] [--seconds NUMBER] [--jobs NUMBER] [--only FILE:LINE]... PATH...

PATH is a folder or a C file. SEED chooses COUNT (200) mutants that compile, and JOBS (2) of them are tested at a time.
--only tests all mutants of a line instead.

The code is built without optimization in build/mutation. There each test runs once and notes which lines it reaches
(reached.c). A mutant costs one compilation. Then only the tests that reach its line are linked and run, until one fails;
those of more than SLOW_SECONDS run only if they have the name of the file, or where no other test reaches the line. A
mutant that passes is tested again under the sanitizers of build/asan, by the SANITIZED quickest of its tests.

build/mutation/PATH.jsonl has one line per mutant. A run that was stopped, or that ended after SECONDS, continues there.
"noticed" is one of:

- does not compile
- not reached: no test executes the line
- nothing: all tests pass
- TEST fails, TEST crashes or TEST hangs, and "under sanitizers" where only those notice
"""

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import itertools
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "mutation"

SLOW_SECONDS = 40
SANITIZED = 8

# The quickest tests of the whole server that look at values.
SERVER_TESTS = ("test/protocol/test_metadata.py", "test/protocol/test_streams.py", "test/protocol/test_reload.py")

TOKEN = re.compile(r"""
    (?P<skipped>/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|^[ ]*\#(?:\\\n|[^\n])*)
    |(?P<word>[A-Za-z_]\w*)|(?P<number>\d[\w.]*)
    |(?P<operator>->|\+\+|--|<<=?|>>=?|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%<>!=&|^~?:;,.(){}\[\]])""", re.X | re.M | re.S)

OPERATORS = {"==": "!=", "!=": "==", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "&&": "||", "||": "&&",
             "+": "-", "-": "+", "/": "*", "+=": "-=", "-=": "+="}
COMPARISON = re.compile(r"[!<]|[^-]>|==|&&|\|\|")
WORDS = {"true": "false", "false": "true", "fmin": "fmax", "fmax": "fmin"}
# A call or an assignment on a line of its own.
STATEMENT = re.compile(r"^ +(?:[a-z_]\w*\(.*\)|[\w\[\]>.*-]+ [-+|&]?= .*|[\w\[\]>.-]+(?:\+\+|--));$", re.M)

ADDED = re.compile(r"^add_test\(\[=\[(.+?)\]=\] (.+)\)\nset_tests_properties\(\[=\[.+?\]=\] PROPERTIES (.*)$", re.M)

# objdump's sections, functions, lines of the source, and instructions: is the instruction a call of reached.c?
LISTED = re.compile(r"^Disassembly of section (?P<section>.+):$|^0*(?P<begin>[0-9a-f]+) <(?P<function>.+)>:$"
                    r"|^(?P<file>/.+):(?P<line>\d+)(?: \(discriminator \d+\))?$"
                    r"|^ +(?P<address>[0-9a-f]+):\t.*(?P<call>\n\t+[0-9a-f]+: R_\w+\s+__sanitizer_cov_trace_pc\b)?", re.M)


def changes_of(text):
    """The begin and the end of each change, and the text between them."""
    depth, before = 0, ""
    for token in TOKEN.finditer(text):
        kind, value = token.lastgroup, token.group()
        if kind == "skipped":
            continue
        depth += (value == "{") - (value == "}")
        is_operand = before == ")" or before == "]" or re.match(r"\w", before) and before not in ("return", "case")
        before = value
        if depth == 0:
            continue
        if value in OPERATORS and (is_operand or value not in "+-"):
            yield *token.span(), OPERATORS[value]
        elif value in WORDS:
            yield *token.span(), WORDS[value]
        elif value == "!":
            yield *token.span(), ""
        elif kind == "number" and re.fullmatch(r"\d+", value) and text[token.start() - 1:token.end() + 1] != "{0}":
            yield *token.span(), str(int(value) + 1)
        elif value == "if":
            begin = text.index("(", token.end())
            end = end_of(text, begin)
            if not COMPARISON.search(text, begin, end):  # the comparison is changed itself
                yield begin, end, f"(!{text[begin:end]})"
    for line in STATEMENT.finditer(text):
        if line.group().count("(") == line.group().count(")"):  # else it is the end of a longer statement
            yield line.end() - len(line.group().lstrip()), line.end(), ";"


def end_of(text, begin):
    depth = 0
    for token in TOKEN.finditer(text, begin):
        if token.lastgroup != "skipped":
            depth += (token.group() == "(") - (token.group() == ")")
        if depth == 0:
            return token.end()
    raise ValueError("a bracket without its end")


class Mutant:
    def __init__(self, file, text, change):
        begin, end, other = change
        self.file, self.original, self.text = file, text, text[:begin] + other + text[end:]
        self.line = text.count("\n", 0, begin) + 1
        before, after = (each.split("\n")[self.line - 1].strip() for each in (self.original, self.text))
        self.key = f"{file}:{self.line}: {before} => {after}"


def all_mutants(paths):
    for path in map(ROOT.joinpath, paths):
        for file in sorted(path.rglob("*.c")) if path.is_dir() else [path]:
            text = file.read_text()
            yield from (Mutant(str(file.relative_to(ROOT)), text, change) for change in changes_of(text))


@dataclasses.dataclass(frozen=True)
class Test:
    name: str
    program: str  # its path in the folder of a build
    command: tuple  # "PROGRAM" in it, and in the environment, stands for the path of the program
    environment: dict = dataclasses.field(hash=False)
    folder: pathlib.Path  # in which it runs

    def run(self, program, seconds):
        """Returns "passes", "fails", "crashes" or "hangs". The program is in a folder of its own, by which the agents of
        the test are found: they are the same program, and end with the test."""
        command = [part.replace("PROGRAM", str(program)) for part in self.command]
        environment = {name: value.replace("PROGRAM", str(program)) for name, value in self.environment.items()}
        output = program.parent / "output"
        with output.open("wb") as file, subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=self.folder, env={**os.environ, **environment},
                process_group=0) as child:  # not a session: the scheduler shares the machine by sessions
            try:
                status = child.wait(seconds)
            except subprocess.TimeoutExpired:
                return "hangs"
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                end_processes(program.parent)
        if status == 0:
            return "passes"
        is_crash = status < 0 or b"Test failed with exception" in output.read_bytes()  # which is cmocka's for a signal
        return "crashes" if is_crash else "fails"


def end_processes(folder):
    for link in pathlib.Path("/proc").glob("[0-9]*/exe"):
        with contextlib.suppress(OSError):  # it has ended, or it is another user's
            if os.readlink(link).startswith(f"{folder}/"):
                os.kill(int(link.parent.name), signal.SIGKILL)


class Build:
    """A folder with the objects and the programs of the unchanged code."""

    def __init__(self, folder, preset, *settings):
        self.folder, self.configuration = folder, ("cmake", "--preset", preset, "-B", folder, *settings)
        self.lock, self.seconds = threading.Lock(), {}
        self.compilations = collections.defaultdict(dict)  # by file and object: a simulator has objects of its own

    def make(self, *targets):
        with self.lock:
            if not self.compilations:
                subprocess.run(self.configuration, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
                for entry in json.loads((self.folder / "compile_commands.json").read_text()):
                    command = shlex.split(entry["command"])
                    self.compilations[os.path.relpath(entry["file"], ROOT)][command[command.index("-o") + 1]] = command
            if subprocess.run(("cmake", "--build", self.folder, "--", "--quiet", *targets), stdout=subprocess.DEVNULL).returncode != 0:
                sys.exit(f"{self.folder} does not build")

    def tests(self):
        """As CMake wrote them: ctest knows the command of a test only once its program is built."""
        for file in self.folder.rglob("CTestTestfile.cmake"):
            for name, command, properties in ADDED.findall(file.read_text()):
                program, *arguments = shlex.split(command)
                variables = re.search(r' ENVIRONMENT "([^"]*)"', properties)
                environment = dict(each.split("=", 1) for each in variables[1].split(";")) if variables else {}
                yield Test(name, os.path.relpath(program, self.folder), ("PROGRAM", *arguments), environment, file.parent)
        for path in SERVER_TESTS:
            command = (sys.executable, "-m", "pytest", "-q", "-x", "--timeout", "120", "-p", "no:cacheprovider", path)
            yield Test(path, "backlog", command, {"BACKLOG": "PROGRAM", "BACKLOG_RELEASE": "PROGRAM"}, ROOT)

    def copy(self, program, folder):
        path = folder / os.path.basename(program)
        folder.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.link(self.folder / program, path)
        return path

    def usual_seconds(self, test, folder):
        """How long a test takes, or None if it fails twice."""
        if test.name not in self.seconds:
            began = time.monotonic()
            result = test.run(self.copy(test.program, folder), 300)
            if result != "passes":
                began = time.monotonic()
                result = test.run(self.copy(test.program, folder), 300)
            self.seconds[test.name] = time.monotonic() - began if result == "passes" else None
            if result != "passes":
                print(f"left out: {test.name} {result} without any change", flush=True)
        return self.seconds[test.name]

    @functools.cache
    def link_command(self, program):
        shown = subprocess.run(("ninja", "-t", "commands", "-s", program), cwd=self.folder, check=True, capture_output=True, text=True)
        return shlex.split(shown.stdout.removeprefix(": && ").removesuffix(" && :\n"))


class ChangedBuild:
    """The objects and the programs of a build that a mutant changes, as far as they are needed."""

    def __init__(self, build, mutant, folder):
        self.build, self.mutant, self.folder = build, mutant, folder
        self.compilations = build.compilations[mutant.file]

    def compile(self, name):
        """From stdin, in the folder of the source, where its headers are."""
        path = self.folder / name
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            command = self.compilations[name]
            command = [path if part == name else part for part in command[:command.index("-c")]]
            source = ROOT / self.mutant.file
            subprocess.run([*command, "-g0", "-x", "c", "-c", "-"], input=f'# 1 "{source}"\n{self.mutant.text}', text=True,
                           cwd=source.parent, stderr=subprocess.DEVNULL, check=True)
        return path

    def link(self, program):
        """An object that is in an archive is put before it: the linker then takes no other from there."""
        path = self.folder / program
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            compiler, *rest = (path if part == program else part for part in self.build.link_command(program))
            if own := [name for name in self.compilations if name in rest]:
                rest = [self.compile(part) if part in own else part for part in rest]
            else:
                archives = set(map(os.path.basename, rest))
                rest[:0] = [self.compile(name) for name in self.compilations if archive_of(name) in archives]
            subprocess.run([compiler, *rest, "-Wl,--strip-debug"], cwd=self.build.folder, stderr=subprocess.DEVNULL, check=True)
        return path

    def run(self, test, usual_seconds):
        """On a busy machine a test may fail once, and takes longer: the unchanged program shows how much longer."""
        program, original = self.link(test.program), self.folder / "original"
        seconds = 3 + 4 * usual_seconds
        while (result := test.run(program, seconds)) == "hangs":
            if test.run(self.build.copy(test.program, original), seconds) != "hangs":
                return result
            seconds *= 2
        return result if result == "passes" else test.run(program, seconds)

    def noticed(self, tests):
        for test in tests:
            usual_seconds = self.build.usual_seconds(test, self.folder / "original")
            result = "passes" if usual_seconds is None else self.run(test, usual_seconds)
            if result != "passes":
                return f"{test.name} {result}"
        return None


def archive_of(name):
    return f"lib{re.search(r'([^/]+)[.]dir/', name)[1]}.a"


def sections_of(path, source):
    """Of each section of an object: the offsets of its functions, and of the basic blocks of each line."""
    listing = subprocess.run(("objdump", "-d", "-l", "-r", "--no-show-raw-insn", path), check=True, capture_output=True, text=True).stdout
    sections = collections.defaultdict(lambda: ({}, collections.defaultdict(set)))
    line = block = None
    is_called = False
    for found in LISTED.finditer(listing):
        if found["section"]:
            functions, blocks = sections[found["section"]]
        elif found["function"]:
            functions[found["function"]] = int(found["begin"], 16)
            line = block = None
        elif found["file"]:
            line = int(found["line"]) if found["file"] == str(source) else None
        elif found["call"]:
            is_called = True
        else:
            if is_called:  # reached.c notes the address after its call
                block, is_called = int(found["address"], 16), False
            if block is not None and line is not None:
                blocks[line].add(block)
    return sections.values()


@functools.lru_cache(4)  # tests of one program follow each other
def symbols_of(program):
    """The addresses of each name from the begin of the image: static functions may share a name."""
    symbols = collections.defaultdict(set)
    for address, name in re.findall(r"^([0-9a-f]+) \w (.+)$", subprocess.check_output(("nm", program), text=True), re.M):
        symbols[name].add(int(address, 16))
    begin = min(symbols["__executable_start"])
    return {name: {address - begin for address in addresses} for name, addresses in symbols.items()}


def begins_of(functions, symbols):
    """Where a program has the section: its functions are as far from each other as in the object."""
    name, offset = next(iter(functions.items()), (None, 0))
    for address in symbols.get(name, ()):
        if all(address - offset + each in symbols.get(function, ()) for function, each in functions.items()):
            yield address - offset


class Reach:
    """Which tests reach which lines of some files."""

    def __init__(self, build, files, jobs):
        self.build = build
        self.tests = collections.defaultdict(set)  # by file and line, and by file
        self.noticed = collections.Counter()  # by file and name of the test
        self.sections = [(file, *section) for file in files for name in build.compilations[file]
                         for section in sections_of(build.folder / name, ROOT / file)]
        self.lines = {(file, line) for file, _, blocks in self.sections for line in blocks}
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            list(pool.map(self.learn, build.tests()))

    def learn(self, test):
        symbols = symbols_of(self.build.folder / test.program)
        linked = [(begin, file, blocks) for file, functions, blocks in self.sections for begin in begins_of(functions, symbols)]
        reached = linked and self.reached(test)
        for begin, file, blocks in linked if reached else ():
            for line, offsets in blocks.items():
                if any(reached[(begin + offset) // 4] for offset in offsets):
                    self.tests[file, line].add(test)
                    self.tests[file].add(test)

    def reached(self, test):
        """What reached.c noted. It is kept as long as the program stays the same."""
        program = self.build.folder / test.program
        name = test.name.replace("/", "-")
        kept = WORK / "reached" / name
        if not kept.is_file() or kept.stat().st_mtime < program.stat().st_mtime:
            notes = WORK / "run" / name / f"{program.name}.reached"
            notes.parent.mkdir(parents=True, exist_ok=True)
            notes.touch()
            seconds = self.build.usual_seconds(test, notes.parent)
            if seconds is None:
                return None
            kept.parent.mkdir(exist_ok=True)
            kept.write_bytes(struct.pack("d", seconds) + zlib.compress(notes.read_bytes(), 1))
            shutil.rmtree(notes.parent)
        content = kept.read_bytes()
        self.build.seconds[test.name], = struct.unpack_from("d", content)
        return zlib.decompress(content[8:])

    def tests_of(self, mutant):
        """A line without code continues a line above, or is of a table, which each test of the file may read. The tests
        that noticed most mutants of the file come first, then those that have its name in theirs."""
        text, line = mutant.original.split("\n"), mutant.line
        while (mutant.file, line) not in self.lines and text[line - 1].startswith(" "):
            line -= 1
        tests = self.tests.get((mutant.file, line) if (mutant.file, line) in self.lines else mutant.file, ())
        name = f"_{pathlib.Path(mutant.file).stem}_"
        named = {test for test in tests if name in f"_{re.sub(r'[/-]', '_', test.name)}_"}
        slow = {test for test in tests if self.build.seconds[test.name] > SLOW_SECONDS}
        tests = sorted(tests, key=lambda test: (test in slow, -self.noticed[mutant.file, test.name], test not in named,
                                                self.build.seconds[test.name], test.name))
        return [test for test in tests if test in named or test not in slow] or tests


def notice(mutant, reach, sanitized):
    folder = WORK / "run" / str(threading.get_ident())
    tests = reach.tests_of(mutant)
    try:
        changed = ChangedBuild(reach.build, mutant, folder / "plain")
        changed.compile(next(iter(changed.compilations)))
        noticed = changed.noticed(tests)
        again = [test for test in tests if test.folder != ROOT][:SANITIZED]
        if noticed is None and again:
            sanitized.make(*{test.program for test in again})
            noticed = ChangedBuild(sanitized, mutant, folder / "asan").noticed(again)
            noticed = noticed and f"{noticed} under sanitizers"
        return noticed or ("nothing" if tests else "not reached")
    except subprocess.CalledProcessError:
        return "does not compile"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=1 << 30)
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
    shutil.rmtree(WORK / "run", ignore_errors=True)
    name = "+".join(arguments.path).replace("/", "-")[:200]
    log = pathlib.Path(os.devnull) if arguments.only else WORK / f"{name}.jsonl"
    known = {}
    if log.is_file():
        known = {entry["mutant"]: entry["noticed"] for entry in map(json.loads, log.read_text().splitlines())}

    subprocess.run(("cc", "-D_GNU_SOURCE", "-c", ROOT / "tools" / "reached.c", "-o", WORK / "reached.o"), check=True)
    plain = Build(WORK / "plain", "debug", "-DCMAKE_C_FLAGS=-O0 -funsigned-char -fsanitize-coverage=trace-pc",
                  f"-DCMAKE_EXE_LINKER_FLAGS={WORK / 'reached.o'}")
    plain.make("all")
    sanitized = Build(ROOT / "build" / "asan", "asan")
    reach = Reach(plain, sorted({mutant.file for mutant in mutants}), arguments.jobs)
    end = time.monotonic() + arguments.seconds
    results = collections.defaultdict(list)

    def test(mutant):
        if mutant.key in known or time.monotonic() > end:
            return known.get(mutant.key)
        noticed = notice(mutant, reach, sanitized)
        reach.noticed[mutant.file, noticed.split(" ")[0]] += 1
        return noticed

    remaining = iter(mutants)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        while batch := list(itertools.islice(remaining, arguments.count - sum(map(len, results.values())))):
            for mutant, noticed in zip(batch, pool.map(test, batch)):
                if noticed is not None and mutant.key not in known:
                    with log.open("a") as file:
                        print(json.dumps({"mutant": mutant.key, "noticed": noticed}), file=file)
                if noticed not in (None, "does not compile"):
                    results[noticed if noticed in ("nothing", "not reached") else "noticed"].append(mutant.key)
                    print(f"{noticed:40} {mutant.key}", flush=True)
    print(f"\n{sum(map(len, results.values()))} mutants of {len(mutants)} of {' '.join(arguments.path)}: {len(results['noticed'])} noticed")
    for kind in ("not reached", "nothing"):
        print(f"\n{kind}: {len(results[kind])}", *results[kind], sep="\n")


if __name__ == "__main__":
    main()
