"""The nursery that obeys: a body that starts children in order, restarts them as the strategy says, and stops them in
reverse order.

A supervisor is an actor: whatever happens to it is a notice (`notices.py`) in its mailbox, handled one at a time.

Children that start, or restart as a group, go through `to_start` one after the other: each that becomes ready begins
the next, and after the last the supervisor is ready itself. An Exited of one of them meanwhile changes the plan, so
nothing is waited for in vain. Children of a one_for_one come back alone, and nobody waits for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import trio

from ferryman.actors.core.context import Context
from ferryman.actors.core.errors import TooManyRestarts
from ferryman.actors.core.events import Ended, Stuck
from ferryman.actors.core.messages import Envelope
from ferryman.protocol.errors import LocalProtocolError
from ferryman.supervisors.node import Node, Registry
from ferryman.supervisors.notices import Due, Exited, StartChild, StopChild
from ferryman.supervisors.spec import Supervisor
from ferryman.supervisors.strategy import Window, affected, beyond_restart, comes_back, delay

STUCK_SECONDS = 5.0  # after its cancellation: what a clean-up may take before somebody should hear of it


async def supervise(registry: Registry, node: Node, spec: Supervisor, ctx: Context[Any]) -> None:
    """The body of a supervisor. It is ready when its children are."""
    ctx.ready_by_receiving = False
    await Supervising(registry, node, spec, ctx).run()


class Supervising:
    """One incarnation of a supervisor: its plan, and who waits for what."""

    def __init__(self, registry: Registry, node: Node, spec: Supervisor, ctx: Context[Any]) -> None:
        self.registry = registry
        self.node = node
        self.spec = spec
        self.ctx = ctx
        self.window = Window(spec.max_restarts, spec.within)
        self.to_start: list[Node] = list(node.children.values())
        self.unborn: dict[Node, None] = dict.fromkeys(self.to_start)  # not once ready: their crash is a failed start
        self.timers: dict[Node | None, Due] = {}
        self.starters: dict[Node, list[Envelope[Any]]] = {}
        self.stoppers: dict[Node, list[Envelope[Any]]] = {}
        self.on_exit = self.notice_exit  # bound once, not once a child
        self.on_ready = self.notice_ready

    async def run(self) -> None:
        try:
            self.node.branch = self
            self.start_next()
            async for envelope in self.ctx:
                await self.handle(envelope)
            await trio.sleep_forever()  # the cancellation is on its way
        finally:
            self.node.branch = None
            self.to_start.clear()
            self.starters.clear()  # whoever waits for a start learns from the core that we are gone
            with trio.CancelScope(shield=True):
                await self.stop(self.node.children.values())
            for child in list(self.node.children.values()):
                if child.dynamic:
                    self.finish(child, None)

    async def handle(self, envelope: Envelope[Any]) -> None:
        match envelope.msg:
            case Exited(ctx, cause):
                child = self.child_of(ctx)
                if child is not None:
                    child.current = None
                    await self.exited(child, ctx, cause)
            case Due(child) as due if self.timers.get(child) is due:
                del self.timers[child]
                if child is None:
                    self.start_next()
                else:
                    self.start(child)
            case StartChild():
                self.take_in(envelope)
            case StopChild():
                self.stop_child(envelope, envelope.msg)
            case _:
                pass  # a timer that nobody waits for any more

    def child_of(self, ctx: Context[Any]) -> Node | None:
        """The child whose running incarnation this is; None for a stale one."""
        child = self.registry.nodes.get(ctx.path)
        return child if child is not None and child.current is ctx else None

    # --- starting

    def start_next(self) -> None:
        """Start the first in the plan, unless it is starting, or the group backs off. An empty plan: we are ready."""
        if None in self.timers:
            return
        if not self.to_start:
            self.ctx.ready()
        elif self.to_start[0].current is None:
            self.start(self.to_start[0])

    def start(self, child: Node) -> None:
        if child.incarnation:
            self.registry.count_restart()
        ctx = child.spawn(self.ctx.tasks, self.on_exit)
        ctx.on_ready = self.on_ready

    def notice_ready(self, ctx: Context[Any]) -> None:
        """Called inside the child's task: whoever waits for it goes on at once."""
        child = self.child_of(ctx)
        if child is not None and child.state == "starting":
            child.state = "running"
            self.came_up(child)

    def notice_exit(self, ctx: Context[Any], cause: BaseException | None) -> None:
        """Called inside the child's task."""
        self.node.mailbox.push(Envelope(Exited(ctx, cause)))

    def came_up(self, child: Node) -> None:
        self.unborn.pop(child, None)
        for envelope in self.starters.pop(child, ()):
            envelope.reply(child)
        if self.to_start and self.to_start[0] is child:
            del self.to_start[0]
            self.start_next()

    # --- what follows from an exit

    async def exited(self, child: Node, ctx: Context[Any], cause: BaseException | None) -> None:
        if child.state == "stopping":
            self.finish(child, None, forget=True)
            return
        if cause is None or ctx.is_ready:
            self.came_up(child)  # it may have come and gone before we looked
        elif child in self.unborn:
            await self.failed_start(child, cause)
            return
        unreadable = beyond_restart(cause)
        if unreadable and not child.dynamic:
            raise cause
        if child.dynamic and child.supervisor is not None:
            returns = False  # it has spent its own restarts
        else:
            returns = comes_back(child.spec.restart, crashed=cause is not None)
        if not returns or unreadable:
            self.finish(child, cause)
        else:
            await self.restart(child, cause)

    async def failed_start(self, child: Node, cause: BaseException) -> None:
        """The first start of a dynamic child is its starter's affair; of any other, it is ours."""
        if not child.dynamic:
            if child.supervisor is None:
                cause.add_note(f"{child.path} did not start")
            raise cause
        starters = self.starters.pop(child, [])
        self.finish(child, cause)
        for envelope in starters:
            envelope.fail(cause)

    async def restart(self, child: Node, cause: BaseException | None) -> None:
        now = trio.current_time()
        if child.window is None:
            child.window = Window(self.spec.max_restarts, self.spec.within)
        within_own = child.window.spend(now)
        if not (within_own if child.dynamic else self.window.spend(now)):
            error = TooManyRestarts(self.node.path, self.spec.max_restarts, self.spec.within)
            error.__cause__ = cause
            if not child.dynamic:
                raise error
            self.finish(child, error)
            return
        seconds = delay(child.spec.backoff, len(child.window.times), self.ctx.rng)
        if self.spec.strategy == "one_for_one":
            self.start_after(seconds, child)
        else:
            await self.restart_group(child, seconds)

    async def restart_group(self, child: Node, seconds: float) -> None:
        siblings = list(self.node.children.values())
        group = [siblings[place] for place in affected(self.spec.strategy, siblings.index(child), len(siblings))]
        planned = dict.fromkeys([*group, *self.to_start])
        self.to_start = []  # nobody who becomes ready on the way out begins another
        await self.stop(group)
        for member in group:
            if member in self.stoppers:
                self.finish(member, None, forget=True)  # told to go: it does not come back with the others
                planned.pop(member, None)
            elif member.spec.restart == "temporary" and member.state != "ended":
                self.finish(member, None)
        self.to_start = [one for one in siblings if one in planned and one.spec.restart != "temporary"]
        for member in self.to_start:
            member.state = "backing off"
        self.start_after(seconds, None)

    def start_after(self, seconds: float, child: Node | None) -> None:
        """Start a child, or the group, at once or when its timer is due."""
        if seconds > 0:
            if child is not None:
                child.state = "backing off"
            due = self.timers[child] = Due(child)
            self.ctx.tasks.start_soon(self.ring, seconds, due)
        elif child is None:
            self.timers.pop(None, None)
            self.start_next()
        else:
            self.start(child)

    async def ring(self, seconds: float, due: Due) -> None:
        await trio.sleep(seconds)
        self.node.mailbox.push(Envelope(due))

    # --- stopping

    async def stop(self, children: Iterable[Node]) -> None:
        """Stop these in reverse order, one at a time, each waited for. They may be started again."""
        for child in reversed(list(children)):
            self.timers.pop(child, None)
            ctx = child.current
            if ctx is not None:
                child.state = "stopping"
                child.ask_to_stop()
                await self.gone(child, ctx)
                child.current = None
            if child.state != "ended":
                child.state = "idle"

    async def gone(self, child: Node, ctx: Context[Any]) -> None:
        """Wait until the incarnation is over. A leaf that outlives its cancellation is reported, and waited for."""
        if child.supervisor is None:
            with trio.move_on_after(child.spec.grace + STUCK_SECONDS):
                await ctx.done()
                return
            self.registry.report(Stuck(child.path, ctx.incarnation, STUCK_SECONDS))
        await ctx.done()

    def finish(self, child: Node, reason: BaseException | None, *, forget: bool = False) -> None:
        """A child has ended for good. A dynamic one, and one that was told to go, leaves the tree."""
        if child in self.to_start:
            self.to_start.remove(child)
            self.start_next()
        self.unborn.pop(child, None)
        self.timers.pop(child, None)
        child.end(reason)
        self.registry.report(Ended(child.path, reason))
        if child.dynamic and reason is not None:
            self.registry.count_ended_alone()
        if child.dynamic or forget:
            del self.node.children[child.name]
            child.leave(self.registry.nodes)
        for envelope in self.stoppers.pop(child, ()):
            envelope.reply()
        for envelope in self.starters.pop(child, ()):
            self.take_in(envelope)

    # --- children that come and go

    def take_in(self, envelope: Envelope[Any]) -> None:
        """Obey a StartChild."""
        wish: StartChild = envelope.msg
        child = self.node.children.get(wish.spec.name)
        if not self.spec.dynamic:
            envelope.fail(LocalProtocolError(f"{self.node.path} is not dynamic: its children are in its spec"))
        elif child is None:
            path = self.node.child_path(wish.spec.name)
            child = self.registry.plant(path, wish.spec, wish.variables, dynamic=True)
            self.node.children[wish.spec.name] = child
            self.begin(child, envelope)
        elif child.state == "ended":
            self.begin(child, envelope)  # a static one that was done
        elif child in self.unborn or child.state == "stopping":
            self.starters.setdefault(child, []).append(envelope)
        else:
            envelope.reply(child)

    def begin(self, child: Node, envelope: Envelope[Any]) -> None:
        self.unborn[child] = None
        self.starters[child] = [envelope]
        self.start(child)

    def stop_child(self, envelope: Envelope[Any], wish: StopChild) -> None:
        child = self.node.children.get(wish.name)
        if child is None:
            envelope.reply()
            return
        self.stoppers.setdefault(child, []).append(envelope)
        if child.current is None:
            self.finish(child, None, forget=True)
        elif child.state != "stopping":
            child.state = "stopping"
            child.ask_to_stop()
            self.ctx.tasks.start_soon(self.gone, child, child.current)
