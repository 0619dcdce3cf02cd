"""What a sync client stands in: its group, its keys, its neighbours in the tree, and where its news go."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ferryman.actors.board import Board
from ferryman.actors.event_hub import EventHub
from ferryman.actors.ports import Ports
from ferryman.protocol.crypto.keys import DeviceKeys, GroupKeys
from ferryman.protocol.relay.limits import INLINE_CAP_BYTES, MAX_BLOB_SIZE
from ferryman.protocol.sync.backoff import FIRST_SECONDS, MOST_SECONDS
from ferryman.protocol.sync.group import Membership


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Seconds and bytes. headers: for the upgrade over TLS, e.g. a bearer token."""

    device_name: str
    auto_reconnect: bool = True
    reconnect_delay: float = FIRST_SECONDS
    max_reconnect_delay: float = MOST_SECONDS
    inline: int = INLINE_CAP_BYTES
    max_blob_size: int = MAX_BLOB_SIZE
    api_key: str | None = field(default=None, repr=False)
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Paths of the durable actors that a client reads from and records with."""

    group: str
    outbox: str
    inbox: str


@dataclass(frozen=True, slots=True)
class ClientWorld:
    """ledger: its file, where the outbox's table stands. room: set for a room of one join (wire §9), which is no group
    on record: where it is, and its control blobs are what is given."""

    ports: Ports
    ledger: Path
    group_id: bytes
    device: DeviceKeys
    keys: GroupKeys
    settings: ClientSettings
    neighbours: Neighbours
    hub: EventHub
    board: Board
    room: Membership | None = None
