"""A file that is there whole under its name, or not at all, and that never takes another's place.

a draft beside it, mode 0600 --written--> synced --> the name it shall have
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ferryman.actors.ports import Disk


def write_whole(disk: Disk, target: Path, write: Callable[[Path], None]) -> int:
    """Make `target` by `write(draft)`. Blocking. Returns its bytes. Raises FileExistsError, OSError."""
    if target.exists() or target.is_symlink():
        raise FileExistsError
    draft = target.with_name(f".{target.name}.draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    try:
        write(draft)
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        target.hardlink_to(draft)  # fails where the name is taken by now; a rename would not
    finally:
        disk.remove(draft)  # and syncs the directory, with the new name in it
    return target.stat().st_size
