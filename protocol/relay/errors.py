"""The relay's error codes and when one of them ends the connection (wire.md §5, S4 §12.1).

| code | name                 | when                                             | connection             |
|------|----------------------|--------------------------------------------------|------------------------|
| 1000 | INVALID_MESSAGE      | it parses but is malformed, or out of turn       | see `invalid_closes`   |
| 1001 | UNKNOWN_GROUP        | HELLO names a history the relay does not have    | open for another HELLO |
| 1002 | UNAUTHORIZED         | another sender or group, a bad proof             | closed                 |
| 2000 | RATE_LIMITED         | over a rate; nothing was done; retry_after_ms    | open                   |
| 2001 | BLOB_TOO_LARGE       | sealed payload over max_blob_size                | open                   |
| 2002 | GROUP_QUOTA_EXCEEDED | the blob or device would pass the group's quota  | open                   |
| 3000 | RELAY_OVERLOADED     | a queue is full or storage fails; retry_after_ms | open                   |
| 3001 | RELAY_SHUTTING_DOWN  | the relay stops                                  | closed                 |

What does not decrypt or is not one MessagePack value gets no ERROR at all: the connection ends with 1008 at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ferryman.protocol.errors import RemoteProtocolError


class WireCode(IntEnum):
    INVALID_MESSAGE = 1000
    UNKNOWN_GROUP = 1001
    UNAUTHORIZED = 1002
    RATE_LIMITED = 2000
    BLOB_TOO_LARGE = 2001
    GROUP_QUOTA_EXCEEDED = 2002
    RELAY_OVERLOADED = 3000
    RELAY_SHUTTING_DOWN = 3001


class CloseCode(IntEnum):
    """WebSocket close codes."""

    NORMAL = 1000
    GOING_AWAY = 1001
    TEXT = 1003
    POLICY = 1008  # undecryptable, unparsable, too slow, missed heartbeats, or after an ERROR that closes
    TOO_BIG = 1009
    REPLACED = 4001  # another connection of the same device said HELLO; the client does not come back by itself


ALWAYS_CLOSE: Final = frozenset({WireCode.UNAUTHORIZED, WireCode.RELAY_SHUTTING_DOWN})
# One slip is a bug in a peer, three are a peer that will not stop.
MAX_INVALID_MESSAGES: Final = 3
# An ERROR that closes is flushed for so long; nothing that arrives after it is processed.
CLOSING_FLUSH_SECONDS: Final = 2.0


class InvalidMessage(RemoteProtocolError):
    """A frame that parses and is malformed: ERROR 1000. `closing`: it is not even a valid envelope."""

    code = "INVALID_MESSAGE"

    def __init__(self, message: str, *, closing: bool = False) -> None:
        super().__init__(message)
        self.closing = closing


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an ERROR says. `closing`: this one closes, though its code need not."""

    code: WireCode
    message: str
    retry_after_ms: int | None = None
    ref: bytes | None = None  # the blob_id it is about
    closing: bool = False

    @property
    def closes(self) -> bool:
        return self.closing or self.code in ALWAYS_CLOSE


def invalid_closes(*, envelope_is_valid: bool, welcomed: bool, invalid_so_far: int) -> bool:
    """Whether a 1000 ends the connection. `invalid_so_far` counts this one."""
    return not envelope_is_valid or not welcomed or invalid_so_far >= MAX_INVALID_MESSAGES


def close_code(code: WireCode) -> CloseCode:
    """The WebSocket close code after an ERROR that closes."""
    return CloseCode.GOING_AWAY if code is WireCode.RELAY_SHUTTING_DOWN else CloseCode.POLICY
