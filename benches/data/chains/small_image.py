"""A small volume that is updated in place, with no tool but this one.

Like a file system that has been used, and unlike the Debian images, which are written afresh:
unchanged files keep their blocks, a new file takes the first gap it fits in before the old one
is freed, and freed blocks keep their stale bytes.
"""

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

from .archive import members_of_zip
from .shelf import Made, Refused, Shelf
from .wheels import download

PROJECT = "Pygments"
RELEASES = ["2.17.2", "2.18.0", "2.19.1"]

BLOCK = 4096
BLOCKS = 2048
# name, first block, length; one fixed place per file, as an inode has.
RECORD = struct.Struct("<120sII")
TABLE_BLOCKS = 16
RECORDS = TABLE_BLOCKS * BLOCK // RECORD.size


def make(into: Path, scratch: Path, _shelf: Shelf) -> Iterator[Made]:
    volume = Volume()
    for number, release in enumerate(RELEASES, start=1):
        with zipfile.ZipFile(download(PROJECT, release, scratch)) as wheel:
            volume.update({name: content for name, content, _ in members_of_zip(wheel)})
        target = into / f"v{number}.img"
        target.write_bytes(volume.image)
        yield Made(target, [f"{PROJECT}={release}"])


class Volume:
    def __init__(self) -> None:
        self.image = bytearray(BLOCK * BLOCKS)
        self._free = [False] * TABLE_BLOCKS + [True] * (BLOCKS - TABLE_BLOCKS)
        # By name: the file's record, first block and content.
        self._files: dict[str, tuple[int, int, bytes]] = {}

    def update(self, files: dict[str, bytes]) -> None:
        for name in sorted(self._files.keys() - files.keys()):
            record, start, content = self._files.pop(name)
            self._mark(start, content, free=True)
            self._record(record, bytes(RECORD.size))
        for name, content in files.items():
            old = self._files.get(name)
            if old is not None and old[2] == content:
                continue
            record = old[0] if old is not None else self._vacant_record()
            start = self._place(content)
            self._files[name] = record, start, content
            self._record(record, RECORD.pack(name.encode(), start, len(content)))
            if old is not None:
                self._mark(old[1], old[2], free=True)

    def _place(self, content: bytes) -> int:
        """Writes into the first gap that is long enough; the last block's rest becomes zeros."""
        length = blocks(content)
        run = 0
        for block, free in enumerate(self._free):
            run = run + 1 if free else 0
            if run == length:
                start = block + 1 - length
                padded = content.ljust(length * BLOCK, b"\0")
                self.image[start * BLOCK : (start + length) * BLOCK] = padded
                self._mark(start, content, free=False)
                return start
        raise Refused(f"the small volume has no gap of {length} blocks")

    def _mark(self, start: int, content: bytes, *, free: bool) -> None:
        length = blocks(content)
        self._free[start : start + length] = [free] * length

    def _vacant_record(self) -> int:
        taken = {record for record, _, _ in self._files.values()}
        return next(record for record in range(RECORDS) if record not in taken)

    def _record(self, record: int, packed: bytes) -> None:
        self.image[record * RECORD.size : (record + 1) * RECORD.size] = packed


def blocks(content: bytes) -> int:
    """Even an empty file owns a block, so that every file has a place."""
    return max(1, -(-len(content) // BLOCK))
