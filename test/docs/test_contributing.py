"""Adds the scaler of CONTRIBUTING.md to a copy of the project as the page says, tests its keys, and measures with it."""

import http.server
import pathlib
import re
import shutil
import subprocess
import threading

from support.process import need
from support.server.server import REPOSITORY

ROOT = pathlib.Path(REPOSITORY)
SECONDS = 300


def blocks(language):
    found = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE | re.DOTALL)
    return [text for named, text in found if named == language]


def run(*command, folder):
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def copy_project(folder):
    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", folder=ROOT).split("\0")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def add_scaler(folder):
    source, keys = blocks("c")
    (line,) = blocks("cmake")
    (folder / "scalers/spool").mkdir()
    (folder / "scalers/spool/spool.c").write_text(source)
    (folder / "test/keys/test_spool.c").write_text(keys)
    listed = folder / "scalers/CMakeLists.txt"
    text = listed.read_text()
    assert text.count("\n# The list that") == 1
    listed.write_text(text.replace("\n# The list that", f"\n{line}\n# The list that"))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_the_scaler_that_the_page_adds(tmp_path):
    for program in ("cmake", "ninja", "git"):
        need(program)
    copy_project(tmp_path)
    add_scaler(tmp_path)
    run("cmake", "-G", "Ninja", "-B", "build", "-DCMAKE_BUILD_TYPE=Debug", "-DBACKLOG_SCALERS=spool", "-DBACKLOG_DASHBOARD=OFF",
        folder=tmp_path)
    run("cmake", "--build", "build", "--target", "measure_by_hand", "test_keys_spool", folder=tmp_path)
    run("build/test/test_keys_spool", folder=tmp_path)

    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "in.json").write_text('{"files": 3}')
    handler = lambda *arguments: Quiet(*arguments, directory=spool)  # noqa: E731
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        said = run("build/test/measure", "spool", f"url=http://127.0.0.1:{server.server_port}", "--query", "folder=in", "--query", "folder=out",
                   folder=tmp_path)
        server.shutdown()
    shown = next(text for text in blocks("") if "waiting 3" in text)
    for line in shown.replace(":8000", f":{server.server_port}").splitlines():
        for part in line.split("..."):
            assert part.strip() in said, said
