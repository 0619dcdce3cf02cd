"""What a device's sync client is asked and told.

| message     | from        | answer                                                                    |
|-------------|-------------|---------------------------------------------------------------------------|
| NextBlobs   | the host    | what is opened, as soon as there is something; Superseded when a newer reader asks |
| TakeBlobs   | the host    | None, when it is recorded that the host has stored them                   |
| PullBlobs   | the host    | Page; raises Offline                                                      |
| BlobsWait   | the outbox  |                                                                           |
| UseRelay    | the group   |                                                                           |
| Reconnect   | the host    |                                                                           |
| Leave       | the group   | None, when the connection is closed                                       |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ferryman.actors.core.messages import Ask
from ferryman.protocol.sync.strands import Link


class Handed(NamedTuple):
    """One opened blob."""

    blob_id: bytes
    cursor: int
    sender: bytes
    content: bytes
    timestamp: int
    run: int
    link: Link | None


class Taken(NamedTuple):
    """A blob that the host has stored, without its content: what is on its way to the disk holds no memory."""

    cursor: int
    run: int
    link: Link | None


@dataclass(frozen=True, slots=True)
class Page:
    """through: the last cursor that was looked at, whether there was a blob for the host or not; 0 for none."""

    blobs: tuple[Handed, ...]
    has_more: bool
    max_cursor: int
    through: int


@dataclass(frozen=True, slots=True)
class NextBlobs(Ask[tuple[Handed, ...]]):
    """reader: a number of the host's; a new one gets again what the one before did not take."""

    reader: int


@dataclass(slots=True)
class Tray:
    """Blobs of one run that the host has taken. More may be put on it until the client reads it, which closes it."""

    blobs: list[Taken]
    closed: bool = False


@dataclass(frozen=True, slots=True)
class TakeBlobs(Ask[None]):
    tray: Tray


@dataclass(frozen=True, slots=True)
class PullBlobs(Ask[Page]):
    """after_cursor None: after what was taken. own: this device's own blobs too."""

    after_cursor: int | None
    limit: int
    own: bool = False


@dataclass(frozen=True, slots=True)
class BlobsWait:
    """The outbox has more."""


@dataclass(frozen=True, slots=True)
class UseRelay:
    relay_url: str


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Try now, whatever the backoff says. anew: also where there is a connection."""

    anew: bool = False


@dataclass(frozen=True, slots=True)
class Leave(Ask[None]):
    """Say goodbye to the relay and stay away."""


ClientMessage: TypeAlias = NextBlobs | TakeBlobs | PullBlobs | BlobsWait | UseRelay | Reconnect | Leave

CLIENTS = "/sync/clients"


def client_path(group_id: bytes) -> str:
    """Where a group's client lives in the runtime's tree."""
    return f"{CLIENTS}/{client_name(group_id)}"


def client_name(group_id: bytes) -> str:
    return group_id[:8].hex()
