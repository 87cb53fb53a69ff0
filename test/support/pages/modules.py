"""Modules of the dashboard in Node: those that touch no page need no browser."""

import json
import os
import subprocess

from ..process import need
from ..server.server import REPOSITORY
from .browser import NODE

ASSETS = os.path.join(REPOSITORY, "src", "web", "assets")
FLAGS = ("--experimental-detect-module", "--no-warnings", "--input-type=module")  # no package.json says that they are modules


def run_in_node(script):
    """What the script returns: the body of an async function, which imports "./state/clock.js"."""
    code = f"const value = await (async () => {{ {script} }})(); process.stdout.write(JSON.stringify(value ?? null));"
    done = subprocess.run([need(*NODE, "node"), *FLAGS, "--eval", code], cwd=ASSETS, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
