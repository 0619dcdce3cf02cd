"""A process that is somewhere else, as steps and hosts use one: what they write goes over a line and is done there.

    await process.sync.push(b"...")                     one question: two names, a call, and the answer awaited there
    async for blob in process.sync.blobs(): ...         the stream stays there, each `next` is a question
    await blob.taken()                                  what came along and cannot leave is asked where it is

Everything is awaited, also what is at hand in the process itself. A line that ends raises Crashed in who waits.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

import trio

from ferryman.supervisors.simulation.frames import (
    FRAME_BYTES_AT_MOST,
    LENGTH_BYTES,
    Answered,
    Asked,
    Call,
    pack,
    unpack,
)
from ferryman.supervisors.simulation.machine import Crashed

ROOT = 0
CHUNK_BYTES = 65_536


class Line:
    """The director's end of a life's channel."""

    def __init__(self, stream: trio.abc.Stream, name: str) -> None:
        self.name = name
        self.root = Remote(self, ROOT)
        self._stream = stream
        self._sending = trio.Lock()
        self._asked = 0
        self._waiting: dict[int, trio.Event] = {}
        self._answers: dict[int, Answered] = {}
        self._over = False

    async def say(self, what: object) -> None:
        """Raises Crashed."""
        try:
            async with self._sending:
                await self._stream.send_all(pack(what, number_of))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise Crashed(self.name) from None

    async def ask(self, target: int, path: tuple[str | Call, ...], *, keep: bool = False) -> Any:
        """The answer, or what was raised there. keep: the object itself stays there."""
        self._asked += 1
        number = self._asked
        answered = self._waiting[number] = trio.Event()
        try:
            await self.say(Asked(number, target, path, keep))
            if not self._over:
                await answered.wait()
        finally:
            del self._waiting[number]
        answer = self._answers.pop(number, None)
        if answer is None:
            raise Crashed(self.name)
        if not answer.well:
            raise answer.value
        return answer.value

    async def hear(self) -> AsyncGenerator[Any]:
        """What it says of itself, until its process is gone. Answers go to who asked."""
        try:
            async for body in bodies(self._stream):
                match unpack(body, lambda target: Remote(self, target)):
                    case Answered(number) as answer:
                        if number in self._waiting:
                            self._answers[number] = answer
                            self._waiting[number].set()
                    case said:
                        yield said
        finally:
            self._over = True
            for answered in self._waiting.values():
                answered.set()


async def bodies(stream: trio.abc.ReceiveStream) -> AsyncGenerator[bytes]:
    """Whole frames, without their lengths; half a frame at the end was never sent."""
    buffer = bytearray()
    while True:
        try:
            chunk = await stream.receive_some(CHUNK_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        if not chunk:
            return
        buffer += chunk
        while len(buffer) >= LENGTH_BYTES:
            length = int.from_bytes(buffer[:LENGTH_BYTES])
            if length > FRAME_BYTES_AT_MOST:
                raise ValueError(f"a frame of {length:,} bytes: at most {FRAME_BYTES_AT_MOST:,}")
            if len(buffer) < LENGTH_BYTES + length:
                break
            body = bytes(buffer[LENGTH_BYTES : LENGTH_BYTES + length])
            del buffer[: LENGTH_BYTES + length]
            yield body


class Remote:
    """Something in the process, and a way from it that is not gone yet. Names without an underscore at their end are
    those of the other side."""

    def __init__(self, line: Line, target: int, path: tuple[str | Call, ...] = ()) -> None:
        self._line = line
        self._target = target
        self._path = path
        self._entered: Remote | None = None

    def __getattr__(self, name: str) -> Remote:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._on(name)

    def __call__(self, *args: Any, **options: Any) -> Remote:
        return self._on(Call(args, options))

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._line.ask(self._target, self._path).__await__()

    def __aiter__(self) -> Iteration:
        return Iteration(self)

    async def __aenter__(self) -> Any:
        self._entered = await self.keep_()
        return await self._entered.call_("__aenter__")

    async def __aexit__(self, *error: object) -> None:
        if self._entered is not None:
            await self._entered.call_("__aexit__", None, None, None)

    async def keep_(self) -> Remote:
        """The object at the end of the way, so that its way is gone once."""
        if not self._path:
            return self
        return await self._line.ask(self._target, self._path, keep=True)

    @property
    def number_(self) -> int:
        """Of the kept object. Raises TypeError for a way: await it first."""
        if self._path:
            raise TypeError("what is asked of a real process is awaited before it is handed on")
        return self._target

    def call_(self, name: str, *args: Any) -> Remote:
        return self._on(name, Call(args, {}))

    def _on(self, *steps: str | Call) -> Remote:
        return Remote(self._line, self._target, (*self._path, *steps))


class Iteration:
    """`async for` over something there: it is found once, and asked for each next one."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._found: Remote | None = None

    def __aiter__(self) -> Iteration:
        return self

    async def __anext__(self) -> Any:
        if self._found is None:
            self._found = await self._remote.keep_()
        return await self._found.call_("__anext__")


def number_of(obj: object) -> int | None:
    return obj.number_ if isinstance(obj, Remote) else None
