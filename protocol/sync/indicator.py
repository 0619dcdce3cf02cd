"""What a person sees of sync, in one of four words (S4 §10.2), and what it follows from: nothing else is looked at.

| connection                 | waits for the relay | last error | indicator | a person should        |
|----------------------------|---------------------|------------|-----------|------------------------|
| connected                  | nothing             | none       | synced    | do nothing             |
| connected                  | something           | none       | pending   | do nothing             |
| connected                  | whatever            | some       | failed    | look what it says      |
| being made, the first time | whatever            | whatever   | pending   | do nothing             |
| lost, or none              | something           | whatever   | failed    | check the connection   |
| lost, or none              | something, parked   | whatever   | pending   | do nothing             |
| lost, or none              | nothing             | some       | failed    | look what it says      |
| lost, or none              | nothing             | none       | offline   | restore the connection |

The last error is one that no success followed: no welcome (`heed` folds the events into it), and no PUSH_ACK. The event
BlobPushed does not count: it waits for the disk, and a refusal that came after its PUSH_ACK may be told before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ferryman.protocol.sync import events

NO_ERROR = ""


@dataclass(frozen=True, slots=True)
class Backlog:
    """waiting: blobs of ours that the relay has not acknowledged. parked: the host is about to close (S4 §10.5)."""

    waiting: int = 0
    parked: bool = False


def indicate(connection: events.ConnectionStatus, backlog: Backlog, last_error: str) -> events.Indicator:
    match connection:
        case events.Connected():
            if last_error:
                return "failed"
            return "pending" if backlog.waiting else "synced"
        case events.Connecting():
            return "pending"
        case events.Reconnecting() | events.Disconnected():
            if backlog.waiting:
                return "pending" if backlog.parked else "failed"
            return "failed" if last_error else "offline"


def heed(last_error: str, event: events.SyncEvent) -> str:
    """The last error after this event, `NO_ERROR` for none: a line for a person."""
    match event:
        case events.Error(message=message):
            return message
        case events.Connected():
            return NO_ERROR
        case _:
            return last_error
