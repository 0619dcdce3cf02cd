"""`ferryman watch`: stays connected and tells what happens, until Ctrl-C.

It is the device while it runs: other commands reach it through the socket. When another process is the device already,
it watches that one, and takes over when it ends.

    follow --> a line each
       | something arrived, or connected      with --out
       +--> fetch: into files, taken
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import trio

from ferryman.protocol.control import replies, requests
from ferryman.protocol.errors import AppError
from ferryman.supervisors.cli.command import run_on_device
from ferryman.supervisors.cli.device import Device, Wish
from ferryman.supervisors.cli.folder import Folder
from ferryman.supervisors.cli.home import COMMON, Common
from ferryman.supervisors.cli.line import HolderEnded
from ferryman.supervisors.cli.pull import fetch, require_takes
from ferryman.supervisors.cli.screen import Screen
from ferryman.supervisors.cli.words import short

AGAIN_SECONDS = 1.0  # after a fetch that the relay interrupted


def watch(*, out: Path | None = None, common: Common = COMMON) -> int:
    """Stay connected, and print what happens: blobs that arrive, blobs that the relay has, changes of the connection.

    Parameters
    ----------
    out
        Write each blob that arrives into a file of its own in this directory, and take it.
    """

    async def work(device: Device, screen: Screen) -> int:
        if out is not None:
            require_takes(device)
        if device.holder is not None:
            await screen.note(f"Process {device.holder} holds this device; watching it.")
        with ExitStack() as stack:
            folder = None if out is None else stack.enter_context(Folder(out))
            async with trio.open_nursery() as nursery:
                bell = Bell()
                if folder is not None:
                    nursery.start_soon(collect, device, screen, folder, bell)
                await follow(device, screen, bell)
        return 0

    return run_on_device(common, work, Wish(lends=out is None), endless=True)


class Bell:
    """Rung any number of times while nobody listens, it is heard once."""

    def __init__(self) -> None:
        self._rung = trio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def heard(self) -> None:
        await self._rung.wait()
        self._rung = trio.Event()


async def follow(device: Device, screen: Screen, bell: Bell) -> None:
    async def hear(news: replies.Reply) -> None:
        if isinstance(news, replies.Happened):
            if news.what in ("arrived", "missed") or news.connection == "connected":
                bell.ring()
            sender = f" from {short(news.sender)}" if news.sender else ""
            await screen.show(news, f"{news.text}{sender}")

    async with device.line() as line:
        await line.ask(requests.Follow(), hear)
    raise HolderEnded


async def collect(device: Device, screen: Screen, folder: Folder, bell: Bell) -> None:
    while True:
        await bell.heard()
        try:
            async with device.line() as line:
                await fetch(line, screen, folder, after=None, takes=True)
        except HolderEnded:
            raise
        except AppError as error:
            if not error.retryable:
                raise
            await trio.sleep(AGAIN_SECONDS)  # the next connection rings again
