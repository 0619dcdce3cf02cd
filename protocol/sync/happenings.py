"""What happens to a sync session: from its host, its connection, its timers, and those who record for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ferryman.protocol.relay.messages import Message
from ferryman.protocol.sync.session import TimerName
from ferryman.protocol.sync.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Begin:
    """Connect, now."""


@dataclass(frozen=True, slots=True)
class End:
    """Hang up, and stay away."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The WebSocket stands."""


@dataclass(frozen=True, slots=True)
class Secured:
    """The Noise handshake is done, and the relay's key is the one we expect."""


@dataclass(frozen=True, slots=True)
class Received:
    message: Message


@dataclass(frozen=True, slots=True)
class Lost:
    """close_code: the WebSocket's, 0 when it did not get so far. notable: the host hears of it as an Error.

    other_key: the relay's key, where it is not the pinned one.
    """

    reason: str
    close_code: int = 0
    notable: bool = False
    other_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class TimerDue:
    name: TimerName


@dataclass(frozen=True, slots=True)
class OutboxGrew:
    """There is more in the outbox than it showed."""


@dataclass(frozen=True, slots=True)
class OutboxSeen:
    shelf: Shelf


@dataclass(frozen=True, slots=True)
class PushGone:
    """A blob to be pushed was acknowledged on an earlier connection, and the outbox has forgotten it."""

    blob_id: bytes


@dataclass(frozen=True, slots=True)
class HostPulled:
    ticket: int
    after: int | None
    limit: int


@dataclass(frozen=True, slots=True)
class BlobsOpened:
    """Everything held up to `through` is opened. passed: those in which there is nothing for the host to take."""

    through: int
    passed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class HostGot:
    """Everything opened up to `through`."""

    through: int


@dataclass(frozen=True, slots=True)
class HostTook:
    cursors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HostBegan:
    """A new reader."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The inbox has it on disk: nothing is left to take up to `through`."""

    through: int


Input: TypeAlias = (
    Begin
    | End
    | Upgraded
    | Secured
    | Received
    | Lost
    | TimerDue
    | OutboxGrew
    | OutboxSeen
    | PushGone
    | HostPulled
    | BlobsOpened
    | HostGot
    | HostTook
    | HostBegan
    | Recorded
)
