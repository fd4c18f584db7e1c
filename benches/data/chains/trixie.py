"""Image builders of one known version, the same on every host.

Bookworm's mke2fs 1.47.0 reads no tar and takes the clock for the superblock; trixie's 1.47.2
reads one and honours SOURCE_DATE_EPOCH. The packages are only unpacked and started through
their own dynamic linker: neither root nor a chroot is needed, and nothing is installed.
"""

import gzip
import os
import subprocess
from pathlib import Path
from typing import BinaryIO

SUITE = "trixie"
MIRROR = "http://deb.debian.org/debian"
# mke2fs loads libarchive at run time, so no dependency pulls it in.
PACKAGES = ["e2fsprogs", "libarchive13t64", "squashfs-tools", "erofs-utils"]


class Tools:
    def __init__(self, home: Path) -> None:
        self._home = home
        command = ["mmdebstrap", "--quiet", "--variant=extract", "--architectures=amd64"]
        command += [f"--include={','.join(PACKAGES)}", SUITE, str(home), MIRROR]
        subprocess.run(command, check=True)

    def run(self, program: str, *arguments: str, epoch: int, stdin: BinaryIO | None = None) -> None:
        """Runs one of the tools, quietly, with `epoch` for its clock."""
        library = self._home / "usr/lib/x86_64-linux-gnu"
        linker = library / "ld-linux-x86-64.so.2"
        environment = {
            **os.environ,
            "SOURCE_DATE_EPOCH": str(epoch),
            "MKE2FS_CONFIG": str(self._home / "etc/mke2fs.conf"),
        }
        subprocess.run(
            [linker, "--library-path", library, self._home / "usr" / program, *arguments],
            env=environment,
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def identity(self, package: str) -> str:
        """`name=version` of one of the packages, by its own changelog."""
        changelog = self._home / f"usr/share/doc/{package}/changelog.Debian.gz"
        with gzip.open(changelog, "rt", encoding="utf-8") as lines:
            name, version = next(lines).split()[:2]
        return f"{name}={version.strip('()')}"
