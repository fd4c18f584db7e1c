"""Consecutive kernel packages of one stable series: thousands of relinked, aligned modules."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from .apt import MAIN, SECURITY, UPDATES, Apt
from .archive import tar_from_tar
from .shelf import Made, Shelf

PACKAGE = r"linux-image-6\.1\.0-(\d+)-amd64"
# Debian keeps only the last few; more would not be there the next time.
VERSIONS = 4


def make(into: Path, scratch: Path, _shelf: Shelf) -> Iterator[Made]:
    apt = Apt(scratch / "apt", [MAIN, UPDATES, SECURITY])
    for number, package in enumerate(apt.newest(PACKAGE, VERSIONS), start=1):
        archive = apt.download(package)
        target = into / f"v{number}.tar"
        with open(scratch / "unsorted.tar", "w+b") as unsorted:
            subprocess.run(["dpkg-deb", "--fsys-tarfile", archive], stdout=unsorted, check=True)
            unsorted.seek(0)
            tar_from_tar(unsorted, target)
        yield Made(target, [identity(archive)])


def identity(archive: Path) -> str:
    """`name=version` of a package file."""
    command = ["dpkg-deb", "--show", "--showformat=${Package}=${Version}", str(archive)]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout
