"""What a machine owes the world, and the tasks that work on it: one task a debt, never two.

`owed(state)` maps a debt's id to its effect. Compared with what is running:

| owed now          | running             | what happens                                                              |
|-------------------|---------------------|---------------------------------------------------------------------------|
| id, effect        | nothing             | a task performs the effect                                                |
| id, same effect   | it, or it is done   | nothing: a debt is performed once an incarnation, until it changes        |
| id, other effect  | the old one         | the old task is cancelled, a new one performs the new effect              |
| nothing           | the old one         | the task is cancelled                                                     |

A finished effect comes back as a command, and the machine closes or changes the debt by an event. After a restart all
that is owed is performed again: at least once, so the receiver knows a debt by its id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import trio

from ferryman.actors.core.context import Context
from ferryman.protocol.machine import Command, DebtId, Effect

Perform: TypeAlias = Callable[[Context[Any], DebtId, Effect], Awaitable[Command[Any] | None]]
Feed: TypeAlias = Callable[[Command[Any]], Awaitable[object]]

DEBT = " owes "
"""In the names of the tasks that work on debts: who looks at a tree of tasks sees what is still owed."""


class Debts:
    """The debts of one incarnation. An exception in `perform` is a crash of the incarnation."""

    def __init__(self, ctx: Context[Any], perform: Perform, feed: Feed) -> None:
        self._ctx = ctx
        self._perform = perform
        self._feed = feed
        self._begun: dict[DebtId, tuple[Effect, trio.CancelScope]] = {}

    def settle(self, owed: Mapping[DebtId, Effect]) -> None:
        """Drop what is owed no more, begin what is new. Drops come first: a successor may need what they held."""
        for debt_id, (effect, scope) in list(self._begun.items()):
            now = owed.get(debt_id, scope)  # no effect equals its own scope
            if now is not effect and now != effect:
                scope.cancel()
                del self._begun[debt_id]
        for debt_id, effect in owed.items():
            if debt_id not in self._begun:
                scope = trio.CancelScope()
                self._begun[debt_id] = effect, scope
                self._ctx.tasks.start_soon(self._work, debt_id, effect, scope, name=f"{self._ctx.path}{DEBT}{debt_id}")

    async def _work(self, debt_id: DebtId, effect: Effect, scope: trio.CancelScope) -> None:
        with scope:
            command = await self._perform(self._ctx, debt_id, effect)
            if command is not None:
                await self._feed(command)
