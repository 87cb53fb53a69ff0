"""What a load came to: how many jobs succeeded, how long each took, and how many replicas that needed. As text, JSON and SVG."""

import html
import json
import math

WIDTH, HEIGHT, LEFT, TOP = 800, 300, 60, 50  # of the picture
PANEL = HEIGHT - 2 * TOP


def percentile(values, percent):
    """Of the nearest rank: a value that occurred. `values` are sorted."""
    return values[max(0, math.ceil(percent / 100 * len(values)) - 1)]


class Report:
    """`submitted` is {id: when}, `ended` {id: (when, succeeded)}, `replicas` [(when, number)] of the changes or of samples.

    Durations are from the submission of a job to its end. `speed`: how much faster than in production the replicas scaled.
    `concurrency`: how many clients submitted at the same time.
    """

    def __init__(self, name, submitted, ended, replicas=(), refused=0, speed=1, concurrency=1):
        self.name, self.submitted, self.replicas, self.refused, self.speed = name, submitted, sorted(replicas), refused, speed
        self.concurrency = concurrency
        self.ended = {job: ended[job] for job in submitted if job in ended}
        self.began = min(submitted.values(), default=0)
        self.finished = max((when for when, _ in self.ended.values()), default=self.began)
        self.durations = sorted(when - submitted[job] for job, (when, succeeded) in self.ended.items() if succeeded)

    def _steps(self):
        """(from, to, replicas) from the first submission to the last end, or to the last replica after it."""
        before = [number for when, number in self.replicas if when <= self.began]
        steps = [(self.began, before[-1] if before else 0), *((when, number) for when, number in self.replicas if when > self.began)]
        ends = max(self.finished, steps[-1][0])
        return [(when, until, number) for (when, number), (until, _) in zip(steps, [*steps[1:], (ends, 0)])]

    def values(self):
        attempts = len(self.submitted) + self.refused
        found = {
            "name": self.name, "jobs": attempts, "concurrency": self.concurrency, "succeeded": len(self.durations),
            "failed": len(self.ended) - len(self.durations) + self.refused, "unfinished": len(self.submitted) - len(self.ended),
            "successRate": len(self.durations) / attempts if attempts else None,
            "seconds": round(self.finished - self.began, 3), "speed": self.speed}
        if self.durations:
            found["jobSeconds"] = {"mean": round(sum(self.durations) / len(self.durations), 3),
                                   **{f"p{percent}": round(percentile(self.durations, percent), 3) for percent in (50, 95, 99)}}
        if self.replicas:
            steps = self._steps()
            found["peakReplicas"] = max(number for _, _, number in steps)
            found["replicaHours"] = round(sum((until - when) * number for when, until, number in steps) * self.speed / 3600, 4)
        return found

    def json(self):
        return json.dumps(self.values(), indent=2) + "\n"

    def text(self):
        found = self.values()
        lines = [f"{self.name}: {found['jobs']} jobs, {found['succeeded']} succeeded ({100 * (found['successRate'] or 0):.1f} %), "
                 f"{found['failed']} failed, {found['unfinished']} not finished, in {found['seconds']:.1f} s; concurrency {found['concurrency']}"]
        if "jobSeconds" in found:
            lines.append("per job:  " + "   ".join(f"{name} {value:.2f} s" for name, value in found["jobSeconds"].items()))
        if "peakReplicas" in found:
            lines.append(f"replicas: peak {found['peakReplicas']}   replica-hours {found['replicaHours']:g}")
        if self.speed != 1:
            lines.append(f"KEDA and the HPA were {self.speed:g} times as fast as in production; the replica-hours are those of production")
        return "\n".join(lines) + "\n"

    def svg(self):
        """Left: jobs that wait or are in work, and replicas, over time. Right: the sorted durations."""
        changes = sorted([(when, 1) for when in self.submitted.values()] + [(when, -1) for when, _ in self.ended.values()])
        steps, open_jobs = [], 0
        for when, change in changes:
            open_jobs += change
            steps.append((when - self.began, open_jobs))
        replicas = [(max(0, when - self.began), number) for when, _, number in self._steps()] if self.replicas else []
        seconds = max([when for when, _ in steps + replicas], default=0) or 1
        durations = [(100 * rank / len(self.durations), value) for rank, value in enumerate(self.durations, 1)]
        found = self.values()
        body = [_panel(LEFT, "jobs not finished (blue), replicas (orange, scale at the right)", "s", seconds,
                       [(steps, "#2563eb", False), (replicas, "#d97706", True)])]
        body.append(_panel(LEFT + WIDTH // 2, "seconds per job, by percentile", "%", 100, [(durations, "#2563eb", False)]))
        title = html.escape(self.text().splitlines()[0])
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif" font-size="11">\n'
                f"<title>{title}</title>\n<desc>{html.escape(json.dumps(found))}</desc>\n"
                f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n<text x="10" y="18" font-size="13">{title}</text>\n'
                + "\n".join(body) + "\n</svg>\n")


def _panel(left, title, unit, longest, lines):
    """Steps on a common horizontal axis; a line at the right has a scale of its own."""
    width = WIDTH // 2 - 2 * LEFT + 10
    parts = [f'<text x="{left}" y="{TOP - 10}">{title}</text>',
             f'<path d="M{left} {TOP}V{TOP + PANEL}H{left + width}" fill="none" stroke="#666"/>',
             f'<text x="{left}" y="{TOP + PANEL + 16}">0</text>',
             f'<text x="{left + width}" y="{TOP + PANEL + 16}" text-anchor="end">{longest:.0f} {unit}</text>']
    for points, colour, at_right in lines:
        if not points:
            continue
        highest = max(value for _, value in points) or 1
        path, before = "", 0
        for when, value in points:
            x, y = left + width * when / longest, TOP + PANEL * (1 - value / highest)
            path += f"H{x:.1f}V{y:.1f}" if path else f"M{x:.1f} {TOP + PANEL - PANEL * before / highest:.1f}V{y:.1f}"
        parts.append(f'<path d="{path}H{left + width}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        side = f'x="{left + width + 4}"' if at_right else f'x="{left - 4}" text-anchor="end"'
        parts.append(f'<text {side} y="{TOP + 4}" fill="{colour}">{highest:.3g}</text>')
    return "\n".join(parts)
