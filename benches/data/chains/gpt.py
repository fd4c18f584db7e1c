"""A GUID partition table, both copies of it, as UEFI 2.10 chapter 5 lays it out."""

import struct
import uuid
import zlib
from dataclasses import dataclass
from typing import BinaryIO

SECTOR = 512
ENTRIES = 128
ENTRY_BYTES = 128
TABLE_SECTORS = ENTRIES * ENTRY_BYTES // SECTOR
LINUX_DATA = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


@dataclass(frozen=True)
class Partition:
    name: str
    start: int
    end: int


def write(disk: BinaryIO, disk_bytes: int, partitions: list[Partition]) -> None:
    last = disk_bytes // SECTOR - 1
    table = b"".join(entry(partition) for partition in partitions)
    table = table.ljust(ENTRIES * ENTRY_BYTES, b"\0")
    put(disk, 0, protective_record(last))
    put(disk, 1, header(table, here=1, other=last, table_at=2, last=last))
    put(disk, 2, table)
    put(disk, last - TABLE_SECTORS, table)
    put(disk, last, header(table, here=last, other=1, table_at=last - TABLE_SECTORS, last=last))


def put(disk: BinaryIO, sector: int, content: bytes) -> None:
    disk.seek(sector * SECTOR)
    disk.write(content)


def protective_record(last: int) -> bytes:
    """The old-style record that keeps tools without GPT from seeing an empty disk."""
    sectors = min(last, 0xFFFF_FFFF)
    whole_disk = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1, sectors)
    return whole_disk.rjust(446 + 16, b"\0").ljust(510, b"\0") + b"\x55\xaa"


def header(table: bytes, *, here: int, other: int, table_at: int, last: int) -> bytes:
    def packed(checksum: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII",
            b"EFI PART",
            0x0001_0000,
            92,
            checksum,
            0,
            here,
            other,
            2 + TABLE_SECTORS,
            last - TABLE_SECTORS - 1,
            unique("disk").bytes_le,
            table_at,
            ENTRIES,
            ENTRY_BYTES,
            zlib.crc32(table),
        )

    return packed(zlib.crc32(packed(0))).ljust(SECTOR, b"\0")


def entry(partition: Partition) -> bytes:
    return struct.pack(
        "<16s16sQQQ72s",
        LINUX_DATA.bytes_le,
        unique(partition.name).bytes_le,
        partition.start // SECTOR,
        partition.end // SECTOR - 1,
        0,
        partition.name.encode("utf-16-le"),
    )


def unique(name: str) -> uuid.UUID:
    """The same for every build: a disk that is updated keeps its identifiers."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"bench disk {name}")
