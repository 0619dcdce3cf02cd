"""How talking to an actor, or keeping one alive, can fail.

| error           | who sees it           | what it says                                                            |
|-----------------|-----------------------|-------------------------------------------------------------------------|
| ActorCrashed    | an asker              | taken, not answered: outcome unknown, repeat with the same command id   |
| ActorStopped    | an asker              | never taken: the actor has ended for good                               |
| AskTimeout      | an asker              | no answer in time; the work goes on, its late answer is ignored         |
| AskCycle        | an asker              | the answer would wait for the asker itself                              |
| MailboxFull     | a teller at the edge  | no room, and the mailbox was declared `overflow="fail"`                 |
| NoSuchActor     | whoever names a path  | nothing has that path                                                   |
| TooManyRestarts | the parent supervisor | a child used up the restarts; the crash is its `__cause__`              |
| RecoveryFailed  | the whole tree        | what was recorded cannot be read: no restart can help                   |
"""

from __future__ import annotations

from collections.abc import Sequence

from ferryman.protocol.errors import AppError, LocalProtocolError


class ActorCrashed(AppError):
    """The incarnation ended while the ask was unanswered. Whether its effect happened is unknown.

    `cause` is what it crashed with; ActorStopped if it was stopped, or returned. Asking again is right in each case:
    the next incarnation answers, or ActorStopped says that there will be none.
    """

    code = "ACTOR_CRASHED"

    def __init__(self, path: str, cause: BaseException) -> None:
        super().__init__(f"{path} ended before it answered: {type(cause).__name__}", retryable=True)
        self.path = path
        self.cause = cause
        self.__cause__ = cause


class ActorStopped(AppError):
    """The actor has ended for good and never took the question."""

    code = "ACTOR_STOPPED"

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} has stopped", retryable=True)
        self.path = path


class AskTimeout(AppError):
    """No answer within the time given. The question may still be worked on."""

    code = "ASK_TIMEOUT"

    def __init__(self, path: str, timeout_seconds: float) -> None:
        super().__init__(f"{path} did not answer within {timeout_seconds:g} s", retryable=True)
        self.path = path
        self.timeout_seconds = timeout_seconds


class AskCycle(LocalProtocolError):
    """Waiting would be for ever: every actor in `paths` waits for the next one, the last for the first."""

    code = "ASK_CYCLE"

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(f"ask cycle: {' -> '.join(paths)}")
        self.paths = tuple(paths)


class MailboxFull(AppError):
    """The mailbox holds all that it may; this message was not taken, or was pushed out by a newer one."""

    code = "MAILBOX_FULL"

    def __init__(self, path: str, capacity: int) -> None:
        super().__init__(f"{path} has {capacity} messages waiting", retryable=True)
        self.path = path
        self.capacity = capacity


class NoSuchActor(AppError, LookupError):
    """Nothing has this path."""

    code = "NO_SUCH_ACTOR"

    def __init__(self, path: str) -> None:
        super().__init__(f"no actor has the path {path}")
        self.path = path


class TooManyRestarts(AppError):
    """More than `max_restarts` restarts within `within_seconds`: the supervisor at `path` gives up."""

    code = "TOO_MANY_RESTARTS"

    def __init__(self, path: str, max_restarts: int, within_seconds: float) -> None:
        super().__init__(f"{path}: more than {max_restarts} restarts within {within_seconds:g} s")
        self.path = path
        self.max_restarts = max_restarts
        self.within_seconds = within_seconds


class RecoveryFailed(AppError):
    """What was recorded cannot be read back. Leaves the tree at once: reading it again gives the same."""

    code = "RECOVERY_FAILED"
