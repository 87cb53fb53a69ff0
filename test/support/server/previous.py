"""The program that people run before they upgrade: built from test/upgrade/previous by ./dev."""

import os

from ..process import Unavailable
from .server import REPOSITORY

FOLDER = os.path.join(REPOSITORY, "build", "previous")


def previous():
    path = os.environ.get("BACKLOG_PREVIOUS") or os.path.join(FOLDER, "build", "backlog")
    if not os.access(path, os.X_OK):
        raise Unavailable(f"{path} is not built: its commit is in test/upgrade/previous, which a shallow clone does not have")
    return path
