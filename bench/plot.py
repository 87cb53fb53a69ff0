"""A page of bar charts as SVG, without a library."""

import dataclasses

import svg
from svg import text

COLOURS = ("#94a3b8", "#d97706", "#0f766e")
WIDTH, HEIGHT, COLUMNS = 300, 210, 3
LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT = 16, 44, 268, 120
HEAD = 64


@dataclasses.dataclass
class Panel:
    """`series` are values for each label by name; None is left out."""

    title: str
    labels: list
    series: dict


def number(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def draw(panel, x, y):
    yield f'<rect x="{x + 6}" y="{y + 6}" width="{WIDTH - 12}" height="{HEIGHT - 12}" rx="6" fill="#ffffff" stroke="#cbd5e1"/>'
    yield text(x + LEFT, y + 30, panel.title, 13, "start", "#0f172a", "600")
    highest = max(value for values in panel.series.values() for value in values if value is not None) or 1
    group = PLOT_WIDTH / len(panel.labels)
    bottom = y + TOP + PLOT_HEIGHT
    for index, label in enumerate(panel.labels):
        left = x + LEFT + index * group
        shown = [(values[index], colour) for values, colour in zip(panel.series.values(), COLOURS) if values[index] is not None]
        bar = min(36, group / (len(shown) + 0.6))
        start = left + (group - bar * len(shown)) / 2
        for place, (value, colour) in enumerate(shown):
            height = max(1.5, (PLOT_HEIGHT - 14) * value / highest)
            yield (f'<rect x="{start + place * bar + 1:.1f}" y="{bottom - height:.1f}" width="{bar - 2:.1f}" '
                   f'height="{height:.1f}" fill="{colour}"/>')
            yield text(start + (place + 0.5) * bar, bottom - height - 4, number(value), 11)
        yield text(left + group / 2, bottom + 18, label, 12)
    yield f'<path d="M{x + LEFT} {bottom} h{PLOT_WIDTH}" stroke="#94a3b8"/>'


def write_svg(path, title, panels):
    rows = -(-len(panels) // COLUMNS)
    width, height = WIDTH * COLUMNS + 16, HEAD + rows * HEIGHT + 12
    elements = []
    for place, (name, colour) in enumerate(zip(panels[0].series, COLOURS)):
        left = width - 20 - 110 * (len(panels[0].series) - place)
        elements += [f'<rect x="{left}" y="20" width="12" height="12" fill="{colour}"/>', text(left + 18, 31, name, 13, "start")]
    for index, panel in enumerate(panels):
        elements += draw(panel, 8 + WIDTH * (index % COLUMNS), HEAD + HEIGHT * (index // COLUMNS))
    svg.write(path, width, height, title, "by the number of ScaledObjects", elements)
