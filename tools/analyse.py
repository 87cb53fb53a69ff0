"""clang-tidy for the C files that are named on standard input, but for those that it has found nothing in before.

usage: analyse.py --build FOLDER --tidy PROGRAM --headers FOLDER --kept FOLDER [--jobs N] [--all]

What clang-tidy finds in a file depends on the file, on what it includes, on how it is compiled, on the rules, and on the versions of
clang-tidy and of the libraries' headers. The hash of all these is the name of an empty file in the folder of --kept if nothing was
found. With --all nothing is taken from there.
"""

import argparse
import concurrent.futures
import functools
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*["<]([^">]+)[">]', re.MULTILINE)
KEPT_DAYS = 30


@functools.cache
def content(path):
    data = pathlib.Path(path).read_bytes()
    return data, [name.decode() for name in INCLUDE.findall(data)]


@functools.cache
def found(folders, own, name):
    """The file of the project that an #include of this name is, or None for one of the system."""
    for folder in (own, *folders):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return os.path.realpath(path)
    return None


def included(path, folders, seen):
    """All files of the project that a file includes, itself the first."""
    if path in seen:
        return
    seen[path] = None
    for name in content(path)[1]:
        other = found(folders, os.path.dirname(path), name)
        if other:
            included(other, folders, seen)


def folders_of(command, directory):
    """The include folders of a compilation that are the project's."""
    root = os.getcwd() + os.sep
    words = iter(command)
    folders = []
    for word in words:
        if word in ("-isystem", "-I"):
            folders.append(next(words))
        elif word.startswith("-I"):
            folders.append(word[2:])
    paths = (os.path.join(directory, folder) for folder in folders)
    return tuple(path for path in paths if (path + os.sep).startswith(root))


def output(*command):
    return subprocess.run(command, check=True, capture_output=True).stdout


def key(file, entry, rules):
    command = shlex.split(entry["command"])
    seen = {}
    included(os.path.realpath(file), folders_of(command, entry["directory"]), seen)
    digest = hashlib.sha256(rules)
    digest.update(" ".join(command).replace(os.getcwd(), "").encode())
    for path in sorted(seen):
        digest.update(os.path.relpath(path).encode() + b"\0" + hashlib.sha256(content(path)[0]).digest())
    return digest.hexdigest()


def analyse(file, options):
    done = subprocess.run([options.tidy, "--quiet", "-p", options.build, f"--extra-arg-before=-I{os.path.abspath(options.headers)}", file],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text = "\n".join(line for line in done.stdout.splitlines() if not re.match(r"\d+ warnings? ", line))
    return done.returncode == 0, text


def forget_old(kept):
    for path in kept.iterdir():
        if path.stat().st_mtime < time.time() - KEPT_DAYS * 24 * 3600:
            path.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser()
    for name in ("build", "tidy", "headers", "kept"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    files = sys.stdin.read().split()
    with open(os.path.join(options.build, "compile_commands.json")) as database:
        entries = {os.path.relpath(os.path.join(entry["directory"], entry["file"])): entry for entry in json.load(database)}
    rules = pathlib.Path(".clang-tidy").read_bytes() + output(options.tidy, "--version") + output("dpkg-query", "--show", "*-dev")
    for path in sorted(pathlib.Path(options.headers).iterdir()):
        rules += path.read_bytes()
    kept = pathlib.Path(options.kept)
    kept.mkdir(parents=True, exist_ok=True)
    forget_old(kept)
    keys = {file: kept / key(file, entries[file], rules) for file in files}
    wanted = [file for file in files if options.all or not keys[file].exists()]
    for file in set(files) - set(wanted):
        keys[file].touch()
    print(f"{len(wanted)} of {len(files)} files", flush=True)
    failed = False
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for file, (is_clean, text) in zip(wanted, pool.map(lambda file: analyse(file, options), wanted)):
            if is_clean:
                keys[file].touch()
            else:
                failed = True
                print(text or f"{file}: clang-tidy failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
