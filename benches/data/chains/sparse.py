"""A disk that is almost all holes: what handling 64 GiB costs when hardly any of it is data.

A partition table at both ends, and in each 4 GiB one region of 8 MiB at an arbitrary page:
in turn noise, text, and zeros that are written, not left out. The second state is the first
after a little use: one region new, one moved, one returned to the file system, two edited.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from . import gpt
from .noise import choose, noise
from .shelf import Made, Shelf

PAGE = 4096
MIB = 1 << 20
GIB = 1 << 30
DISK = 64 * GIB
STRIDE = 4 * GIB
REGION = 8 * MIB
PARTITIONS = [
    gpt.Partition("boot", 1 * MIB, 1 * GIB),
    gpt.Partition("system-a", 1 * GIB, 9 * GIB),
    gpt.Partition("system-b", 9 * GIB, 17 * GIB),
    gpt.Partition("data", 17 * GIB, 64 * GIB - MIB),
]
WORDS = [f"{noise(f'word {index}', 2 + index % 5).hex()} ".encode() for index in range(256)]


@dataclass(frozen=True)
class Region:
    label: str
    kind: str
    offset: int
    edited: bool = False


def make(into: Path, _scratch: Path, _shelf: Shelf) -> Iterator[Made]:
    first = regions()
    for number, state in enumerate((first, used(first)), start=1):
        target = into / f"v{number}.img"
        with open(target, "wb") as disk:
            disk.truncate(DISK)
            gpt.write(disk, DISK, PARTITIONS)
            for region in state:
                disk.seek(region.offset)
                disk.write(content(region))
        yield Made(target, ["generated"])


def regions() -> list[Region]:
    kinds = ("noise", "text", "zeros")
    return [
        Region(f"region {index}", kinds[index % len(kinds)], index * STRIDE + place(index))
        for index in range(DISK // STRIDE)
    ]


def place(index: int) -> int:
    """Behind the first MiB of the stride, and far enough before its end to be moved by 1 GiB."""
    return MIB + PAGE * choose(f"place {index}", (STRIDE - 2 * GIB) // PAGE)


def used(before: list[Region]) -> list[Region]:
    after = list(before)
    after[3] = replace(after[3], label="region 3 anew")
    after[4] = replace(after[4], offset=after[4].offset + GIB)
    after[6] = replace(after[6], edited=True)
    after[7] = replace(after[7], edited=True)
    del after[10]
    return after


def content(region: Region) -> bytes:
    if region.kind == "zeros":
        return bytes(REGION)
    if region.kind == "noise":
        plain = bytearray(noise(region.label, REGION))
    else:
        # A word and its space are 5 bytes at least.
        choices = noise(region.label, REGION // 5 + 1)
        plain = bytearray(b"".join([WORDS[choice] for choice in choices])[:REGION])
    if region.edited:
        for at in range(0, REGION, MIB):
            plain[at : at + 64] = noise(f"{region.label} edit {at}", 64)
    return bytes(plain)
