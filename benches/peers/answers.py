"""What was measured before: an interrupted run goes on where it was, and a new peer costs only itself."""

import hashlib
import inspect
import json
import os
import shutil
from pathlib import Path


class Answers:
    """Rows on disk, each under the digest of all that it depends on."""

    def __init__(self, directory: Path):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def known(self, question: str) -> dict | None:
        path = self.directory / question
        return json.loads(path.read_text()) if path.exists() else None

    def keep(self, question: str, row: dict) -> dict:
        partial = self.directory / f".{question}.{os.getpid()}"
        partial.write_text(json.dumps(row, indent=1) + "\n")
        partial.rename(self.directory / question)
        return row


def question(kind: str, tool, images: list[str]) -> str:
    """The digest of what is asked: the programs, the way they are called, and the images' own digests."""
    digest = hashlib.sha256(kind.encode())
    for program in tool.programs:
        digest.update(file_digest(Path(shutil.which(program))))
    # Every line of how a tool is called can change its bytes.
    for part in type(tool).__mro__[:-1]:
        digest.update(inspect.getsource(part).encode())
    for image in images:
        digest.update(image.encode())
    return f"{kind}-{tool.name.replace(' ', '-')}-{digest.hexdigest()[:32]}"


_file_digests = {}


def file_digest(path: Path) -> bytes:
    if path not in _file_digests:
        with path.open("rb") as file:
            _file_digests[path] = hashlib.file_digest(file, "sha256").digest()
    return _file_digests[path]


def image_digests(directory: Path) -> dict[str, str]:
    """What the builder of a set wrote down: version (`v1`) to SHA-256."""
    lines = (directory / "manifest.tsv").read_text().splitlines()[1:]
    fields = [line.split("\t") for line in lines]
    return {Path(file).stem: digest for file, _bytes, digest, _sources in fields}
