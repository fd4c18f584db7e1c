"""Charts as plain SVG: no scripts, no fonts of their own, a title and a description for who cannot see them."""

import math
from html import escape
from pathlib import Path

OWN, OTHER, PAIR = "#b4540a", "#5b7083", "#a9b7c4"
INK, FAINT = "#1d2730", "#d5dce2"
LINES = ["#b4540a", "#27648f", "#4d7d3a", "#7a4b94", "#30353a"]


class Drawing:
    def __init__(self, width: int, height: int, title: str, description: str):
        self.width, self.height = width, height
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img" aria-labelledby="title description" '
            'font-family="system-ui, sans-serif" font-size="12">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="description">{escape(description)}</desc>',
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        ]

    def text(self, x, y, words, anchor="start", weight="normal", size=12, fill=INK):
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" '
            f'font-size="{size}" fill="{fill}">{escape(words)}</text>'
        )

    def bar(self, x, y, width, height, fill, says):
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height}" fill="{fill}">'
            f"<title>{escape(says)}</title></rect>"
        )

    def line(self, points, stroke, width=2.0):
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{joined}" fill="none" stroke="{stroke}" stroke-width="{width}"/>')

    def dot(self, x, y, fill, says):
        self.parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{fill}"><title>{escape(says)}</title></circle>'
        )

    def write(self, path: Path):
        path.write_text("\n".join([*self.parts, "</svg>", ""]))


def bars(path: Path, title: str, description: str, panels: dict, unit: str):
    """A panel for each set: one bar for each tool, the shorter the better, with its value written beside it.

    `panels` maps a set's name to a list of (tool, value, colour).
    """
    columns, row, head, gap = 2, 18, 34, 14
    wide = 440
    rows_of_panels = [list(panels.items())[at : at + columns] for at in range(0, len(panels), columns)]
    heights = [head + row * max(len(tools) for _, tools in line) + gap for line in rows_of_panels]
    drawing = Drawing(columns * wide, 48 + sum(heights), title, description)
    drawing.text(16, 26, title, weight="bold", size=16)
    top = 48
    for line, height in zip(rows_of_panels, heights):
        for column, (name, tools) in enumerate(line):
            left = column * wide + 16
            drawing.text(left, top + 16, name, weight="bold")
            largest = max((value for _, value, _ in tools), default=0) or 1
            for number, (tool, value, colour) in enumerate(tools):
                y = top + head - 8 + number * row
                drawing.text(left + 150, y + 11, tool, anchor="end", weight="bold" if colour == OWN else "normal")
                length = value / largest * (wide - 250)
                said = f"{number_text(value)} {unit}"
                drawing.bar(left + 156, y, length, row - 5, colour, f"{name}, {tool}: {said}")
                drawing.text(left + 162 + length, y + 11, said)
        top += height
    drawing.write(path)


def lines(path: Path, title: str, description: str, panels: list):
    """Curves over logarithmic axes. A panel is (title, name of x, {series: [(x, y)]})."""
    legend = 15 * max(len(series) for _, _, series in panels)
    wide, high, left, bottom = 440, 300 + legend, 64, 46
    height = 48 + (len(panels) + 1) // 2 * high
    drawing = Drawing(2 * wide, height, title, description)
    drawing.text(16, 26, title, weight="bold", size=16)
    for number, (name, x_name, series) in enumerate(panels):
        x0, y0 = number % 2 * wide + left, 48 + number // 2 * high
        drawing.text(x0, y0 + 16, name, weight="bold")
        for row, label in enumerate(series):
            drawing.text(x0 + 8, y0 + 32 + 15 * row, f"● {label}", fill=LINES[row])
        panel(drawing, x_name, series, x0, y0 + 30 + legend, wide - left - 24, high - 30 - legend - bottom)
    drawing.write(path)


def panel(drawing, x_name, series, left, top, width, height):
    points = [point for some in series.values() for point in some]
    (x_low, x_high), (y_low, y_high) = (decades([point[axis] for point in points]) for axis in (0, 1))

    def at(x, y):
        across = (math.log10(x) - x_low) / (x_high - x_low)
        up = (math.log10(y) - y_low) / (y_high - y_low)
        return left + across * width, top + height - up * height

    for decade in range(y_low, y_high + 1):
        _, y = at(10**x_low, 10**decade)
        drawing.line([(left, y), (left + width, y)], FAINT, 1)
        drawing.text(left - 6, y + 4, number_text(10.0**decade), anchor="end")
    for decade in range(x_low, x_high + 1):
        x, _ = at(10**decade, 10**y_low)
        drawing.line([(x, top), (x, top + height)], FAINT, 1)
        drawing.text(x, top + height + 16, number_text(10.0**decade), anchor="middle")
    drawing.text(left + width / 2, top + height + 34, x_name, anchor="middle")
    for number, (label, curve) in enumerate(series.items()):
        colour = LINES[number]
        places = [at(x, y) for x, y in curve]
        drawing.line(places, colour)
        for (x, y), (across, down) in zip(curve, places):
            drawing.dot(across, down, colour, f"{label}: {number_text(y)} at {number_text(x)}")


def decades(values) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def number_text(value: float) -> str:
    """Three digits that matter, no exponent."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
