"""A warm parent that forks a process for each life of a machine: nothing is imported twice, nothing is left behind.

    director --fork--> server, before any thread or loop --fork--> a life
             <-------- a socket pair ("fork", "kill"; who ended, and how)
             <----------------------------------- a socket pair of each life

| who is killed     | what follows                                                                     |
|-------------------|----------------------------------------------------------------------------------|
| a life            | the server buries it and says so                                                 |
| the director      | the server reads the end of its socket: kills all lives, removes the folder, ends |
| the server        | every life's watch of its own socket ends with the director's block              |

Only the server sends SIGKILL: it is the parent, so a number never names somebody else.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import shutil
import signal
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import trio

_ORDER = struct.Struct("<ci")  # what, which
_END = struct.Struct("<ii")  # which, wait status
_FORK, _KILL = b"f", b"k"
LOST = -1  # the wait status of one whose server is gone


class ServerGone(Exception):
    """The fork server ended before its director."""


class Channel:
    """A process's end: frames go out from any thread, at once, and outlive their sender."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self._lock = threading.Lock()

    def send(self, frame: bytes) -> None:
        """Returns when the kernel has it. A director that is gone is noticed by who reads."""
        rest = memoryview(frame)
        with self._lock, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while rest:
                try:
                    rest = rest[self.end.send(rest) :]
                except BlockingIOError:
                    select.select((), (self.end,), ())

    def read(self, count: int) -> bytes:
        """Exactly so many bytes, before a loop runs. Raises EOFError."""
        read = bytearray()
        while len(read) < count:
            chunk = self.end.recv(count - len(read))
            if not chunk:
                raise EOFError
            read += chunk
        return bytes(read)


def kill_this_process() -> None:
    """SIGKILL, with all its threads, wherever they are."""
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


class ForkServer:
    """The director's end. folder: of all its processes' files; it goes with the server."""

    def __init__(self, control: socket.socket, folder: Path) -> None:
        self.folder = folder
        self._rooms = 0
        self._control = control
        self._ends: dict[int, int] = {}
        self._news = trio.Event()
        self._buried = False

    def fork(self) -> socket.socket:
        """Start a life; the director's end of its channel, over which it says its number first."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [_ORDER.pack(_FORK, 0)], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise ServerGone("the fork server is gone") from error
        return ours

    def new_room(self) -> Path:
        """A folder for one world, for its director to remove."""
        self._rooms += 1
        folder = self.folder / f"{self._rooms}"
        folder.mkdir()
        return folder

    def kill(self, process_id: int) -> None:
        with contextlib.suppress(OSError):  # without a server there is nobody left to kill
            self._control.send(_ORDER.pack(_KILL, process_id))

    async def ended(self, process_id: int) -> int:
        """Its wait status, once nothing of it is left: no descriptor, no lock."""
        while process_id not in self._ends:
            if self._buried:
                return LOST
            await self._news.wait()
        return self._ends.pop(process_id)

    async def watch(self) -> None:
        """Hear of ends, until cancelled. Raises ServerGone."""
        self._buried = False  # one server hears many runs, one after the other
        self._control.setblocking(False)
        heard = b""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._control)
                chunk = self._control.recv(4096)
                if not chunk:
                    raise ServerGone("the fork server ended: are processes or memory used up?")
                heard += chunk
                while len(heard) >= _END.size:
                    process_id, status = _END.unpack(heard[: _END.size])
                    heard = heard[_END.size :]
                    self._ends[process_id] = status
                self._tell()
        finally:
            self._buried = True
            self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()


@contextmanager
def fork_server(live: Callable[[Channel], None]) -> Generator[ForkServer]:
    """`live(channel)` is what a forked process does. Call it before any thread of this process starts."""
    if threading.active_count() > 1:
        raise RuntimeError("a fork server starts before any thread does: its children would inherit held locks")
    folder = Path(tempfile.mkdtemp(prefix="ferryman-sim-"))
    ours, theirs = socket.socketpair()
    server = os.fork()
    if server == 0:
        try:
            ours.close()
            os.setsid()  # a Ctrl-C at the terminal is the director's to handle
            serve(theirs, live)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(0)
    theirs.close()
    try:
        yield ForkServer(ours, folder)
    finally:
        ours.close()
        os.waitpid(server, 0)
        shutil.rmtree(folder, ignore_errors=True)  # if somebody killed the server


def serve(control: socket.socket, live: Callable[[Channel], None]) -> None:
    """The server's life: until its director is gone, however it went."""
    bell, ringer = os.pipe()
    for end in (bell, ringer):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, heard_by_the_bell)
    signal.set_wakeup_fd(ringer, warn_on_full_buffer=False)
    gc.collect()
    gc.freeze()  # a child's collector does not touch, and so not copy, what all share
    alive: set[int] = set()
    try:
        while True:
            ready, _, _ = select.select((control, bell), (), ())
            if bell in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(bell, 4096)
                for process_id, status in bury(alive):
                    control.sendall(_END.pack(process_id, status))
            if control not in ready:
                continue
            order, descriptors, _, _ = socket.recv_fds(control, _ORDER.size, 1)
            if not order:
                return
            what, process_id = _ORDER.unpack(order)
            if what == _KILL and process_id in alive:
                os.kill(process_id, signal.SIGKILL)
            for descriptor in descriptors:
                child = os.fork()
                if child == 0:
                    be_born(control, (bell, ringer), descriptor, live)
                os.close(descriptor)
                alive.add(child)
    except (BrokenPipeError, ConnectionResetError):
        return
    finally:
        for process_id in alive:
            os.kill(process_id, signal.SIGKILL)
        for process_id in alive:
            os.waitpid(process_id, 0)


def heard_by_the_bell(_: int, __: FrameType | None) -> None:
    """A signal without a handler of Python's rings no bell."""


def bury(alive: set[int]) -> list[tuple[int, int]]:
    ended: list[tuple[int, int]] = []
    for process_id in tuple(alive):
        found, status = os.waitpid(process_id, os.WNOHANG)
        if found:
            alive.discard(process_id)
            ended.append((process_id, status))
    return ended


def be_born(control: socket.socket, bells: tuple[int, int], descriptor: int, live: Callable[[Channel], None]) -> None:
    """In the child. It never returns to the server's code."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        control.close()
        for bell in bells:
            os.close(bell)
        channel = Channel(socket.socket(fileno=descriptor))
        channel.send(os.getpid().to_bytes(4))
        live(channel)
    except EOFError:  # the director went before it had said what to be
        os._exit(1)
    finally:
        os._exit(0)
