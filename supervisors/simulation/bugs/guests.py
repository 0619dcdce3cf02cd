"""An invite that two read at the same moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import trio

from ferryman.protocol.errors import AppError
from ferryman.supervisors.simulation.machine import Crashed, Machine
from ferryman.supervisors.simulation.registry import Step, invariant, step
from ferryman.supervisors.simulation.sync_steps import AGAIN_SECONDS, become_member, invite_one


@dataclass(frozen=True, slots=True)
class Joined:
    device: str

    def __str__(self) -> str:
        return f"{self.device} joined by the code that two had"


@step("both-join")
class BothJoin(Step):
    """`device` makes one invite; `first` and `second` read its code at the same time."""

    first: str = "b"
    second: str = "c"

    async def run(self, world: Any) -> None:
        code = await self.code(world)
        async with trio.open_nursery() as nursery:
            for name in (self.first, self.second):
                nursery.start_soon(self.join, world, world.machine(name), code)

    async def code(self, world: Any) -> str:
        while True:
            try:
                return (await world.machine(self.device).do(invite_one)).short_code
            except AppError as error:
                if not error.retryable:
                    raise
            await trio.sleep(AGAIN_SECONDS)

    async def join(self, world: Any, machine: Machine, code: str) -> None:
        try:
            await machine.do(partial(become_member, code))
        except (AppError, Crashed):
            return  # refused, or nobody knows
        machine.host.enabled = True
        world.note(Joined(machine.name))


@invariant("one_guest")
def one_guest(world: Any) -> Iterator[str]:
    """A code lets one in."""
    guests = [one.device for one in world.history if isinstance(one, Joined)]
    if len(guests) > 1:
        yield f"one invite let {' and '.join(guests)} in"
