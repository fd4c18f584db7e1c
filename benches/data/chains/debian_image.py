"""The Debian trees as file-system images; nothing random, nothing from the clock.

All versions share one UUID and hash seed, as the images of a product do: a fresh seed would
reorder every directory and charge the updater for the builder's dice.
"""

import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .shelf import Made, Shelf
from .trixie import Tools

UUID = "7b0c2f4e-5f0d-4c6f-9a53-1d1f0e6a2b9c"
HASH_SEED = "c1a7e9d2-3b64-4f58-8e0a-6d9f2b7c4e15"
EXT4_BYTES = 1 << 30


def images(
    extension: str, package: str, write: Callable[[Tools, Path, Path, int], None]
) -> Callable[..., Iterator[Made]]:
    """A set of one image per tree, written by a tool of `package`."""

    def make(into: Path, scratch: Path, shelf: Shelf) -> Iterator[Made]:
        tools = Tools(scratch / "tools")
        for tree, identity in shelf.versions("debian-tree"):
            target = into / f"{tree.stem}.{extension}"
            write(tools, tree, target, newest_time(tree))
            yield Made(target, [identity, tools.identity(package)])

    return make


def write_ext4(tools: Tools, tree: Path, target: Path, epoch: int) -> None:
    with open(target, "wb") as image:
        image.truncate(EXT4_BYTES)
    # Tables and journal are written now, not by the first kernel that mounts the image.
    extended = f"hash_seed={HASH_SEED},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0"
    options = ["-q", "-F", "-t", "ext4", "-U", UUID, "-E", extended, "-d", str(tree)]
    tools.run("sbin/mke2fs", *options, str(target), epoch=epoch)


def write_squashfs(tools: Tools, tree: Path, target: Path, epoch: int) -> None:
    options = ["-tar", "-comp", "zstd", "-reproducible", "-no-progress", "-quiet"]
    # The tar's own entry for the root has no name left once "./" is skipped, and is ignored.
    options += ["-root-mode", "0755", "-root-uid", "0", "-root-gid", "0"]
    with open(tree, "rb") as archive:
        tools.run("bin/mksquashfs", "-", str(target), *options, epoch=epoch, stdin=archive)


def write_erofs(tools: Tools, tree: Path, target: Path, epoch: int) -> None:
    options = ["--quiet", "--tar=f", f"-T{epoch}", "--mkfs-time", "-U", UUID]
    tools.run("bin/mkfs.erofs", *options, str(target), str(tree), epoch=epoch)


def newest_time(tree: Path) -> int:
    """The date of the suites: files made while installing carry it, and nothing is younger."""
    with tarfile.open(tree) as archive:
        return max(int(member.mtime) for member in archive)


ext4 = images("ext4", "e2fsprogs", write_ext4)
squashfs = images("squashfs", "squashfs-tools", write_squashfs)
erofs = images("erofs", "erofs-utils", write_erofs)
