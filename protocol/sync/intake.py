"""What comes in on one device, as a value: which cursors are known, which blobs wait for the host, what to pull next.

    cursor   1  2  3  4  5  6  7  8  9  10
             t  t  h  o  h  h  .  o  n           t: taken   h: held for the host   o: our own, from its PUSH_ACK
                |              |     |           n: held too, brought inline by its NOTIFY
            frontier=2    covered=6  wanted=9    .: unknown: the next PULL asks for what lies between

- `covered`: everything up to it is known. Cursors have no gaps when they are given, so a PULL_RESPONSE covers what it
  spans, and a NOTIFY with its payload or a PUSH_ACK covers the one cursor it names.
- `frontier`: everything up to it is taken by the host, our own, or gone: what may be recorded, and then acknowledged.
- Held blobs are opened in cursor order, never one above `covered`; what is not for the host is taken at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import dropwhile, islice

from ferryman.protocol.errors import RemoteProtocolError
from ferryman.protocol.relay.limits import MAX_PULL_LIMIT
from ferryman.protocol.relay.messages import BlobEntry, Notify, PullResponse

HELD_BLOBS = 3_000  # held for a host that does not take them; the relay keeps the rest
HELD_BYTES = 16 * 1_048_576
PULL_BLOBS = MAX_PULL_LIMIT  # the relay cuts a response at 4 MiB; two pages wait while the third is on its way
ISLANDS = 4_096  # known cursors behind a hole; more are pulled instead


@dataclass(frozen=True, slots=True)
class Intake:
    """device_id: ours, whose blobs the host never gets. taken: cursors taken before, above `frontier`.

    islands: known cursors above `covered`; held: the host's, in cursor order; opened, handed: up to which cursor they
    were opened, and the host got them.
    """

    device_id: bytes
    covered: int = 0
    wanted: int = 0
    opened: int = 0
    handed: int = 0
    taken: Mapping[int, None] = field(default_factory=dict[int, None])
    islands: Mapping[int, None] = field(default_factory=dict[int, None])
    held: Mapping[int, BlobEntry] = field(default_factory=dict[int, BlobEntry])
    held_bytes: int = 0

    @property
    def frontier(self) -> int:
        first = next(iter(self.held), self.covered + 1)
        return min(first - 1, self.covered)

    @property
    def has_room(self) -> bool:
        return len(self.held) < HELD_BLOBS and self.held_bytes < HELD_BYTES

    @property
    def missing(self) -> int:
        """How many blobs the next PULL should ask for; 0: none."""
        if self.covered >= self.wanted or not self.has_room:
            return 0
        hole = min(self.islands) - self.covered - 1 if self.islands else self.wanted - self.covered
        page = min(hole, PULL_BLOBS, HELD_BLOBS)
        return page if page <= HELD_BLOBS - len(self.held) else 0  # no pull a blob that the host takes

    def to_open(self, most: int) -> tuple[BlobEntry, ...]:
        """The next ones to open."""
        return self._between(self.opened, self.covered, most)

    def to_hand(self, most: int) -> tuple[BlobEntry, ...]:
        """The host's next ones."""
        return self._between(self.handed, self.opened, most)

    def _between(self, after: int, through: int, most: int) -> tuple[BlobEntry, ...]:
        if after >= through:
            return ()
        held = self.held
        return tuple([held[cursor] for cursor in islice(dropwhile(after.__ge__, held), most) if cursor <= through])


def resume(device_id: bytes, through: int, above: tuple[int, ...]) -> Intake:
    """From what was recorded: everything up to `through` and each of `above` is taken."""
    taken = dict.fromkeys(above)
    return Intake(device_id, covered=through, wanted=through, opened=through, handed=through, taken=taken)


def want(intake: Intake, max_cursor: int) -> Intake:
    return replace(intake, wanted=max(intake.wanted, max_cursor))


def skip_to(intake: Intake, cursor: int) -> Intake:
    """Everything up to `cursor` is gone from the relay."""
    return _settle(replace(intake, covered=max(intake.covered, cursor)))


def notified(intake: Intake, notify: Notify) -> Intake:
    """The relay named a blob of another device, perhaps with its bytes."""
    cursor = notify.cursor
    intake = want(intake, cursor)
    if cursor <= intake.covered or cursor in intake.islands or notify.payload is None:
        return intake
    if len(intake.islands) >= ISLANDS or not intake.has_room:
        return intake
    entry = BlobEntry(notify.blob_id, cursor, notify.sender_id, notify.payload, notify.timestamp)
    return _settle(_hold(replace(intake, islands={**intake.islands, cursor: None}), (entry,)))


def acknowledged(intake: Intake, cursor: int) -> Intake:
    """A blob of our own has this cursor."""
    intake = want(intake, cursor)
    if cursor <= intake.covered or cursor in intake.islands or len(intake.islands) >= ISLANDS:
        return intake
    return _settle(replace(intake, islands={**intake.islands, cursor: None}))


def answered(intake: Intake, after: int, response: PullResponse) -> Intake:
    """What the relay answered to PULL `after`. Raises RemoteProtocolError for a list that cannot be true."""
    last = after
    for entry in response.blobs:
        if entry.cursor <= last or entry.cursor > response.max_cursor:
            raise RemoteProtocolError("a PULL_RESPONSE whose cursors do not ascend")
        last = entry.cursor
    if response.has_more and last == after:
        raise RemoteProtocolError("a PULL_RESPONSE that has more and gives nothing")
    intake = want(intake, response.max_cursor)
    if after > intake.covered:  # a look ahead by the host: it leaves a hole, so nothing follows from it
        return intake
    fresh = tuple(e for e in response.blobs if e.cursor > intake.covered and e.cursor not in intake.islands)
    reach = last if response.has_more else max(response.max_cursor, last)
    return _settle(_hold(replace(intake, covered=max(intake.covered, reach)), fresh))


def opened(intake: Intake, cursor: int) -> Intake:
    """The blob at `cursor` is opened: it waits for the host, or is taken at once."""
    return replace(intake, opened=max(intake.opened, cursor))


def handed(intake: Intake, cursor: int) -> Intake:
    """The host has got the blob at `cursor`; it has not taken it yet."""
    return replace(intake, handed=max(intake.handed, cursor))


def rewound(intake: Intake) -> Intake:
    """A new reader: it gets again what the one before got and did not take."""
    return replace(intake, handed=0)


def took(intake: Intake, *cursors: int) -> Intake:
    """The host stored the blobs at these cursors, or there is nothing in them for it to store."""
    if not cursors:
        return intake
    held, held_bytes = dict(intake.held), intake.held_bytes
    taken = dict(intake.taken)
    for cursor in cursors:
        entry = held.pop(cursor, None)
        if entry is not None:
            held_bytes -= len(entry.payload)
        elif cursor > intake.covered:
            taken[cursor] = None
    return replace(intake, held=held, held_bytes=held_bytes, taken=taken)


def _hold(intake: Intake, entries: tuple[BlobEntry, ...]) -> Intake:
    new = {e.cursor: e for e in entries if e.sender_id != intake.device_id and e.cursor not in intake.taken}
    if not new:
        return intake
    size = sum(len(entry.payload) for entry in new.values())
    held = {**intake.held, **new}
    if intake.held and min(new) < max(intake.held):  # below what a NOTIFY brought before
        held = dict(sorted(held.items()))
    return replace(intake, held=held, held_bytes=intake.held_bytes + size)


def _settle(intake: Intake) -> Intake:
    """Let `covered` run over the islands that it reaches, and forget what lies below it."""
    covered, islands = intake.covered, intake.islands
    while covered + 1 in islands:
        covered += 1
    if (islands and covered > intake.covered) or any(cursor <= covered for cursor in islands):
        islands = {cursor: None for cursor in islands if cursor > covered}
    taken = intake.taken
    if any(cursor <= covered for cursor in taken):
        taken = {cursor: None for cursor in taken if cursor > covered}
    return replace(intake, covered=covered, islands=islands, taken=taken)
