"""Images that grow: what they hold depends on nothing but their names."""

import os
import random
from pathlib import Path

MIB = 1 << 20
GIB = 1 << 30
PAGE = 4096
WORDS = [f"{hash:07x} ".encode() for hash in random.Random("words").sample(range(1 << 28), 256)]


def noise(name: str, count: int) -> bytes:
    return random.Random(name).randbytes(count)


def text(name: str, count: int) -> bytes:
    """Words of seven letters, so that there is something to compress."""
    return b"".join([WORDS[choice] for choice in noise(name, count // 8 + 1)])[:count]


def sparse(path: Path, size: int, version: int):
    """Data in a 64th of the image, in pieces of a MiB, holes between; of each 16th piece, a page is the version's."""
    with path.open("wb") as image:
        image.truncate(size)
        for number in range(size // (64 * MIB)):
            make = noise if number % 2 else text
            piece = bytearray(make(f"piece {number}", MIB))
            if number % 16 == 0:
                piece[PAGE : 2 * PAGE] = noise(f"piece {number} in version {version}", PAGE)
            image.seek(number * 64 * MIB)
            image.write(piece)


class Volume:
    """A small image of which each version changes 64 pages in eight places."""

    def __init__(self, size: int):
        self.bytes = bytearray(text("volume", size // 2) + noise("volume", size // 2))

    def change(self, version: int):
        chooser = random.Random(f"version {version}")
        for _ in range(8):
            at = chooser.randrange(len(self.bytes) // PAGE - 8) * PAGE
            self.bytes[at : at + 8 * PAGE] = chooser.randbytes(8 * PAGE)


def repeated(size: int):
    """An image without end of data: the same 64 MiB again and again, with 16 pages changed each time."""
    whole = noise("repeated", 64 * MIB)
    for number in range(size // len(whole)):
        piece = bytearray(whole)
        chooser = random.Random(f"round {number}")
        for _ in range(16):
            at = chooser.randrange(len(whole) // PAGE) * PAGE
            piece[at : at + PAGE] = chooser.randbytes(PAGE)
        yield piece


def same(one: Path, other: Path) -> bool:
    """Whether two files hold the same; what is a hole in both is not read."""
    with one.open("rb") as a, other.open("rb") as b:
        if os.fstat(a.fileno()).st_size != os.fstat(b.fileno()).st_size:
            return False
        places = {place for file in (a, b) for place in data(file.fileno())}
        return all(os.pread(a.fileno(), MIB, at) == os.pread(b.fileno(), MIB, at) for at in places)


def data(file: int):
    """Offsets of the aligned MiB of a file that are not holes."""
    at, end = 0, os.fstat(file).st_size
    while at < end:
        try:
            start = os.lseek(file, at, os.SEEK_DATA)
        except OSError:
            return
        stop = os.lseek(file, start, os.SEEK_HOLE)
        yield from range(start // MIB * MIB, stop, MIB)
        at = stop
