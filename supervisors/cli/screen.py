"""What a command shows: words for a person, or with --json one object a line.

Everything goes straight to the descriptor, in a thread: a pipe that nobody reads holds up the command, not the device.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from functools import partial

import trio

from ferryman.protocol.control.requests import Message

STDOUT, STDERR = 1, 2


class Screen:
    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    async def show(self, reply: Message, text: str, **more: object) -> None:
        """more: further entries of the object."""
        await self.line({**reply.model_dump(mode="json"), **more}, text)

    async def line(self, entries: Mapping[str, object], text: str) -> None:
        """Nothing at all when there is no text for a person."""
        if self.as_json:
            text = json.dumps(entries, ensure_ascii=False)
        if text:
            await self.data(text.encode(errors="replace") + b"\n")

    async def note(self, text: str) -> None:
        """For a person only, beside the output."""
        if not self.as_json:
            await _write(STDERR, text.encode(errors="replace") + b"\n")

    async def data(self, data: bytes) -> None:
        await _write(STDOUT, data)


async def _write(descriptor: int, data: bytes) -> None:
    await trio.to_thread.run_sync(partial(_write_all, descriptor, data), abandon_on_cancel=True)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def is_terminal() -> bool:
    return sys.stdout.isatty()
