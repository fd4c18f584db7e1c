"""Three states of one Debian system, as the tars from which its images are made.

A tree depends on what the suites hold at the time and on nothing else: files that are made
while installing get the date of the suites, and files that are new on every run are removed.
"""

import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from .apt import MAIN, SECURITY, UPDATES, Apt
from .shelf import Made, Refused, Shelf

# The kernel's modules make up most of the tree, as they do on many devices.
BASE = ["linux-image-amd64"]
STATES = [
    ([MAIN], BASE),
    ([MAIN, UPDATES, SECURITY], BASE),
    ([MAIN, UPDATES, SECURITY], [*BASE, "nginx-light", "python3", "jq"]),
]

DPKG_STATUS = "./var/lib/dpkg/status"

# From the building host, from the clock, or from the random generator. The initrd would be a
# second copy of the modules, compressed, in an archive that carries the build's times.
FLEETING = [
    "boot/initrd.img*",
    "initrd.img*",
    "etc/hostname",
    "etc/machine-id",
    "etc/resolv.conf",
    "etc/ssh/ssh_host_*",
    "var/cache/debconf/*-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/*-old",
    "var/lib/systemd/random-seed",
]


def make(into: Path, scratch: Path, _shelf: Shelf) -> Iterator[Made]:
    for number, (sources, packages) in enumerate(STATES, start=1):
        target = into / f"v{number}.tar"
        epoch = Apt(scratch / f"apt{number}", sources).released()
        install(target, sources, packages, epoch)
        yield Made(target, installed(target))


def install(target: Path, sources: list[str], packages: list[str], epoch: int) -> None:
    remove = " ".join(f'"$1"/{pattern}' for pattern in FLEETING)
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--architectures=amd64"]
    command += [f"--include={','.join(packages)}"]
    command += [f"--customize-hook=rm -f {remove}"]
    command += ['--customize-hook=find "$1/var/log" -type f -delete']
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch), "LC_ALL": "C.UTF-8"}
    subprocess.run([*command, "bookworm", str(target), *sources], env=environment, check=True)


def installed(tree: Path) -> list[str]:
    """`name=version` of every package, as the tree itself says."""
    with tarfile.open(tree) as archive:
        status = archive.extractfile(DPKG_STATUS)
        if status is None:
            raise Refused(f"{tree}: {DPKG_STATUS} is no regular file")
        paragraphs = status.read().decode().strip().split("\n\n")
    fields = (dict(lines_with_values(paragraph)) for paragraph in paragraphs)
    return sorted(f"{field['Package']}={field['Version']}" for field in fields)


def lines_with_values(paragraph: str) -> Iterator[tuple[str, str]]:
    for line in paragraph.splitlines():
        name, colon, value = line.partition(": ")
        if colon and not name.startswith(" "):
            yield name, value
