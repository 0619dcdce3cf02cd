"""The ports: everything that is not computation. Nothing else takes time, chance or sockets.

| port     | real                                     | in a simulation                            |
|----------|------------------------------------------|--------------------------------------------|
| clock    | wall clock; Trio's clock for durations   | virtual time                               |
| entropy  | os.urandom                               | seeded                                     |
| ids      | UUIDv4 from entropy                      | the same, seeded                           |
| network  | TCP; local sockets                       | memory streams, latency, loss, partition   |
| disk     | files and apsw connections               | an in-memory disk under SQLite's own code  |
| threads  | trio.to_thread                           | inline, with a checkpoint                  |
| keychain | OS keychain or a sealed file             | a dict                                     |
| human    | the host's prompt                        | given, refused, never                      |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import apsw
import trio

T = TypeVar("T")


class Clock(Protocol):
    """Wall time. Durations come from `trio.current_time()`, which a MockClock already replaces."""

    def now(self) -> int:
        """UNIX seconds."""
        ...

    def now_ms(self) -> int:
        """UNIX milliseconds."""
        ...


class Entropy(Protocol):
    def random_bytes(self, count: int) -> bytes:
        """`count` bytes fit for keys."""
        ...


class Ids(Protocol):
    def new_id(self) -> bytes:
        """16 bytes, a random UUIDv4."""
        ...


class Network(Protocol):
    async def open_stream(self, host: str, port: int) -> trio.abc.HalfCloseableStream:
        """A connected byte stream without TLS. Raises OSError."""
        ...

    async def listen(self, host: str, port: int) -> list[trio.abc.Listener[trio.abc.HalfCloseableStream]]:
        """Bound listeners; port 0 takes a free one. Raises OSError."""
        ...

    def address(self, listener: trio.abc.Listener[trio.abc.HalfCloseableStream]) -> tuple[str, int]:
        """Where a listener is bound."""
        ...

    def peer(self, stream: trio.abc.HalfCloseableStream) -> str:
        """The source address of an accepted stream, "" when it is already gone."""
        ...

    async def open_local(self, path: Path) -> trio.abc.HalfCloseableStream:
        """A stream to whoever listens at a path of this machine. Raises OSError."""
        ...

    async def listen_local(self, path: Path) -> trio.abc.Listener[trio.abc.HalfCloseableStream]:
        """A listener at `path`, for this user only, whose file goes with it. A socket of nobody is replaced.

        Raises OSError: EADDRINUSE where somebody listens, EEXIST where the file is no socket."""
        ...

    def is_own_user(self, stream: trio.abc.HalfCloseableStream) -> bool:
        """Whether the process at the other end of a local stream is this user's."""
        ...


class Disk(Protocol):
    """Files and databases. Every call may block: run it through `threads`, except on paths that say why not."""

    def connect(self, path: Path, *, read_only: bool = False) -> apsw.Connection: ...
    def exists(self, path: Path) -> bool: ...
    def read(self, path: Path, at_most: int = -1) -> bytes: ...
    def is_private(self, path: Path) -> bool:
        """Whether nobody but this process's user, and the system's, can read or change the file."""
        ...

    def write(self, path: Path, data: bytes, *, mode: int = 0o600) -> None:
        """Replace the file whole: a temporary file, fsync, rename, fsync of the directory."""
        ...

    def remove(self, path: Path) -> None: ...
    def make_directory(self, path: Path, *, mode: int = 0o700) -> None: ...
    def lock(self, path: Path) -> Callable[[], None] | None:
        """Take the process lock at `path`; returns its release, or None when another process holds it."""
        ...


class Threads(Protocol):
    async def run(self, work: Callable[[], T]) -> T:
        """Run blocking `work` off the loop. Not cancelled half-way: it is waited for."""
        ...


class Keychain(Protocol):
    """Named secrets of one device. Blocking: called through `threads`."""

    def get(self, name: str) -> bytes | None: ...
    def set(self, name: str, secret: bytes) -> None: ...
    def delete(self, name: str) -> None: ...


class Human(Protocol):
    async def approve(self, question: str, *, request_id: bytes) -> bool:
        """Ask the person; the same request_id is the same question. No answer in 60 s is a no."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """All ports of one process. Handed down the tree; never global."""

    clock: Clock
    entropy: Entropy
    ids: Ids
    network: Network
    disk: Disk
    threads: Threads
    human: Human
