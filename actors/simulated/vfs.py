"""SQLite's way to a disk in memory: a virtual file system whose files are a `MemoryDisk`'s.

    SQLite's own code --> MemoryVfs (names) --> MemoryFile (bytes) --> the disk's operations, one by one

Shared memory is not ours to give through apsw, so databases in WAL mode are locked exclusively. Chance and time are the
disk's, for SQLite salts its log with them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Protocol

import apsw

from ferryman.actors.simulated.inode import SECTOR, Inode

_SYNCS_ITS_NAME = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL | apsw.SQLITE_OPEN_WAL
_JULIAN_DAY = 2_461_000.5  # SQLite's own clock stands still: nothing of ours asks it
_numbers = itertools.count(1)


class Operations(Protocol):
    """What a file needs of its disk. Each raises OSError, or PowerCut."""

    dead: bool
    fail_write: bool
    read_only: bool
    names: dict[str, Inode]

    def create(self, name: str, inode: Inode) -> None: ...
    def delete(self, name: str) -> None: ...
    def write_at(self, inode: Inode, offset: int, data: bytes, name: str | None) -> None: ...
    def truncate(self, inode: Inode, length: int, name: str | None) -> None: ...
    def sync(self, inode: Inode, name: str | None) -> None: ...
    def sync_names(self, name: str = ...) -> None: ...
    def sync_name(self, name: str) -> None: ...
    def has_room_for(self, growth: int) -> bool: ...
    def random_bytes(self, count: int) -> bytes: ...


class Dice(apsw.VFS):
    """What SQLite asks for the seed of its generator: one for all files of the process, and always the default VFS."""

    def __init__(self, disk: Operations) -> None:
        self.disk = disk
        super().__init__(f"dice-{next(_numbers)}", "", makedefault=True)

    def xRandomness(self, numbytes: int) -> bytes:
        return self.disk.random_bytes(numbytes)


def seed_sqlite(disk: Operations) -> None:
    """From here on SQLite draws (the salts of its log) from the disk's seed, and not from the system's chance."""
    dice = Dice(disk)
    try:
        apsw.randomness(0)  # forgets its seed
        apsw.randomness(1)  # and asks for another at the next byte
    finally:
        dice.unregister()


class MemoryVfs(apsw.VFS):
    """Every disk registers one, under a name of its own."""

    def __init__(self, disk: Operations) -> None:
        self.disk = disk
        self.name = f"memory-disk-{next(_numbers)}"
        super().__init__(self.name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> MemoryFile:  # type: ignore[override] - apsw takes all that has a VFSFile's methods
        disk = self.disk
        path = name if isinstance(name, str) or name is None else name.filename()
        if path is None:
            inode = Inode()  # a temporary file has no name
        elif path in disk.names:
            inode = disk.names[path]
        elif flags[0] & apsw.SQLITE_OPEN_CREATE:
            inode = Inode()
            _as_sqlite(lambda: disk.create(path, inode), apsw.SQLITE_CANTOPEN)
        else:
            raise apsw.exception_for(apsw.SQLITE_CANTOPEN)
        flags[1] = flags[0]
        may_be_new = bool(flags[0] & apsw.SQLITE_OPEN_CREATE and flags[0] & _SYNCS_ITS_NAME)  # SQLite does not look
        return MemoryFile(disk, inode, path, may_be_new=may_be_new)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        if self.disk.dead:
            return
        if filename not in self.disk.names:
            raise apsw.exception_for(apsw.SQLITE_IOERR_DELETE_NOENT)
        _as_sqlite(lambda: self.disk.delete(filename), apsw.SQLITE_IOERR_DELETE)
        if syncdir:
            _as_sqlite(lambda: self.disk.sync_names(filename), apsw.SQLITE_IOERR_DIR_FSYNC)

    def xAccess(self, pathname: str, flags: int) -> bool:
        if flags == apsw.SQLITE_ACCESS_READWRITE and self.disk.read_only:
            return False
        return pathname in self.disk.names

    def xFullPathname(self, name: str) -> str:
        return name

    def xSleep(self, microseconds: int) -> int:
        return microseconds

    def xCurrentTime(self) -> float:
        return _JULIAN_DAY

    def xCurrentTimeInt64(self) -> int:
        return int(_JULIAN_DAY * 86_400_000)

    def xGetLastError(self) -> tuple[int, str | None]:
        return 0, ""


class MemoryFile:
    """An open file. On a machine that is gone it takes everything and keeps nothing: SQLite tidies up after the error
    that it was given, and cannot be given another one meanwhile."""

    def __init__(self, disk: Operations, inode: Inode, path: str | None, *, may_be_new: bool) -> None:
        self.disk = disk
        self.inode = inode
        self.path = path
        self.name_may_be_new = may_be_new

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self.inode.seen[offset : offset + amount])

    def xWrite(self, data: bytes | bytearray | memoryview, offset: int) -> None:
        disk, inode = self.disk, self.inode
        if disk.dead:
            return
        data = bytes(data)
        if self.path is None:
            inode.write(offset, data)
            return
        grows = offset + len(data) > len(inode.seen)
        if grows and not disk.has_room_for(offset + len(data) - len(inode.seen)):
            raise apsw.exception_for(apsw.SQLITE_FULL)
        if disk.fail_write:
            raise apsw.exception_for(apsw.SQLITE_IOERR_WRITE)
        _as_sqlite(lambda: disk.write_at(inode, offset, data, self.path), apsw.SQLITE_IOERR_WRITE)

    def xTruncate(self, newsize: int) -> None:
        if self.disk.dead:
            return
        if self.path is None:
            self.inode.truncate(newsize)
            return
        _as_sqlite(lambda: self.disk.truncate(self.inode, newsize, self.path), apsw.SQLITE_IOERR_TRUNCATE)

    def xSync(self, flags: int) -> None:
        if self.disk.dead:
            return
        _as_sqlite(lambda: self.disk.sync(self.inode, self.path), apsw.SQLITE_IOERR_FSYNC)
        if self.name_may_be_new and self.path is not None:
            path = self.path  # its own name and no other: a deleted file may still come back
            _as_sqlite(lambda: self.disk.sync_name(path), apsw.SQLITE_IOERR_DIR_FSYNC)
            self.name_may_be_new = False

    def xFileSize(self) -> int:
        return len(self.inode.seen)

    def xLock(self, level: int) -> None:
        """Exclusive by agreement: one process, and readers that look once."""

    def xUnlock(self, level: int) -> None:
        """See xLock."""

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return SECTOR

    def xDeviceCharacteristics(self) -> int:
        """As on Linux and macOS: a torn write harms its own bytes and none beside them."""
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xClose(self) -> None:
        """Nothing is written on closing."""


def _as_sqlite(operation: Callable[[], None], code: int) -> None:
    """PowerCut passes; the system's errors become SQLite's, a full disk SQLITE_FULL."""
    try:
        operation()
    except OSError as error:
        raise apsw.exception_for(apsw.SQLITE_FULL if error.errno == 28 else code) from error
