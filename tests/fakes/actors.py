"""Actors that do as they are told, and a journal of what happened to them.

    journal = Journal()
    root = Supervisor([ChildSpec("a", journal.worker)])
    ...
    system.ref("/a").tell(Crash())          journal.lines == ["a1 up", "a1 down", "a2 up"]

| message        | what the worker does                                                   |
|----------------|------------------------------------------------------------------------|
| Get()          | answers with (incarnation, number of Puts in it)                       |
| Put(value)     | keeps it: `journal.got[name]` outlives the incarnation                 |
| Crash(error)   | raises it                                                              |
| Finish()       | returns                                                                |
| Hold()         | keeps the question unanswered                                          |
| Work(seconds)  | sleeps, as one who is busy                                             |
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import trio
import trio.testing

from ferryman.actors.core.context import Context
from ferryman.actors.core.messages import Ask
from ferryman.supervisors.system import System


@dataclass(frozen=True, slots=True)
class Get(Ask[tuple[int, int]]):
    pass


@dataclass(frozen=True, slots=True)
class Put:
    value: object


@dataclass(frozen=True, slots=True)
class Crash(Ask[None]):
    error: BaseException = field(default_factory=lambda: Bang())


@dataclass(frozen=True, slots=True)
class Finish(Ask[None]):
    pass


@dataclass(frozen=True, slots=True)
class Hold(Ask[None]):
    pass


@dataclass(frozen=True, slots=True)
class Work:
    seconds: float


class Bang(Exception):
    """What a worker crashes with unless told otherwise."""


@dataclass
class Journal:
    """`lines`: who came and went, in order. `failing`: names whose next starts raise, and how many of them."""

    lines: list[str] = field(default_factory=list)
    got: dict[str, list[object]] = field(default_factory=dict)
    failing: dict[str, int] = field(default_factory=dict)
    living: dict[str, int] = field(default_factory=dict)
    most_at_once: int = 0

    async def worker(self, ctx: Context[Any]) -> None:
        name = ctx.path.rsplit("/", 1)[-1]
        label = f"{name}{ctx.incarnation}"
        if self.failing.get(name, 0):
            self.failing[name] -= 1
            self.lines.append(f"{label} fails")
            raise Bang(f"{name} does not start")
        self.lines.append(f"{label} up")
        self.living[ctx.path] = self.living.get(ctx.path, 0) + 1
        self.most_at_once = max(self.most_at_once, self.living[ctx.path])
        puts = 0
        held = []
        try:
            async for envelope in ctx:
                match envelope.msg:
                    case Get():
                        envelope.reply((ctx.incarnation, puts))
                    case Put(value):
                        puts += 1
                        self.got.setdefault(name, []).append(value)
                    case Crash(error):
                        raise error
                    case Finish():
                        return
                    case Hold():
                        held.append(envelope)
                    case Work(seconds):
                        await trio.sleep(seconds)
                    case other:
                        self.got.setdefault(name, []).append(other)
        finally:
            self.living[ctx.path] -= 1
            self.lines.append(f"{label} down")


async def outcome(awaitable: Awaitable[object]) -> object:
    """What came out: a value or an exception, to be asserted on."""
    try:
        return await awaitable
    except Exception as error:
        return error


async def settled() -> None:
    """Nobody has anything left to do until time passes or somebody speaks."""
    await trio.testing.wait_all_tasks_blocked()


def incarnations(system: System) -> dict[str, int | str]:
    """path: incarnation, or "ended"."""
    found: dict[str, int | str] = {}
    places = [system.tree()]
    while places:
        place = places.pop(0)
        found[place.path] = "ended" if place.state == "ended" else place.incarnation
        places += place.children
    return found
