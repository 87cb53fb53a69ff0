"""Where the time of ./dev test goes, by file; and whether a change has lost a test.

usage: durations.py <reports> [<reports before>]

Each is a folder of reports (JUnit's XML), which ./dev test leaves in build/reports. With one of a run before, the times of
both are shown, and the tests that the later one has no longer; then the exit code is 1.
"""

import collections
import glob
import os
import sys
import xml.etree.ElementTree

SHOWN_SECONDS = 5  # files that take less are summed


def cases(folder):
    """Seconds by test: (file, name). A second try is the same test."""
    found = collections.Counter()
    paths = glob.glob(os.path.join(folder, "*.xml"))
    if not paths:
        sys.exit(f"{folder}: no reports")
    for path in paths:
        report = os.path.basename(path).removesuffix(".xml").removesuffix("-again")
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            found[case.get("classname") if report[:5] != "unit-" else report, case.get("name")] += float(case.get("time") or 0)
    return found


def by_file(found):
    seconds = collections.Counter()
    for (file, _), took in found.items():
        seconds[file] += took
    return seconds


def main(after, before=None):
    after = cases(after)
    before = cases(before) if before else collections.Counter()
    times, earlier = by_file(after), by_file(before)
    rest = [0.0, 0.0]
    for file in sorted(times | earlier, key=lambda file: -max(times[file], earlier[file])):
        if max(times[file], earlier[file]) < SHOWN_SECONDS:
            rest = [rest[0] + earlier[file], rest[1] + times[file]]
            continue
        print(f"{file:50} {earlier[file]:8.0f} {times[file]:8.0f}" if before else f"{file:50} {times[file]:8.0f}")
    print(f"{'others':50} {rest[0]:8.0f} {rest[1]:8.0f}" if before else f"{'others':50} {rest[1]:8.0f}")
    print(f"{len(after)} tests" + (f", {len(before)} before" if before else ""))
    gone = sorted(before.keys() - after.keys())
    for file, name in gone:
        print(f"gone: {file}::{name}")
    return 1 if gone else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
