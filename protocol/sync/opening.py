"""From a sealed blob to what the host gets: open it, and see whether it stands where its sender put it (wire §6).

| what comes                          | the host gets | and hears of                           |
|-------------------------------------|---------------|----------------------------------------|
| a blob at the next place            | its content   |                                        |
| a blob further on, or a late one    | its content   | HistoryGap for those between           |
| the same blob again                 | nothing       |                                        |
| another blob in a place taken       | nothing       | HistoryFork                            |
| the last one that was missing       | its content   | HistoryGapClosed                       |
| a control blob                      | nothing       |                                        |
| a checkpoint                        | nothing       | HistoryGap where it has seen more of a |
|                                     |               | chain that we know, HistoryFork where  |
|                                     |               | it has seen something else; again with |
|                                     |               | each one, for its word is no proof     |
| a blob that does not open           | nothing       | UndecryptableBlobs, counted by `Tally` |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from ferryman.protocol.crypto.keys import GroupKeys
from ferryman.protocol.crypto.sealing import UndecryptableBlob, blob_hash, open_blob
from ferryman.protocol.errors import RemoteProtocolError
from ferryman.protocol.relay.messages import BlobEntry
from ferryman.protocol.sync import chain, events
from ferryman.protocol.sync.control import Checkpoint, decode_control
from ferryman.protocol.sync.strands import ChainKey, Link, hear

TALLY_SECONDS = 60.0  # one event a sender and minute: a flood of bad blobs must not become a flood of events
TALLY_SENDERS = 64  # as many as a group has devices; a relay can make up more, and those are counted together
OTHERS = bytes(32)


class Given(NamedTuple):
    """For the host. link: None for a blob of a stranger's client that keeps no chain."""

    content: bytes
    link: Link | None


class PassedOver(NamedTuple):
    """Nothing for the host. unreadable: it did not open. link: of a control blob that was not seen before."""

    unreadable: bool = False
    link: Link | None = None


Outcome: TypeAlias = Given | PassedOver
Chains: TypeAlias = Mapping[ChainKey, chain.ChainView]


def open_entry(
    entry: BlobEntry, *, keys: GroupKeys, chains: Chains, max_blob_size: int, in_room: bool = False
) -> tuple[Outcome, Chains, tuple[events.SyncEvent, ...]]:
    """What the host gets of one blob, the chains with it seen, and what the host hears.

    in_room: of a room for one join (wire §9), where the signed control blobs are what is given, and nothing else."""
    try:
        opened = open_blob(
            entry.payload,
            keys=keys,
            sender_id=entry.sender_id,
            blob_id=entry.blob_id,
            max_blob_size=max(max_blob_size, len(entry.payload)),
        )
    except UndecryptableBlob:
        return PassedOver(unreadable=True), chains, ()
    link: Link | None = None
    told: tuple[events.SyncEvent, ...] = ()
    fresh = True
    if opened.chain is not None:
        link = Link(entry.sender_id, opened.chain, blob_hash(entry.payload))
        key = (entry.sender_id, opened.chain.chain_id)
        view, verdicts = chain.receive(chains.get(key), opened.chain, link.sealed_hash)
        chains = dict(chains)
        hear(chains, key, view)
        fresh = isinstance(verdicts[0], chain.Delivered)
        if len(verdicts) > 1 or not fresh:
            told = tuple(told for verdict in verdicts for told in tell(entry.sender_id, verdict))
    if opened.control and fresh and opened.sign_pub is not None:
        told += judge(opened.content, chains)
    is_given = opened.control and opened.sign_pub is not None if in_room else not opened.control
    if not (is_given and fresh):
        return PassedOver(link=link if fresh else None), chains, told
    return Given(opened.content, link), chains, told


def place(chains: Chains, link: Link) -> tuple[Chains, tuple[events.SyncEvent, ...]]:
    """The chains with a blob seen that the host has already, and what it hears of those around it."""
    key = (link.sender, link.chain.chain_id)
    view, verdicts = chain.receive(chains.get(key), link.chain, link.sealed_hash)
    after = dict(chains)
    hear(after, key, view)
    return after, tuple(event for verdict in verdicts for event in tell(link.sender, verdict))


def tell(sender: bytes, verdict: chain.Verdict) -> tuple[events.SyncEvent, ...]:
    match verdict:
        case chain.HistoryGap(first, last):
            return (events.HistoryGap(sender, first, last),)
        case chain.HistoryFork(seq):
            return (events.HistoryFork(sender, seq),)
        case chain.GapClosed(first, last):
            return (events.HistoryGapClosed(sender, first, last),)
        case chain.Delivered() | chain.Replayed():
            return ()


def judge(content: bytes, chains: Chains) -> tuple[events.SyncEvent, ...]:
    """What a control blob says about other devices' chains: at most one thing of each. One that cannot be read says
    nothing, and of a chain that we know nothing of, nothing can be missing."""
    try:
        control = decode_control(content)
    except RemoteProtocolError:
        return ()
    if not isinstance(control, Checkpoint):
        return ()
    heads = {(head.device_id, head.chain_id): head for head in control.heads}
    return tuple(
        event
        for key, head in heads.items()
        if (view := chains.get(key)) is not None
        for verdict in chain.compare(view, head.seq, head.sealed_hash)
        for event in tell(head.device_id, verdict)
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """Unreadable blobs by sender: how many are not told yet, and when the next event may go out."""

    counts: Mapping[bytes, tuple[int, float]] = field(default_factory=dict[bytes, tuple[int, float]])

    def count(self, sender: bytes, now: float) -> tuple[Tally, tuple[events.SyncEvent, ...]]:
        if sender not in self.counts and len(self.counts) >= TALLY_SENDERS:
            sender = OTHERS
        waiting, due = self.counts.get(sender, (0, now))
        counts = {**self.counts, sender: (waiting + 1, due)}
        return Tally(counts).flush(now)

    def flush(self, now: float) -> tuple[Tally, tuple[events.SyncEvent, ...]]:
        """The events that are due."""
        told: list[events.SyncEvent] = []
        counts: dict[bytes, tuple[int, float]] = {}
        for sender, (waiting, due) in self.counts.items():
            if waiting and now >= due:
                told.append(events.UndecryptableBlobs(sender, waiting))
                counts[sender] = (0, now + TALLY_SECONDS)
            elif waiting or now < due:
                counts[sender] = (waiting, due)
        return Tally(counts), tuple(told)
