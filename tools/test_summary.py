"""The closing line of ./dev test: counts what the suites reported (JUnit's XML), ctest's and pytest's.

usage: test_summary.py <folder> <seconds of builds> <report> ...

Each report left <folder>/<report>.xml and, in <folder>/<report>.status, how its runner exited and how many seconds it
took. A runner that failed without a failed test (it crashed, or found no test at all) counts as one failure.

A test that failed beside others and passed alone (<folder>/<report>-again.xml) is named, and counts as passed, as long
as there are few of them: on a machine that stands still now and then, one of thousands is chance, and ten are a defect.
What a sanitizer reported is never chance, but for what a unit test leaks that ends at a failed assertion.
"""

import os
import re
import sys
import xml.etree.ElementTree

MAX_PASSED_ALONE = 3
FAILED_ASSERTION = "[  FAILED  ]"
LEAKS = re.compile(r"ERROR: LeakSanitizer: detected memory leaks|SUMMARY: AddressSanitizer: \d+ byte\(s\) leaked")


def results(path):
    """passed, failed, skipped: the names of the tests; and of those that failed, whether a sanitizer reported something"""
    passed, failed, skipped = set(), {}, set()
    if os.path.exists(path):
        for case in xml.etree.ElementTree.parse(path).getroot().findall(".//testcase"):
            name = f"{case.get('classname')}::{case.get('name')}"
            faults = case.findall("failure") + case.findall("error")
            if faults:
                text = " ".join(case.itertext())
                if FAILED_ASSERTION in text:
                    text = LEAKS.sub("", text)
                failed[name] = failed.get(name, False) or "Sanitizer" in text or "runtime error:" in text
            elif case.find("skipped") is not None:
                skipped.add(name)
            else:
                passed.add(name)
    return passed - failed.keys(), failed, skipped - failed.keys()  # one that passed may have failed as it ended


def clock(seconds):
    return f"{seconds // 60}:{seconds % 60:02}"


def main(folder, ready, reports):
    total = [0, 0, 0]
    alone = []
    still_failed = []
    print(f"{'builds':12} {clock(ready):>6}")
    for report in reports:
        passed, failed, skipped = results(os.path.join(folder, report + ".xml"))
        again = results(os.path.join(folder, report + "-again.xml"))[0] & {name for name, faulty in failed.items() if not faulty}
        alone += sorted(again)
        still_failed += sorted(failed.keys() - again)
        counts = [len(passed) + len(again), len(failed) - len(again), len(skipped)]
        with open(os.path.join(folder, report + ".status")) as status:
            code, seconds = map(int, status.read().split())
        if code != 0 and counts[1] == 0:
            counts[1] = 1
        print(f"{report:12} {clock(seconds):>6} {counts[0]:5} passed {counts[1]:5} failed {counts[2]:5} skipped")
        total = [sum(pair) for pair in zip(total, counts)]
    for test in still_failed:
        print(f"failed: {test}")
    for test in alone:
        print(f"failed beside others, passed alone: {test}")
    if len(alone) > MAX_PASSED_ALONE:
        print(f"{len(alone)} tests passed only alone; {MAX_PASSED_ALONE} may")
        total[1] += len(alone) - MAX_PASSED_ALONE
        total[0] -= len(alone) - MAX_PASSED_ALONE
    print(f"\n{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 0 if total[0] > 0 and total[1] == 0 else 1


if __name__ == "__main__":
    print("\n== summary")
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
