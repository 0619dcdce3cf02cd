"""Where the host's readers wait and are served: blobs are opened here, and pulls of the host get their answer.

    NextBlobs(reader 1) ... waits, gets blobs, takes them, asks again ...
    NextBlobs(reader 2) --> reader 1, if it waits, gets Superseded; reader 2 begins with the first blob not taken
    NextBlobs(reader 1) --> never again: `Deliveries` lets the newest ask only

A blob is opened and judged once (its place in its sender's chain), in cursor order, whether anybody waits or not. One
that the host took before its turn, from an earlier incarnation of the client or from a pull, is judged in its turn too:

    cursor   1  2  3  4  5  6
             o  o  o  .  a  .      o: opened   a: taken ahead; its place is seen when 6 is opened
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Protocol

import trio

from ferryman.actors.core.messages import Envelope
from ferryman.actors.sync_messages import Handed, Page, PullBlobs, Taken
from ferryman.protocol.crypto.keys import DeviceKeys, GroupKeys
from ferryman.protocol.errors import AppError
from ferryman.protocol.relay.messages import BlobEntry, PullResponse
from ferryman.protocol.sync.errors import Superseded
from ferryman.protocol.sync.events import HistoryGapClosed, SyncEvent
from ferryman.protocol.sync.inbox import MAX_ABOVE
from ferryman.protocol.sync.opening import Chains, Given, PassedOver, Tally, open_entry, place
from ferryman.protocol.sync.strands import Link, Strand, seen

OPEN_SLICE_BYTES = 262_144  # opened between two checkpoints of a large answer: about a millisecond
OPENED_BYTES = 16 * 1_048_576
"""Of contents that wait for the host, and of one page of its own. What crosses the line is still opened, so that a blob
of any size comes through; the next one waits. As much again is held sealed (`HELD_BYTES`)."""


class Opener(Protocol):
    """Who opens: the keys of the group, and of this device."""

    @property
    def keys(self) -> GroupKeys: ...
    @property
    def device(self) -> DeviceKeys: ...


@dataclass(frozen=True, slots=True)
class Ticket:
    envelope: Envelope[Any]
    asked: PullBlobs


@dataclass(frozen=True, slots=True)
class Slice:
    """Blobs that were opened: up to which cursor, the cursors of those with nothing for the host, their links, and what
    is told."""

    through: int
    passed: tuple[int, ...]
    links: list[Link]
    told: list[SyncEvent]


class ReaderDesk:
    """One client's. Nothing here is kept over a restart but what `remember` is given.

    _chains: with every opened blob seen. _taken_chains: as the inbox has them, with those only that the host took.
    _judged: up to which cursor blobs were opened. _ahead: places of those taken beyond it, ascending by cursor.
    """

    def __init__(self, opener: Opener, max_blob_size: int, *, in_room: bool = False) -> None:
        self._opener = opener
        self._in_room = in_room
        self._max_blob_size = max_blob_size
        self._chains: Chains = {}
        self._taken_chains: Chains = {}
        self._tally = Tally()
        self._opened: dict[int, Handed] = {}
        self._opened_bytes = 0
        self._ahead: list[tuple[int, Link]] = []
        self._judged = 0
        self._reader: int | None = None
        self._envelope: Envelope[Any] | None = None
        self._tickets: dict[int, Ticket] = {}
        self._last_ticket = 0

    def remember(self, chains: Chains) -> None:
        self._chains = self._taken_chains = chains

    def restart(self) -> None:
        """The relay gives everything again: what was opened and not taken is new once more, not a replay."""
        self._chains = self._taken_chains
        self._opened.clear()
        self._opened_bytes = self._judged = 0
        self._ahead.clear()

    # --- blobs one by one

    @property
    def waiting(self) -> bool:
        return self._envelope is not None and self._envelope.wants_reply

    def seat(self, envelope: Envelope[Any], reader: int) -> bool:
        """Let this one wait for the next blob. True: it is a new reader."""
        before, self._envelope = self._envelope, envelope
        if before is not None:
            before.fail(Superseded())
        new = reader != self._reader
        self._reader = reader
        return new

    def hand(self, entries: tuple[BlobEntry, ...]) -> None:
        """Give the one who waits what was in these, which are opened."""
        envelope, self._envelope = self._envelope, None
        if envelope is not None:
            envelope.reply(tuple([self._opened[entry.cursor] for entry in entries]))

    @property
    def has_room(self) -> bool:
        """Whether another one may be opened. With nothing opened there is always room."""
        return self._opened_bytes < OPENED_BYTES

    def open_slice(self, entries: tuple[BlobEntry, ...], run: int, now: float) -> Slice:
        """Open the first of them, one at least; those for the host wait until they are handed."""
        passed: list[int] = []
        links: list[Link] = []
        heard: list[SyncEvent] = []
        through = size = 0
        for entry in entries:
            outcome, told = self.open(entry, run, now)
            heard += told
            through = entry.cursor
            size += len(entry.payload)
            if isinstance(outcome, PassedOver):
                passed.append(entry.cursor)
                if outcome.link is not None:
                    links.append(outcome.link)
            else:
                size += len(outcome.content)
            if size >= OPEN_SLICE_BYTES or not self.has_room:
                break
        return Slice(through, tuple(passed), links, heard)

    def open(self, entry: BlobEntry, run: int, now: float) -> tuple[Given | PassedOver, tuple[SyncEvent, ...]]:
        """What is in this blob for the host, and what it hears."""
        heard = self._see_ahead(entry.cursor) if self._ahead else ()
        self._judged = entry.cursor
        outcome, self._chains, told = open_entry(
            entry,
            keys=self._opener.keys,
            chains=self._chains,
            max_blob_size=self._max_blob_size,
            in_room=self._in_room,
        )
        if isinstance(outcome, Given):
            self._opened[entry.cursor] = show(entry, outcome, run)
            self._opened_bytes += len(outcome.content)
        elif outcome.unreadable:
            self._tally, told = self._tally.count(entry.sender_id, now)
        return outcome, (*heard, *told) if heard else told

    def taken(self, blobs: Iterable[Taken]) -> tuple[int, ...]:
        """The host has stored these, of the run that is open. Their cursors, without those where another blob waits: a
        relay that answers a pull with a false cursor would have that one passed over, and nobody would miss it."""
        cursors: list[int] = []
        for blob in blobs:
            opened = self._opened.get(blob.cursor)
            if opened is not None and opened.link != blob.link:
                continue
            cursors.append(blob.cursor)
            if opened is not None:
                del self._opened[blob.cursor]
                self._opened_bytes -= len(opened.content)
            elif blob.link is not None and blob.cursor > self._judged:
                insort(self._ahead, (blob.cursor, blob.link), key=itemgetter(0))
                if len(self._ahead) > MAX_ABOVE:  # before its turn, so no gap before it will be told
                    self._chains, _ = place(self._chains, self._ahead.pop(0)[1])
        return tuple(cursors)

    def _see_ahead(self, before: int) -> list[SyncEvent]:
        """Judge the places of what was taken below this cursor and never opened here."""
        told: list[SyncEvent] = []
        ahead = self._ahead
        while ahead and ahead[0][0] < before:
            self._chains, more = place(self._chains, ahead.pop(0)[1])
            told += more
        return told

    def see(self, places: Sequence[Strand]) -> None:
        """Blobs in these places of their chains are being recorded, whatever cursors they have or had."""
        self._taken_chains = seen(self._taken_chains, places)

    def see_late(self, links: Iterable[Link]) -> list[SyncEvent]:
        """Of another run, taken now: they are not given again, and a gap that was told because of them is closed."""
        told: list[SyncEvent] = []
        for link in links:
            self._chains, more = place(self._chains, link)
            told += [event for event in more if isinstance(event, HistoryGapClosed)]
        return told

    def due(self, now: float) -> tuple[SyncEvent, ...]:
        """Counts of unreadable blobs whose minute is over."""
        self._tally, told = self._tally.flush(now)
        return told

    # --- the host's own pulls

    def ticket(self, envelope: Envelope[Any], asked: PullBlobs) -> int:
        self._last_ticket += 1
        self._tickets[self._last_ticket] = Ticket(envelope, asked)
        return self._last_ticket

    def fail(self, number: int, error: AppError) -> None:
        ticket = self._tickets.pop(number, None)
        if ticket is not None:
            ticket.envelope.fail(error)

    async def answer(self, number: int, response: PullResponse, run: int) -> None:
        """Open a whole page. It is not judged: the host asked what the relay holds, also what it has taken before."""
        ticket = self._tickets.pop(number)
        blobs: list[Handed] = []
        held = size = through = 0
        cut = False
        for entry in response.blobs:
            if held >= OPENED_BYTES:
                cut = True
                break
            through = entry.cursor
            if entry.sender_id == self._opener.device.device_id and not ticket.asked.own:
                continue
            outcome, _, _ = open_entry(entry, keys=self._opener.keys, chains={}, max_blob_size=self._max_blob_size)
            if isinstance(outcome, Given):
                blobs.append(show(entry, outcome, run))
                held += len(outcome.content)
                size += len(outcome.content)
            size += len(entry.payload)
            if size > OPEN_SLICE_BYTES:
                size = 0
                await trio.lowlevel.checkpoint()
        ticket.envelope.reply(Page(tuple(blobs), response.has_more or cut, response.max_cursor, through))


def show(entry: BlobEntry, given: Given, run: int) -> Handed:
    return Handed(entry.blob_id, entry.cursor, entry.sender_id, given.content, entry.timestamp, run, given.link)
