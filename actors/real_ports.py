"""The real ports: the one file where wall clock, chance, sockets, files and threads come into the product.

| port    | made of                                                                                          |
|---------|--------------------------------------------------------------------------------------------------|
| clock   | the system's wall clock                                                                          |
| entropy | the system's random generator                                                                    |
| ids     | UUIDv4 (RFC 9562 §5.4) over the entropy port                                                     |
| network | Trio's TCP, and sockets of this machine for their owner                                          |
| disk    | files replaced whole and fsynced, SQLite through apsw, a lock that dies with its process         |
| threads | Trio's worker threads, at most `WORKER_THREADS` at a time                                        |
| human   | the host's callback; without one every question is refused                                       |
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import apsw
import trio

from ferryman.actors.ports import Entropy, Ports

T = TypeVar("T")
AskHuman = Callable[[str, bytes], Awaitable[bool]]

WORKER_THREADS = 16
"""Key derivation and disks share them: more would only queue for the GIL; with fewer one slow disk starves the rest."""
LOCAL_BACKLOG = 16
"""Who waits at a socket of this machine is a person with a terminal, or a script."""
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


class RandomIds:
    """UUIDv4 of any entropy, so that a seeded entropy gives seeded ids."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy

    def new_id(self) -> bytes:
        drawn = bytearray(self._entropy.random_bytes(16))
        drawn[6] = drawn[6] & 0x0F | 0x40  # version 4
        drawn[8] = drawn[8] & 0x3F | 0x80  # the variant of RFC 9562
        return bytes(drawn)


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
        return await trio.open_unix_socket(str(path))

    async def listen_local(self, path: Path) -> LocalListener:
        await self._make_room(path)
        socket = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        try:
            await socket.bind(str(path))
            os.chmod(path, 0o600)  # noqa: PTH101 - at once, and before listen: until then nobody can connect
            socket.listen(LOCAL_BACKLOG)
        except BaseException:
            socket.close()
            raise
        return LocalListener(trio.SocketListener(socket), path)

    async def _make_room(self, path: Path) -> None:
        """Remove the socket of a process that was killed; leave everything else alone."""
        try:
            stream = await trio.open_unix_socket(str(path))
        except ConnectionRefusedError:  # so says a file that is no socket, too: bind names it
            _remove_socket(path)
        except OSError:
            return
        else:
            await stream.aclose()


class LocalListener(trio.abc.Listener[trio.abc.HalfCloseableStream]):
    """A socket with a name in the file system, which goes with it."""

    def __init__(self, listener: trio.SocketListener, path: Path) -> None:
        self._listener = listener
        self._path = path

    async def accept(self) -> trio.abc.HalfCloseableStream:
        return await self._listener.accept()

    async def aclose(self) -> None:
        _remove_socket(self._path)
        await self._listener.aclose()


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

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

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


def _remove_socket(path: Path) -> None:
    if path.is_socket():
        path.unlink(missing_ok=True)


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
