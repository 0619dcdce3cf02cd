"""SQLite's way to a disk in memory: a virtual file system whose files are a `MemoryDisk`'s.

Shared memory is not ours to give through apsw, so databases in WAL mode are locked exclusively. Chance and time are the
disk's, for SQLite salts its log with them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import apsw

SECTOR = 512
_SYNCS_ITS_NAME = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL | apsw.SQLITE_OPEN_WAL
_numbers = itertools.count(1)


@dataclass
class Inode:
    """`seen` is what a reader gets; `kept` is on the medium; `unsynced` leads from one to the other."""

    seen: bytearray = field(default_factory=bytearray)
    kept: bytes = b""
    unsynced: list[tuple[int, bytes | None]] = field(default_factory=list)  # (offset, data); (length, None): truncate

    def write(self, offset: int, data: bytes) -> None:
        put(self.seen, offset, data)
        self.unsynced.append((offset, data))

    def truncate(self, length: int) -> None:
        cut(self.seen, length)
        self.unsynced.append((length, None))

    def sync(self) -> None:
        self.kept = bytes(self.seen)
        self.unsynced.clear()


class Machine(Protocol):
    """What a file needs of its disk."""

    dead: bool
    fail_write: bool
    read_only: bool
    names: dict[str, Inode]

    def step(self) -> None: ...
    def require_room(self, growth: int) -> None: ...
    def sync(self, inode: Inode) -> None: ...
    def sync_names(self) -> None: ...
    def sync_name(self, name: str) -> None: ...
    def change_name(self, name: str, inode: Inode | None) -> None: ...
    def random_bytes(self, count: int) -> bytes: ...


class MemoryVfs(apsw.VFS):
    """Every disk registers one, under a name of its own."""

    def __init__(self, disk: Machine) -> None:
        self.disk = disk
        self.name = f"memory-disk-{next(_numbers)}"
        super().__init__(self.name, "")

    def xOpen(self, name, flags):  # noqa: N802
        disk = self.disk
        path = name if isinstance(name, str) or name is None else name.filename()
        if path is None:
            inode = Inode()  # a temporary file has no name
        elif path in disk.names:
            inode = disk.names[path]
        elif flags[0] & apsw.SQLITE_OPEN_CREATE:
            _as_sqlite(disk.step, apsw.SQLITE_CANTOPEN)
            inode = Inode()
            disk.change_name(path, inode)
        else:
            raise apsw.exception_for(apsw.SQLITE_CANTOPEN)
        flags[1] = flags[0]
        may_be_new = bool(flags[0] & apsw.SQLITE_OPEN_CREATE and flags[0] & _SYNCS_ITS_NAME)  # SQLite does not look
        return MemoryFile(disk, inode, path, may_be_new=may_be_new)

    def xDelete(self, name, sync_directory):  # noqa: N802
        if self.disk.dead:
            return
        if name not in self.disk.names:
            raise apsw.exception_for(apsw.SQLITE_IOERR_DELETE_NOENT)
        _as_sqlite(self.disk.step, apsw.SQLITE_IOERR_DELETE)
        self.disk.change_name(name, None)
        if sync_directory:
            _as_sqlite(self.disk.step, apsw.SQLITE_IOERR_DIR_FSYNC)
            self.disk.sync_names()

    def xAccess(self, name, flags):  # noqa: N802
        if flags == apsw.SQLITE_ACCESS_READWRITE and self.disk.read_only:
            return False
        return name in self.disk.names

    def xFullPathname(self, name):  # noqa: N802
        return name

    def xRandomness(self, count):  # noqa: N802
        return self.disk.random_bytes(count)

    def xSleep(self, microseconds):  # noqa: N802
        return microseconds

    def xCurrentTime(self):  # noqa: N802
        return 2_461_000.5

    def xCurrentTimeInt64(self):  # noqa: N802
        return int(2_461_000.5 * 86_400_000)

    def xGetLastError(self):  # noqa: N802
        return 0, ""


class MemoryFile:
    """An open file. On a machine that is gone it takes everything and keeps nothing: SQLite tidies up after the error
    that it was given, and cannot be given another one meanwhile."""

    def __init__(self, disk: Machine, inode: Inode, path: str | None, *, may_be_new: bool) -> None:
        self.disk = disk
        self.inode = inode
        self.path = path
        self.name_may_be_new = may_be_new

    def xRead(self, amount, offset):  # noqa: N802
        return bytes(self.inode.seen[offset : offset + amount])

    def xWrite(self, data, offset):  # noqa: N802
        if self.disk.dead:
            return
        data = bytes(data)
        if self.path is not None:
            _as_sqlite(self.disk.step, apsw.SQLITE_IOERR_WRITE)
            if self.disk.fail_write:
                raise apsw.exception_for(apsw.SQLITE_IOERR_WRITE)
            grows = offset + len(data) - len(self.inode.seen)
            _as_sqlite(lambda: self.disk.require_room(grows), apsw.SQLITE_FULL)
        self.inode.write(offset, data)

    def xTruncate(self, length):  # noqa: N802
        if self.disk.dead:
            return
        if self.path is not None:
            _as_sqlite(self.disk.step, apsw.SQLITE_IOERR_TRUNCATE)
        self.inode.truncate(length)

    def xSync(self, _flags):  # noqa: N802
        if self.disk.dead:
            return
        _as_sqlite(lambda: self.disk.sync(self.inode), apsw.SQLITE_IOERR_FSYNC)
        if self.name_may_be_new and self.path is not None:
            _as_sqlite(self.disk.step, apsw.SQLITE_IOERR_DIR_FSYNC)
            self.disk.sync_name(self.path)  # its own and no other: a deleted file may still come back
            self.name_may_be_new = False

    def xFileSize(self):  # noqa: N802
        return len(self.inode.seen)

    def xLock(self, _level):  # noqa: N802
        """Exclusive by agreement: one process, and readers that look once."""

    def xUnlock(self, _level):  # noqa: N802
        """See xLock."""

    def xCheckReservedLock(self):  # noqa: N802
        return False

    def xFileControl(self, _operation, _pointer):  # noqa: N802
        return False

    def xSectorSize(self):  # noqa: N802
        return SECTOR

    def xDeviceCharacteristics(self):  # noqa: N802
        """As on Linux and macOS: a torn write harms its own bytes and none beside them."""
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xClose(self):  # noqa: N802
        """Nothing is written on closing."""


def _as_sqlite(operation: Callable[[], None], code: int) -> None:
    """PowerCut passes; the system's errors become SQLite's."""
    try:
        operation()
    except OSError as error:
        raise apsw.exception_for(code) from error


def put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def cut(content: bytearray, length: int) -> None:
    if length < len(content):
        del content[length:]
    else:
        content.extend(bytes(length - len(content)))
