"""Where the host's readers wait and are served: blobs are opened here, and pulls of the host get their answer.

    NextBlobs(reader 1) ... waits, gets blobs, takes them, asks again ...
    NextBlobs(reader 2) --> reader 1, if it waits, gets Superseded; reader 2 begins with the first blob not taken

A blob is opened and judged once (its place in its sender's chain), in cursor order, whether anybody waits or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import trio

from ferryman.actors.core.messages import Envelope
from ferryman.actors.sync_messages import Handed, Page, PullBlobs
from ferryman.protocol.crypto.keys import DeviceKeys, GroupKeys
from ferryman.protocol.errors import AppError
from ferryman.protocol.relay.messages import BlobEntry, PullResponse
from ferryman.protocol.sync.events import SyncEvent
from ferryman.protocol.sync.opening import Chains, Given, PassedOver, Tally, open_entry
from ferryman.protocol.sync.strands import Link, Strand, seen

OPEN_SLICE_BYTES = 262_144  # opened between two checkpoints of a large answer: about a millisecond


class Superseded(AppError):
    """A newer reader of the same device asks for blobs: this one is over."""

    code = "SUPERSEDED"


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
    """Of blobs that were opened: the cursors of those with nothing for the host, their links, and what is told."""

    passed: tuple[int, ...]
    links: list[Link]
    told: list[SyncEvent]


class ReaderDesk:
    """One client's. Nothing here is kept over a restart but what `remember` is given.

    _chains: with every opened blob seen. _taken_chains: as the inbox has them, with those only that the host took.
    """

    def __init__(self, opener: Opener, max_blob_size: int) -> None:
        self._opener = opener
        self._max_blob_size = max_blob_size
        self._chains: Chains = {}
        self._taken_chains: Chains = {}
        self._tally = Tally()
        self._opened: dict[int, Handed] = {}
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

    # --- blobs one by one

    @property
    def waiting(self) -> bool:
        return self._envelope is not None and self._envelope.wants_reply

    def seat(self, envelope: Envelope[Any], reader: int) -> bool:
        """Let this one wait for the next blob. True: it is a new reader."""
        before, self._envelope = self._envelope, envelope
        if before is not None:
            before.fail(Superseded("a newer reader asks for this device's blobs"))
        new = reader != self._reader
        self._reader = reader
        return new

    def hand(self, entries: tuple[BlobEntry, ...]) -> None:
        """Give the one who waits what was in these, which are opened."""
        envelope, self._envelope = self._envelope, None
        if envelope is not None:
            envelope.reply(tuple([self._opened[entry.cursor] for entry in entries]))

    def open_slice(self, entries: tuple[BlobEntry, ...], run: int, now: float) -> Slice:
        """Open all of them; those for the host wait until they are handed."""
        passed: list[int] = []
        links: list[Link] = []
        heard: list[SyncEvent] = []
        for entry in entries:
            outcome, told = self.open(entry, run, now)
            heard += told
            if isinstance(outcome, PassedOver):
                passed.append(entry.cursor)
                if outcome.link is not None:
                    links.append(outcome.link)
        return Slice(tuple(passed), links, heard)

    def open(self, entry: BlobEntry, run: int, now: float) -> tuple[Given | PassedOver, tuple[SyncEvent, ...]]:
        """What is in this blob for the host, and what it hears."""
        outcome, self._chains, told = open_entry(
            entry, keys=self._opener.keys, chains=self._chains, max_blob_size=self._max_blob_size
        )
        if isinstance(outcome, Given):
            self._opened[entry.cursor] = show(entry, outcome, run)
        elif outcome.unreadable:
            self._tally, told = self._tally.count(entry.sender_id, now)
        return outcome, told

    def taken(self, cursors: tuple[int, ...]) -> None:
        for cursor in cursors:
            self._opened.pop(cursor, None)

    def see(self, places: Sequence[Strand], *, late: bool = False) -> None:
        """Blobs in these places of their chains are being recorded, whatever cursors they have or had."""
        self._taken_chains = seen(self._taken_chains, places)
        if late:  # opened before a restart, taken after it: they are not given again
            self._chains = seen(self._chains, places)

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
        opened_bytes = 0
        for entry in response.blobs:
            if entry.sender_id == self._opener.device.device_id and not ticket.asked.own:
                continue
            outcome, _, _ = open_entry(entry, keys=self._opener.keys, chains={}, max_blob_size=self._max_blob_size)
            if isinstance(outcome, Given):
                blobs.append(show(entry, outcome, run))
            opened_bytes += len(entry.payload)
            if opened_bytes > OPEN_SLICE_BYTES:
                opened_bytes = 0
                await trio.lowlevel.checkpoint()
        ticket.envelope.reply(Page(tuple(blobs), response.has_more, response.max_cursor))


def slice_of(entries: tuple[BlobEntry, ...]) -> tuple[BlobEntry, ...]:
    """As many of them as may be opened between two checkpoints: at least one."""
    size = 0
    for number, entry in enumerate(entries, 1):
        size += len(entry.payload)
        if size >= OPEN_SLICE_BYTES:
            return entries[:number]
    return entries


def show(entry: BlobEntry, given: Given, run: int) -> Handed:
    return Handed(entry.blob_id, entry.cursor, entry.sender_id, given.content, entry.timestamp, run, given.link)
