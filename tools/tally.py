"""The closing line of ./dev test: counts what the suites reported (JUnit's XML), ctest's and pytest's.

usage: tally.py <folder> <report> ...

Each report left <folder>/<report>.xml and, in <folder>/<report>.status, how its runner exited. A runner that
failed without a failed test (it crashed, or found no test at all) counts as one failure.
"""

import os
import sys
import xml.etree.ElementTree


def count(path):
    """passed, failed, skipped"""
    if not os.path.exists(path):
        return 0, 0, 0
    cases = xml.etree.ElementTree.parse(path).getroot().findall(".//testcase")
    failed = sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
    skipped = sum(1 for case in cases if case.find("skipped") is not None)
    return len(cases) - failed - skipped, failed, skipped


def main(folder, reports):
    total = [0, 0, 0]
    for report in reports:
        counts = list(count(os.path.join(folder, report + ".xml")))
        with open(os.path.join(folder, report + ".status")) as status:
            if int(status.read()) != 0 and counts[1] == 0:
                counts[1] = 1
        print(f"{report:12} {counts[0]:5} passed {counts[1]:5} failed {counts[2]:5} skipped")
        total = [sum(pair) for pair in zip(total, counts)]
    print(f"\n{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 0 if total[0] > 0 and total[1] == 0 else 1


if __name__ == "__main__":
    print("\n== summary")
    sys.exit(main(sys.argv[1], sys.argv[2:]))
