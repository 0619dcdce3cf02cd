"""What the host hears of its sync: events as they happen, and the status of the connection (S4 §6.3).

| event              | when                                                                                     |
|--------------------|------------------------------------------------------------------------------------------|
| Connected          | the relay welcomed us                                                                    |
| Disconnected       | the connection ended; `reason` is for a person                                           |
| BlobAvailable      | the relay named a blob of another device (NOTIFY)                                        |
| BlobPushed         | the relay has our blob on disk, and our outbox knows it                                  |
| BlobRejected       | the relay will never get this blob of ours; the outbox has set it aside, or its user did |
| Error              | a refusal of the relay, or something that needs a person                                 |
| RelayKeyChanged    | the relay shows another key than the pinned one; nothing of ours was shown to it         |
| StatusChanged      | `status()` answers differently from now on                                               |
| SyncStatus         | `indicator()` answers differently; or how the push of one saved transaction ended        |
| TransactionSaved   | the host's own database has it; its blob is queued next                                  |
| ResyncRequired     | the relay lost or expired blobs that we had not taken: compare states by other means     |
| HistoryGap         | a sender's blobs `first`..`last` are missing (wire §6); they may still come              |
| HistoryGapClosed   | they came: `first`..`last` is what was missing at the end                                |
| HistoryFork        | a sender's chain shows two blobs in one place: somebody shows two histories              |
| UndecryptableBlobs | so many blobs of a sender did not open in the last minute; they were passed over         |
| JoinRequested      | somebody asks to join by an invite of ours: compare the number, then approve or refuse   |
| JoinWaiting        | this device asks to join, and the inviting one has not answered yet                      |
| JoinShown          | this device asks to join: its person reads the number to whoever invites                 |
| JoinEnded          | an invite let nobody in, or did not let us in; `reason` is for a person                  |
| DeviceJoined       | a device was let in by an invite of ours                                                 |
| Lagged             | this subscriber was too slow: so many events were dropped for it                         |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """What WELCOME told. relay_id: the relay's static key in base64; pending_count: blobs of others to come."""

    relay_id: str
    max_cursor: int
    pending_count: int


@dataclass(frozen=True, slots=True)
class Disconnected:
    """As a status: no connection and none is tried. As an event, `reason` says why it ended."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Connecting:
    """The first try since sync was enabled."""


@dataclass(frozen=True, slots=True)
class Connected:
    """As a status: welcomed. The event carries the same."""

    info: ConnectionInfo


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """attempt: counts from 1, starts again after a successful connection. reason: why the last one ended."""

    attempt: int
    reason: str = field(default="", compare=False)


ConnectionStatus: TypeAlias = Disconnected | Connecting | Connected | Reconnecting
Indicator: TypeAlias = Literal["synced", "pending", "failed", "offline"]  # what each means: indicator.py


@dataclass(frozen=True, slots=True)
class BlobAvailable:
    id: bytes
    cursor: int
    sender: bytes


@dataclass(frozen=True, slots=True)
class BlobPushed:
    id: bytes
    cursor: int


@dataclass(frozen=True, slots=True)
class BlobRejected:
    """code: the relay's error, 0 where this device's own user took the blob out of the outbox."""

    id: bytes
    code: int

    @property
    def why(self) -> str:
        """For a person."""
        if self.code == 0:
            return "this blob was taken out of the outbox before the relay had it"
        return f"the relay will never take this blob (error {self.code})"


@dataclass(frozen=True, slots=True)
class Error:
    """code: as on the wire (S4 §12.1), 0 for what no relay said."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class RelayKeyChanged:
    """relay_key: what it shows now, 32 bytes; `trust_relay` accepts it, if its operator confirms it."""

    relay_key: bytes


@dataclass(frozen=True, slots=True)
class StatusChanged:
    status: ConnectionStatus


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """indicator: synced, pending, failed or offline. key: None for the device, or of the transaction it is about."""

    indicator: Indicator
    waiting: int
    key: object = None


@dataclass(frozen=True, slots=True)
class TransactionSaved:
    """key: what the host's database calls it."""

    key: object


@dataclass(frozen=True, slots=True)
class ResyncRequired:
    reason: str


@dataclass(frozen=True, slots=True)
class HistoryGap:
    sender: bytes
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class HistoryGapClosed:
    sender: bytes
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class HistoryFork:
    sender: bytes
    seq: int


@dataclass(frozen=True, slots=True)
class UndecryptableBlobs:
    sender: bytes
    count: int


@dataclass(frozen=True, slots=True)
class JoinRequested:
    """room_id: names the invite, 32 bytes. device_name: what it calls itself, which proves nothing. sas: NNN-NNN."""

    room_id: bytes
    device_id: bytes
    device_name: str
    sas: str


@dataclass(frozen=True, slots=True)
class JoinWaiting:
    room_id: bytes


@dataclass(frozen=True, slots=True)
class JoinShown:
    room_id: bytes
    sas: str


@dataclass(frozen=True, slots=True)
class JoinEnded:
    """outcome: one word for programs."""

    room_id: bytes
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class DeviceJoined:
    device_id: bytes
    device_name: str


@dataclass(frozen=True, slots=True)
class Lagged:
    count: int


SyncEvent: TypeAlias = (
    Connected
    | Disconnected
    | BlobAvailable
    | BlobPushed
    | BlobRejected
    | Error
    | RelayKeyChanged
    | StatusChanged
    | SyncStatus
    | TransactionSaved
    | ResyncRequired
    | HistoryGap
    | HistoryGapClosed
    | HistoryFork
    | UndecryptableBlobs
    | JoinRequested
    | JoinWaiting
    | JoinShown
    | JoinEnded
    | DeviceJoined
    | Lagged
)
