"""How each program publishes versions and updates one to another."""

from pathlib import Path


class Peer:
    """A program. Commands are lists of words; `site` is a directory that is served."""

    name = ""
    programs = ()
    #: Takes part where times are measured; its updates are timed over a slow link, too.
    is_timed = True
    is_linked = False

    def publish(self, version: Path, site: Path) -> list:
        raise NotImplementedError

    def prepare(self, old: Path, work: Path) -> list:
        """What a device has done earlier, with the old version."""
        return []

    def update(self, old: Path, new: Path, url: str, site: Path, work: Path, target: Path) -> list:
        raise NotImplementedError

    def result(self, work: Path, target: Path) -> Path:
        return target


class Chunk(Peer):
    """This project; the device remembers what it installed."""

    name = "chunk"
    is_linked = True
    options = ()

    def __init__(self, binary: Path):
        self.binary = binary
        self.programs = (str(binary),)

    def publish(self, version, site):
        line = ["--name", "image", "--version", version.stem, "--store", site]
        return [[self.binary, "make", "--quiet", *self.options, *line, version]]

    def update(self, old, new, url, site, work, target):
        index = site / f"image@{old.stem}.cidx"
        return [
            self.binary, "extract", "--quiet", "--verify", "off", "--seed", old, "--seed-index", index,
            f"{url}/image@{new.stem}.cidx", target,
        ]


class Scanning(Chunk):
    """This project; the device has to find out what its seed holds."""

    name = "chunk, scanning"
    is_linked = False

    def update(self, old, new, url, site, work, target):
        return [
            self.binary, "extract", "--quiet", "--verify", "off", "--seed", old,
            f"{url}/image@{new.stem}.cidx", target,
        ]


class Highest(Chunk):
    """This project, with patches at the level that the pairwise tools are run at."""

    name = "chunk, patches at level 19"
    # Publishing takes minutes, and applying such a patch what applying any patch takes.
    is_timed = False
    is_linked = False
    options = ("--patch-level", "19")


class Casync(Peer):
    name = "casync"
    programs = ("casync",)

    def publish(self, version, site):
        return [["casync", "make", "--store", site / "castr", site / f"{version.stem}.caibx", version]]

    def update(self, old, new, url, site, work, target):
        return [
            "casync", "extract", "--seed-output=no", "--seed", old, "--store", f"{url}/castr",
            f"{url}/{new.stem}.caibx", target,
        ]


class Desync(Peer):
    name = "desync"
    programs = ("desync",)

    def publish(self, version, site):
        (site / "castr").mkdir(exist_ok=True)
        return [["desync", "make", "--store", site / "castr", site / f"{version.stem}.caibx", version]]

    def prepare(self, old, work):
        # A seed and its index lie side by side.
        (work / "seed").symlink_to(old.resolve())
        return [["desync", "make", work / "seed.caibx", work / "seed"]]

    def update(self, old, new, url, site, work, target):
        return [
            "desync", "extract", "--store", f"{url}/castr", "--seed", work / "seed.caibx",
            f"{url}/{new.stem}.caibx", target,
        ]


class Bita(Peer):
    name = "bita"
    programs = ("bita",)

    def publish(self, version, site):
        return [["bita", "compress", "-i", version, site / f"{version.stem}.cba"]]

    def update(self, old, new, url, site, work, target):
        return ["bita", "clone", "--http-retry-count", "5", "--seed", old, f"{url}/{new.stem}.cba", target]


class Zchunk(Peer):
    name = "zchunk"
    programs = ("zck", "zckdl", "unzck")

    def publish(self, version, site):
        return [["zck", "-o", site / f"{version.stem}.zck", version]]

    def prepare(self, old, work):
        return [["zck", "-o", work / "seed.zck", old]]

    def update(self, old, new, url, site, work, target):
        return ["sh", "-c", 'cd "$1" && zckdl -s seed.zck "$2" && unzck "$3"', "sh", work, f"{url}/{new.stem}.zck", f"{new.stem}.zck"]

    def result(self, work, target):
        return next(path for path in work.iterdir() if path.suffix == "" and path.name.startswith("v"))


class Zsync(Peer):
    name = "zsync"
    programs = ("zsync", "zsyncmake")

    def publish(self, version, site):
        copy = site / version.name
        # Both lie in the directory of the sets.
        copy.hardlink_to(version)
        return [["zsyncmake", "-u", version.name, "-o", site / f"{version.stem}.zsync", copy]]

    def update(self, old, new, url, site, work, target):
        return ["zsync", "-q", "-i", old, "-o", target, f"{url}/{new.stem}.zsync"]


def PEERS(chunk: Path) -> list:
    return [Chunk(chunk), Highest(chunk), Scanning(chunk), Casync(), Desync(), Bita(), Zchunk(), Zsync()]
