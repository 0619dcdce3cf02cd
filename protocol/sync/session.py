"""The words of a sync session: its phases, what happens to it, and what it wants done.

| phase           | the connection is                            | status (S4 §6.3)               |
|-----------------|----------------------------------------------|--------------------------------|
| Offline         | not wanted, or refused for good              | Disconnected                   |
| Connecting      | TCP, TLS and the upgrade                     | Connecting, Reconnecting(n)    |
| Handshaking     | Noise                                        | the same                       |
| AwaitingWelcome | HELLO is out                                 | the same                       |
| Online          | welcomed                                     | Connected                      |
| BackingOff      | waiting for the next try                     | Reconnecting(n)                |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ferryman.protocol.relay.limits import INLINE_CAP_BYTES, Bucket
from ferryman.protocol.relay.messages import Message, PullResponse
from ferryman.protocol.sync.events import ConnectionInfo, SyncEvent
from ferryman.protocol.sync.flight import Flight
from ferryman.protocol.sync.intake import Intake
from ferryman.protocol.sync.shelf import Shelf, Waiting

TimerName: TypeAlias = Literal["retry", "welcome", "heartbeat", "stall", "pull", "push", "ack", "advance"]


# --- phases. attempt: failed tries since the last success


@dataclass(frozen=True, slots=True)
class Offline:
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BackingOff:
    attempt: int


@dataclass(frozen=True, slots=True)
class Connecting:
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Handshaking:
    attempt: int


@dataclass(frozen=True, slots=True)
class AwaitingWelcome:
    """hellos: sent so far; from_zero: the relay did not know our history."""

    attempt: int
    hellos: int = 1
    from_zero: bool = False


@dataclass(frozen=True, slots=True)
class PullUnderway:
    """ticket: the host's pull that it answers, 0 for our own."""

    after: int
    limit: int
    ticket: int = 0


@dataclass(frozen=True, slots=True)
class Online:
    """pace: how often a PULL may follow a NOTIFY; chained: the last response had more, so the next PULL is free."""

    info: ConnectionInfo
    heartbeat_seconds: float
    max_blob_size: int | None
    heard_at: float
    pace: Bucket
    catching_up: bool = True
    chained: bool = True
    pull: PullUnderway | None = None
    pulls_held: bool = False
    ack_armed: bool = False
    acknowledged: int = 0


Phase: TypeAlias = Offline | BackingOff | Connecting | Handshaking | AwaitingWelcome | Online


@dataclass(frozen=True, slots=True)
class Rules:
    """inline: largest payload wanted inside a NOTIFY, bytes."""

    auto_reconnect: bool = True
    inline: int = INLINE_CAP_BYTES


@dataclass(frozen=True, slots=True)
class Session:
    """recorded: up to where the inbox has it on disk that nothing is left to take. shelf: the outbox as last seen."""

    intake: Intake
    incarnation: bytes = b""
    recorded: int = 0
    rules: Rules = Rules()
    phase: Phase = Offline()
    flight: Flight = field(default_factory=Flight)
    shelf: Shelf = field(default_factory=Shelf)
    host_pulls: tuple[PullUnderway, ...] = ()
    advance_armed: bool = False


# --- what happens


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
    """close_code: the WebSocket's, 0 when it did not get so far. notable: the host hears of it as an Error."""

    reason: str
    close_code: int = 0
    notable: bool = False


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
class HostGot:
    cursor: int


@dataclass(frozen=True, slots=True)
class HostTook:
    cursor: int


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
    | HostGot
    | HostTook
    | HostBegan
    | Recorded
)


# --- what is to be done


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
    incarnation: bytes
    through: int


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
