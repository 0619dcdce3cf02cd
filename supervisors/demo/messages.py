"""What the demo's director and its device processes say to each other: one JSON object a line, on stdin and stdout.

| order (stdin)  | the device                                            | reports (stdout)            |
|----------------|-------------------------------------------------------|-----------------------------|
| Create         | makes a group at the relay                            | Ready                       |
| Join           | joins by a short code                                 | Ready                       |
| Invite         | makes an invite                                       | Invited                     |
| Send           | puts parts [first, last) of the source in its outbox  | Progress, then Sent         |
| Census         | counts its outbox                                     | Counted                     |
| Write          | sends a line of text to its group                     |                             |
|                | hears one, as a note book (`--notes`)                 | Heard                       |
| Stop           | stops its tree in order and ends                      |                             |
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Order(msgspec.Struct, frozen=True, tag_field="do"):
    pass


class Create(Order, frozen=True, tag="create"):
    relay_url: str


class Join(Order, frozen=True, tag="join"):
    relay_url: str
    short_code: str


class Invite(Order, frozen=True, tag="invite"):
    pass


class FileOrder(msgspec.Struct, frozen=True):
    """A file of the source as the director described it."""

    name: str
    size: int
    sha256: str


class Send(Order, frozen=True, tag="send"):
    root: str
    files: tuple[FileOrder, ...]
    first: int  # part numbers over all files, counted from 0
    last: int  # exclusive


class Census(Order, frozen=True, tag="census"):
    pass


class Write(Order, frozen=True, tag="write"):
    text: str


class Stop(Order, frozen=True, tag="stop"):
    pass


class Report(msgspec.Struct, frozen=True, tag_field="event"):
    pass


class Ready(Report, frozen=True, tag="ready"):
    device_id: str


class Invited(Report, frozen=True, tag="invited"):
    link: str
    short_code: str


class Progress(Report, frozen=True, tag="progress"):
    """Where a device stands. Counts are blobs of this demo, over all its lives."""

    acknowledged: int = 0
    received: int = 0
    reconnects: int = 0
    waiting: int = 0
    in_flight: int = 0


class Sent(Report, frozen=True, tag="sent"):
    pass


class Counted(Report, frozen=True, tag="counted"):
    """The outbox now: `waiting` blobs are not acknowledged, `in_flight` of them were sent to a relay."""

    waiting: int
    in_flight: int


class Heard(Report, frozen=True, tag="heard"):
    """A line of another device's; anybody in the group may send anything, so it is cut and made printable."""

    sender: str
    text: str


class Failed(Report, frozen=True, tag="failed"):
    message: str
    code: str


AnyOrder: TypeAlias = Create | Join | Invite | Send | Census | Write | Stop
AnyReport: TypeAlias = Ready | Invited | Progress | Sent | Counted | Heard | Failed

order_decoder = msgspec.json.Decoder(AnyOrder)
report_decoder = msgspec.json.Decoder(AnyReport)


def encode_line(message: Order | Report) -> bytes:
    return msgspec.json.encode(message) + b"\n"
