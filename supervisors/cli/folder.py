"""The folder that blobs are written into: nothing is overwritten, nothing is there half.

    .NAME.draft --> written, fsync --> linked as NAME --> draft removed --> fsync of the folder

NAME is the cursor and the beginning of the blob's id: `00000042-1a2b3c4d`. The same blob once more finds its file and
leaves it; another file of that name stays, and the blob becomes `00000042-1a2b3c4d-2`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType

from ferryman.actors.real_ports import FileDisk
from ferryman.protocol.errors import BadInput

FILE_MODE = 0o600  # what was sealed for the group is for nobody else on this machine either
FOLDER_MODE = 0o700
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


class Folder:
    """One process at a time writes into it. Blocking: called in threads. Raises BadInput."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            FileDisk().make_directory(path, mode=FOLDER_MODE)
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._refusal(error) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise BadInput(f"{path}: another ferryman writes into this directory; name another one") from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise

    def store(self, cursor: int, blob_id: str, data: bytes) -> Path:
        """On return it is on disk under the name that is returned."""
        stem = f"{cursor:08d}-{blob_id[:8]}"
        draft = self._path / f".{stem}.draft"
        try:
            self._write(draft, data)
            try:
                found = self._name(draft, stem, data)
            finally:
                draft.unlink(missing_ok=True)
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._refusal(error) from None
        return found

    def _write(self, draft: Path, data: bytes) -> None:
        draft.unlink(missing_ok=True)
        with open(draft, "xb", opener=lambda name, flags: os.open(name, flags | os.O_CLOEXEC, FILE_MODE)) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _name(self, draft: Path, stem: str, data: bytes) -> Path:
        """The first free name of this stem, or the one that has this blob already."""
        count = 1
        while True:
            place = self._path / (stem if count == 1 else f"{stem}-{count}")
            try:
                link(draft, place)
                return place
            except FileExistsError:
                if holds(place, data):
                    return place
            count += 1

    def close(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _refusal(self, error: OSError) -> BadInput:
        return BadInput(f"{self._path}: {error.strerror or error}; the blob stays at the relay")


def link(draft: Path, place: Path) -> None:
    """Raises FileExistsError."""
    try:
        os.link(draft, place)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if place.exists() or place.is_symlink():  # a file system without links; the folder's lock keeps others out
            raise FileExistsError(place) from None
        draft.rename(place)


def holds(place: Path, data: bytes) -> bool:
    with contextlib.suppress(OSError):
        return place.is_file() and place.stat().st_size == len(data) and place.read_bytes() == data
    return False
