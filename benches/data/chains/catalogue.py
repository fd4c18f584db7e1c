"""Every set there is, and the names a user may ask for."""

from . import debian_image, debian_tree, kernel, small_image, sparse, wheels
from .shelf import Chain, Refused

_ALL = [
    Chain(
        "kernel",
        "4 newest linux-image-6.1.0-*-amd64 of bookworm, unpacked, as tar",
        kernel.make,
    ),
    Chain(
        "binary",
        "7 releases of one large Rust executable (uv 0.4.0 to 0.4.6)",
        wheels.executables("uv", "uv", [f"0.4.{patch}" for patch in range(7)]),
    ),
    Chain(
        "tar",
        "7 releases of one source tree (Django 5.0.7 to 5.1.4), as tar",
        wheels.trees("Django", ["5.0.7", "5.0.8", "5.1", "5.1.1", "5.1.2", "5.1.3", "5.1.4"]),
    ),
    Chain(
        "debian-tree",
        "bookworm: main, then with updates and security, then with more packages; as tar",
        debian_tree.make,
    ),
    Chain(
        "debian",
        "debian-tree as 1 GiB ext4",
        debian_image.ext4,
        needs=("debian-tree",),
    ),
    Chain(
        "debian-squashfs",
        "debian-tree as squashfs, zstd",
        debian_image.squashfs,
        needs=("debian-tree",),
    ),
    Chain(
        "debian-erofs",
        "debian-tree as erofs, not compressed",
        debian_image.erofs,
        needs=("debian-tree",),
    ),
    Chain(
        "sparse",
        "2 states of a 64 GiB disk that is almost all holes, generated",
        sparse.make,
    ),
    Chain(
        "small-image",
        "3 states of a volume updated in place (files of Pygments 2.17.2 to 2.19.1)",
        small_image.make,
    ),
    Chain(
        "small-binary",
        "3 releases of one small Rust executable (just 1.38.0 to 1.40.0)",
        wheels.executables("rust-just", "just", ["1.38.0", "1.39.0", "1.40.0"]),
    ),
    Chain(
        "small-tar",
        "3 releases of one source tree (Pygments 2.17.2 to 2.19.1), as tar",
        wheels.trees("Pygments", ["2.17.2", "2.18.0", "2.19.1"]),
    ),
]

SETS: dict[str, Chain] = {chain.name: chain for chain in _ALL}
GROUPS: dict[str, list[str]] = {
    "all": list(SETS),
    "small": ["small-image", "small-binary", "small-tar"],
}


def named(names: list[str]) -> list[Chain]:
    """The sets that the names of sets and groups stand for."""
    sets: dict[str, Chain] = {}
    for name in names:
        for member in GROUPS.get(name, [name]):
            if member not in SETS:
                raise Refused(f"no set or group is called {member}")
            sets[member] = SETS[member]
    return list(sets.values())


def with_needs(chains: list[Chain]) -> list[Chain]:
    """The sets, each after those it needs and none twice."""
    order: dict[str, Chain] = {}
    for chain in chains:
        for needed in with_needs(named(list(chain.needs))):
            order[needed.name] = needed
        order[chain.name] = chain
    return list(order.values())
