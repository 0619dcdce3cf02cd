"""What a sync session wants done. Each is one verb, carried out in the order in which they are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ferryman.protocol.relay.messages import Message, PullResponse
from ferryman.protocol.sync.events import SyncEvent
from ferryman.protocol.sync.session import TimerName
from ferryman.protocol.sync.shelf import Waiting


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect and shake hands; answer with Upgraded, Secured, or Lost."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Nothing more comes from this connection."""

    close_code: int
    reason: str


@dataclass(frozen=True, slots=True)
class SayHello:
    last_cursor: int
    incarnation: bytes


@dataclass(frozen=True, slots=True)
class Send:
    message: Message


@dataclass(frozen=True, slots=True)
class PushBlobs:
    """Read these from the outbox and send them, in this order."""

    blobs: tuple[Waiting, ...]


@dataclass(frozen=True, slots=True)
class Ping:
    """See whether the relay is still there."""


@dataclass(frozen=True, slots=True)
class SetTimer:
    name: TimerName
    seconds: float


@dataclass(frozen=True, slots=True)
class StopTimer:
    name: TimerName


@dataclass(frozen=True, slots=True)
class BackOff:
    """Set the timer "retry" to the delay of this attempt (S4 §12.2)."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Tell:
    event: SyncEvent


@dataclass(frozen=True, slots=True)
class LookAtOutbox:
    """Answer with OutboxSeen."""


@dataclass(frozen=True, slots=True)
class RecordAcknowledged:
    seq: int
    blob_id: bytes
    cursor: int


@dataclass(frozen=True, slots=True)
class RecordRejected:
    seq: int
    blob_id: bytes
    code: int


@dataclass(frozen=True, slots=True)
class RecordAdvance:
    """Answer with Recorded."""

    through: int


@dataclass(frozen=True, slots=True)
class RecordRestart:
    """The relay counts anew, or it names the run that it had not named."""

    run: int
    incarnation: bytes


@dataclass(frozen=True, slots=True)
class PinRelay:
    """From now on only this relay's key is accepted."""


@dataclass(frozen=True, slots=True)
class AnswerPull:
    ticket: int
    response: PullResponse


@dataclass(frozen=True, slots=True)
class FailPull:
    ticket: int
    reason: str


Effect: TypeAlias = (
    Dial
    | HangUp
    | SayHello
    | Send
    | PushBlobs
    | Ping
    | SetTimer
    | StopTimer
    | BackOff
    | Tell
    | LookAtOutbox
    | RecordAcknowledged
    | RecordRejected
    | RecordAdvance
    | RecordRestart
    | PinRelay
    | AnswerPull
    | FailPull
)
