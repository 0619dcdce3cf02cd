"""A cell: what stays of an actor when its incarnation goes. It owns address and mailbox and lives through restarts.

    idle --spawn--> incarnation 1 --over--> idle --spawn--> incarnation 2 ...          never two at once

    supervisor's nursery
    └─ task of the incarnation              except Exception: a crash, reported once, handed to the supervisor
       └─ ctx.tasks (a nursery)             its scope is shielded: only the supervisor ends an incarnation
          ├─ the body
          └─ background tasks               cancelled when the body returns

The handler stands outside the scope: a failure while cleaning up after a cancellation is a crash too. What is not an
Exception (KeyboardInterrupt, SystemExit, a simulated power cut), bare or in a group, is nobody's to keep: it leaves
the tree.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context as Variables
from typing import Any, Literal, TypeAlias, cast

import trio

from ferryman.actors.core.address import Address, House
from ferryman.actors.core.context import Body, Context
from ferryman.actors.core.events import Crashed, Started
from ferryman.actors.core.mailbox import Overflow

State: TypeAlias = Literal["idle", "starting", "running", "backing off", "stopping", "ended"]
OnExit: TypeAlias = Callable[[Context[Any], BaseException | None], None]


class Cell(Address):
    """`incarnation` counts from 1, 0 before the first. `current` is the one that runs, None between two.

    `variables` is the set of context variables that every incarnation starts with: those of whoever started the cell.
    """

    __slots__ = ("body", "current", "incarnation", "state", "variables")

    def __init__(
        self, house: House, path: str, body: Body, capacity: int, overflow: Overflow, variables: Variables
    ) -> None:
        super().__init__(house, path, capacity, overflow)
        self.body = body
        self.variables = variables
        self.state: State = "idle"
        self.incarnation = 0
        self.current: Context[Any] | None = None

    def spawn(self, nursery: trio.Nursery, on_exit: OnExit) -> Context[Any]:
        """Begin the next incarnation. `on_exit(ctx, cause)` is called once, when it is over."""
        if self.current is not None:
            raise RuntimeError(f"{self.path} runs already")
        if self.mailbox.closed:
            self.mailbox.reopen()
            self.reason = None
        self.incarnation += 1
        self.state = "starting"
        ctx: Context[Any] = Context(self, self.incarnation)
        self.current = ctx
        self.house.report(Started(self.path, self.incarnation))
        # start_soon copies the variables that surround the call; around us are the supervisor's
        self.variables.run(nursery.start_soon, self._live, ctx, on_exit, name=self.path)
        return ctx

    @property
    def restarts(self) -> int:
        """Incarnations after the first."""
        return max(0, self.incarnation - 1)

    def end(self, reason: BaseException | None) -> None:
        self.state = "ended"
        super().end(reason)

    async def _live(self, ctx: Context[Any], on_exit: OnExit) -> None:
        cause: BaseException | None = None
        bodies = self.house.bodies
        task = trio.lowlevel.current_task()
        bodies[task] = self
        try:
            async with trio.open_nursery() as tasks:
                tasks.cancel_scope.shield = True
                ctx.enter(tasks)
                await self.body(ctx)
                tasks.cancel_scope.cancel()
            if ctx.injected is not None:
                raise ctx.injected
        except Exception as raised:  # noqa: BLE001 - the one place where a crash is caught, to be supervised
            cause = bare(raised)
        except BaseException as raised:  # Ctrl-C, the end of the tree: no crash, and nothing to supervise
            self.end(bare(raised))  # nobody restarts us: whoever insists on an answer must hear that none will come
            raise
        finally:
            del bodies[task]
            self.waits_for = None
            ctx.close(cause)
        if cause is not None:
            last = ctx.last.__name__ if ctx.last is not None else None
            self.house.report(Crashed(self.path, ctx.incarnation, last, cause, self.restarts))
        on_exit(ctx, cause)


def bare(error: BaseException) -> BaseException:
    """The exception inside a group of one, at any depth: nurseries wrap what passes through them."""
    inner = error
    while isinstance(inner, BaseExceptionGroup):
        members: tuple[BaseException, ...] = cast("BaseExceptionGroup[BaseException]", inner).exceptions
        if len(members) != 1:
            return error
        inner = members[0]
    return inner
