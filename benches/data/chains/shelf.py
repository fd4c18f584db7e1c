"""Where finished sets live, and the only way for a set to get there.

A set is built in a directory of its own and renamed into place with its manifest inside, so a
set that can be seen is complete; what a killed build leaves behind is thrown away by the next.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .extents import blocks_of

MANIFEST = "manifest.tsv"
HEADER = "file\tbytes\tsha256\tmade from\n"


class Refused(Exception):
    """A set cannot be built here, or came out differently than promised."""


@dataclass(frozen=True)
class Made:
    """One version of a set: a file in the set's directory, and what went into it."""

    file: Path
    sources: list[str]


@dataclass(frozen=True)
class Chain:
    """A set: consecutive versions of one thing, oldest first."""

    name: str
    about: str
    #: Writes the versions into the given directory; it may use the second one as scratch space.
    make: Callable[[Path, Path, "Shelf"], Iterator[Made]]
    #: Sets that must be on the shelf first.
    needs: tuple[str, ...] = ()


class Shelf:
    def __init__(self, root: Path, pinned: Path) -> None:
        self.root = root
        self._pinned = pinned

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second builder out: both would write the same temporary directories."""
        self.root.mkdir(parents=True, exist_ok=True)
        with open(self.root / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def has(self, name: str) -> bool:
        return (self.root / name / MANIFEST).is_file()

    def versions(self, name: str) -> Iterator[tuple[Path, str]]:
        """The files of a finished set, oldest first, each with words that identify it."""
        for line in (self.root / name / MANIFEST).read_text().splitlines()[1:]:
            file, _size, digest, _sources = line.split("\t")
            yield self.root / name / file, f"{name}/{file}=sha256:{digest[:16]}"

    def provide(self, chain: Chain) -> None:
        if self.has(chain.name):
            print(f"{chain.name}: already built")
            return
        finished = self.root / chain.name
        if finished.exists():
            raise Refused(f"{finished} exists without a manifest; it was not made here")
        with self._built(chain) as built:
            built.rename(finished)
        print(f"{chain.name}: done")

    def check(self, chain: Chain) -> None:
        """Builds a finished set once more and refuses any difference."""
        if not self.has(chain.name):
            raise Refused(f"{chain.name}: not built yet, nothing to compare with")
        expected = (self.root / chain.name / MANIFEST).read_text()
        with self._built(chain) as built:
            compare(chain.name, expected, (built / MANIFEST).read_text())
        print(f"{chain.name}: the same bytes again")

    @contextmanager
    def _built(self, chain: Chain) -> Iterator[Path]:
        partial = self.root / f".{chain.name}.partial"
        discard(partial)
        into, scratch = partial / chain.name, partial / "scratch"
        into.mkdir(parents=True)
        scratch.mkdir()
        start = time.monotonic()
        lines = [HEADER]
        for made in chain.make(into, scratch, self):
            lines.append(describe(made))
            took = time.monotonic() - start
            print(f"{chain.name}: {lines[-1].split(chr(9))[0]} after {took:.0f} s", flush=True)
        manifest = "".join(lines)
        pin = self._pinned / f"{chain.name}.tsv"
        if pin.is_file():
            compare(chain.name, pin.read_text(), manifest)
        (into / MANIFEST).write_text(manifest)
        yield into
        discard(partial)


def describe(made: Made) -> str:
    digest = hashlib.sha256()
    for block in blocks_of(made.file):
        digest.update(block)
    size = made.file.stat().st_size
    return f"{made.file.name}\t{size}\t{digest.hexdigest()}\t{' '.join(made.sources)}\n"


def compare(name: str, expected: str, actual: str) -> None:
    expected_lines, actual_lines = expected.splitlines(), actual.splitlines()
    for want, got in zip(expected_lines, actual_lines):
        if want != got:
            raise Refused(f"{name} came out differently:\n  expected {want}\n  actual   {got}")
    if len(expected_lines) != len(actual_lines):
        raise Refused(
            f"{name}: {len(expected_lines) - 1} versions expected, {len(actual_lines) - 1} built"
        )


def discard(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)
