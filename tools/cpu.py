"""Where the CPU time of ./dev goes: a table of what its commands took, and whether that is within a budget.

usage: cpu.py <folder of reports> [--budget UNITS]

Each <folder>/NAME.cpu has lines of what was done, seconds, and seconds of CPU, with tabs between. A unit is the CPU time of one
compilation, which is always the same and done here: so a budget means the same on a slow machine as on a fast one. What the cache
folder keeps for the next time (kept.cpu) is not within the budget.
"""

import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile

FUNCTIONS = 300
TRIES = 5


def program():
    """A C program of which the compiler has much to optimise."""
    return "".join(f"""
struct state_{number} {{ unsigned long values[16]; const struct state_{number} *next; }};
unsigned long step_{number}(const struct state_{number} *state, const unsigned char *text, unsigned long count)
{{
    unsigned long sum = {number};
    for (unsigned long index = 0; index < count; index++) {{
        switch (text[index] & 7) {{
        case 0: sum += state->values[index & 15]; break;
        case 1: sum ^= sum << {number % 13 + 1}; break;
        case 2: state = state->next != 0 ? state->next : state; break;
        case 3: sum = sum * {2 * number + 1} + text[index]; break;
        default: sum += index % {number % 7 + 2}; break;
        }}
    }}
    return sum;
}}
""" for number in range(FUNCTIONS))


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def unit():
    """Seconds of CPU of the compilation; the least of some, as other work on the machine makes it longer."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "unit.c")
        source.write_text(program())
        taken = []
        for _ in range(TRIES):
            began = children_seconds()
            subprocess.run(["cc", "-O2", "-c", "-o", "/dev/null", source], check=True)
            taken.append(children_seconds() - began)
    return min(taken)


def rows(path):
    for line in path.read_text().splitlines():
        what, wall, cpu = line.split("\t")
        yield what, int(wall), int(cpu)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("reports", type=pathlib.Path)
    parser.add_argument("--budget", type=float)
    options = parser.parse_args()
    lines, total, kept = [], 0, 0
    for path in sorted(options.reports.glob("*.cpu")):
        for what, wall, cpu in rows(path):
            lines.append(f"{path.stem:10} {what:60} {wall // 60:4}:{wall % 60:02} {cpu:7}")
            if path.stem == "kept":
                kept += cpu
            else:
                total += cpu
    lines.append(f"{'':10} {'all, in seconds of CPU':60} {'':7} {total:7}")
    lines.append(f"{'':10} {'and what is kept for the next time':60} {'':7} {kept:7}")
    status = 0
    if options.budget is not None:
        seconds = unit()
        lines.append(f"{'':10} {f'in units of {seconds:.2f} s, of which there may be {options.budget:.0f}':60} {'':7} {total / seconds:7.0f}")
        status = 1 if total > options.budget * seconds else 0
    text = "\n".join(["part       what                                                            wall     CPU", *lines])
    print(text)
    (options.reports / "cpu.txt").write_text(text + "\n")
    if status:
        print(f"more CPU time than {options.budget:.0f} units: make something cheaper, or move it to ./dev nightly", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
