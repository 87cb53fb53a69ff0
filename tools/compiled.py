"""Prints the C files that the build compiles, one a line; fails where a C file of the tree is compiled by nothing.

usage: compiled.py <compile_commands.json> <folder> ...
"""

import json
import os
import pathlib
import sys


def main(database, folders):
    with open(database) as file:
        compiled = {os.path.relpath(os.path.join(entry["directory"], entry["file"])) for entry in json.load(file)}
    present = {str(path) for folder in folders for path in pathlib.Path(folder).rglob("*.c")}
    print("\n".join(sorted(present & compiled)))
    for path in sorted(present - compiled):
        print(f"{path}: no target compiles this file: add it to a CMakeLists.txt, or remove it", file=sys.stderr)
    return 1 if present - compiled else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
