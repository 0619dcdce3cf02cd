"""One incarnation of a durable actor: what it has recorded, what it has decided beyond that, and what it owes.

    past      the records: state, version, answers         moves when an append is answered
    state     the newest decision's                        ahead of `past` by what is under way

The two ways of driving it, one command at a time and many at a time, are in `durable.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import trio

from ferryman.actors.core.context import Context
from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.core.messages import Envelope
from ferryman.actors.debts import Debts, Perform
from ferryman.actors.durable_edge import Codec, Do, LedgerPort, Look, PendingAppend
from ferryman.actors.recollection import Recollection
from ferryman.protocol.errors import AppError, LocalProtocolError
from ferryman.protocol.ledger.record import Append, Appended, StorageFull
from ferryman.protocol.machine import Command, Decision, Machine, Refused

S = TypeVar("S")

STORAGE_FULL = "STORAGE_FULL"
FULL_DISK_SECONDS = 2.0  # until what found no room is tried again
MISMATCH = Refused("COMMAND_MISMATCH", "this command id was used for another command")
REPLAY_SLICE = (
    500  # records between two checkpoints of a replay: a millisecond or two, so that nobody else waits longer
)


class AppendFailed(AppError):
    """An append that should have been recorded was not: this state is not the stream's. Replay decides."""

    code = "APPEND_FAILED"


class Line(Generic[S]):
    """One message in line for its answer. `entry`: what has to be recorded first, and `state` what that leads to."""

    __slots__ = ("entry", "envelope", "epoch", "pending", "reply", "state")

    def __init__(self, envelope: Envelope[Any], reply: object, state: S, entry: Append | None) -> None:
        self.envelope = envelope
        self.reply = reply
        self.state = state
        self.entry = entry
        self.pending: PendingAppend | None = None
        self.epoch = 0


class Host(Generic[S]):
    """Decides, adopts what is recorded, and answers. `in_flight`: ids of commands on their way to the ledger."""

    def __init__(
        self,
        ctx: Context[Any],
        machine: Machine[S, Any, Any],
        stream: str,
        ledger: LedgerPort,
        codec: Codec,
        new_id: Callable[[], bytes],
        perform: Perform | None,
        snapshot_every: int,
    ) -> None:
        self.ctx = ctx
        self.machine = machine
        self.stream = stream
        self.ledger = ledger
        self.codec = codec
        self.new_id = new_id
        self.debts = Debts(ctx, perform, self.feed) if perform is not None else None
        self.snapshot_every = snapshot_every
        self.past = Recollection(machine, stream)
        self.state: S = machine.initial
        self.version = 0
        self.in_flight: dict[bytes, None] = {}

    async def recall(self) -> None:
        """Read the stream, be ready, and take up all that is owed. Raises RecoveryFailed."""
        records = await self.ledger.replay(self.stream)
        for start in range(0, len(records), REPLAY_SLICE):
            self.past.recall(records[start : start + REPLAY_SLICE], trio.current_time())
            await trio.lowlevel.checkpoint()
        self.go_back()
        self.ctx.ready()
        self.settle()

    def go_back(self) -> None:
        """Forget every decision that is not recorded."""
        self.state = self.past.state
        self.version = self.past.version
        self.in_flight.clear()

    # --- deciding

    def judge(self, envelope: Envelope[Any]) -> Line[S]:
        """Decide on the newest state, and see where that leads: what cannot be replayed is never recorded."""
        do = command_of(envelope)
        if do is None:
            return Line(envelope, None, self.state, None)
        crash_point("durable.decide")
        if do.command_id in self.past.answers or do.command_id in self.in_flight:
            return Line(envelope, None, self.state, None)
        decision = self.machine.decide(self.state, do.command)
        if isinstance(decision, Refused):
            decision = Decision(reply=decision, record=decision.record)
        if not (decision.events or decision.rows or decision.record):
            return Line(envelope, decision.reply, self.state, None)
        state = self.state
        for event in decision.events:
            state = self.machine.evolve(state, event)
        entry = Append(
            self.stream,
            self.version,
            do.command_id,
            self.codec.command_hash(do.command),
            events=decision.events,
            reply=decision.reply,
            rows=decision.rows,
        )
        return Line(envelope, decision.reply, state, entry)

    def conclude(self, line: Line[S]) -> None:
        """Answer what needs no record. All that was decided before it is recorded by now."""
        do = command_of(line.envelope)
        if do is None:
            line.envelope.reply(self.past.state)
            return
        known = self.past.answers.get(do.command_id)
        if known is None:
            line.envelope.reply(line.reply)
        elif known.command_hash == self.codec.command_hash(do.command):
            line.envelope.reply(known.reply)
        else:
            line.envelope.reply(MISMATCH)

    # --- what a record leads to

    def adopt(self, line: Line[S], entry: Append, version: int) -> None:
        """It is recorded: now it has happened."""
        crash_point("durable.evolve")
        self.past.adopt(line.state, version)
        self.past.remember(entry.command_id, entry.command_hash, line.reply, trio.current_time())
        crash_point("durable.reply")
        line.envelope.reply(line.reply)
        crash_point("durable.effects")
        self.settle()

    def settle(self) -> None:
        if self.debts is not None:
            self.debts.settle(self.machine.owed(self.past.state))

    async def feed(self, command: Command[Any]) -> None:
        """Report a debt's work, from the debt's own task: until there is room on the disk for it."""
        report = Do(self.new_id(), command)
        while True:
            if not is_full(await self.ctx.self_ref.ask(report)):
                return
            await trio.sleep(FULL_DISK_SECONDS)

    @property
    def snapshot_is_due(self) -> bool:
        return 0 < self.snapshot_every <= self.past.version - self.past.snapshot_version

    async def shorten(self) -> None:
        """Record a snapshot. Only while nothing is in flight."""
        past = self.past
        outcome = await self.ledger.snapshot(self.stream, past.version, past.state)
        if isinstance(outcome, Appended):
            past.adopt(past.state, outcome.version)
            self.version = outcome.version
        elif not isinstance(outcome, StorageFull):
            raise AppendFailed(f"stream {self.stream}: {type(outcome).__name__} for a snapshot")
        past.snapshot_version = past.version  # a full disk is tried again after as many records


def is_full(answer: object) -> bool:
    return isinstance(answer, Refused) and answer.code == STORAGE_FULL


def command_of(envelope: Envelope[Any]) -> Do[Any] | None:
    """What a durable actor is told to do; None if only to show its state."""
    msg: object = envelope.msg
    if isinstance(msg, Do):
        return cast("Do[Any]", msg)
    if isinstance(msg, Look):
        return None
    raise LocalProtocolError(f"a durable actor takes Do and Look, not {type(msg).__name__}")
