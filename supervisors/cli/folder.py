"""The folder that blobs are written into: nothing is overwritten, nothing is there half.

    .NAME.draft --> written, fsync --> linked as NAME --> draft removed --> fsync of the folder

NAME is the cursor and the beginning of the blob's id: `00000042-1a2b3c4d`. The same blob once more finds its file and
leaves it; another file of that name stays, and the blob becomes `00000042-1a2b3c4d-2`. The folder is opened once and
everything is named from there: who puts a link in its place afterwards leads nothing elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path
from types import TracebackType

from ferryman.actors.real_ports import FileDisk
from ferryman.protocol.errors import BadInput

FILE_MODE = 0o600  # what was sealed for the group is for nobody else on this machine either
FOLDER_MODE = 0o700
NO_DETOURS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # nor a pipe that nobody writes into
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


class Folder:
    """One process at a time writes into it. Blocking: called in threads. Raises BadInput."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if path.exists() and not path.is_dir():
            raise BadInput(f"{path}: is a file; --out names a directory")
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
        draft = f".{stem}.draft"
        try:
            self._write(draft, data)
            try:
                found = self._name(draft, stem, data)
            finally:
                self._remove(draft)
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._refusal(error) from None
        return self._path / found

    def _write(self, draft: str, data: bytes) -> None:
        self._remove(draft)
        with open(draft, "xb", opener=self._open) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _name(self, draft: str, stem: str, data: bytes) -> str:
        """The first free name of this stem, or the one that has this blob already."""
        count = 1
        while True:
            name = stem if count == 1 else f"{stem}-{count}"
            try:
                self._link(draft, name)
                return name
            except FileExistsError:
                if self._holds(name, data):
                    return name
            count += 1

    def _link(self, draft: str, name: str) -> None:
        """Raises FileExistsError."""
        here = self._descriptor
        try:
            os.link(draft, name, src_dir_fd=here, dst_dir_fd=here, follow_symlinks=False)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            with contextlib.suppress(FileNotFoundError):  # no links on this file system; the lock keeps others out
                os.stat(name, dir_fd=here, follow_symlinks=False)
                raise FileExistsError(name) from None
            os.rename(draft, name, src_dir_fd=here, dst_dir_fd=here)

    def _holds(self, name: str, data: bytes) -> bool:
        with contextlib.suppress(OSError), open(name, "rb", opener=self._open) as file:
            about = os.fstat(file.fileno())
            return stat.S_ISREG(about.st_mode) and about.st_size == len(data) and file.read() == data
        return False

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def _open(self, name: str, flags: int) -> int:
        return os.open(name, flags | NO_DETOURS, FILE_MODE, dir_fd=self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _refusal(self, error: OSError) -> BadInput:
        return BadInput(f"{self._path}: {error.strerror or error}; the blob stays at the relay")
