"""The inbox: what the host has taken, group by group. Nothing is acknowledged to a relay that is not recorded here.

    cursor     1   2   3   4   5   6   7   8
               t   t   t   t   .   t   .   .          t: taken (or nothing to take: our own, gone, unreadable)
                           |       |
                      through=4   above=(6,)          the relay hears `through`: everything before it, without a hole

| command  | what it records                                                                              |
|----------|----------------------------------------------------------------------------------------------|
| Take     | the host stored blobs; their places in their senders' chains (wire §6) are seen from now on    |
| Advance  | up to `through` there is nothing left that the host has still to take                         |
| Restart  | the relay counts anew: from cursor 0 again, in another run; the chains stay as they are       |
|          | the same run: the relay names what it had not named                                           |

A run is one life of the relay's cursors, counted here; its name on the wire, the incarnation, a relay may keep to
itself, or tell late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TypeAlias

from ferryman.protocol.ledger.codec import recorded
from ferryman.protocol.machine import Command, DebtId, Decision, Effect
from ferryman.protocol.sync.chain import ChainView
from ferryman.protocol.sync.control import MAX_HEADS, Head
from ferryman.protocol.sync.strands import ChainKey, Link, Strand, seen, strands, unseen

MAX_ABOVE = 10_000
"""Cursors taken behind a hole. The lowest are forgotten beyond that: those blobs would be given again, not lost."""

CHECKPOINT_BLOBS = 256
CHECKPOINT_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Position:
    """One group's part. incarnation: the relay's name for this run of cursors, b"" when it gives none.

    unmarked: blobs of others since the last checkpoint; since, at: when the first and the last of them were taken.
    """

    incarnation: bytes = b""
    through: int = 0
    above: tuple[int, ...] = ()
    chains: Mapping[ChainKey, ChainView] = field(default_factory=dict[ChainKey, ChainView])
    run: int = 0
    unmarked: int = 0
    unmarked_since: int = 0
    unmarked_at: int = 0
    checkpoints: int = 0


@recorded("inbox.state/1")
@dataclass(frozen=True, slots=True)
class InboxState:
    positions: Mapping[bytes, Position] = field(default_factory=dict[bytes, Position])


START = Position()


@dataclass(frozen=True, slots=True)
class Take(Command[int]):
    """Reply: `through` afterwards. through: as far as the client knows, with these taken, that no hole is left.

    data: how many of them were for the host; at: UNIX seconds.
    """

    group_id: bytes
    run: int
    cursors: tuple[int, ...]
    strands: tuple[Strand, ...]
    through: int = 0
    data: int = 0
    at: int = 0


@dataclass(frozen=True, slots=True)
class Advance(Command[int]):
    """Reply: `through` afterwards."""

    group_id: bytes
    run: int
    through: int


@dataclass(frozen=True, slots=True)
class Restart(Command[int]):
    """Reply: `through` afterwards."""

    group_id: bytes
    run: int
    incarnation: bytes


@dataclass(frozen=True, slots=True)
class ConfirmCheckpoint(Command[int]):
    """Reply: `through`. A checkpoint is in the outbox that accounts for `blobs`."""

    group_id: bytes
    blobs: int


@dataclass(frozen=True, slots=True)
class ForgetPosition(Command[None]):
    """Of a group that this device has left for good."""

    group_id: bytes


InboxCommand: TypeAlias = Take | Advance | Restart | ConfirmCheckpoint | ForgetPosition


@recorded("inbox.blob_taken/1")
@dataclass(frozen=True, slots=True)
class BlobTaken:
    """As it was recorded when blobs were taken one by one."""

    group_id: bytes
    cursor: int
    link: Link | None
    through: int


@recorded("inbox.blobs_taken/1")
@dataclass(frozen=True, slots=True)
class BlobsTaken:
    """cursors: those above `through`; none when they are of an earlier run: then only the chains move."""

    group_id: bytes
    cursors: tuple[int, ...]
    strands: tuple[Strand, ...]
    through: int
    data: int = 0
    at: int = 0


@recorded("inbox.checkpoint_made/1")
@dataclass(frozen=True, slots=True)
class CheckpointMade:
    group_id: bytes
    blobs: int


@recorded("inbox.run_named/1")
@dataclass(frozen=True, slots=True)
class RunNamed:
    group_id: bytes
    incarnation: bytes


@recorded("inbox.cursor_advanced/1")
@dataclass(frozen=True, slots=True)
class CursorAdvanced:
    group_id: bytes
    through: int


@recorded("inbox.cursors_restarted/1")
@dataclass(frozen=True, slots=True)
class CursorsRestarted:
    group_id: bytes
    incarnation: bytes
    through: int
    run: int = 0


@recorded("inbox.position_forgotten/1")
@dataclass(frozen=True, slots=True)
class PositionForgotten:
    group_id: bytes


InboxEvent: TypeAlias = (
    BlobTaken | BlobsTaken | CursorAdvanced | CursorsRestarted | RunNamed | CheckpointMade | PositionForgotten
)


@dataclass(frozen=True, slots=True)
class MakeCheckpoint:
    """Queue a checkpoint with the heads of this group as they are then."""

    group_id: bytes


class Inbox:
    """The machine. Its actor is `ferryman.actors.inbox`."""

    name = "inbox"
    initial = InboxState()

    def decide(self, state: InboxState, command: InboxCommand) -> Decision[InboxEvent]:
        position = state.positions.get(command.group_id, START)
        match command:
            case Take(group_id, run, _, places, _, data, at) if run != position.run:
                taken = (BlobsTaken(group_id, (), places, position.through, data, at),) if places else ()
                return Decision(taken, reply=position.through)
            case Take(group_id, _, cursors, places, through, data, at):
                through = max(through, position.through)
                fresh = [each for each in cursors if each > position.through and each not in position.above]
                if not fresh and (places := unseen(position.chains, places)):  # repeated after a later one
                    return Decision((BlobsTaken(group_id, (), places, through, data, at),), reply=through)
                if not fresh:
                    advanced = (CursorAdvanced(group_id, through),) if through > position.through else ()
                    return Decision(advanced, reply=through)
                above = tuple(each for each in fresh if each > through)
                return Decision((BlobsTaken(group_id, above, places, through, data, at),), reply=through)
            case Advance(group_id, run, through):
                if run != position.run or through <= position.through:
                    return Decision(reply=position.through)
                return Decision((CursorAdvanced(group_id, through),), reply=through)
            case Restart(group_id, run, incarnation) if run == position.run:
                named = (RunNamed(group_id, incarnation),) if incarnation != position.incarnation else ()
                return Decision(named, reply=position.through)
            case Restart(run=run) if run < position.run:  # said again after a later one
                return Decision(reply=position.through)
            case Restart(group_id, run, incarnation):
                return Decision((CursorsRestarted(group_id, incarnation, 0, run),), reply=0)
            case ConfirmCheckpoint(group_id, blobs):
                return Decision((CheckpointMade(group_id, blobs),), reply=position.through)
            case ForgetPosition(group_id):
                return Decision((PositionForgotten(group_id),) if group_id in state.positions else ())

    def evolve(self, state: InboxState, event: InboxEvent) -> InboxState:
        position = state.positions.get(event.group_id, START)
        match event:
            case PositionForgotten(group_id):
                return InboxState({each: left for each, left in state.positions.items() if each != group_id})
            case BlobTaken(group_id, cursor, link, through):
                above = (cursor,) if cursor > through else ()
                return self.evolve(
                    state, BlobsTaken(group_id, above, strands(() if link is None else (link,)), through)
                )
            case BlobsTaken(_, cursors, places, through, data, at):
                position = count(replace(position, chains=seen(position.chains, places)), data, at)
                position = settle(position, through, insert(position.above, cursors) if cursors else position.above)
            case CheckpointMade(_, blobs):
                left = max(position.unmarked - blobs, 0)
                position = replace(
                    position,
                    unmarked=left,
                    unmarked_since=position.unmarked_at,
                    checkpoints=position.checkpoints + 1,
                )
            case RunNamed(_, incarnation):
                position = replace(position, incarnation=incarnation)
            case CursorAdvanced(_, through):
                position = settle(position, through, position.above)
            case CursorsRestarted(_, incarnation, through, run):
                position = replace(position, incarnation=incarnation, through=through, above=(), run=run)
        return InboxState({**state.positions, event.group_id: position})

    def owed(self, state: InboxState) -> Mapping[DebtId, Effect]:
        """Checkpoints. What was recorded needs no debt: it reaches the relay with the next ACK or HELLO."""
        return {
            f"checkpoint/{group_id.hex()}/{position.checkpoints}": MakeCheckpoint(group_id)
            for group_id, position in state.positions.items()
            if is_due(position)
        }


def count(position: Position, data: int, at: int) -> Position:
    if not data:
        return position
    since = position.unmarked_since if position.unmarked else at
    return replace(position, unmarked=position.unmarked + data, unmarked_since=since, unmarked_at=at)


def is_due(position: Position) -> bool:
    """Whether the others should hear how far we have seen their chains (wire §6)."""
    passed = position.unmarked_at - position.unmarked_since
    return position.unmarked >= CHECKPOINT_BLOBS or (position.unmarked > 0 and passed >= CHECKPOINT_SECONDS)


def heads(position: Position) -> tuple[Head, ...]:
    """How far the chains are seen, at most MAX_HEADS: no device can push another out of them for good.

    First the chain that each device was last heard in, then each one's chain before that, and so on. Where not all
    fit, the next checkpoint begins with another device.
    """
    devices: dict[bytes, list[Head]] = {}
    for (sender, chain_id), view in reversed(list(position.chains.items())):
        last = view.newest[-1] if view.newest else view.recent[-1]
        devices.setdefault(sender, []).append(Head(sender, chain_id, last.seq, last.sealed_hash))
    found = [devices[sender] for sender in sorted(devices)]
    first = position.checkpoints % max(len(found), 1)
    rounds = zip_longest(*found[first:], *found[:first])
    return tuple([head for each in rounds for head in each if head is not None][:MAX_HEADS])


def insert(above: tuple[int, ...], cursors: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted((*above, *cursors))[-MAX_ABOVE:])


def settle(position: Position, through: int, above: tuple[int, ...]) -> Position:
    return replace(position, through=through, above=tuple(cursor for cursor in above if cursor > through))
