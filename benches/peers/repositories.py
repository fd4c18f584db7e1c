"""Backup programs that deduplicate: what they add to a repository, and what they read of it to restore.

They have no file server and no seed: a restore reads all of a version. So two counts are told, the growth of the
repository, which a backup sends, and the bytes that a restore reads from files of the repository, as strace sees
them. Without a cache, as on a device that restores for the first time.
"""

import re
import subprocess
from pathlib import Path

from measure import Failed, measured, same


class Repository:
    """A program with a repository in a local directory."""

    name = ""
    programs = ()

    def create(self, repository: Path, home: Path) -> list:
        raise NotImplementedError

    def add(self, version: Path, repository: Path, home: Path) -> list:
        raise NotImplementedError

    def restore(self, version: Path, repository: Path, home: Path, into: Path) -> list:
        """Writes the version to some file in `into`."""
        raise NotImplementedError


class Borg(Repository):
    name = "borg"
    programs = ("borg", "strace")

    def words(self, home):
        return ["env", f"BORG_BASE_DIR={home}", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes"]

    def create(self, repository, home):
        return [*self.words(home), "borg", "init", "-e", "none", repository]

    def add(self, version, repository, home):
        return [*self.words(home), "borg", "create", "--compression", "zstd,6", f"{repository}::{version.stem}", version]

    def restore(self, version, repository, home, into):
        inside = ["sh", "-c", 'cd "$1" && exec borg extract "$2"', "sh", into, f"{repository}::{version.stem}"]
        return [*self.words(home), *inside]


class Restic(Repository):
    name = "restic"
    programs = ("restic", "strace")

    def words(self, repository):
        return ["env", "RESTIC_PASSWORD=none", "restic", "--no-cache", "-r", repository]

    def create(self, repository, home):
        # The second format compresses; with its only setting, as far as a level is concerned.
        return [*self.words(repository), "init", "--repository-version", "2"]

    def add(self, version, repository, home):
        return [*self.words(repository), "backup", "--compression", "max", "--tag", version.stem, version]

    def restore(self, version, repository, home, into):
        return [*self.words(repository), "restore", "latest", "--tag", version.stem, "--target", into]


REPOSITORIES = [Borg(), Restic()]


def measure(tool: Repository, old: Path, new: Path, work: Path) -> dict:
    """A repository with the old version gets the new one, which is then restored and compared."""
    repository, home = work / "repository", work / "home"
    home.mkdir()
    measured(tool.create(repository, home))
    measured(tool.add(old, repository, home))
    before = size(repository)
    adding = measured(tool.add(new, repository, home))
    added = size(repository) - before
    restoring = measured(tool.restore(new, repository, home, emptied(work / "restored")))
    trace = work / "trace"
    # Counted apart, because to be watched costs time.
    watch = ["strace", "-f", "-y", "-qq", "-e", "trace=read,pread64,readv,preadv", "-o", trace]
    watched = [*watch, *tool.restore(new, repository, home, emptied(work / "watched"))]
    subprocess.run([str(word) for word in watched], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for restored in (work / "restored", work / "watched"):
        file = next(path for path in restored.rglob(new.name) if path.is_file())
        if not same(file, new):
            raise Failed(f"{tool.name} did not restore {new}")
    return {
        "bytes": read_from(repository, trace),
        "added": added,
        "cpu": restoring.cpu,
        "seconds": restoring.seconds,
        "peak": restoring.peak,
        "publish_cpu": adding.cpu,
        "publish_peak": adding.peak,
    }


def emptied(directory: Path) -> Path:
    directory.mkdir()
    return directory


def size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def read_from(repository: Path, trace: Path) -> int:
    """Bytes of all reads of files below the repository; a call that was interrupted is told in two lines."""
    place = re.escape(str(repository))
    started = re.compile(rf"^(\d+) +\w+\(\d+<{place}/")
    resumed = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>")
    count = re.compile(r"= (\d+)$")
    total, waiting = 0, set()
    with trace.open(errors="replace") as lines:
        for line in lines:
            begin, end = started.match(line), resumed.match(line)
            if begin and line.rstrip().endswith("<unfinished ...>"):
                waiting.add(begin[1])
            elif begin or (end and end[1] in waiting):
                waiting.discard((begin or end)[1])
                found = count.search(line)
                total += int(found[1]) if found else 0
    return total
