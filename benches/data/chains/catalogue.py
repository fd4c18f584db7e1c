"""Every set there is, and the names a user may ask for."""

from . import debian_image, debian_tree, kernel, wheels
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
]

SETS: dict[str, Chain] = {chain.name: chain for chain in _ALL}
GROUPS: dict[str, list[str]] = {
    "all": list(SETS),
}


def resolve(names: list[str]) -> list[Chain]:
    """The named sets, each after those it needs and none twice."""
    order: dict[str, Chain] = {}

    def visit(name: str) -> None:
        if name not in SETS:
            raise Refused(f"no set or group is called {name}")
        for need in SETS[name].needs:
            visit(need)
        order[name] = SETS[name]

    for name in names:
        for member in GROUPS.get(name, [name]):
            visit(member)
    return list(order.values())
