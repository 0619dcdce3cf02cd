"""The status desk: tells whoever may open the relay's Unix socket how the relay is.

    accept -> look -> one JSON document -> closed

It reads nothing, so nobody can ask too much of it; it writes with a deadline and to a few at a time, so nobody who does
not read holds it up. The socket has mode 0600: who may read the relay's files may read this.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio

from ferryman.actors.core.context import Context

LOOKERS = 4  # at a time; more wait in the kernel's backlog
SEND_SECONDS = 5.0
ACCEPT_PAUSE = 0.1  # when the process has no descriptor left

Listener = trio.abc.Listener[trio.abc.HalfCloseableStream]


def status_desk(
    listeners: Sequence[Listener], look: Callable[[], bytes], up: trio.Event
) -> Callable[[Context[Any]], Awaitable[None]]:
    """The actor's body. `look`: the document as it is now. `up`: the tree is; who comes before waits in the backlog."""

    async def body(ctx: Context[Any]) -> None:
        for listener in listeners:
            ctx.tasks.start_soon(serve, listener)
        async for env in ctx:
            raise TypeError(f"not a message of the status desk: {type(env.msg).__name__}")

    async def serve(listener: Listener) -> None:
        await up.wait()
        places = trio.Semaphore(LOOKERS)
        async with trio.open_nursery() as tellers:
            while True:
                await places.acquire()
                try:
                    stream = await listener.accept()
                except OSError:
                    places.release()
                    await trio.sleep(ACCEPT_PAUSE)
                    continue
                tellers.start_soon(tell, stream, places)

    async def tell(stream: trio.abc.Stream, places: trio.Semaphore) -> None:
        try:
            with trio.move_on_after(SEND_SECONDS):
                await stream.send_all(look())
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            places.release()
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)

    return body
