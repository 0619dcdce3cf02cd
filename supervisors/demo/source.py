"""What the demo carries: the files of a folder, as they were at the start, cut into parts that fit a sealed blob.

    folder --list_files--> paths --describe--> SourceFile(size, sha256) --read_part--> bytes of one blob

What cannot be read, and a file that changes or vanishes between its description and its reading, ends the demo with one
line: nothing is left out silently, and nothing may be called lost that was never there.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferryman.protocol.errors import BadInput

PART_BYTES = 256 * 1024  # well under max_blob_size (1 MiB) with every header: small parts make a livelier bar
READ_BYTES = 1024 * 1024
MAX_FILES = 10_000  # each is a blob at least, and every blob is synced to disk four times
MAX_BYTES = 1024**3  # eight copies of it are made; it takes minutes
GIT_SECONDS = 30  # to list its files: a repository on a sleeping network disk must not hang the demo
OWN_TREE = Path(__file__).resolve().parents[2]  # Ferryman's source, when it runs from there


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


def load_source(path: str | None) -> Source:
    """Every file under `path`; without one, the files that git tracks here.

    Raises BadInput: a missing path, one that cannot be read, nothing to carry or too much of it.
    """
    root = Path.cwd() if path is None else Path(path)
    if path == "":
        raise BadInput("the PATH is empty; give the demo a folder or a file")
    if is_file(root):
        return take(root.parent, (root.name,))
    names = tracked_names(root) if path is None else tuple(walk(root))
    if not names:
        raise BadInput(f"{root}: holds no files; give the demo a folder with at least one")
    return take(root, names)


def is_file(root: Path) -> bool:
    """True for a file, False for a folder. Raises BadInput for what is neither."""
    try:
        if root.is_file():
            return True
        if root.is_dir():
            return False
        exists = root.exists()
    except OSError as error:
        raise unreadable(root, error) from error
    if exists:
        raise BadInput(f"{root}: neither a file nor a folder; give the demo one of them")
    raise BadInput(f"{root}: no such file or folder; give the demo one that exists")


def take(root: Path, names: Sequence[str]) -> Source:
    """Describe the regular files among `names`, once it is known that they are not too many."""
    regular: list[str] = []
    total = 0
    for name in names:
        try:
            status = (root / name).lstat()
        except OSError as error:
            raise unreadable(root / name, error) from error
        if not stat.S_ISREG(status.st_mode):
            continue
        regular.append(name)
        total += status.st_size
        if len(regular) > MAX_FILES or total > MAX_BYTES:
            raise too_much(root)
    if not regular:
        raise BadInput(f"{root}: holds links and special files only; give the demo a folder with files")
    return Source(root, tuple(describe(root, name) for name in regular), left_out=len(names) - len(regular))


def too_much(root: Path) -> BadInput:
    limits = f"{MAX_FILES:,} files and {MAX_BYTES // 2**20:,} MiB"
    return BadInput(f"{root}: too much to carry; the demo takes at most {limits}: give it a smaller folder")


def tracked_names(root: Path) -> tuple[str, ...]:
    """The names that git tracks under `root`. Raises BadInput where there is no git, no checkout, or nothing in it."""
    try:
        listing = subprocess.run(  # noqa: S603 - a fixed command, no shell
            ["git", "-C", str(root), "ls-files", "-z"],  # noqa: S607 - the git on the user's PATH is the right one
            capture_output=True,
            check=True,
            timeout=GIT_SECONDS,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        listing = b""
    if not listing and root.resolve() == OWN_TREE:  # an unpacked archive of Ferryman's source: its own example
        return tuple(walk(root, hidden=False))
    names = [os.fsdecode(name) for name in listing.split(b"\0") if name]
    if not names:
        raise BadInput(
            f"{root}: git tracks no files here; give a PATH, as in `ferryman demo FOLDER`, to say what to carry"
        )
    return tuple(name for name in names if os.path.lexists(root / name))  # a deletion not yet committed is no file


def walk(root: Path, *, hidden: bool = True) -> Iterator[str]:
    """The names of all that is no folder, relative to `root`. Raises BadInput for a folder that cannot be read."""
    folders = [root]
    found = 0
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            raise unreadable(folder, error) from error
        for entry in entries:
            if not hidden and (entry.name.startswith(".") or entry.name == "__pycache__"):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
                continue
            yield Path(entry.path).relative_to(root).as_posix()
            found += 1
            if found > MAX_FILES:  # of whatever kind: a whole home is not walked to its end
                raise too_much(root)


def describe(root: Path, name: str) -> SourceFile:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise BadInput(f"{str(root / name)!a}: the name is not UTF-8; rename it or leave it out") from None
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
    reason = (error.strerror or type(error).__name__).lower()
    return BadInput(f"{path}: cannot be read: {reason}; make it readable or leave it out")
