"""A sender's history as its receivers see it: replays dropped, forks and holes found (wire.md §6).

    seq seen before, same bytes                Replayed                   not delivered again
    seq seen before, other bytes               HistoryFork                not delivered
    prev names another blob than seq - 1       HistoryFork                not delivered
    the first blob of a chain                  Delivered                  its baseline: what came before is no hole
    the next seq                               Delivered
    a later seq                                Delivered, HistoryGap      first..last are missing
    a missing seq                              Delivered, GapClosed       when the last of its hole came

Each chain is remembered for 1,024 numbers back. What is older and was not missed cannot be told from a replay.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ferryman.protocol.crypto.sealing import NO_PREV, Chain, blob_hash
from ferryman.protocol.errors import LocalProtocolError

WINDOW: Final = 1_024
# More holes than this in one chain are a history that is lost, not a delivery out of order; the oldest is forgotten.
MAX_GAPS: Final = 64
NEWEST: Final = 64  # kept apart: copying these few costs less than copying the window


@dataclass(frozen=True, slots=True)
class Delivered:
    """New: hand it to the host."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """Seen before: drop it."""


@dataclass(frozen=True, slots=True)
class HistoryFork:
    """Two histories under one name: the sender's store was copied, or somebody shows devices different pasts."""

    seq: int


@dataclass(frozen=True, slots=True)
class HistoryGap:
    """The sender sealed `first`..`last` and they did not come."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class GapClosed:
    """The last missing blob of a hole came; `first`..`last` is what was still missing of it."""

    first: int
    last: int


Verdict: TypeAlias = Delivered | Replayed | HistoryFork | HistoryGap | GapClosed
_NEXT: Final = (Delivered(),)


@dataclass(frozen=True, slots=True)
class SenderChain:
    """The sender's side: what the last sealed blob was. `chain_id`: 8 random bytes, new with every new outbox store."""

    chain_id: bytes
    seq: int = 0
    prev: bytes = NO_PREV

    def next(self) -> Chain:
        """The place of the blob that is sealed next."""
        return Chain(self.chain_id, self.seq + 1, self.prev)

    def sent(self, sealed: bytes) -> SenderChain:
        """After `sealed`, which was sealed at `next()`, is in the durable outbox."""
        return SenderChain(self.chain_id, self.seq + 1, blob_hash(sealed))


@dataclass(frozen=True, slots=True)
class Seen:
    seq: int
    sealed_hash: bytes
    prev: bytes


@dataclass(frozen=True, slots=True)
class ChainView:
    """The receiver's side of one (sender, chain_id): the last 1,024 numbers, and what is missing before the last.

    newest: those after `recent` that came one by one. They are moved over in packs, so that the usual blob, which is
    the next one, costs a short copy and not a long one.
    """

    baseline: int
    recent: tuple[Seen, ...]  # ascending by seq, never empty
    missing: tuple[tuple[int, int], ...] = ()  # ascending, each first..last
    newest: tuple[Seen, ...] = ()

    @property
    def last(self) -> int:
        return self.newest[-1].seq if self.newest else self.recent[-1].seq

    @property
    def window(self) -> tuple[Seen, ...]:
        """The last 1,024 numbers, as far as they are known."""
        both = self.recent + self.newest
        return both[bisect_left(both, both[-1].seq - WINDOW + 1, key=_seq) :]


def receive(view: ChainView | None, chain: Chain, sealed_hash: bytes) -> tuple[ChainView, tuple[Verdict, ...]]:
    """One blob of this chain, in whatever order it comes. `view` None: the first. Only Delivered goes to the host."""
    seen = Seen(chain.seq, sealed_hash, chain.prev)
    if view is None:
        return ChainView(chain.seq, (seen,)), (Delivered(),)
    before = view.newest[-1] if view.newest else view.recent[-1]
    if chain.seq == before.seq + 1:
        if before.sealed_hash != chain.prev:
            return view, (HistoryFork(chain.seq),)
        return _append(view, seen), _NEXT
    return _place(view, seen)


def compare(view: ChainView, seq: int, sealed_hash: bytes) -> tuple[HistoryGap | HistoryFork, ...]:
    """Another device has seen the chain up to `seq`, and so should we have: everything before its word has come.

    Its word is told and changes nothing: only the chain's own blobs say what the chain is, and the word may be false.
    """
    if seq > view.last:
        return (HistoryGap(view.last + 1, seq),)
    known = view.window
    at = bisect_left(known, seq, key=_seq)
    if at < len(known) and known[at].seq == seq and known[at].sealed_hash != sealed_hash:
        return (HistoryFork(seq),)
    return ()


def receive_row(view: ChainView | None, first: Chain, hashes: Sequence[bytes]) -> ChainView:
    """Blobs that follow each other, all at once: the view that `receive` would lead to, one by one."""
    before = None if view is None else view.newest[-1] if view.newest else view.recent[-1]
    if view is not None and before is not None and first.seq == before.seq + 1 and first.prev == before.sealed_hash:
        prevs = (first.prev, *hashes)
        row = tuple([Seen(seq, *pair) for seq, pair in enumerate(zip(hashes, prevs, strict=False), first.seq)])
        return ChainView(view.baseline, ChainView(0, view.window, (), row).window, view.missing)
    chain = first
    for sealed_hash in hashes:
        view, _ = receive(view, chain, sealed_hash)
        chain = Chain(chain.chain_id, chain.seq + 1, sealed_hash)
    if view is None:
        raise LocalProtocolError("a row of blobs has one at least")
    return view


def _append(view: ChainView, seen: Seen) -> ChainView:
    newest = (*view.newest, seen)
    if len(newest) < NEWEST:
        return ChainView(view.baseline, view.recent, view.missing, newest)
    return ChainView(view.baseline, ChainView(0, view.recent, (), newest).window, view.missing)


def _place(view: ChainView, seen: Seen) -> tuple[ChainView, tuple[Verdict, ...]]:
    """Anything but the next one."""
    known, seq = view.window, seen.seq
    at = bisect_left(known, seq, key=_seq)
    if at < len(known) and known[at].seq == seq:
        same = known[at].sealed_hash == seen.sealed_hash
        return view, (Replayed() if same else HistoryFork(seq),)
    hole = next((gap for gap in view.missing if gap[0] <= seq <= gap[1]), None)
    if hole is None and view.baseline <= seq <= view.last - WINDOW:
        return view, (Replayed(),)  # below the baseline nobody knows: better twice than never
    if not _links(known, at, seen):
        return view, (HistoryFork(seq),)
    verdicts: tuple[Verdict, ...] = (Delivered(),)
    missing = view.missing
    if seq > view.last + 1:
        gap = (view.last + 1, seq - 1)
        missing = _bounded((*missing, gap))
        verdicts = (Delivered(), HistoryGap(*gap))
    elif hole is not None:
        rest = tuple(part for part in ((hole[0], seq - 1), (seq + 1, hole[1])) if part[0] <= part[1])
        missing = _bounded(tuple(part for gap in missing for part in (rest if gap == hole else (gap,))))
        verdicts = (Delivered(),) if rest else (Delivered(), GapClosed(*hole))
    recent = ChainView(0, (*known[:at], seen, *known[at:])).window
    return ChainView(view.baseline, recent, missing), verdicts


def _bounded(missing: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Too many holes: the two oldest become one. What was seen between them may come twice; a hole that is forgotten
    would be taken for seen, and its blobs for replays."""
    while len(missing) > MAX_GAPS:
        missing = ((missing[0][0], missing[1][1]), *missing[2:])
    return missing


def _links(recent: tuple[Seen, ...], at: int, seen: Seen) -> bool:
    """Whether its neighbours, where they are remembered, name it and are named by it."""
    before = recent[at - 1] if at else None
    after = recent[at] if at < len(recent) else None
    if before is not None and before.seq == seen.seq - 1 and before.sealed_hash != seen.prev:
        return False
    return not (after is not None and after.seq == seen.seq + 1 and after.prev != seen.sealed_hash)


def _seq(seen: Seen) -> int:
    return seen.seq
