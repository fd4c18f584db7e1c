"""Tables of Markdown from rows of measurements."""

import statistics

from plots import number_text

#: What is asked of patches at level 19, beside the smallest pairwise delta: between neighbours, and from first to last.
NEAR, FAR = (1.10, 16 << 10), (1.35, 32 << 10)
#: What is asked of relinked programs, beside bsdiff.
NEAR_PROGRAM, FAR_PROGRAM = 0.45, 0.65
PROGRAMS = ("binary", "small-binary")


def megabytes(row: dict) -> str:
    return number_text(row["bytes"] / 1e6)


class Tables:
    """Of rows, and the names of all tools in the order of columns."""

    def __init__(self, rows: list, order: list[str]):
        self.rows = rows
        self.order = order
        self.updates = list(dict.fromkeys((row["set"], row["from"], row["to"]) for row in rows))
        self.found = {(row["set"], row["from"], row["to"], row["tool"]): row for row in rows}

    def tools(self, kind: str) -> list[str]:
        known = {row["tool"] for row in self.rows if row["kind"] == kind}
        return [tool for tool in self.order if tool in known]

    def peers(self) -> list[str]:
        return [tool for tool in self.tools("served") if not tool.startswith("chunk")]

    def page(self) -> str:
        timed = [tool for tool in self.tools("served") if "patches" not in tool]
        parts = [
            "![Bytes of an update by tool](benchmarks/bytes.svg)\n",
            self.table("Bytes of one update, MB", self.tools("served"), megabytes, lambda row: row["bytes"]),
            self.pairwise(),
            self.repositories(),
            self.table("Requests", timed, lambda row: str(row["requests"]), lambda row: row["requests"]),
            "![CPU of an update by tool](benchmarks/cpu.svg)\n",
            self.table("CPU of one update, seconds", timed, lambda row: f"{row['cpu']:.2f}", lambda row: row["cpu"]),
            "![Peak memory of an update by tool](benchmarks/memory.svg)\n",
            self.table(
                "Peak memory of one update, MB", timed, lambda row: f"{row['peak'] / 1e6:.0f}", lambda row: row["peak"]
            ),
            self.publishing(),
            self.link(),
        ]
        return "\n".join(part for part in parts if part)

    def table(self, title, tools, cell, value) -> str:
        lines = [f"## {title}\n", "| update | " + " | ".join(tools) + " | chunk ÷ best |"]
        lines.append("|---|" + "---:|" * (len(tools) + 1))
        for update in self.updates:
            here = {tool: self.found.get((*update, tool)) for tool in tools}
            best = min((value(here[peer]) for peer in self.peers() if here.get(peer)), default=None)
            cells = [cell(row) if row else "–" for row in here.values()]
            cells.append(f"{value(here['chunk']) / best:.2f}" if here.get("chunk") and best else "–")
            lines.append(f"| {name(update)} | " + " | ".join(cells) + " |")
        return "\n".join([*lines, ""])

    def pairwise(self) -> str:
        """Each update beside what a delta made for this pair alone takes, and what is asked of chunk."""
        tools, highest = self.tools("pairwise"), "chunk, patches at level 19"
        if not tools:
            return ""
        lines = [
            "## Beside deltas of one pair, MB\n",
            "Each of these tools needs one run and one file for each pair of versions that a device may ask for. Asked of",
            "chunk at level 19: at most 1.10 × the smallest and 16 KiB more between neighbours, 1.35 × and 32 KiB from first",
            "to last; for programs 0.45 × and 0.65 × bsdiff instead. Where no patches of level 19 were made, for they take",
            "many minutes of CPU, the default is held to that. A dash: not measured, for bsdiff also where it needs more than",
            "8 GB or 15 minutes of CPU.\n",
            "| update | chunk | level 19 | " + " | ".join(tools) + " | chunk ÷ smallest | asked, MB | met |",
            "|---|" + "---:|" * (len(tools) + 4) + "---|",
        ]
        for update in self.updates:
            deltas = {tool: self.found.get((*update, tool)) for tool in tools}
            known = [row["bytes"] for tool, row in deltas.items() if row]
            own, high = self.found.get((*update, "chunk")), self.found.get((*update, highest))
            if not known or not own:
                continue
            best_own = high or own
            asked = self.asked(update, min(known), deltas.get("bsdiff"))
            cells = [megabytes(row) if row else "–" for row in (own, high)]
            cells += [megabytes(row) if row else "–" for row in deltas.values()]
            cells += [f"{best_own['bytes'] / min(known):.2f}", f"{asked / 1e6:.2f}"]
            cells += ["yes" if best_own["bytes"] <= asked else "**no**"]
            lines.append(f"| {name(update)} | " + " | ".join(cells) + " |")
        return "\n".join([*lines, ""])

    def asked(self, update, smallest: int, bsdiff: dict | None) -> float:
        near = is_near(update)
        if update[0] in PROGRAMS and bsdiff:
            return bsdiff["bytes"] * (NEAR_PROGRAM if near else FAR_PROGRAM)
        factor, more = NEAR if near else FAR
        return smallest * factor + more

    def repositories(self) -> str:
        tools = self.tools("repositories")
        if not tools:
            return ""
        lines = [
            "## Beside backup repositories, MB\n",
            "A repository in a local directory that holds the old version gets the new one. *Added* is what the repository",
            "grows by, which a backup sends; *read* is what restoring the new version reads from it, as strace counts it:",
            "these programs have no seeds, so a restore reads all of a version. borg compresses with zstd 6, restic at `max`.\n",
            "| update | chunk, downloaded | " + " | ".join(f"{tool}, added | {tool}, read" for tool in tools) + " |",
            "|---|---:|" + "---:|" * (2 * len(tools)),
        ]
        for update in self.updates:
            here = [self.found.get((*update, tool)) for tool in tools]
            own = self.found.get((*update, "chunk"))
            if own and any(here):
                cells = [f"{row['added'] / 1e6:.2f} | {row['bytes'] / 1e6:.2f}" if row else "– | –" for row in here]
                lines.append(f"| {name(update)} | {megabytes(own)} | " + " | ".join(cells) + " |")
        return "\n".join([*lines, ""])

    def publishing(self) -> str:
        tools = [tool for tool in self.tools("served") if tool != "chunk, scanning"]
        values = [
            ("CPU s", lambda row: f"{row['publish_cpu']:.1f}"),
            ("peak MB", lambda row: f"{row['publish_peak'] / 1e6:.0f}"),
            ("store MB", lambda row: f"{row['site'] / 1e6:.0f}"),
        ]
        lines = [
            "## Publishing\n",
            "CPU seconds for one version of a set (the mean), peak memory, and what is stored for all versions. chunk makes",
            "patches at the same time.\n",
            "| set | | " + " | ".join(tools) + " |",
            "|---|---|" + "---:|" * len(tools),
        ]
        for one in dict.fromkeys(row["set"] for row in self.rows):
            rows = [next((row for row in self.rows if row["set"] == one and row["tool"] == tool), None) for tool in tools]
            for what, cell in values:
                lines.append(f"| {one} | {what} | " + " | ".join(cell(row) if row else "–" for row in rows) + " |")
        return "\n".join([*lines, ""])

    def link(self) -> str:
        rows = [row for row in self.rows if "link_seconds" in row]
        if not rows:
            return ""
        lines = [
            "## Over a link of 20 Mbit/s with a round trip of 50 ms\n",
            "| update | seconds | bytes ÷ rate | seconds asked: 1.2 × that + 10 round trips | met |",
            "|---|---:|---:|---:|---|",
        ]
        for row in rows:
            needed = row["bytes"] / 2.5e6
            asked = 1.2 * needed + 0.5
            met = "yes" if row["link_seconds"] <= asked else "**no**"
            update = name((row["set"], row["from"], row["to"]))
            lines.append(f"| {update} | {row['link_seconds']:.2f} | {needed:.2f} | {asked:.2f} | {met} |")
        return "\n".join([*lines, ""])

    def summary(self) -> str:
        """The README's: means over each set."""
        peers = self.peers()
        lines = [
            "| set | | chunk | " + " | ".join(peers) + " | pairwise |",
            "|---|---|" + "---:|" * (len(peers) + 2),
        ]
        for one in dict.fromkeys(row["set"] for row in self.rows):
            if one.startswith("small-"):
                continue
            for what, near, field, scale, digits in [
                ("next, MB", True, "bytes", 1e6, 2),
                ("far, MB", False, "bytes", 1e6, 2),
                ("update, CPU s", True, "cpu", 1, 2),
                ("publish, CPU s", True, "publish_cpu", 1, 1),
            ]:
                updates = [update for update in self.updates if update[0] == one and is_near(update) == near]
                values = [self.mean(updates, tool, field) for tool in ["chunk", *peers]]
                if values[0] is None:
                    continue
                values.append(self.smallest_delta(updates) if field == "bytes" else None)
                known = [value for value in values if value is not None]
                best = min(known) if len(known) > 1 else None
                texts = ["–" if value is None else f"{value / scale:.{digits}f}" for value in values]
                texts = [f"**{text}**" if value and value == best else text for text, value in zip(texts, values)]
                lines.append(f"| {one} | {what} | " + " | ".join(texts) + " |")
        return "\n".join([*lines, ""])

    def mean(self, updates, tool, field) -> float | None:
        """None if the tool failed at any of them."""
        rows = [self.found.get((*update, tool)) for update in updates]
        return statistics.mean(row[field] for row in rows) if rows and all(rows) else None

    def smallest_delta(self, updates) -> float | None:
        smallest = []
        for update in updates:
            rows = [self.found.get((*update, tool)) for tool in self.tools("pairwise")]
            smallest.append(min((row["bytes"] for row in rows if row), default=None))
        return statistics.mean(smallest) if smallest and None not in smallest else None


def is_near(update) -> bool:
    return int(update[2][1:]) == int(update[1][1:]) + 1


def name(update) -> str:
    return f"{update[0]} {update[1][1:]}→{update[2][1:]}"
