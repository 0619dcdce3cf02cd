"""Timers by name inside one incarnation: setting one again replaces it, and a stopped one never fires."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import trio

from ferryman.actors.core.context import Context

N = TypeVar("N")


class Timers(Generic[N]):
    """`due(name)` is called at once when a timer fires, without waiting."""

    def __init__(self, ctx: Context[Any], due: Callable[[N], None]) -> None:
        self._ctx = ctx
        self._due = due
        self._scopes: dict[N, trio.CancelScope] = {}

    def set(self, name: N, seconds: float) -> None:
        self.stop(name)
        scope = self._scopes[name] = trio.CancelScope()
        self._ctx.tasks.start_soon(self._wait, name, seconds, scope)

    def stop(self, name: N) -> None:
        scope = self._scopes.pop(name, None)
        if scope is not None:
            scope.cancel()

    async def _wait(self, name: N, seconds: float, scope: trio.CancelScope) -> None:
        with scope:
            await trio.sleep(seconds)
            self._scopes.pop(name, None)  # not reached when it was stopped in the very moment it was due
            self._due(name)
