"""A device, for the time of a command: the process that holds it, by its socket, or this process itself.

connect <home>/control.sock -- answered --> that process carries everything out
         | nobody there
lock <home>/device.lock     -- got it ----> this process is the device, and serves the socket meanwhile
         | held
again, for `PATIENCE_SECONDS`: somebody starts or ends just now
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from ferryman.actors.keychain_errors import DeviceInUse
from ferryman.actors.ports import Ports
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.clerk import DeviceClerk
from ferryman.supervisors.cli.home import SETTINGS, load_config, require_device, settings_with_plain_keys
from ferryman.supervisors.cli.keys import KeyRing
from ferryman.supervisors.cli.line import ClerkLine, HolderEnded, Line, connect
from ferryman.supervisors.control import SOCKET_NAME, max_data
from ferryman.supervisors.runtime import open_runtime

PATIENCE_SECONDS = 10.0
AGAIN_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Device:
    """line: opens a conversation; several may go on at a time. holder: another process that is the device, or None.

    takes: blobs can be taken through it. max_data_bytes: of one blob.
    """

    line: Callable[[], AbstractAsyncContextManager[Line]]
    holder: int | None
    takes: bool
    max_data_bytes: int


@dataclass(frozen=True, slots=True)
class Wish:
    """create: make the device if there is none. lends: let other commands take its blobs while this one holds it."""

    create: bool = False
    allow_plain: bool = False
    lends: bool = True


@asynccontextmanager
async def open_device(home: Path, ports: Ports, wish: Wish, keys: KeyRing | None = None) -> AsyncGenerator[Device]:
    """keys: what was asked for before. Raises BadInput, KeychainError and what else a runtime cannot start with."""
    if not wish.create:
        require_device(home)
    keys = keys or KeyRing(home)
    deadline = trio.current_time() + PATIENCE_SECONDS
    async with AsyncExitStack() as stack:
        while True:
            device = await _of_another_process(home, ports) or await _of_this_process(home, ports, wish, keys, stack)
            if device is not None:
                break
            if trio.current_time() > deadline:
                raise BadInput(
                    f"{home}: another process is this device and answers no commands; end that process first"
                )
            await trio.sleep(AGAIN_SECONDS)
        yield device


async def _of_another_process(home: Path, ports: Ports) -> Device | None:
    path = home / SOCKET_NAME
    async with connect(path, ports) as found:
        if found is None:
            return None
        hello = found[1]
    return Device(partial(_socket_line, path, ports), hello.pid, hello.takes, hello.max_data_bytes)


async def _of_this_process(home: Path, ports: Ports, wish: Wish, keys: KeyRing, stack: AsyncExitStack) -> Device | None:
    """None when another process holds it after all."""
    config = load_config(home, allow_plain=wish.allow_plain, takes=wish.lends)
    settings = settings_with_plain_keys(home, ports.disk) if wish.allow_plain else None
    try:
        runtime, config = await keys.unlock(
            config, lambda attempt: stack.enter_async_context(open_runtime(attempt, ports=ports))
        )
    except DeviceInUse:
        return None
    if settings is not None and runtime.warning:  # so that nobody has to say it twice
        await ports.threads.run(lambda: ports.disk.write(home / SETTINGS, settings))

    @asynccontextmanager
    async def line() -> AsyncGenerator[Line]:
        yield ClerkLine(DeviceClerk(config, ports, runtime.sync, runtime.system.ref, runtime.warning, takes=True))

    return Device(line, None, True, max_data(config))


@asynccontextmanager
async def _socket_line(path: Path, ports: Ports) -> AsyncGenerator[Line]:
    """Raises HolderEnded when nobody listens any more."""
    async with connect(path, ports) as found:
        if found is None:
            raise HolderEnded
        yield found[0]
