"""What the plots share: SVG, written without a library."""

import html


def text(x, y, words, size=12, anchor="middle", colour="#475569", weight="400"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" '
            f'font-weight="{weight}">{html.escape(words)}</text>')


def write(path, width, height, title, subtitle, elements):
    """A page whose first 64 pixels are its title; `elements` are lines of SVG."""
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
             f"font-family=\"ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\" role=\"img\" "
             f'aria-label="{html.escape(title)}">',
             f'<rect width="{width}" height="{height}" rx="10" fill="#f8fafc"/>',
             text(20, 30, title, 16, "start", "#0f172a", "600"), text(20, 50, subtitle, 12, "start")]
    with open(path, "w") as file:
        file.write("\n".join([*lines, *elements, "</svg>", ""]))
