"""Debian packages by a private apt: its suites are fixed here, whatever the host runs."""

import os
import re
import subprocess
from email.utils import parsedate_to_datetime
from pathlib import Path

from .shelf import Refused

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MAIN = f"deb [signed-by={KEYRING}] http://deb.debian.org/debian bookworm main"
UPDATES = f"deb [signed-by={KEYRING}] http://deb.debian.org/debian bookworm-updates main"
SECURITY = (
    f"deb [signed-by={KEYRING}] http://deb.debian.org/debian-security bookworm-security main"
)


class Apt:
    """Package lists and downloads under `home`; nothing of the host's apt is read or changed."""

    def __init__(self, home: Path, sources: list[str]) -> None:
        self._home = home
        for directory in (
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
        ):
            (home / directory).mkdir(parents=True)
        (home / "etc/apt/sources.list").write_text("".join(f"{line}\n" for line in sources))
        status = home / "status"
        status.touch()
        config = home / "apt.conf"
        config.write_text(
            f'Dir "{home}";\n'
            f'Dir::State::status "{status}";\n'
            'APT::Architecture "amd64";\n'
            'APT::Architectures { "amd64"; };\n'
            'APT::Sandbox::User "root";\n'
            'Acquire::Languages "none";\n'
        )
        self._environment = {**os.environ, "APT_CONFIG": str(config), "LC_ALL": "C"}
        self._run("apt-get", "--quiet=2", "--error-on=any", "update")

    def newest(self, pattern: str, count: int) -> list[str]:
        """Packages whose name matches, by the number the pattern captures, the highest last."""
        names = self._run("apt-cache", "pkgnames").split()
        matches = [match for name in names if (match := re.fullmatch(pattern, name))]
        if len(matches) < count:
            raise Refused(f"{len(matches)} packages match {pattern}, {count} are needed")
        matches.sort(key=lambda match: int(match[1]))
        return [match[0] for match in matches[-count:]]

    def download(self, package: str) -> Path:
        place = self._home / package
        place.mkdir()
        self._run("apt-get", "--quiet=2", "download", package, cwd=place)
        (archive,) = place.glob("*.deb")
        return archive

    def released(self) -> int:
        """When the newest of the suites was last changed, in seconds since 1970."""
        dates = [
            parsedate_to_datetime(line.removeprefix("Date: "))
            for release in (self._home / "var/lib/apt/lists").glob("*InRelease")
            for line in release.read_text().splitlines()
            if line.startswith("Date: ")
        ]
        return int(max(dates).timestamp())

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        return subprocess.run(
            command, cwd=cwd, env=self._environment, check=True, text=True, stdout=subprocess.PIPE
        ).stdout
