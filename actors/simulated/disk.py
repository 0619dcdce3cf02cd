"""A disk in memory under SQLite's own code: it forgets what was not synced, fills up, fails, stops at any operation.

disk = MemoryDisk()                      the Disk port; real SQLite in WAL mode through a VFS of ours
disk.cut_at = 17                         PowerCut instead of the 17th write, truncate, sync or change of a name
disk.cut_after = 17                      PowerCut right after it
disk.fail_at, disk.fail_with = 17, 5     that operation fails with EIO, or whatever number
disk.after_power_cut("torn", chance)     the disk that the next start finds (policies: inode.py)
disk.after_kill()                        the same after kill -9: the page cache is still there
disk.capacity = disk.used                no room for another byte
disk.fail_sync_at = 3                    the 3rd sync from the beginning fails
disk.fail_write = True                   databases cannot be written

A database is locked exclusively: without shared memory SQLite keeps the WAL's index inside the connection. So a second
connection sees what was committed before it was opened, and `connect(read_only=True)` is opened for one look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, cast

import apsw

from ferryman.actors.simulated.inode import Inode
from ferryman.actors.simulated.vfs import MemoryVfs, seed_sqlite

EIO, ENOSPC, EROFS = 5, 28, 30
SAYS = {EIO: "Input/output error", ENOSPC: "No space left on device", EROFS: "Read-only file system"}


class PowerCut(BaseException):
    """The machine is gone. No Exception: nobody may catch it and go on."""


class MemoryDisk:
    """The Disk port. One object is one life of a machine; `after_power_cut` and `after_kill` give the next."""

    def __init__(self, *, seed: int | str = 0) -> None:
        self.operations = 0
        self.syncs = 0
        self.cut_at: int | None = None
        self.cut_after: int | None = None
        self.on_operation: Callable[[], None] | None = None  # before each, and may say what goes wrong
        self.on_cut: Callable[[], None] | None = None  # told before PowerCut is raised
        self.on_failure: Callable[[], None] | None = None  # told before `fail_at` raises
        self.last_operation = ""
        self.dead = False
        self.capacity: int | None = None
        self.fail_at: int | None = None
        self.fail_with = EIO
        self.fail_sync_at: int | None = None
        self.fail_write = False
        self.read_only = False
        self.names: dict[str, Inode] = {}  # what a reader finds
        self._kept_names: dict[str, Inode] = {}  # what is on the medium
        self._name_changes: list[tuple[str, Inode | None]] = []
        self._locks: dict[str, None] = {}
        self._seed = seed
        self._chance = Random(f"vfs {seed}")
        self._vfs = MemoryVfs(self)
        self._is_seeded = False

    @classmethod
    def holding(cls, contents: Mapping[str, bytes | bytearray], *, seed: int | str = 0) -> MemoryDisk:
        """A disk with these files, synced."""
        disk = cls(seed=seed)
        inodes = {name: Inode(content) for name, content in contents.items()}
        disk.find(inodes, dict(inodes), [])
        return disk

    def contents(self) -> dict[str, bytes]:
        """What a reader finds."""
        return {name: bytes(inode.seen) for name, inode in self.names.items()}

    # --- the port

    def connect(self, path: Path, *, read_only: bool = False) -> apsw.Connection:
        self.require_power()
        if not self._is_seeded:  # once a life: the same salts twice could bring old frames of a log back
            seed_sqlite(self)
            self._is_seeded = True
        flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        connection = apsw.Connection(str(path), flags=flags, vfs=self._vfs.name)
        connection.exec_trace = self._has_power
        cast("Any", connection).pragma("locking_mode", "exclusive")
        if read_only:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return connection

    def _has_power(self, *_statement: object) -> bool:
        self.require_power()
        return True

    def exists(self, path: Path) -> bool:
        return str(path) in self.names

    def read(self, path: Path, at_most: int = -1) -> bytes:
        self.require_power()
        try:
            seen = self.names[str(path)].seen
        except KeyError:
            raise FileNotFoundError(2, "No such file", str(path)) from None
        return bytes(seen if at_most < 0 else seen[:at_most])

    def is_private(self, path: Path) -> bool:
        return str(path) in self.names

    def write(self, path: Path, data: bytes, *, mode: int = 0o600) -> None:
        draft, name = Inode(), str(path)
        if not self.has_room_for(len(data)):
            raise OSError(ENOSPC, SAYS[ENOSPC])
        self.write_at(draft, 0, data, name)
        self._operate("sync", name, draft.sync)
        self._operate("rename", name, lambda: self._change_name(name, draft))
        self.sync_names(name)

    def remove(self, path: Path) -> None:
        self.delete(str(path))
        self.sync_names(str(path))

    def make_directory(self, path: Path, *, mode: int = 0o700) -> None:
        """Directories are their files' names."""

    def lock(self, path: Path) -> Callable[[], None] | None:
        self.require_power()
        if self.read_only:
            raise OSError(EROFS, SAYS[EROFS], str(path))
        name = str(path)
        if name in self._locks:
            return None
        self._locks[name] = None
        return lambda: self._locks.pop(name, None)

    # --- the next life

    def after_power_cut(self, policy: str, chance: Random | None = None) -> MemoryDisk:
        chance = chance or Random(f"{policy} {self._seed} {self.operations}")
        names = dict(self._kept_names)
        changes = self._name_changes
        if policy == "drop":
            changes = []
        elif policy != "all":
            changes = changes[: chance.randint(0, len(changes))]
        for name, inode in changes:
            _rename(names, name, inode)
        return self._next({name: inode.survive(policy, chance) for name, inode in names.items()})

    def after_kill(self) -> MemoryDisk:
        """The page cache outlives the process: what was written is there, and still not synced."""
        after = self._next({})
        twins: dict[int, Inode] = {}

        def twin(inode: Inode) -> Inode:
            return twins.setdefault(id(inode), inode.twin())

        kept = {name: twin(inode) for name, inode in self._kept_names.items()}
        changes = [(name, None if inode is None else twin(inode)) for name, inode in self._name_changes]
        after.find({name: twin(inode) for name, inode in self.names.items()}, kept, changes)
        return after

    def copy(self) -> MemoryDisk:
        """Another disk with what a reader finds here, all of it synced."""
        return self._next(self.contents())

    def image(self) -> str:
        """A hash of all that is here: names, bytes, and what of it is synced."""
        digest = hashlib.blake2b(digest_size=16)
        for name in sorted({**self.names, **self._kept_names}):
            for inode in (self.names.get(name), self._kept_names.get(name)):
                digest.update(name.encode())
                if inode is not None:
                    digest.update(inode.seen)
                    digest.update(b"%d" % len(inode.unsynced))
                    if inode.unsynced:
                        digest.update(inode.kept)
                        digest.update(repr(inode.unsynced).encode())
        digest.update(repr([(name, inode is None) for name, inode in self._name_changes]).encode())
        return digest.hexdigest()

    def _next(self, contents: Mapping[str, bytes | bytearray]) -> MemoryDisk:
        return MemoryDisk.holding(contents, seed=f"{self._seed}+")

    def find(self, names: dict[str, Inode], kept: dict[str, Inode], changes: list[tuple[str, Inode | None]]) -> None:
        """Begin with these files: those a reader finds, those on the medium, and the changes between."""
        self.names, self._kept_names, self._name_changes = names, kept, changes

    # --- what every change goes through

    @property
    def used(self) -> int:
        return sum(len(inode.seen) for inode in self.names.values())

    def require_power(self) -> None:
        if self.dead:
            raise PowerCut

    def cut(self) -> None:
        """The power goes now."""
        if not self.dead:
            self.dead = True
            if self.on_cut is not None:
                self.on_cut()
        raise PowerCut

    def write_at(self, inode: Inode, offset: int, data: bytes, name: str | None) -> None:
        self._operate("write", name, lambda: inode.write(offset, data))

    def truncate(self, inode: Inode, length: int, name: str | None) -> None:
        self._operate("truncate", name, lambda: inode.truncate(length))

    def sync(self, inode: Inode, name: str | None) -> None:
        """A failed one is as Linux has it: what was written counts as clean, is read again, and never gets there."""
        self.syncs += 1
        try:
            if self.syncs == self.fail_sync_at:
                raise OSError(EIO, SAYS[EIO])
            self._operate("sync", name, inode.sync)
        except OSError:
            inode.unsynced.clear()
            raise

    def create(self, name: str, inode: Inode) -> None:
        self._operate("create", name, lambda: self._change_name(name, inode))

    def delete(self, name: str) -> None:
        self._operate("delete", name, lambda: self._change_name(name, None))

    def sync_names(self, name: str = "/") -> None:
        self._operate("sync names", name, self._keep_names)

    def sync_name(self, name: str) -> None:
        self._operate("sync name", name, lambda: self._keep_name(name))

    def has_room_for(self, growth: int) -> bool:
        return self.capacity is None or self.used + growth <= self.capacity

    def random_bytes(self, count: int) -> bytes:
        return self._chance.randbytes(count)

    def _operate(self, verb: str, name: str | None, act: Callable[[], None]) -> None:
        """One operation: a power cut can come before it and after it, and it can fail."""
        if self.dead:
            raise PowerCut
        self.operations += 1
        number = self.operations
        self.last_operation = f"{verb} {name}"
        if self.on_operation is not None:
            self.on_operation()
        if number == self.cut_at:
            self.cut()
        if self.read_only:
            raise OSError(EROFS, SAYS[EROFS])
        if number == self.fail_at:
            error = OSError(self.fail_with, SAYS.get(self.fail_with, "failed"))
            if self.on_failure is not None:
                self.on_failure()
            raise error
        act()
        if number == self.cut_after:
            self.cut()

    def _change_name(self, name: str, inode: Inode | None) -> None:
        if inode is None and name not in self.names:
            return
        _rename(self.names, name, inode)
        self._name_changes.append((name, inode))

    def _keep_names(self) -> None:
        self._kept_names = dict(self.names)
        self._name_changes.clear()

    def _keep_name(self, name: str) -> None:
        _rename(self._kept_names, name, self.names.get(name))
        self._name_changes = [change for change in self._name_changes if change[0] != name]


def _rename(names: dict[str, Inode], name: str, inode: Inode | None) -> None:
    if inode is None:
        names.pop(name, None)
    else:
        names[name] = inode
