"""The refusals of a device's sync, each with its stable code.

| error              | code                | what to do                                                              |
|--------------------|---------------------|-------------------------------------------------------------------------|
| Pending            | PENDING             | nothing: the blob is in the outbox and goes out when the relay is there |
| OutboxFull         | OUTBOX_FULL         | wait until the relay took some                                          |
| NotEnabled         | SYNC_NOT_ENABLED    | `enable` or `join_invite` first                                         |
| AlreadyJoined      | ALREADY_JOINED      | this home belongs to another group                                      |
| Offline            | OFFLINE             | the relay cannot be reached now                                         |
| Closed             | CLOSED              | the runtime's block has ended                                           |
| Superseded         | SUPERSEDED          | a newer `blobs()` reads; one stream does at a time                      |
| InviteRefused      | INVITE_REFUSED      | ask for a new invite                                                    |
| RelayRefused       | RELAY_REFUSED       | what the relay said                                                     |
| BackendUnavailable | BACKEND_UNAVAILABLE | choose another `sync.backend`                                           |
| RelayUntrusted     | RELAY_KEY_CHANGED   | ask its operator for its key; `trust_relay` accepts that one            |
"""

from __future__ import annotations

from ferryman.protocol.errors import AppError


class Pending(AppError):
    """A push that is on disk and not yet at the relay. blob_id: 16 bytes, as BlobPushed will name it."""

    code = "PENDING"

    def __init__(self, blob_id: bytes) -> None:
        super().__init__("the blob is in the outbox; it goes out when the relay is there", retryable=False)
        self.blob_id = blob_id


class OutboxFull(AppError):
    code = "OUTBOX_FULL"


class NotEnabled(AppError):
    code = "SYNC_NOT_ENABLED"

    def __init__(self) -> None:
        super().__init__("sync is not enabled on this device: call enable() or join_invite() first")


class AlreadyJoined(AppError):
    code = "ALREADY_JOINED"


class Offline(AppError):
    code = "OFFLINE"


class Closed(AppError):
    code = "CLOSED"

    def __init__(self) -> None:
        super().__init__("the runtime has ended")


class Superseded(AppError):
    code = "SUPERSEDED"

    def __init__(self) -> None:
        super().__init__("a newer stream reads this device's blobs: this one is over; only one reads at a time")


class InviteRefused(AppError):
    code = "INVITE_REFUSED"


class RelayRefused(AppError):
    code = "RELAY_REFUSED"


class BackendUnavailable(AppError):
    """kind: of the backend that the configuration names and this build does not have."""

    code = "BACKEND_UNAVAILABLE"

    def __init__(self, kind: str) -> None:
        super().__init__(f'sync.backend: "{kind}" is not in this build: choose "relay" or "managed" and give its URL')
        self.kind = kind


class RelayUntrusted(AppError):
    """The relay shows another key than the pinned one. relay_key: what it shows, 32 bytes."""

    code = "RELAY_KEY_CHANGED"

    def __init__(self, relay_key: bytes) -> None:
        super().__init__(
            "the relay shows another key than before: someone is in between, or the relay lost its key. Ask its"
            " operator which key it has; trust_relay(key) accepts that one"
        )
        self.relay_key = relay_key
