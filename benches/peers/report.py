"""Rows of measurements as a table for people and one for programs."""

import csv
import platform
from pathlib import Path

COLUMNS = [
    "set", "from", "to", "peer", "bytes", "requests", "cpu", "seconds", "peak", "publish_cpu", "link_seconds",
]

HEAD = """# Benchmarks

Written by `benches/peers/run`; the same command writes it again. Data: `benches/data/build`.
Machine: {machine}.

Bytes are all that nginx sent for one update, headers and indexes included. *Best* is the smallest of the peers.
A ratio below 1 means that chunk needs less. CPU and memory are those of the updating process.
"""


def write_csv(path: Path, rows: list):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def write_page(path: Path, rows: list):
    peers = list(dict.fromkeys(row["peer"] for row in rows))
    updates = list(dict.fromkeys((row["set"], row["from"], row["to"]) for row in rows))
    found = {(row["set"], row["from"], row["to"], row["peer"]): row for row in rows}
    others = [peer for peer in peers if not peer.startswith("chunk")]
    lines = [HEAD.format(machine=machine())]

    def table(title, cell, value, with_ratio=True):
        lines.append(f"## {title}\n")
        ratio = ["chunk ÷ best"] if with_ratio and others else []
        lines.append("| update | " + " | ".join(peers + ratio) + " |")
        lines.append("|---|" + "---:|" * (len(peers) + len(ratio)))
        for update in updates:
            here = {peer: found.get((*update, peer)) for peer in peers}
            cells = [cell(here[peer]) if here[peer] else "–" for peer in peers]
            if ratio:
                best = min((value(here[peer]) for peer in others if here[peer]), default=None)
                own = here.get("chunk")
                cells.append(f"{value(own) / best:.2f}" if own and best else "–")
            lines.append(f"| {update[0]} {update[1]}→{update[2]} | " + " | ".join(cells) + " |")
        lines.append("")

    table("Bytes of one update, MB", lambda row: f"{row['bytes'] / 1e6:.2f}", lambda row: row["bytes"])
    table("Requests", lambda row: str(row["requests"]), lambda row: row["requests"])
    table("CPU seconds", lambda row: f"{row['cpu']:.2f}", lambda row: row["cpu"])
    table("Peak memory, MB", lambda row: f"{row['peak'] / 1e6:.0f}", lambda row: row["peak"])
    if any("link_seconds" in row for row in rows):
        lines.append("## Over a link of 20 Mbit/s with a round trip of 50 ms\n")
        lines.append("| update | seconds | bytes ÷ rate | seconds allowed: 1.2 × that + 10 round trips |")
        lines.append("|---|---:|---:|---:|")
        for row in rows:
            if "link_seconds" in row:
                needed = row["bytes"] / 2.5e6
                lines.append(
                    f"| {row['set']} {row['from']}→{row['to']} ({row['peer']}) | {row['link_seconds']:.2f} "
                    f"| {needed:.2f} | {1.2 * needed + 0.5:.2f} |"
                )
        lines.append("")
    path.write_text("\n".join(lines))


def machine() -> str:
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
    cores = Path("/proc/cpuinfo").read_text().count("processor\t")
    return f"{cores} cores of {model}, Linux {platform.release()}"
