"""The janitor: every `cleanup.interval` it has the buffer forget what is over, slice by slice, and give back the space.

    Tick -> Sweep until the last table's end -> VacuumSome until nothing is free

Each slice is a job among the others in the buffer's queue: the writer is never held for longer than one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import trio

from ferryman.actors.core.context import Context
from ferryman.actors.core.ref import Ref
from ferryman.actors.relay.buffer_messages import Sweep, VacuumSome
from ferryman.actors.relay.settings import Settings
from ferryman.actors.relay.sweeping import BEGINNING, Place
from ferryman.actors.relay.transaction import StorageFull

BUFFER = "/buffer"
LOOK_SECONDS = 60.0  # how late a shorter interval may be noticed
VACUUM_SLICES = 100_000  # a vacuum that never ends is a bug, not a long vacuum


@dataclass(frozen=True, slots=True)
class Tick:
    """It is time."""


def janitor(settings: Settings) -> Callable[[Context[Any]], Awaitable[None]]:
    """The actor's body."""

    async def body(ctx: Context[Any]) -> None:
        async def keep_time() -> None:
            last = trio.current_time()
            while True:
                left = last + settings.cleanup_interval - trio.current_time()
                if left > 0:
                    await trio.sleep(min(left, LOOK_SECONDS))
                else:
                    last = trio.current_time()
                    ctx.self_ref.tell(Tick())

        ctx.tasks.start_soon(keep_time)
        buffer = ctx.ref(BUFFER)
        async for _ in ctx:
            try:
                await clean_up(buffer, vacuum=settings.vacuum_on_cleanup)
            except StorageFull:  # deleting needs room too; the next round may find some
                continue

    return body


async def clean_up(buffer: Ref[Any], *, vacuum: bool) -> None:
    place: Place | None = BEGINNING
    while place is not None:
        place = (await buffer.ask(Sweep(place))).next
    for _ in range(VACUUM_SLICES if vacuum else 0):
        if not await buffer.ask(VacuumSome()):
            break
