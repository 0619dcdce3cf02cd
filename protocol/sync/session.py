"""A sync session as a value: in which phase its connection is, and what belongs to all of them.

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
from ferryman.protocol.sync.events import ConnectionInfo
from ferryman.protocol.sync.flight import Flight
from ferryman.protocol.sync.intake import Intake
from ferryman.protocol.sync.shelf import Shelf

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
    """pace: how often a PULL may follow a NOTIFY; chained: the last response had more, so the next PULL is free.

    doubted: an error came that may mean the PULL. Asked again on this connection, nobody could tell which answer is
    whose, and one page for another would pass over blobs: so it is waited for, and then the connection ends.
    """

    info: ConnectionInfo
    heartbeat_seconds: float
    max_blob_size: int | None
    heard_at: float
    pace: Bucket
    catching_up: bool = True
    chained: bool = True
    pull: PullUnderway | None = None
    pulls_held: bool = False
    doubted: bool = False
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
    """recorded: up to where the inbox has it on disk that nothing is left to take. shelf: the outbox as last seen.

    incarnation: the relay's name for this run of cursors, b"" for none. run: counts how often the relay turned out not
    to have the history that we had; a cursor means something within its run. trouble: why the last connection ended.
    """

    intake: Intake
    incarnation: bytes = b""
    recorded: int = 0
    rules: Rules = Rules()
    phase: Phase = Offline()
    flight: Flight = field(default_factory=Flight)
    shelf: Shelf = field(default_factory=Shelf)
    host_pulls: tuple[PullUnderway, ...] = ()
    advance_armed: bool = False
    run: int = 0
    trouble: str = ""
