"""The real ports: where wall clock, chance, sockets, files and threads come into the product.

| port    | made of                                                                                          |
|---------|--------------------------------------------------------------------------------------------------|
| clock   | the system's wall clock                                                                          |
| entropy | the system's random generator                                                                    |
| ids     | UUIDv4 (RFC 9562 §5.4) over the entropy port                                                     |
| network | Trio's TCP; sockets of this machine (`local_sockets.py`)                                         |
| disk    | files replaced whole and fsynced, SQLite through apsw, a lock that dies with its process         |
| threads | Trio's worker threads, at most `WORKER_THREADS` at a time                                        |
| human   | the host's callback; without one every question is refused                                       |
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import apsw
import trio

from ferryman.actors.local_sockets import connect_local, is_own_user, open_listener
from ferryman.actors.ports import Entropy, Ports

T = TypeVar("T")
AskHuman = Callable[[str, bytes], Awaitable[bool]]

WORKER_THREADS = 16
"""Key derivation and disks share them: more would only queue for the GIL; with fewer one slow disk starves the rest."""
ROOT = 0
HUMAN_SECONDS = 60
"""Who has not answered by then has refused: a prompt nobody sees must not hold a peer for ever."""


def make_real_ports(*, ask_human: AskHuman | None = None) -> Ports:
    """Everything real. `ask_human(question, request_id)` is the host's prompt; without it the answer is no."""
    entropy = SystemEntropy()
    return Ports(
        clock=WallClock(),
        entropy=entropy,
        ids=RandomIds(entropy),
        network=TcpNetwork(),
        disk=FileDisk(),
        threads=WorkerThreads(),
        human=HostHuman(ask_human),
    )


class WallClock:
    def now(self) -> int:
        return int(time.time())

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class SystemEntropy:
    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)


ID_BYTES = 16
IDS_DRAWN = 64  # at one time: each draw is a system call


class RandomIds:
    """UUIDv4 of any entropy, so that a seeded entropy gives seeded ids."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._drawn: list[bytes] = []

    def new_id(self) -> bytes:
        if not self._drawn:
            drawn = self._entropy.random_bytes(IDS_DRAWN * ID_BYTES)
            self._drawn = [drawn[at : at + ID_BYTES] for at in range(0, len(drawn), ID_BYTES)]
        made = bytearray(self._drawn.pop())
        made[6] = made[6] & 0x0F | 0x40  # version 4
        made[8] = made[8] & 0x3F | 0x80  # the variant of RFC 9562
        return bytes(made)


class TcpNetwork:
    """Trio's SocketStream turns Nagle off, accepted or opened alike; with Nagle a small answer waits 40 ms."""

    async def open_stream(self, host: str, port: int) -> trio.abc.HalfCloseableStream:
        return await trio.open_tcp_stream(host, port)

    async def listen(self, host: str, port: int) -> list[trio.abc.Listener[trio.abc.HalfCloseableStream]]:
        return list(await trio.open_tcp_listeners(port, host=host))

    def address(self, listener: trio.abc.Listener[trio.abc.HalfCloseableStream]) -> tuple[str, int]:
        if not isinstance(listener, trio.SocketListener):
            raise TypeError(f"not a TCP listener: {listener!r}")
        name = listener.socket.getsockname()
        return name[0], name[1]

    def peer(self, stream: trio.abc.HalfCloseableStream) -> str:
        if not isinstance(stream, trio.SocketStream):
            raise TypeError(f"not a TCP stream: {stream!r}")
        try:
            return stream.socket.getpeername()[0]
        except OSError:  # it hung up between accept and now: ENOTCONN, or a closed descriptor
            return ""

    async def open_local(self, path: Path) -> trio.abc.HalfCloseableStream:
        return await connect_local(path)

    async def listen_local(self, path: Path) -> trio.abc.Listener[trio.abc.HalfCloseableStream]:
        return await trio.to_thread.run_sync(open_listener, path)

    def is_own_user(self, stream: trio.abc.HalfCloseableStream) -> bool:
        if not isinstance(stream, trio.SocketStream):
            raise TypeError(f"not a local stream: {stream!r}")
        return is_own_user(stream)


class FileDisk:
    def connect(self, path: Path, *, read_only: bool = False) -> apsw.Connection:
        if read_only:
            return apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        with contextlib.suppress(OSError):  # SQLite reports a path it cannot open better than we could
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))  # its WAL inherits the mode
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        if sys.platform == "darwin":
            connection.pragma("fullfsync", True)  # fsync(2) there stops at the drive's cache
        return connection

    def exists(self, path: Path) -> bool:
        return path.exists()

    def read(self, path: Path, at_most: int = -1) -> bytes:
        with path.open("rb") as file:
            return file.read(at_most)

    def is_private(self, path: Path) -> bool:
        found = path.stat()
        return found.st_uid in (os.geteuid(), ROOT) and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)

    def write(self, path: Path, data: bytes, *, mode: int = 0o600) -> None:
        """The temporary name is fixed: what a crash leaves behind the next write takes over. One writer a path."""
        draft = path.with_name(f".{path.name}.draft")
        try:
            with open(draft, "wb", opener=_opener(mode)) as file:
                os.fchmod(file.fileno(), mode)  # a draft left behind keeps its mode, and umask takes bits away
                file.write(data)
                file.flush()
                _sync(file.fileno())
            draft.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        _sync_directory(path.parent)

    def make_directory(self, path: Path, *, mode: int = 0o700) -> None:
        missing = [path, *path.parents]
        missing = missing[: next(place for place, folder in enumerate(missing) if folder.is_dir())]
        for folder in reversed(missing):
            folder.mkdir(mode=mode, exist_ok=True)
            _sync_directory(folder.parent)

    def lock(self, path: Path) -> Callable[[], None] | None:
        """flock, not lockf: a lockf lock is lost when any other descriptor of the file closes. The file stays behind:
        removing it would let two processes lock two files of one name."""
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        held = [descriptor]

        def release() -> None:
            while held:
                os.close(held.pop())

        return release


class WorkerThreads:
    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(WORKER_THREADS)

    async def run(self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, abandon_on_cancel=False, limiter=self._limiter)


class HostHuman:
    def __init__(self, ask: AskHuman | None) -> None:
        self._ask = ask

    async def approve(self, question: str, *, request_id: bytes) -> bool:
        if self._ask is None:
            return False
        with trio.move_on_after(HUMAN_SECONDS):
            return await self._ask(question, request_id)
        return False


def _opener(mode: int) -> Callable[[str, int], int]:
    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode)

    return opener


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def _sync_directory(folder: Path) -> None:
    """A name is durable only once its directory is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
