"""A disk in memory under SQLite's own code: it forgets what was not synced, fills up, fails, stops at any operation.

disk = MemoryDisk()                      the Disk port; real SQLite in WAL mode through a VFS written here
disk.cut_at = 17                         the 17th write, truncate, sync or change of a name raises PowerCut
disk.after_power_cut("torn", rng)        the disk that the next start finds
disk.after_kill()                        the same after kill -9: the page cache is still there
disk.capacity = disk.used                no room for another byte
disk.fail_sync_at = 3                    the 3rd sync from the beginning fails
disk.fail_write = True                   databases cannot be written

| policy  | what was written and not synced                                       |
|---------|-----------------------------------------------------------------------|
| drop    | is gone                                                               |
| all     | is there                                                              |
| prefix  | is there up to some write                                             |
| subset  | is there, some of it                                                  |
| torn    | is there up to the middle of some write                               |
| shorn   | is there, some 512-byte sectors of it                                 |
| garbage | is there in part, the rest of its place holds anything                |
| zeros   | is there in its length only                                           |

A database is locked exclusively: without shared memory SQLite keeps the WAL's index inside the connection. So a second
connection sees what was committed before it was opened, and `connect(read_only=True)` is opened for one look.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import apsw

from tests.fakes.memory_vfs import Inode, MemoryVfs, cut, put

POLICIES = ("drop", "all", "prefix", "subset", "torn", "shorn", "garbage", "zeros")
SECTOR = 512


class PowerCut(BaseException):
    """The machine is gone. No Exception: nobody may catch it and go on."""


class MemoryDisk:
    """The Disk port. One object is one life of a machine; `after_power_cut` and `after_kill` give the next."""

    def __init__(self, *, seed: int = 0) -> None:
        self.operations = 0
        self.syncs = 0
        self.cut_at: int | None = None
        self.dead = False
        self.capacity: int | None = None
        self.fail_sync_at: int | None = None
        self.fail_write = False
        self.read_only = False
        self.names: dict[str, Inode] = {}  # what a reader finds
        self._kept_names: dict[str, Inode] = {}  # what is on the medium
        self._name_changes: list[tuple[str, Inode | None]] = []
        self._locks: dict[str, None] = {}
        self._seed = seed
        self._chance = random.Random(f"vfs {seed}")
        self._vfs = MemoryVfs(self)

    # --- the port

    def connect(self, path: Path, *, read_only: bool = False) -> apsw.Connection:
        flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        connection = apsw.Connection(str(path), flags=flags, vfs=self._vfs.name)
        connection.exec_trace = self._require_power
        connection.pragma("locking_mode", "exclusive")
        if read_only:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return connection

    def _require_power(self, *_statement: object) -> bool:
        if self.dead:
            raise PowerCut
        return True

    def exists(self, path: Path) -> bool:
        return str(path) in self.names

    def read(self, path: Path, at_most: int = -1) -> bytes:
        try:
            seen = self.names[str(path)].seen
            return bytes(seen if at_most < 0 else seen[:at_most])
        except KeyError:
            raise FileNotFoundError(2, "No such file", str(path)) from None

    def is_private(self, path: Path) -> bool:
        return str(path) in self.names

    def write(self, path: Path, data: bytes, *, mode: int = 0o600) -> None:  # noqa: ARG002
        draft = Inode()
        self.step()
        self.require_room(len(data))
        draft.write(0, data)
        self.step()
        draft.sync()
        self.step()
        self.change_name(str(path), draft)
        self.step()
        self.sync_names()

    def remove(self, path: Path) -> None:
        self.step()
        if str(path) in self.names:
            self.change_name(str(path), None)
        self.sync_names()

    def make_directory(self, path: Path, *, mode: int = 0o700) -> None:
        """Directories are their files' names."""

    def lock(self, path: Path) -> Callable[[], None] | None:
        if self.read_only:
            raise OSError(30, "Read-only file system", str(path))
        name = str(path)
        if name in self._locks:
            return None
        self._locks[name] = None
        return lambda: self._locks.pop(name, None)

    # --- the next life

    def after_power_cut(self, policy: str, chance: random.Random | None = None) -> MemoryDisk:
        chance = chance or random.Random(f"{policy} {self._seed} {self.operations}")
        names = dict(self._kept_names)
        changes = self._name_changes
        if policy == "drop":
            changes = []
        elif policy != "all":
            changes = changes[: chance.randint(0, len(changes))]
        for name, inode in changes:
            _rename(names, name, inode)
        return self._next({name: bytes(_survive(inode, policy, chance)) for name, inode in names.items()})

    def after_kill(self) -> MemoryDisk:
        """The page cache outlives the process: what was written is there, and still not synced."""
        after = self._next({name: inode.kept for name, inode in self._kept_names.items()})
        for name, inode in self._name_changes:
            after.change_name(name, None if inode is None else Inode(bytearray(inode.kept), inode.kept))
        for name, inode in self.names.items():
            for offset, data in inode.unsynced:
                twin = after.names[name]
                twin.truncate(offset) if data is None else twin.write(offset, data)
        return after

    def copy(self) -> MemoryDisk:
        """Another disk with what a reader finds here, all of it synced."""
        return self._next({name: bytes(inode.seen) for name, inode in self.names.items()})

    def _next(self, contents: dict[str, bytes]) -> MemoryDisk:
        after = MemoryDisk(seed=self._seed + 1)
        for name, content in contents.items():
            after.names[name] = after._kept_names[name] = Inode(bytearray(content), content)
        return after

    # --- what every change goes through

    @property
    def used(self) -> int:
        return sum(len(inode.seen) for inode in self.names.values())

    def step(self) -> None:
        """One operation that a power cut can come before."""
        if self.dead:
            raise PowerCut
        self.operations += 1
        if self.operations == self.cut_at:
            self.dead = True
            raise PowerCut
        if self.read_only:
            raise OSError(30, "Read-only file system")

    def require_room(self, growth: int) -> None:
        if self.capacity is not None and growth > 0 and self.used + growth > self.capacity:
            raise OSError(28, "No space left on device")

    def sync(self, inode: Inode) -> None:
        self.step()
        self.syncs += 1
        if self.syncs == self.fail_sync_at:
            raise OSError(5, "Input/output error")
        inode.sync()

    def change_name(self, name: str, inode: Inode | None) -> None:
        _rename(self.names, name, inode)
        self._name_changes.append((name, inode))

    def sync_names(self) -> None:
        self._kept_names = dict(self.names)
        self._name_changes.clear()

    def sync_name(self, name: str) -> None:
        _rename(self._kept_names, name, self.names.get(name))
        self._name_changes = [change for change in self._name_changes if change[0] != name]

    def random_bytes(self, count: int) -> bytes:
        return self._chance.randbytes(count)


def _rename(names: dict[str, Inode], name: str, inode: Inode | None) -> None:
    if inode is None:
        names.pop(name, None)
    else:
        names[name] = inode


def _survive(inode: Inode, policy: str, chance: random.Random) -> bytearray:
    content = bytearray(inode.kept)
    writes = inode.unsynced
    if policy in ("prefix", "torn"):
        writes = writes[: chance.randint(0, len(writes))]
    elif policy == "drop":
        writes = []
    for place, (offset, data) in enumerate(writes):
        last = place == len(writes) - 1
        if data is None:
            if policy != "subset" or chance.random() < 0.5:
                cut(content, offset)
        elif policy in ("all", "prefix") or (policy == "subset" and chance.random() < 0.5):
            put(content, offset, data)
        elif policy == "torn":
            put(content, offset, data[: _torn(len(data), chance)] if last else data)
        elif policy in ("shorn", "garbage"):
            for start in range(0, len(data), SECTOR):
                sector = data[start : start + SECTOR]
                if chance.random() < 0.5:
                    put(content, offset + start, sector)
                elif policy == "garbage":
                    put(content, offset + start, chance.randbytes(len(sector)))
        elif policy == "zeros":
            put(content, offset, bytes(len(data)))
    return content


def _torn(length: int, chance: random.Random) -> int:
    """Any byte, or the end of any sector."""
    cut = chance.randint(0, length)
    return cut if chance.random() < 0.5 else cut // SECTOR * SECTOR
