"""What travels between actors: a message in its envelope, and the notice that somebody has ended.

What a user of the core meets:

    class Get(Ask[int])        a message that wants an answer; `await ref.ask(Get("k"))` is an int
    Envelope(msg)              what the receiver holds: answer now, or keep it and answer later
    Down(path, reason)         to those who watch: the actor has ended for good
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

M = TypeVar("M")
R_co = TypeVar("R_co", covariant=True)


class Ask(Generic[R_co]):
    """Base of messages that want an answer of type `R`. It holds nothing, so it goes with any dataclass."""

    __slots__ = ()


class Asker(Protocol):
    """The other end of an ask: takes one answer and ignores what comes later."""

    def resolve(self, value: object) -> None: ...
    def reject(self, error: BaseException) -> None: ...


class Envelope(Generic[M]):
    """One message in the hands of its receiver. Keeping it and answering later is how an actor postpones an answer.

    An envelope that its incarnation leaves unanswered is answered by the core: the asker gets `ActorCrashed`. Only the
    first answer counts.
    """

    __slots__ = ("asker", "msg", "open_asks")

    def __init__(self, msg: M, asker: Asker | None = None) -> None:
        self.msg = msg
        self.asker = asker
        self.open_asks: dict[Envelope[M], None] | None = None

    @property
    def wants_reply(self) -> bool:
        """True while somebody waits for an answer to this message."""
        return self.asker is not None

    def reply(self, value: object = None) -> None:
        """Answer. Does nothing for a message that was told, or was answered before."""
        asker = self.close()
        if asker is not None:
            asker.resolve(value)

    def fail(self, error: BaseException) -> None:
        """Answer with an exception: it is raised where the ask waits."""
        asker = self.close()
        if asker is not None:
            asker.reject(error)

    def close(self) -> Asker | None:
        """Take the asker out: whatever is answered from now on is ignored."""
        asker = self.asker
        if asker is not None:
            self.asker = None
            if self.open_asks is not None:
                del self.open_asks[self]
                self.open_asks = None
        return asker


class Notice:
    """Base of what the core itself puts into mailboxes. Left unread it is no dead letter: nobody wrote it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Down(Notice):
    """A watched actor has ended for good; a restart is no end. `reason` is None for an orderly end, else its cause."""

    path: str
    reason: BaseException | None
