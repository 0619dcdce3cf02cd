"""The outbox: sealed blobs on their way to the relay, forgotten only when the relay has them on disk.

                Enqueue                         Acknowledge
    plain data ---------> sealed, seq n, queued ------------> forgotten, the relay's cursor in the ledger
                                  |   Reject
                                  +------------> set aside: no relay of ours will ever take it; the host is told
                                                 (DROPPED: forgotten, because its own user wants that)

One lane a group: a chain (wire §6) that begins with the lane and never forks, because seq and the hash of the blob
before are taken in the same decision that queues the blob. The sealed bytes stand in a table, written and deleted
in the transaction of the event; state and events know them by their hash, so a restart reads only what waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ferryman.protocol.crypto.keys import DeviceKeys, GroupKeys
from ferryman.protocol.crypto.sealing import CONTENT_MARGIN, blob_hash, seal
from ferryman.protocol.ledger.codec import recorded
from ferryman.protocol.machine import Command, DebtId, Decision, Effect, Refused, Row
from ferryman.protocol.sync.chain import SenderChain
from ferryman.protocol.sync.shelf import Shelf, Waiting

MAX_WAITING_BLOBS = 262_144  # while the relay is away; some 300 bytes of memory each
MAX_WAITING_BYTES = 16 << 30  # on disk
DROPPED = 0  # a code that no relay has: this device's user took the blob out
MAX_REJECTED = 1_000  # ids kept for the host to look at; more say nothing new

TABLE = """CREATE TABLE IF NOT EXISTS outbox_blob (
    group_id BLOB NOT NULL, seq INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (group_id, seq)
) WITHOUT ROWID"""
INSERT = "INSERT INTO outbox_blob (group_id, seq, sealed) VALUES (?, ?, ?)"
DELETE_LANE = "DELETE FROM outbox_blob WHERE group_id = ?"
DELETE = "DELETE FROM outbox_blob WHERE group_id = ? AND seq = ?"
SELECT = "SELECT sealed FROM outbox_blob WHERE group_id = ? AND seq = ?"

OUTBOX_FULL = "OUTBOX_FULL"
BLOB_TOO_LARGE = "BLOB_TOO_LARGE"


# --- what it holds


@dataclass(frozen=True, slots=True)
class Lane:
    """One group's part. rejected: (blob_id, error code) of what the relay will never take, newest last."""

    chain: SenderChain
    shelf: Shelf = field(default_factory=Shelf)
    rejected: tuple[tuple[bytes, int], ...] = ()


@recorded("outbox.state/1")
@dataclass(frozen=True, slots=True)
class OutboxState:
    """steps: events so far, so that two snapshots can be told apart by age."""

    lanes: Mapping[bytes, Lane] = field(default_factory=dict[bytes, Lane])
    steps: int = 0


# --- what it is told


@dataclass(frozen=True, slots=True)
class Writer:
    """The keys that seal: they come with the command and are not recorded."""

    keys: GroupKeys
    device: DeviceKeys


@dataclass(frozen=True, slots=True)
class SealingRules:
    """max_blob_size: bytes of a sealed blob; sign: data too, control blobs always (wire §6)."""

    max_blob_size: int = 1_048_576
    sign: bool = True
    pad: bool = True
    compress: bool = False


@recorded("outbox.totals/1")
@dataclass(frozen=True, slots=True)
class Totals:
    """How much waits in one lane, as of `steps` events."""

    steps: int
    count: int
    size: int


@recorded("outbox.queued/1")
@dataclass(frozen=True, slots=True)
class Queued:
    blob_id: bytes
    seq: int
    totals: Totals


@dataclass(frozen=True, slots=True)
class Enqueue(Command["Queued"]):
    """Seal `content` and queue it. chain_id: 8 random bytes, used when this is the lane's first blob."""

    group_id: bytes
    blob_id: bytes
    nonce: bytes  # 24 bytes
    chain_id: bytes
    content: bytes
    writer: Writer
    rules: SealingRules
    control: bool = False


@dataclass(frozen=True, slots=True)
class Acknowledge(Command["Totals"]):
    """The relay has the blob on disk under `cursor`."""

    group_id: bytes
    seq: int
    blob_id: bytes
    cursor: int


@dataclass(frozen=True, slots=True)
class Reject(Command["Totals"]):
    """The relay will never take this blob: `code` is its error (wire §5), or `DROPPED`."""

    group_id: bytes
    seq: int
    blob_id: bytes
    code: int


@dataclass(frozen=True, slots=True)
class ForgetLane(Command[None]):
    """Of a group that this device has left for good: what waits for it is dropped."""

    group_id: bytes


OutboxCommand: TypeAlias = Enqueue | Acknowledge | Reject | ForgetLane


# --- what happened


@recorded("outbox.chain_started/1")
@dataclass(frozen=True, slots=True)
class ChainStarted:
    group_id: bytes
    chain_id: bytes


@recorded("outbox.blob_queued/1")
@dataclass(frozen=True, slots=True)
class BlobQueued:
    group_id: bytes
    blob_id: bytes
    seq: int
    sealed_hash: bytes
    size: int


@recorded("outbox.blob_acknowledged/1")
@dataclass(frozen=True, slots=True)
class BlobAcknowledged:
    group_id: bytes
    blob_id: bytes
    seq: int
    cursor: int


@recorded("outbox.blob_rejected/1")
@dataclass(frozen=True, slots=True)
class BlobRejected:
    group_id: bytes
    blob_id: bytes
    seq: int
    code: int


@recorded("outbox.lane_forgotten/1")
@dataclass(frozen=True, slots=True)
class LaneForgotten:
    group_id: bytes


OutboxEvent: TypeAlias = ChainStarted | BlobQueued | BlobAcknowledged | BlobRejected | LaneForgotten


@dataclass(frozen=True, slots=True)
class AnnounceBlobs:
    """Owed: tell the group's client that blobs wait, the newest being `seq`."""

    group_id: bytes
    seq: int


class Outbox:
    """The machine. Its actor is `ferryman.actors.outbox`."""

    name = "outbox"
    initial = OutboxState()

    def decide(self, state: OutboxState, command: OutboxCommand) -> Decision[OutboxEvent] | Refused:
        match command:
            case Enqueue():
                return enqueue(state, command)
            case Acknowledge(group_id, seq, blob_id, cursor):
                return settle(state, group_id, BlobAcknowledged(group_id, blob_id, seq, cursor))
            case Reject(group_id, seq, blob_id, code):
                return settle(state, group_id, BlobRejected(group_id, blob_id, seq, code))
            case ForgetLane(group_id):
                return Decision((LaneForgotten(group_id),), rows=(Row(DELETE_LANE, (group_id,)),))

    def evolve(self, state: OutboxState, event: OutboxEvent) -> OutboxState:
        match event:
            case LaneForgotten(group_id):
                return OutboxState({one: lane for one, lane in state.lanes.items() if one != group_id}, state.steps + 1)
            case ChainStarted(group_id, chain_id):
                lane = Lane(SenderChain(chain_id))
            case BlobQueued(group_id, blob_id, seq, sealed_hash, size):
                lane = state.lanes[group_id]
                shelf = lane.shelf.put(Waiting(seq, blob_id, sealed_hash, size))
                lane = replace(lane, chain=replace(lane.chain, seq=seq, prev=sealed_hash), shelf=shelf)
            case BlobAcknowledged(group_id, _, seq, _):
                lane = state.lanes[group_id]
                lane = replace(lane, shelf=lane.shelf.remove(seq))
            case BlobRejected(group_id, blob_id, seq, code):
                lane = state.lanes[group_id]
                rejected = lane.rejected if code == DROPPED else (*lane.rejected, (blob_id, code))[-MAX_REJECTED:]
                lane = replace(lane, shelf=lane.shelf.remove(seq), rejected=rejected)
        return OutboxState({**state.lanes, group_id: lane}, state.steps + 1)

    def owed(self, state: OutboxState) -> Mapping[DebtId, Effect]:
        return {
            f"announce/{group_id.hex()}/{lane.chain.seq}": AnnounceBlobs(group_id, lane.chain.seq)
            for group_id, lane in state.lanes.items()
            if lane.shelf.count
        }


def enqueue(state: OutboxState, command: Enqueue) -> Decision[OutboxEvent] | Refused:
    rules = command.rules
    limit = rules.max_blob_size - CONTENT_MARGIN
    if len(command.content) > limit:
        return Refused(
            BLOB_TOO_LARGE,
            f"a blob holds at most {limit:,} bytes, this one has {len(command.content):,}: send it in parts",
        )
    lane = state.lanes.get(command.group_id)
    events: tuple[OutboxEvent, ...] = ()
    if lane is None:
        lane = Lane(SenderChain(command.chain_id))
        events = (ChainStarted(command.group_id, command.chain_id),)
    shelf = lane.shelf
    if shelf.count >= MAX_WAITING_BLOBS or shelf.size + len(command.content) > MAX_WAITING_BYTES:
        return Refused(
            OUTBOX_FULL, f"{shelf.count:,} blobs ({shelf.size:,} bytes) wait for the relay: no more until it took some"
        )
    link = lane.chain.next()
    sealed = seal(
        command.content,
        keys=command.writer.keys,
        device=command.writer.device,
        blob_id=command.blob_id,
        nonce=command.nonce,
        chain=link,
        control=command.control,
        sign=rules.sign,
        pad=rules.pad,
        compress=rules.compress,
        max_blob_size=rules.max_blob_size,
    )
    totals = Totals(state.steps + len(events) + 1, shelf.count + 1, shelf.size + len(sealed))
    queued = BlobQueued(command.group_id, command.blob_id, link.seq, blob_hash(sealed), len(sealed))
    row = Row(INSERT, (command.group_id, link.seq, sealed))
    return Decision((*events, queued), reply=Queued(command.blob_id, link.seq, totals), rows=(row,))


def settle(
    state: OutboxState, group_id: bytes, event: BlobAcknowledged | BlobRejected
) -> Decision[OutboxEvent] | Refused:
    """The blob leaves the queue. One that is not in it was settled before: a repeat, and no news."""
    lane = state.lanes.get(group_id)
    if lane is None:
        return Decision(reply=Totals(state.steps, 0, 0))
    shelf = lane.shelf
    waiting = shelf.find(event.seq)
    if waiting is None or waiting.blob_id != event.blob_id:
        return Decision(reply=Totals(state.steps, shelf.count, shelf.size))
    totals = Totals(state.steps + 1, shelf.count - 1, shelf.size - waiting.size)
    return Decision((event,), reply=totals, rows=(Row(DELETE, (group_id, event.seq)),))
