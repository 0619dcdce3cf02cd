"""The edges of a real process in a simulation's world: real files below one folder, real sockets at one cable.

A machine's "/" is its folder, and whatever address it dials is the other end of its cable: so a scenario's programs are
the same, and worlds run beside each other. What goes to the disk passes points of its own; see `IO_POINTS`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import apsw
import trio

from ferryman.actors.ports import Disk, Network

HOST = "127.0.0.1"
IO_POINTS = {
    "file.commit": "a transaction that SQLite is about to commit",
    "file.write": "a file that is about to be replaced whole",
    "file.remove": "a file that is about to be removed",
}
"""Of the operations of a real disk, those that can be crashed before: SQLite's own writes pass no hand of ours."""


class FolderDisk:
    """passing: called at every one of IO_POINTS."""

    def __init__(self, disk: Disk, folder: Path, passing: Callable[[str], None]) -> None:
        self._disk = disk
        self._folder = folder
        self._passing = passing

    def connect(self, path: Path, *, read_only: bool = False) -> apsw.Connection:
        connection = self._disk.connect(self._at(path), read_only=read_only)
        connection.set_commit_hook(self._commits)
        return connection

    def exists(self, path: Path) -> bool:
        return self._disk.exists(self._at(path))

    def read(self, path: Path, at_most: int = -1) -> bytes:
        return self._disk.read(self._at(path), at_most)

    def is_private(self, path: Path) -> bool:
        return self._disk.is_private(self._at(path))

    def write(self, path: Path, data: bytes, *, mode: int = 0o600) -> None:
        self._passing("file.write")
        self._disk.make_directory(self._at(path.parent))  # a simulated disk has every folder
        self._disk.write(self._at(path), data, mode=mode)

    def remove(self, path: Path) -> None:
        self._passing("file.remove")
        self._disk.remove(self._at(path))

    def make_directory(self, path: Path, *, mode: int = 0o700) -> None:
        self._disk.make_directory(self._at(path), mode=mode)

    def lock(self, path: Path) -> Callable[[], None] | None:
        return self._disk.lock(self._at(path))

    def _commits(self) -> bool:
        self._passing("file.commit")
        return False  # go on

    def _at(self, path: Path) -> Path:
        return self._folder / path.relative_to("/")


class CableNetwork:
    """port: of the cable's end. told: called with each port that is really listened at."""

    def __init__(self, network: Network, port: int, told: Callable[[int], None]) -> None:
        self._network = network
        self._port = port
        self._told = told

    async def open_stream(self, host: str, port: int) -> trio.abc.HalfCloseableStream:
        return await self._network.open_stream(HOST, self._port)

    async def listen(self, host: str, port: int) -> list[trio.abc.Listener[trio.abc.HalfCloseableStream]]:
        listeners = await self._network.listen(HOST, 0)
        self._told(self._network.address(listeners[0])[1])
        return listeners

    def address(self, listener: trio.abc.Listener[trio.abc.HalfCloseableStream]) -> tuple[str, int]:
        return self._network.address(listener)

    def peer(self, stream: trio.abc.HalfCloseableStream) -> str:
        return self._network.peer(stream)

    async def open_local(self, path: Path) -> trio.abc.HalfCloseableStream:
        return await self._network.open_local(path)

    async def listen_local(self, path: Path) -> trio.abc.Listener[trio.abc.HalfCloseableStream]:
        return await self._network.listen_local(path)

    def is_own_user(self, stream: trio.abc.HalfCloseableStream) -> bool:
        return self._network.is_own_user(stream)


def files_of(folder: Path) -> dict[str, bytes]:
    """What a machine that is down has on its disk. SQLite's shared memory is no file: it is built anew from the log."""
    return {
        f"/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm")
    }


def put_files(folder: Path, files: dict[str, bytes]) -> None:
    """For nobody but this user: a program refuses keys that others may read."""
    folder.mkdir(mode=0o700)
    for name, data in files.items():
        path = folder / name.lstrip("/")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(data)


def remove(folder: Path) -> None:
    """With all that is in it. What a process that is being buried still makes there goes with the server's folder."""
    shutil.rmtree(folder, ignore_errors=True)
