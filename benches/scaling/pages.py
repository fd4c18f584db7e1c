"""A table and curves from the rows of all series."""

import csv
from pathlib import Path

import plots

SERIES = {
    "size": (
        "A sparse image, GiB",
        "A 64th of the image is data, in pieces of a MiB; the next version differs in a page of each 16th piece. Holes are "
        "not read, but the image's BLAKE3 counts their bytes: that is what a make of the same image costs.",
        "size of a sparse image, GiB",
    ),
    "versions": (
        "Versions of an image of 16 MiB in one store",
        "Each version changes 64 pages. *next version* is the mean since the row before, with the patches that the ruler "
        "asks for.",
        "versions in the store",
    ),
    "images": (
        "Images of 64 KiB in one store",
        "",
        "images in the store",
    ),
    "chunks": (
        "An image of 46 GiB in 10 million chunks, through pipes",
        "64 MiB again and again, 16 pages changed each time. Time includes what writes the image into the pipe.",
        "",
    ),
}


def write_pages(beside: Path):
    with (beside / "scaling.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines, panels = [], []
    for series, (title, about, x_name) in SERIES.items():
        here = [row for row in rows if row["series"] == series]
        if not here:
            continue
        lines += [f"### {title}\n", *([f"{about}\n"] if about else [])]
        lines += ["| | what | CPU s | seconds | peak MB | MB stored or downloaded |", "|---:|---|---:|---:|---:|---:|"]
        for row in here:
            lines.append(
                f"| {float(row['x']):,g} | {row['what']} | {told(row['cpu'])} | {told(row['seconds'])} "
                f"| {told(row['own'], 1e6)} | {told(row['bytes'], 1e6)} |"
            )
        lines.append("")
        if x_name:
            for name, key, unit in (("CPU, seconds", "cpu", 1), ("Peak memory, MB", "own", 1e6)):
                curves = {}
                for row in here:
                    # What is too short to be measured has no place on a logarithmic axis.
                    curves.setdefault(row["what"], []).append((float(row["x"]), max(float(row[key]) / unit, 0.01)))
                panels.append((name, x_name, curves))
    (beside / "scaling.md").write_text("\n".join(lines))
    description = "Curves over logarithmic axes; the numbers are in the tables of the page."
    plots.lines(beside / "scaling.svg", "Cost as work grows", description, panels)


def told(value: str, unit: float = 1) -> str:
    return plots.number_text(float(value) / unit) if value else ""
