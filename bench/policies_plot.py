"""Draws what `policies --points` prints: replica-hours against seconds over the objective, for thresholds and for maxWait."""

import csv
import math
import sys

import svg
from svg import text

WIDTH, HEIGHT, HEAD = 330, 320, 64
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 64, 44
MAX_SECONDS = 100_000
THRESHOLD, POLICY = "#94a3b8", "#0f766e"


class Panel:
    """Replica-hours to the right, from 0; seconds upwards, by powers of ten."""

    def __init__(self, left, top, points):
        self.left, self.right = left + LEFT, left + WIDTH - RIGHT
        self.top, self.bottom = top + TOP, top + HEIGHT - BOTTOM
        self.max_hours = max(point[1] for point in points) * 1.08

    def at(self, hours, seconds):
        x = self.left + (self.right - self.left) * hours / self.max_hours
        share = math.log10(max(seconds, 10) / 10) / math.log10(MAX_SECONDS / 10)
        return x, self.bottom - (self.bottom - self.top) * share

    def axes(self):
        for seconds in (10, 100, 1000, 10_000, MAX_SECONDS):
            _, y = self.at(0, seconds)
            yield f'<path d="M{self.left} {y:.1f} H{self.right}" stroke="#e2e8f0"/>'
            yield text(self.left - 6, y + 4, f"{seconds:,}", 11, "end")
        for hours in range(0, int(self.max_hours) + 1, 100):
            x, _ = self.at(hours, 10)
            yield text(x, self.bottom + 16, f"{hours}", 11)
        yield text((self.left + self.right) / 2, self.bottom + 34, "replica-hours", 11)
        yield text(self.left - 48, self.top - 14, "seconds over 60 s", 11, "start")


def draw(world, points, left, top):
    panel = Panel(left, top, points)
    yield f'<rect x="{left + 6}" y="{top + 6}" width="{WIDTH - 12}" height="{HEIGHT - 12}" rx="6" fill="#ffffff" stroke="#cbd5e1"/>'
    yield text(left + 16, top + 24, world, 13, "start", "#0f172a", "600")
    yield from panel.axes()
    thresholds = [point for point in points if point[0].startswith("threshold")]
    line = " ".join("{:.1f},{:.1f}".format(*panel.at(*point[1:])) for point in thresholds)
    yield f'<polyline points="{line}" fill="none" stroke="{THRESHOLD}" stroke-width="1.5"/>'
    for name, hours, seconds in thresholds:
        x, y = panel.at(hours, seconds)
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{THRESHOLD}"><title>{name}: {hours} h, {seconds:.0f} s</title></circle>'
        if name.split()[1] in ("50", "100", "200", "400", "600", "1000"):
            yield text(x + 6, y - 6, name.split()[1], 10, "start")
    for name, hours, seconds in points:
        if not name.startswith("threshold"):
            x, y = panel.at(hours, seconds)
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{POLICY}"><title>{name}: {hours} h, {seconds:.0f} s</title></circle>'
            yield text(x + 8, y + 16, f"{name}: {hours:.0f} h, {seconds:.0f} s", 11, "start", POLICY, "600")


def main(path):
    worlds = {}
    for world, name, hours, seconds in csv.reader(sys.stdin):
        worlds.setdefault(world, []).append((name, float(hours), float(seconds)))
    width, height = WIDTH * len(worlds) + 16, HEAD + HEIGHT + 12
    elements = []
    for index, (world, points) in enumerate(worlds.items()):
        elements += draw(world, points, 8 + WIDTH * index, HEAD)
    svg.write(path, width, height, "One threshold for all twelve traces, or maxWait",
              "down and to the left is better; grey: thresholds; green: maxWait: 60s, ratePerReplica: measured", elements)


main(sys.argv[1])
