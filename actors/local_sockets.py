"""Sockets of this machine, for one user: the local part of the network port.

    nobody listens there --> bind under a draft's name --> mode 0600 --> listen --> rename to its own name

Nobody can connect before it listens, and no moment shows another mode, or an absent socket where a stale one was.
The name goes when the listener closes; what a killed process left is replaced by the next.

A socket's address holds some hundred bytes, a path thousands: a long one is reached through a link in a directory of
our own, which is gone when the call returns. (`chdir` would move the whole process; /proc/self/fd is Linux's alone; a
socket elsewhere with a pointer to it would be a second thing to guard.)
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import trio

ADDRESS_BYTES = 103  # of sockaddr_un without its closing zero: 108 on Linux, 104 on macOS
BACKLOG = 16
SOCKET_MODE = 0o600
PEER_LINUX = struct.Struct("3i")  # struct ucred: pid, uid, gid
PEER_MACOS = struct.Struct("II")  # struct xucred begins with: version, uid
SOL_LOCAL, LOCAL_PEERCRED, XUCRED_BYTES = 0, 1, 76  # macOS, <sys/un.h>


class LocalListener(trio.abc.Listener[trio.abc.HalfCloseableStream]):
    """A socket with a name in the file system."""

    def __init__(self, listener: trio.SocketListener, path: Path) -> None:
        self._listener = listener
        self._path = path

    async def accept(self) -> trio.abc.HalfCloseableStream:
        return await self._listener.accept()

    async def aclose(self) -> None:
        if self._path.is_socket():
            self._path.unlink(missing_ok=True)
        await self._listener.aclose()


def open_listener(path: Path) -> LocalListener:
    """Blocks. Two at a time for one path are for the caller to prevent. Raises OSError."""
    _require_stale(path)
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(draft) as address:
            listening.bind(address)
        draft.chmod(SOCKET_MODE)
        listening.listen(BACKLOG)
        draft.rename(path)
        return LocalListener(trio.SocketListener(trio.socket.from_stdlib_socket(listening)), path)
    except BaseException:  # whatever it was: nobody got the socket, and its draft is in the way of the next one
        listening.close()
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def _require_stale(path: Path) -> None:
    """Raises OSError where somebody listens, or where the file is none of ours to replace."""
    if not path.exists():
        return
    if not path.is_socket():
        raise FileExistsError(errno.EEXIST, "there is a file, or a directory, of that name", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as ours, _short(path) as address:
        ours.setblocking(False)  # a full backlog is somebody too
        if ours.connect_ex(address) not in (errno.ECONNREFUSED, errno.ENOENT):
            raise OSError(errno.EADDRINUSE, "somebody listens there", str(path))


async def connect_local(path: Path) -> trio.SocketStream:
    """Raises OSError: FileNotFoundError, ConnectionRefusedError when the process that made the socket is gone."""
    ours = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as address:
            await ours.connect(address)
        return trio.SocketStream(ours)
    except BaseException:  # cancelled too: nobody got the socket
        ours.close()
        raise


def is_own_user(stream: trio.SocketStream) -> bool:
    """By the kernel's word. Where it gives none, the socket's mode is what there is."""
    user = os.geteuid()
    try:
        if sys.platform == "linux":
            raw = stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_LINUX.size)
            user = PEER_LINUX.unpack(raw)[1]
        elif sys.platform == "darwin":
            raw = stream.getsockopt(SOL_LOCAL, LOCAL_PEERCRED, XUCRED_BYTES)
            user = PEER_MACOS.unpack_from(raw)[1]
    except OSError:  # gone already
        return False
    return user == os.geteuid()


@contextlib.contextmanager
def _short(path: Path) -> Generator[str]:
    """An address of the file at `path` that fits."""
    if len(os.fsencode(path)) <= ADDRESS_BYTES:
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="ferryman-") as folder:  # mode 0700
        link = Path(folder) / "home"
        link.symlink_to(path.parent.absolute(), target_is_directory=True)
        yield str(link / path.name)
