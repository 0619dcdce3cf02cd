"""The folder that one demo lives in. Its lock is held by the director and by every process it starts.

| the demo                          | its folder                                                              |
|-----------------------------------|-------------------------------------------------------------------------|
| ends, by itself or by a signal    | is removed                                                              |
| is killed                         | stays with a lock that nobody holds: the next demo of the user removes it |
| was asked to keep it              | has no lock: it is the person's, and nothing here removes it            |
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PREFIX = "ferryman-demo-"
LOCK = "demo.lock"


@dataclass(frozen=True, slots=True)
class Folder:
    path: Path
    locks: tuple[int, ...]  # descriptors to hand to every process: the folder is in use while one of them lives
    keep: bool


@contextmanager
def open_folder(*, keep: bool) -> Generator[Folder]:
    """A new folder below TMPDIR, gone at the end of the block unless it is to be kept."""
    path = Path(tempfile.mkdtemp(prefix=PREFIX))
    if keep:
        yield Folder(path, (), keep)
        return
    lock = take_lock(path)
    try:
        yield Folder(path, (lock,), keep)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def take_lock(path: Path) -> int:
    """Locked under another name first: a lock file that nobody holds must never be seen in a folder that lives."""
    draft = path / f"{LOCK}.draft"
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    draft.rename(path / LOCK)
    return descriptor


def remove_abandoned() -> tuple[Path, ...]:
    """Remove what demos of this user left when they were killed. Returns the folders that are gone."""
    removed: list[Path] = []
    for path in sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")):
        with suppress(OSError):  # another demo was quicker, or it was never a demo's folder
            if not path.is_symlink() and path.stat().st_uid == os.getuid():
                remove_if_abandoned(path)
                removed += [] if path.exists() else [path]
    return tuple(removed)


def remove_if_abandoned(path: Path) -> None:
    """Raises OSError when it has no lock, or somebody holds it."""
    lock = os.open(path / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
