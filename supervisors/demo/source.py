"""What the demo carries: the files of a folder, as they were at the start, cut into parts that fit a sealed blob.

    folder --list_files--> paths --describe--> SourceFile(size, sha256) --read_part--> bytes of one blob

A file that changes or vanishes between its description and its reading ends the demo with one line: nothing may be
called lost that was never there.
"""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ferryman.protocol.errors import BadInput

PART_BYTES = 256 * 1024  # well under max_blob_size (1 MiB) with every header: small parts make a livelier bar
READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file as the demo found it. `name` is relative to the folder, with forward slashes."""

    name: str
    size: int  # bytes
    sha256: str  # hex

    @property
    def parts(self) -> int:
        """An empty file is one empty part, so that it arrives too."""
        return max(1, -(-self.size // PART_BYTES))


@dataclass(frozen=True, slots=True)
class Source:
    root: Path
    files: tuple[SourceFile, ...]
    left_out: int  # links, sockets and other things that are not files

    @property
    def total_bytes(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def total_parts(self) -> int:
        return sum(file.parts for file in self.files)


def load_source(path: Path | None) -> Source:
    """Every file under `path`; without one, the files that git tracks here (every file, where git tracks none).

    Raises BadInput: a missing path, an unreadable file, nothing to carry.
    """
    root = path or Path.cwd()
    if not root.exists():
        raise BadInput(f"{root}: no such file or folder; give the demo a folder that exists")
    if root.is_file():
        return Source(root.parent, (describe(root.parent, root.name),), left_out=0)
    names = (tracked_names(root) if path is None else None) or walk_names(root)
    regular = [name for name in names if (root / name).is_file() and not (root / name).is_symlink()]
    if not regular:
        raise BadInput(f"{root}: holds no files; give the demo a folder with at least one")
    return Source(root, tuple(describe(root, name) for name in regular), left_out=len(names) - len(regular))


def tracked_names(root: Path) -> list[str] | None:
    """The names that git tracks under `root`, None without git or outside a checkout."""
    try:
        listing = subprocess.run(  # noqa: S603 - a fixed command, no shell
            ["git", "-C", str(root), "ls-files", "-z"],  # noqa: S607 - the git on the user's PATH is the right one
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    names = [name.decode("utf-8", "surrogateescape") for name in listing.stdout.split(b"\0") if name]
    return [name for name in names if (root / name).exists()]  # a deletion not yet committed is no file


def walk_names(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())


def describe(root: Path, name: str) -> SourceFile:
    digest = hashlib.sha256()
    size = 0
    try:
        with (root / name).open("rb") as file:
            while chunk := file.read(READ_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise unreadable(root / name, error) from error
    return SourceFile(name, size, digest.hexdigest())


def read_part(root: Path, file: SourceFile, index: int) -> bytes:
    """The bytes of part `index`, counted from 0. Raises BadInput when the file is no longer what it was."""
    start = index * PART_BYTES
    want = min(PART_BYTES, file.size - start)
    path = root / file.name
    try:
        with path.open("rb") as handle:
            handle.seek(start)
            data = handle.read(want)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(data) != want:
        raise BadInput(f"{path}: became shorter while the demo was reading it; run the demo again on a quiet folder")
    return data


def unreadable(path: Path, error: OSError) -> BadInput:
    if isinstance(error, FileNotFoundError):
        return BadInput(f"{path}: vanished while the demo was reading it; run the demo again on a quiet folder")
    return BadInput(f"{path}: cannot be read ({error.strerror}); make it readable or leave it out")
