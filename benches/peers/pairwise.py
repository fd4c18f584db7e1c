"""Tools that make a delta from one image to one other: references for bytes, not ways to serve any version.

A publisher needs one run for each pair that a device may ask for; `chunk` is held against the smallest of them.
"""

from pathlib import Path

from measure import Failed, measured, same


class Pairwise:
    """A tool. Commands are lists of words; the delta is what a device would download."""

    name = ""
    programs = ()
    #: Larger images are left out.
    largest = 1 << 40

    def make(self, old: Path, new: Path, delta: Path) -> list:
        raise NotImplementedError

    def apply(self, old: Path, delta: Path, target: Path) -> list:
        raise NotImplementedError


class Zstd(Pairwise):
    name = "zstd -19 --patch-from"
    programs = ("zstd",)

    def make(self, old, new, delta):
        return [["zstd", "-q", "-f", "-19", "--long=31", f"--patch-from={old}", new, "-o", delta]]

    def apply(self, old, delta, target):
        return [["zstd", "-q", "-d", "--long=31", f"--patch-from={old}", delta, "-o", target]]


class Xdelta(Pairwise):
    name = "xdelta3 -9"
    programs = ("xdelta3",)

    def make(self, old, new, delta):
        return [["xdelta3", "-q", "-f", "-9", "-B", 1 << 30, "-e", "-s", old, new, delta]]

    def apply(self, old, delta, target):
        return [["xdelta3", "-q", "-B", 1 << 30, "-d", "-s", old, delta, target]]


class Bsdiff(Pairwise):
    name = "bsdiff"
    programs = ("bsdiff", "bspatch", "prlimit")
    # It takes 17 times the image in memory, and for long zeros, as images have them, time without bound.
    largest = 500_000_000
    patience = 900

    def make(self, old, new, delta):
        return [["prlimit", f"--cpu={self.patience}", "bsdiff", old, new, delta]]

    def apply(self, old, delta, target):
        return [["bspatch", old, target, delta]]


class Rdiff(Pairwise):
    """Its delta is not compressed, so that is done for it; the signature is the publisher's and not counted."""

    name = "rdiff + zstd -19"
    programs = ("rdiff", "zstd")

    def make(self, old, new, delta):
        signature, plain = delta.with_suffix(".signature"), delta.with_suffix(".plain")
        return [
            ["rdiff", "-f", "-b", 1024, "signature", old, signature],
            ["rdiff", "-f", "delta", signature, new, plain],
            ["zstd", "-q", "-f", "-19", "--long=31", plain, "-o", delta],
        ]

    def apply(self, old, delta, target):
        plain = delta.with_suffix(".plain")
        return [
            ["zstd", "-q", "-f", "-d", "--long=31", delta, "-o", plain],
            ["rdiff", "patch", old, plain, target],
        ]


TOOLS = [Zstd(), Xdelta(), Bsdiff(), Rdiff()]


def measure(tool: Pairwise, old: Path, new: Path, work: Path) -> dict:
    """Makes a delta, applies it, and compares."""
    delta, target = work / "delta", work / "target"
    making = [measured(command) for command in tool.make(old, new, delta)]
    applying = [measured(command) for command in tool.apply(old, delta, target)]
    if not same(target, new):
        raise Failed(f"{tool.name} did not make {new}")
    return {
        "bytes": delta.stat().st_size,
        "cpu": sum(run.cpu for run in applying),
        "seconds": sum(run.seconds for run in applying),
        "peak": max(run.peak for run in applying),
        "publish_cpu": sum(run.cpu for run in making),
        "publish_peak": max(run.peak for run in making),
    }
