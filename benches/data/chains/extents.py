"""Reading files that are mostly holes: holes come from memory, only data from the file."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

BLOCK = 1 << 20
ZEROS = bytes(BLOCK)


def blocks_of(path: Path) -> Iterator[bytes]:
    """The whole content, in order, in pieces of at most BLOCK bytes."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        at = 0
        while at < size:
            data, end = next_data(file.fileno(), at, size)
            yield from zeros(data - at)
            file.seek(data)
            while data < end:
                block = file.read(min(BLOCK, end - data))
                if not block:
                    raise OSError(f"{path} shrank while it was read")
                data += len(block)
                yield block
            at = end


def next_data(descriptor: int, at: int, size: int) -> tuple[int, int]:
    """The next stretch of data at or after `at`; an empty one at the end if only holes follow."""
    try:
        start = os.lseek(descriptor, at, os.SEEK_DATA)
    except OSError as failure:
        if failure.errno == errno.ENXIO:
            return size, size
        raise
    return start, os.lseek(descriptor, start, os.SEEK_HOLE)


def zeros(length: int) -> Iterator[bytes]:
    while length > 0:
        yield ZEROS[:length]
        length -= BLOCK
