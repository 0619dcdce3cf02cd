"""What a command asks of the process that holds its device: one JSON object a line.

| request       | replies                                                   |
|---------------|-----------------------------------------------------------|
| EnableSync    | Standing                                                  |
| DisableSync   | Standing                                                  |
| CreateInvite  | Invited                                                   |
| AwaitJoin     | JoinAsked; JoinEnded where nobody is asked                |
| AnswerJoin    | JoinEnded, when the relay has the answer                  |
| CancelInvite  | Cancelled                                                 |
| JoinGroup     | Happened while a person decides, then Standing            |
| TrustRelay    | Standing, when the relay was tried with that key          |
| PushBlob      | Queued when it is on disk, then Pushed or Waiting         |
| PullBlobs     | Page                                                      |
| TakeBlobs     | Taken: the blobs of the last page that are stored         |
| AskStatus     | Standing                                                  |
| ListOutbox    | OutboxPage                                                |
| DropBlob      | Dropped, when it is out of the outbox                     |
| RetryOutbox   | Standing, when the relay was tried                        |
| Follow        | Happened, again and again, until the asker hangs up       |

Any of them may be answered by Failed instead. One request at a time; hanging up takes it back.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ferryman.protocol.errors import BadInput
from ferryman.protocol.identity import ID_BYTES
from ferryman.protocol.relay.limits import MAX_PULL_LIMIT

VERSION: Final = 1
MAX_WAIT_SECONDS: Final = 86_400  # whoever waits longer asks again
MAX_TEXT: Final = 8_192  # an invite link has at most 5.5 KB, a URL 2 KB
MAX_LISTED: Final = 1_000  # as many as a person pages through
BLOB_ID_BYTES: Final = 16
OVERHEAD_BYTES: Final = 4_096  # of a request around its data, and of all others with their texts doubled by escapes

Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Seconds = Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS, allow_inf_nan=False)]
Cursor = Annotated[int, Field(ge=0, le=2**63 - 1)]


class Message(BaseModel):
    """Exact types, no unknown keys; bytes as base64."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, ser_json_bytes="base64", val_json_bytes="base64"
    )


class EnableSync(Message):
    do: Literal["enable"] = "enable"
    relay_url: Text | None = None


class DisableSync(Message):
    do: Literal["disable"] = "disable"


class CreateInvite(Message):
    """direct: the invite may hold the group's secret itself, whatever the holder's configuration says."""

    do: Literal["invite"] = "invite"
    direct: bool = False


class AwaitJoin(Message):
    """Wait for a device that comes by the invite that this connection made last."""

    do: Literal["await_join"] = "await_join"


class AnswerJoin(Message):
    """sas: of the JoinAsked that is answered."""

    do: Literal["answer_join"] = "answer_join"
    approve: bool
    sas: Text


class CancelInvite(Message):
    """Take the invite back that this connection made last."""

    do: Literal["cancel_invite"] = "cancel_invite"


class JoinGroup(Message):
    do: Literal["join"] = "join"
    invite: Text = Field(repr=False)
    relay_url: Text | None = None


class TrustRelay(Message):
    """relay_key: 32 bytes. settle_seconds: how long to wait for what the relay shows."""

    do: Literal["trust"] = "trust"
    relay_key: Annotated[bytes, Field(min_length=ID_BYTES, max_length=ID_BYTES)]
    settle_seconds: Seconds = 0.0


class PushBlob(Message):
    """wait_seconds: for the relay, once the blob is on disk. patient: also while there is no connection."""

    do: Literal["push"] = "push"
    data: bytes = Field(repr=False)
    wait_seconds: Seconds = 30.0
    patient: bool = False


class PullBlobs(Message):
    """after: read again from there; None: what was not taken yet."""

    do: Literal["pull"] = "pull"
    after: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_PULL_LIMIT)] = 100


class TakeBlobs(Message):
    do: Literal["take"] = "take"
    cursors: Annotated[list[Cursor], Field(max_length=MAX_PULL_LIMIT)]


class AskStatus(Message):
    """settle_seconds: how long to wait for a connection that is being made, and for what is being pushed."""

    do: Literal["status"] = "status"
    settle_seconds: Seconds = 0.0


class ListOutbox(Message):
    do: Literal["outbox"] = "outbox"
    limit: Annotated[int, Field(ge=1, le=MAX_LISTED)] = 100


class DropBlob(Message):
    """id: as much of its hexadecimal digits as tell it from the others. dry: only say which one it is."""

    do: Literal["drop"] = "drop"
    id: Annotated[str, Field(min_length=1, max_length=2 * BLOB_ID_BYTES)]
    dry: bool = False


class RetryOutbox(Message):
    """settle_seconds: how long to wait for what comes of it."""

    do: Literal["retry"] = "retry"
    settle_seconds: Seconds = 0.0


class Follow(Message):
    do: Literal["follow"] = "follow"


Request: TypeAlias = (
    EnableSync
    | DisableSync
    | CreateInvite
    | AwaitJoin
    | AnswerJoin
    | CancelInvite
    | JoinGroup
    | TrustRelay
    | PushBlob
    | PullBlobs
    | TakeBlobs
    | AskStatus
    | ListOutbox
    | DropBlob
    | RetryOutbox
    | Follow
)

_REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="do")])


def read_request(line: bytes) -> Request:
    """Raises BadInput, which shows nothing of the line."""
    try:
        return _REQUEST.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise BadInput(f"not a request of this socket: {where or 'the line'}: {first['type']}") from None


def request_bytes(max_data_bytes: int) -> int:
    """The longest line that a request with that much data makes."""
    return (max_data_bytes + 2) // 3 * 4 + OVERHEAD_BYTES + 6 * MAX_TEXT
