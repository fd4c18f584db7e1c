"""Everything that is written from rows of measurements: the page, its charts, a table for programs, the README's."""

import csv
import platform
import re
import shutil
import statistics
import subprocess
from pathlib import Path

import plots
from tables import Tables

FIELDS = [
    "set", "from", "to", "size", "kind", "tool", "bytes", "added", "requests", "cpu", "cpu_spread", "seconds", "peak",
    "publish_cpu", "publish_peak", "site", "link_seconds", "runs",
]

HEAD = """# Benchmarks

Written by `benches/run`, which is these commands:

```sh
benches/data/build all              # about 12 minutes; benches/data/README.md tells what it needs
cargo build --release
benches/peers/run                   # bytes: some hours of CPU, most of it bsdiff and zstd -19; goes on where it stopped
benches/figures/run                 # what this project promises: three quarters of an hour, on an idle machine
benches/scaling/run                 # cost as work grows: an hour, 20 GB of disk
benches/peers/run --times-only      # CPU, time, memory: half an hour, on an idle machine
```

Machine: {machine}. {times} Programs: {programs}.

Bytes are all that nginx sent for one update, headers and indexes included, and every output was compared with the
version. An update goes from one version to the next; the last row of a set is the way from its first version to its
last. *Best* is the smallest of the peers; a ratio below 1 means that chunk needs less. All rows are in
[benchmarks/updates.csv](benchmarks/updates.csv).

chunk runs with its defaults (patches at level 9), and the device remembers what it installed; *scanning* is a
device that does not. *Level 19* is a store whose patches were made at `--patch-level 19`. Peers run with their
defaults.
"""

FIGURES = """## What is promised

Measured in one run by `benches/figures/run`, each figure with its reference. Where one is missed, DESIGN.md says why.

"""

SCALING = """## As work grows

![Time and memory of make and extract as the work grows](benchmarks/scaling.svg)

"""

#: The program that tells a tool's version, and how, where that is not as usual.
PROGRAMS = {"zchunk": "zck"}
VERSION = {"xdelta3": "-V", "zsync": "-V", "restic": "version"}

BEGIN = "<!-- begin: written by benches/peers/run -->\n"
END = "<!-- end: written by benches/peers/run -->\n"

README = """MB that a device downloads and seconds of CPU, beside programs that any file server can serve, too; the smallest of a
row in bold. *Next* is the mean over all updates of a set from one version to the next, *far* the way from the first
version to the last; *update* and *publish* are seconds of CPU on the device and for a version. *Pairwise* is the
smallest delta of zstd -19, xdelta3 -9, bsdiff and rdiff, each of which serves one pair of versions only.
[All rows, memory, requests and how to repeat it](docs/BENCHMARKS.md).

"""


def write_all(rows: list, order: list[str], out: Path):
    """Writes docs/BENCHMARKS.md, docs/benchmarks/ and the README's table below `out`; tools in the given order."""
    pages = out / "docs"
    beside = pages / "benchmarks"
    beside.mkdir(parents=True, exist_ok=True)
    write_csv(beside / "updates.csv", rows)
    write_charts(beside, rows, order)
    figures, scaling = beside / "figures.md", beside / "scaling.md"
    tables = Tables(rows, order)
    parts = [HEAD.format(machine=machine(), times=about_times(rows), programs=programs(rows)), tables.page()]
    if figures.exists():
        parts += [FIGURES, figures.read_text()]
    if scaling.exists():
        parts += [SCALING, scaling.read_text()]
    (pages / "BENCHMARKS.md").write_text("\n".join(part.rstrip("\n") + "\n" for part in parts))
    readme = out / "README.md"
    if readme.exists():
        text = readme.read_text()
        before, rest = text.split(BEGIN)
        _, after = rest.split(END)
        readme.write_text(before + BEGIN + README + tables.summary() + END + after)


def write_csv(path: Path, rows: list):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()})


def write_charts(beside: Path, rows: list, order: list[str]):
    charts = [
        ("bytes", "Download of an update to the next version, MB", "MB", lambda row: row["bytes"] / 1e6),
        ("cpu", "CPU of an update to the next version, seconds", "s", lambda row: row["cpu"]),
        ("memory", "Peak memory of an update to the next version, MB", "MB", lambda row: row["peak"] / 1e6),
    ]
    for file, title, unit, value in charts:
        panels = {}
        # What a delta of one pair takes to be applied is not what updates are chosen by; its size is.
        kinds = ("served", "pairwise") if file == "bytes" else ("served",)
        for row in rows:
            if row["kind"] in kinds and int(row["to"][1:]) == int(row["from"][1:]) + 1:
                panels.setdefault(row["set"], {}).setdefault((row["tool"], row["kind"]), []).append(value(row))
        means = {
            name: [
                (tool, statistics.mean(found), colour(tool, kind))
                for (tool, kind), found in sorted(tools.items(), key=lambda item: order.index(item[0][0]))
            ]
            for name, tools in panels.items()
            if not name.startswith("small-")
        }
        description = "Bars, the shorter the better, mean over the updates of each set. " + "; ".join(
            f"{name}: " + ", ".join(f"{tool} {plots.number_text(mean)}" for tool, mean, _ in tools)
            for name, tools in means.items()
        )
        plots.bars(beside / f"{file}.svg", title, description, means, unit)


def colour(tool: str, kind: str) -> str:
    if tool.startswith("chunk"):
        return plots.OWN
    return plots.OTHER if kind == "served" else plots.PAIR


def about_times(rows: list) -> str:
    served = [row for row in rows if row["kind"] == "served" and "patches" not in row["tool"]]
    runs = {row.get("runs", 1) for row in served}
    if min(runs, default=1) > 1:
        return f"CPU, times and memory are medians of {min(runs)} runs, all programs in turn."
    return "CPU and times were taken while the machine did other work, too; only large ratios mean something."


def programs(rows: list) -> str:
    """The programs that rows are of, with what they say of their versions."""
    told = []
    for tool in dict.fromkeys(row["tool"].split()[0].strip(",") for row in rows):
        name = PROGRAMS.get(tool, tool)
        if path := shutil.which(name):
            said = subprocess.run([path, VERSION.get(name, "--version")], capture_output=True, text=True)
            found = re.search(r"\d+(\.\d+)+|(?<=[ v])\d+\b", said.stdout + said.stderr)
            told.append(f"{tool} {found[0]}" if found and said.returncode == 0 else tool)
    return ", ".join(told)


def machine() -> str:
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
    cores = Path("/proc/cpuinfo").read_text().count("processor\t")
    return f"{cores} cores of {model}, Linux {platform.release()}"
