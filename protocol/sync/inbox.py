"""The inbox: what the host has taken, group by group. Nothing is acknowledged to a relay that is not recorded here.

    cursor     1   2   3   4   5   6   7   8
               t   t   t   t   .   t   .   .          t: taken (or nothing to take: our own, gone, unreadable)
                           |       |
                      through=4   above=(6,)          the relay hears `through`: everything before it, without a hole

| command  | what it records                                                                              |
|----------|----------------------------------------------------------------------------------------------|
| Take     | the host stored one blob; its place in its sender's chain (wire §6) is seen from now on        |
| Advance  | up to `through` there is nothing left that the host has still to take                         |
| Restart  | the relay counts anew (another incarnation): from cursor 0 again, the chains stay as they are |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ferryman.protocol.crypto.sealing import Chain
from ferryman.protocol.ledger.codec import recorded
from ferryman.protocol.machine import Command, DebtId, Decision, Effect
from ferryman.protocol.sync.chain import ChainView, receive

MAX_ABOVE = 10_000
"""Cursors taken behind a hole. The lowest are forgotten beyond that: those blobs would be given again, not lost."""

ChainKey: TypeAlias = tuple[bytes, bytes]  # (sender, chain_id)


@dataclass(frozen=True, slots=True)
class Position:
    """One group's part. incarnation: the relay's name for this run of cursors, b"" when it gives none."""

    incarnation: bytes = b""
    through: int = 0
    above: tuple[int, ...] = ()
    chains: Mapping[ChainKey, ChainView] = field(default_factory=dict[ChainKey, ChainView])


@recorded("inbox.state/1")
@dataclass(frozen=True, slots=True)
class InboxState:
    positions: Mapping[bytes, Position] = field(default_factory=dict[bytes, Position])


START = Position()


@dataclass(frozen=True, slots=True)
class Link:
    """Where a taken blob stands in its sender's chain."""

    sender: bytes
    chain: Chain
    sealed_hash: bytes  # 16 bytes


@dataclass(frozen=True, slots=True)
class Take(Command[int]):
    """Reply: `through` afterwards. through: as far as the client knows, with this blob taken, that no hole is left.

    cursor: 0 for one of an earlier run of cursors that had the same name, or none.
    """

    group_id: bytes
    incarnation: bytes
    cursor: int
    link: Link | None
    through: int = 0


@dataclass(frozen=True, slots=True)
class Advance(Command[int]):
    """Reply: `through` afterwards."""

    group_id: bytes
    incarnation: bytes
    through: int


@dataclass(frozen=True, slots=True)
class Restart(Command[int]):
    """Reply: `through` afterwards. through: 0, or where it stays when the relay only names what it had not named."""

    group_id: bytes
    incarnation: bytes
    through: int = 0


InboxCommand: TypeAlias = Take | Advance | Restart


@recorded("inbox.blob_taken/1")
@dataclass(frozen=True, slots=True)
class BlobTaken:
    """cursor: 0 when it was of an earlier incarnation: then only the chain moves."""

    group_id: bytes
    cursor: int
    link: Link | None
    through: int


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


InboxEvent: TypeAlias = BlobTaken | CursorAdvanced | CursorsRestarted


class Inbox:
    """The machine. Its actor is `ferryman.actors.inbox`."""

    name = "inbox"
    initial = InboxState()

    def decide(self, state: InboxState, command: InboxCommand) -> Decision[InboxEvent]:
        position = state.positions.get(command.group_id, START)
        match command:
            case Take(group_id, incarnation, cursor, link) if not cursor or incarnation != position.incarnation:
                if link is None:
                    return Decision(reply=position.through)
                return Decision((BlobTaken(group_id, 0, link, position.through),), reply=position.through)
            case Take(group_id, _, cursor, link, through):
                through = max(through, position.through)
                if cursor <= position.through or cursor in position.above:
                    if through == position.through:
                        return Decision(reply=through)
                    return Decision((CursorAdvanced(group_id, through),), reply=through)
                return Decision((BlobTaken(group_id, cursor, link, through),), reply=through)
            case Advance(group_id, incarnation, through):
                if incarnation != position.incarnation or through <= position.through:
                    return Decision(reply=position.through)
                return Decision((CursorAdvanced(group_id, through),), reply=through)
            case Restart(group_id, incarnation, through):
                if incarnation == position.incarnation and through >= position.through and not position.above:
                    return Decision(reply=position.through)
                return Decision((CursorsRestarted(group_id, incarnation, through),), reply=through)

    def evolve(self, state: InboxState, event: InboxEvent) -> InboxState:
        position = state.positions.get(event.group_id, START)
        match event:
            case BlobTaken(_, cursor, link, through):
                above = insert(position.above, cursor) if cursor > through else position.above
                position = replace(position, chains=seen(position.chains, link))
                position = settle(position, through, above)
            case CursorAdvanced(_, through):
                position = settle(position, through, position.above)
            case CursorsRestarted(_, incarnation, through):
                position = replace(position, incarnation=incarnation, through=through, above=())
        return InboxState({**state.positions, event.group_id: position})

    def owed(self, state: InboxState) -> Mapping[DebtId, Effect]:  # noqa: ARG002 - the machine's form
        """Nothing: what was recorded reaches the relay with the next ACK or HELLO."""
        return {}


def insert(above: tuple[int, ...], cursor: int) -> tuple[int, ...]:
    return tuple(sorted((*above, cursor))[-MAX_ABOVE:])


def settle(position: Position, through: int, above: tuple[int, ...]) -> Position:
    return replace(position, through=through, above=tuple(cursor for cursor in above if cursor > through))


def seen(chains: Mapping[ChainKey, ChainView], link: Link | None) -> Mapping[ChainKey, ChainView]:
    if link is None:
        return chains
    key = (link.sender, link.chain.chain_id)
    view, _ = receive(chains.get(key), link.chain, link.sealed_hash)
    return {**chains, key: view}
