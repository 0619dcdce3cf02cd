"""Pushes on their way over one connection, as a value: what may be sent next, and what a refusal means for the order.

    pick ---------> sent ---PUSH_ACK---> settled: off to the outbox to be forgotten
                     |
                     +------refused----> held back: nothing is sent until `release`, then again from the refused seq on

PUSHes leave in the order of their seq. What is in flight is bounded, so that a relay that dies has little to get twice
and a slow one little to queue. A refusal closes the window to one blob: a relay counts what it refuses, and a full
window after each pause would keep it refusing for ever. Four windows without a refusal double it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ferryman.protocol.sync.shelf import Shelf, Waiting

FLIGHT_BLOBS = 256  # a commit of the relay takes 64; this keeps four of them busy
SMOOTH_WINDOWS = 4
FLIGHT_BYTES = 4 * 1_048_576  # half of what a relay queues for one connection (wire §5)


@dataclass(frozen=True, slots=True)
class Sent:
    seq: int
    size: int


@dataclass(frozen=True, slots=True)
class Flight:
    """sent: in the order of sending; reached: the highest seq sent; again: the lowest refused seq, 0 for none.

    window: how many blobs may be in flight, 0 for `FLIGHT_BLOBS`; smooth: acknowledged since it last changed.
    """

    sent: Mapping[bytes, Sent] = field(default_factory=dict[bytes, Sent])
    size: int = 0
    reached: int = 0
    again: int = 0
    held_back: bool = False
    window: int = 0
    smooth: int = 0


def pick(flight: Flight, shelf: Shelf) -> tuple[Flight, tuple[Waiting, ...]]:
    """What to send now, lowest seq first."""
    if flight.held_back or not shelf.count:
        return flight, ()
    blobs, size = (flight.window or FLIGHT_BLOBS) - len(flight.sent), FLIGHT_BYTES - flight.size
    if blobs <= 0 or size <= 0:
        return flight, ()
    candidates = shelf.after(flight.reached, blobs=blobs, size=size)
    if flight.sent and candidates and candidates[0].size > size:
        return flight, ()
    chosen = tuple(waiting for waiting in candidates if waiting.blob_id not in flight.sent)
    if not candidates:
        return flight, ()
    sent = {**flight.sent, **{each.blob_id: Sent(each.seq, each.size) for each in chosen}}
    added = sum(each.size for each in chosen)
    return replace(flight, sent=sent, size=flight.size + added, reached=candidates[-1].seq), chosen


def landed(flight: Flight, blob_id: bytes) -> tuple[Flight, Sent | None]:
    """The relay answered for this blob. None: it answers for something that is not in flight."""
    sent = flight.sent.get(blob_id)
    if sent is None:
        return flight, None
    rest = {each: place for each, place in flight.sent.items() if each != blob_id}
    return replace(flight, sent=rest, size=flight.size - sent.size), sent


def acknowledged(flight: Flight) -> Flight:
    """One more went well."""
    if not flight.window:
        return flight
    smooth = flight.smooth + 1
    if smooth < SMOOTH_WINDOWS * flight.window:
        return replace(flight, smooth=smooth)
    window = flight.window * 2
    return replace(flight, window=window if window < FLIGHT_BLOBS else 0, smooth=0)


def refused(flight: Flight, seq: int) -> Flight:
    """Not now: hold everything back; `release` begins again with the lowest refused one."""
    return replace(flight, again=min(flight.again or seq, seq), held_back=True, window=1, smooth=0)


def one_was_refused(flight: Flight) -> Flight:
    """The relay does not say which: all of them go again, one at a time. What it has got meanwhile it knows again."""
    return refused(replace(flight, sent={}, size=0), min(sent.seq for sent in flight.sent.values()))


def release(flight: Flight) -> Flight:
    reached = flight.again - 1 if flight.again else flight.reached
    return replace(flight, held_back=False, again=0, reached=reached)
