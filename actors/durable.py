"""The one body that hosts every machine: replay; then decide, record, evolve, reply, and what is owed.

    durable(machine, stream, ledger, codec=codec, new_id=ids.new_id, perform=perform)      -> a body

| step    | what happens                                               | a crash just after it                        |
|---------|------------------------------------------------------------|----------------------------------------------|
| decide  | pure; a repeat gets the first reply, a refusal is a reply  | nothing happened; the caller repeats         |
| append  | command id and hash, events, reply, rows: one transaction  | it happened; the caller repeats, same reply  |
| evolve  | the state takes the events in                              | as above: replay evolves                     |
| reply   | the asker knows                                            | as above                                     |
| effects | what is new in `owed(state)` starts, what left it ends     | the next incarnation starts all that is owed |

`window=1` handles one command at a time, at the pace of the disk's commits; a violated constraint is a refusal.
`window=n` decides on the evolved state while up to n records are on their way; replies and effects wait for the
commit, in order; an append that conflicts crashes the incarnation, everyone in flight gets ActorCrashed, and replay
decides. It is for machines whose own state excludes every conflict.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import trio

from ferryman.actors.core.context import Body, Context
from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.debts import Perform
from ferryman.actors.durable_edge import Codec, Do, LedgerPort, Look, PendingAppend
from ferryman.actors.durable_host import MISMATCH, STORAGE_FULL, AppendFailed, Host, Line
from ferryman.protocol.ledger.record import (
    Append,
    Appended,
    AppendOutcome,
    CommandMismatch,
    Conflict,
    Repeated,
    StorageFull,
)
from ferryman.protocol.machine import Machine, Refused

__all__ = ["AppendFailed", "Codec", "Do", "LedgerPort", "Look", "PendingAppend", "durable"]

S = TypeVar("S")


def durable(
    machine: Machine[S, Any, Any],
    stream: str,
    ledger: LedgerPort,
    *,
    codec: Codec,
    new_id: Callable[[], bytes],
    perform: Perform | None = None,
    window: int = 1,
    snapshot_every: int = 0,
) -> Body:
    """The body of an actor that hosts `machine`. One stream has one durable actor. Messages: Do, Look.

    perform(ctx, debt_id, effect) works on one debt, in a task of its own, and returns the command that reports it, or
    None. `new_id` gives such commands their ids. A machine may have `conflict(name) -> Refused` to translate a violated
    constraint; otherwise the refusal's code is the constraint's name. snapshot_every: records between two snapshots of
    the state, 0 for none.
    """
    if window < 1:
        raise ValueError("a window holds at least one command")

    async def body(ctx: Context[Any]) -> None:
        host = Host(ctx, machine, stream, ledger, codec, new_id, perform, snapshot_every)
        await host.recall()
        if window == 1:
            await one_at_a_time(host)
        else:
            await Window(host, window).run()

    return body


async def one_at_a_time(host: Host[Any]) -> None:
    async for envelope in host.ctx:
        line = host.judge(envelope)
        if line.entry is None:
            host.conclude(line)
            continue
        crash_point("durable.append")
        match await host.ledger.append(line.entry):
            case Appended(version=version):
                host.state, host.version = line.state, version
                host.adopt(line, line.entry, version)
                if host.snapshot_is_due:
                    await host.shorten()
            case Repeated(version=version, reply=reply) if version <= host.version:
                envelope.reply(reply)  # from a time that our memory does not reach back to
            case CommandMismatch():
                envelope.reply(MISMATCH)
            case StorageFull(message):
                envelope.reply(Refused(STORAGE_FULL, message))
            case Conflict(name) if name != "version":
                translate: Callable[[str], Refused] = getattr(host.machine, "conflict", Refused)
                envelope.reply(translate(name))
            case Conflict() | Repeated():
                raise AppendFailed(f"stream {host.stream} has records that this incarnation has not read")


class Window(Generic[S]):
    """Many at a time: the body decides and posts, a task of its own awaits the commits and answers, in order.

    A full disk is known to have recorded nothing: from that entry on all are refused, those decided on top of it too,
    and the state goes back to what is recorded. `epoch` counts how often.
    """

    def __init__(self, host: Host[S], size: int) -> None:
        self.host = host
        self.size = size
        self.epoch = 0
        self.full = Refused(STORAGE_FULL)
        self.lines: deque[Line[S]] = deque()
        self.arrived = trio.lowlevel.ParkingLot()
        self.left = trio.lowlevel.ParkingLot()

    async def run(self) -> None:
        host = self.host
        host.ctx.tasks.start_soon(self.commit)
        async for envelope in host.ctx:
            line = host.judge(envelope)
            line.epoch = self.epoch
            if line.entry is not None:
                await self.post(line, line.entry)
            elif not self.lines:
                host.conclude(line)
                continue
            self.lines.append(line)
            self.arrived.unpark()
            while len(self.lines) >= self.size:
                await self.left.park()
            if host.snapshot_is_due:
                while self.lines:
                    await self.left.park()
                await host.shorten()
        while self.lines:
            await self.left.park()

    async def post(self, line: Line[S], entry: Append) -> None:
        host = self.host
        crash_point("durable.append")
        line.pending = await host.ledger.post(entry)
        if line.epoch == self.epoch:
            host.state = line.state
            host.version += 1
            host.in_flight[entry.command_id] = None

    async def commit(self) -> None:
        while True:
            while not self.lines:
                await self.arrived.park()
            line = self.lines[0]
            outcome = None if line.pending is None else await line.pending.wait()
            if isinstance(outcome, StorageFull) and line.epoch == self.epoch:
                self.full = Refused(STORAGE_FULL, outcome.message)
                self.epoch += 1
                self.host.go_back()
            if line.epoch != self.epoch:
                self.undo(line, outcome)
            elif line.entry is None or outcome is None:
                self.host.conclude(line)
            elif isinstance(outcome, Appended):
                del self.host.in_flight[line.entry.command_id]
                self.host.adopt(line, line.entry, outcome.version)
            else:
                raise AppendFailed(f"stream {self.host.stream}: {type(outcome).__name__} within the window")
            self.lines.popleft()
            self.left.unpark()

    def undo(self, line: Line[S], outcome: AppendOutcome | None) -> None:
        """Refuse what was decided on top of an append that found no room; it cannot have been recorded either."""
        if isinstance(outcome, Appended):
            raise AppendFailed(f"stream {self.host.stream}: a record follows one that was refused")
        line.reply = self.full
        self.host.conclude(line)
