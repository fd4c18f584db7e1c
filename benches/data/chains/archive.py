"""Archives that depend on their members alone: sorted by name, no owners, no times."""

import tarfile
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from .shelf import Refused


def tar_from_tar(source: BinaryIO, target: Path) -> None:
    """Rewrites a seekable tar; without hard links, as sorting may put one before its target."""
    with tarfile.open(fileobj=source, mode="r:") as old, create(target) as new:
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            if member.islnk():
                raise Refused(f"{member.name} is a hard link; a sorted tar cannot hold it")
            content = old.extractfile(member) if member.isreg() else None
            new.addfile(settled(member, member.mode), content)


def tar_from_zip(source: Path, target: Path) -> None:
    with zipfile.ZipFile(source) as old, create(target) as new:
        for name, content, mode in members_of_zip(old):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            new.addfile(settled(member, mode), BytesIO(content))


def members_of_zip(archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes, int]]:
    """Name, content and mode of every file, sorted by name."""
    for entry in sorted(archive.infolist(), key=lambda entry: entry.filename):
        if not entry.is_dir():
            executable = entry.external_attr >> 16 & 0o100
            yield entry.filename, archive.read(entry), 0o755 if executable else 0o644


def create(target: Path) -> tarfile.TarFile:
    return tarfile.open(target, mode="w", format=tarfile.GNU_FORMAT)


def settled(member: tarfile.TarInfo, mode: int) -> tarfile.TarInfo:
    return member.replace(
        mtime=0, mode=mode, uid=0, gid=0, uname="", gname="", deep=False
    )
