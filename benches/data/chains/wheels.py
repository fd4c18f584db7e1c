"""Releases from PyPI, taken from wheels: a wheel is an archive, fetching it runs no code."""

import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .archive import tar_from_zip
from .shelf import Made, Refused, Shelf

# Independent of the machine that asks: the same wheel everywhere.
PLATFORM = [
    "--platform=manylinux2014_x86_64",
    "--python-version=3.12",
    "--implementation=py",
    "--abi=none",
]


def executables(project: str, member: str, releases: list[str]) -> Callable[..., Iterator[Made]]:
    """A set of the one executable `member` of each release's wheel."""

    def make(into: Path, scratch: Path, _shelf: Shelf) -> Iterator[Made]:
        for number, release in enumerate(releases, start=1):
            target = into / f"v{number}.bin"
            with zipfile.ZipFile(download(project, release, scratch)) as wheel:
                target.write_bytes(wheel.read(script(project, release, member)))
            yield Made(target, [f"{project}={release}"])

    return make


def trees(project: str, releases: list[str]) -> Callable[..., Iterator[Made]]:
    """A set of each release's files as one sorted, uncompressed tar."""

    def make(into: Path, scratch: Path, _shelf: Shelf) -> Iterator[Made]:
        for number, release in enumerate(releases, start=1):
            target = into / f"v{number}.tar"
            tar_from_zip(download(project, release, scratch), target)
            yield Made(target, [f"{project}={release}"])

    return make


def script(project: str, release: str, member: str) -> str:
    """Where a wheel keeps what pip would put on the PATH."""
    return f"{project.replace('-', '_')}-{release}.data/scripts/{member}"


def download(project: str, release: str, scratch: Path) -> Path:
    place = scratch / f"{project}-{release}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", *PLATFORM, f"--dest={place}"]
    subprocess.run([*command, f"{project}=={release}"], check=True)
    found = list(place.glob("*.whl"))
    if len(found) != 1:
        raise Refused(f"{project} {release}: one wheel expected, found {len(found)}")
    return found[0]
