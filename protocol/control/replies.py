"""What a command hears from the process that holds its device, and what `--json` prints: one JSON object a line.

| reply      | is                                                              | the request goes on |
|------------|-----------------------------------------------------------------|---------------------|
| Hello      | the first line of a connection                                  |                     |
| Standing   | connection, group, device, outbox, cursor                       |                     |
| Invited    | link, short code                                                |                     |
| JoinAsked  | who asks to be let in, and the number to compare                |                     |
| JoinEnded  | the device is let in                                            |                     |
| Cancelled  | whether the invite could still be taken back                    |                     |
| Queued     | the blob is on disk                                             | yes                 |
| Pushed     | the relay has it                                                |                     |
| Waiting    | the relay does not have it yet: it stays in the outbox          |                     |
| Page       | blobs                                                           |                     |
| Taken      | they are on record as taken                                     |                     |
| OutboxPage | what the relay has not acknowledged                             |                     |
| Dropped    | a blob is out of the outbox, or would be                        |                     |
| Happened   | an event                                                        | yes                 |
| Failed     | an AppError: code, message                                      |                     |

Blob ids are hex, device ids base64, times UNIX seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from ferryman.protocol.control.requests import Message
from ferryman.protocol.errors import RemoteProtocolError

PAGE_BYTES: Final = 8 * 1024 * 1024  # of its line: what one PULL brings, unless it was compressed
AROUND_BLOB_BYTES: Final = 256  # of a blob's object beside its data

Indicator: TypeAlias = Literal["synced", "pending", "failed", "offline", "off"]
Connection: TypeAlias = Literal["connected", "connecting", "reconnecting", "disconnected"]


class Hello(Message):
    """protocol: of this socket. max_data_bytes: of one blob. takes: whether it lets others take blobs."""

    type: Literal["hello"] = "hello"
    protocol: int
    version: str
    pid: int
    max_data_bytes: int
    takes: bool


class Standing(Message):
    """How the device stands. group: the beginning of its group's id, None without a group. waiting: in the outbox."""

    type: Literal["status"] = "status"
    indicator: Indicator
    connection: Connection
    reason: str
    attempt: int
    enabled: bool
    relay_url: str | None
    group: str | None
    device: str
    device_name: str
    waiting: int
    waiting_bytes: int
    last_cursor: int
    max_cursor: int | None
    pid: int
    warning: str


class Invited(Message):
    """room: it opens a room, so the asker stays for the answer. asks: a person is asked before a device is let in."""

    type: Literal["invite"] = "invite"
    link: str = Field(repr=False)
    short_code: str = Field(repr=False)
    expires_at: int
    room: bool = False
    asks: bool = False


class JoinAsked(Message):
    type: Literal["join_asked"] = "join_asked"
    device: str
    device_name: str
    sas: str


class JoinEnded(Message):
    """joined: false when it was refused; how else an invite ends is a Failed."""

    type: Literal["join_ended"] = "join_ended"
    joined: bool


class Cancelled(Message):
    type: Literal["invite_cancelled"] = "invite_cancelled"
    in_time: bool


class Queued(Message):
    type: Literal["queued"] = "queued"
    id: str


class Pushed(Message):
    type: Literal["pushed"] = "pushed"
    id: str
    cursor: int


class Waiting(Message):
    type: Literal["waiting"] = "waiting"
    id: str
    reason: str


class Given(Message):
    """One blob. sender: a device's id."""

    type: Literal["blob"] = "blob"
    cursor: int
    id: str
    sender: str
    timestamp: int
    data: bytes = Field(repr=False)


class Page(Message):
    type: Literal["page"] = "page"
    blobs: list[Given]
    has_more: bool
    max_cursor: int


def one_page(blobs: Sequence[Given], *, has_more: bool, max_cursor: int, room: int = PAGE_BYTES) -> Page:
    """As many of the blobs as make a line of `room` bytes, at least one; `has_more` if that is not all of them."""
    room -= AROUND_BLOB_BYTES
    count = 0
    for blob in blobs:
        room -= (len(blob.data) + 2) // 3 * 4 + AROUND_BLOB_BYTES
        if room < 0 and count:
            break
        count += 1
    return Page(blobs=list(blobs[:count]), has_more=has_more or count < len(blobs), max_cursor=max_cursor)


class Taken(Message):
    type: Literal["taken"] = "taken"
    last_cursor: int


class OutboxEntry(Message):
    """size: of the sealed blob. queued_at: None when that is in an archive of the ledger by now.

    state: sent: the relay has not answered yet; held back: it refused, for the time being."""

    type: Literal["waiting_blob"] = "waiting_blob"
    id: str
    size: int
    queued_at: int | None
    state: Literal["waiting", "sent", "held back"]
    introduction: bool


class OutboxPage(Message):
    """waiting: the oldest; count, bytes: of all. refused: ids of blobs that the relay will never take.

    group: the beginning of its group's id, None without a group."""

    type: Literal["outbox"] = "outbox"
    group: str | None
    count: int
    bytes: int
    waiting: list[OutboxEntry]
    refused: list[str]


class Dropped(Message):
    """sent: it had been on its way, so that the relay may have it. gone: it is out; without, it was only looked up."""

    type: Literal["dropped"] = "dropped"
    id: str
    size: int
    queued_at: int | None
    sent: bool
    gone: bool


class Happened(Message):
    """what: arrived, pushed, rejected, status, error, resync, gap, fork, undecryptable, joined or missed; of a join
    that goes on join-asked, join-waiting, join-shown, join-ended, with the number to compare in `sas`."""

    type: Literal["event"] = "event"
    what: str
    text: str
    connection: Connection | None = None
    id: str | None = None
    cursor: int | None = None
    sender: str | None = None
    sas: str | None = None


class Failed(Message):
    type: Literal["error"] = "error"
    code: str
    message: str
    retryable: bool = False


Reply: TypeAlias = (
    Hello
    | Standing
    | Invited
    | JoinAsked
    | JoinEnded
    | Cancelled
    | Queued
    | Pushed
    | Waiting
    | Page
    | Taken
    | OutboxPage
    | Dropped
    | Happened
    | Failed
)
News: TypeAlias = Queued | Happened

_REPLY: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Field(discriminator="type")])


def read_reply(line: bytes) -> Reply:
    """Raises RemoteProtocolError, which shows nothing of the line."""
    try:
        return _REPLY.validate_json(line)
    except ValidationError:
        raise RemoteProtocolError("the process that holds this device speaks another language") from None
