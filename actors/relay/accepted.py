"""What the door hands over to a connection actor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ferryman.actors.relay.access import Bearer
from ferryman.actors.relay.stream import BoundedStream
from ferryman.actors.relay.websocket import WebSocket

RECEIVE_BYTES = 16 * 1024  # read at one time: one batch


@dataclass(frozen=True, slots=True)
class Accepted:
    """An upgraded stream, as the door hands it over. `deadline`: by then the Noise handshake is done."""

    stream: BoundedStream
    websocket: WebSocket
    rest: bytes  # what came after the upgrade's head
    source: str
    bearer: Bearer
    deadline: float
    gone: Callable[[], None]  # the door counts connections by source
