"""What the tree tells its host through `on_event` and `on_dead_letter`. No event shows a message's contents.

| event      | when                                                                     |
|------------|--------------------------------------------------------------------------|
| Started    | an incarnation begins                                                    |
| Crashed    | an incarnation ended with an exception: one report a crash               |
| Stuck      | asked to stop, cancelled, and still there: a body that shields itself    |
| Ended      | an actor has ended for good                                              |
| DeadLetter | a message that nobody will read                                          |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Undelivered: TypeAlias = Literal["full", "pushed out", "stopped"]


@dataclass(frozen=True, slots=True)
class Started:
    path: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Crashed:
    """The structured report of one crash. `message_type` is the type of the last message taken, None before the first.

    `cause` is left out of the text: its own text may quote a message. `restarts` counts the restarts before this crash.
    """

    path: str
    incarnation: int
    message_type: str | None
    cause: BaseException = field(repr=False)
    restarts: int

    def __str__(self) -> str:
        during = f" on {self.message_type}" if self.message_type else ""
        return (
            f"{self.path} crashed{during}: {type(self.cause).__name__}{self.place()}"
            f" (incarnation {self.incarnation}, {self.restarts} restarts)"
        )

    def place(self) -> str:
        """Where the cause was raised: " at file:line", or "" when it was never raised."""
        frame = self.cause.__traceback__
        if frame is None:
            return ""
        while frame.tb_next is not None:
            frame = frame.tb_next
        return f" at {frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}"


@dataclass(frozen=True, slots=True)
class Stuck:
    """`seconds` after its cancellation the incarnation still runs. Its supervisor waits on: a task cannot be killed."""

    path: str
    incarnation: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """`reason` is None for an orderly end."""

    path: str
    reason: BaseException | None


Event: TypeAlias = Started | Crashed | Stuck | Ended


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`message` is kept for whoever debugs; it is not shown in the letter's text."""

    path: str
    message: object = field(repr=False)
    why: Undelivered

    @property
    def message_type(self) -> str:
        return type(self.message).__name__
