"""Bytes that look random and are the same everywhere: SHAKE-256 of a label."""

import hashlib


def noise(label: str, length: int) -> bytes:
    return hashlib.shake_256(label.encode()).digest(length)


def choose(label: str, below: int) -> int:
    """One of the numbers from 0 to below - 1."""
    return int.from_bytes(noise(label, 16), "little") % below
