"""The one family of errors (decisions X-21): a code for machines, a line for people, whether to try again.

| class               | whose fault         | what follows                         |
|---------------------|---------------------|--------------------------------------|
| AppError            | nobody's            | a reply or an exit code 2            |
| LocalProtocolError  | ours: a bug         | the actor crashes and is restarted   |
| RemoteProtocolError | the peer's bytes    | the connection is hung up            |
"""

from __future__ import annotations


class AppError(Exception):
    """A failure that has a name. `code` is UPPER_CASE and stable; `message` is one line for a person, without secrets.

    retryable: the same call may succeed later; retry_after_ms: not before that many milliseconds, None if unknown.
    """

    code = "INTERNAL"

    def __init__(
        self, message: str, *, code: str | None = None, retryable: bool = False, retry_after_ms: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code or type(self).code
        self.message = message
        self.retryable = retryable
        self.retry_after_ms = retry_after_ms


class LocalProtocolError(AppError):
    """We broke our own rules: a bug. The actor crashes; its supervisor restarts it."""

    code = "LOCAL_PROTOCOL_ERROR"


class RemoteProtocolError(AppError):
    """The peer's bytes break the protocol. Hang up; never crash anything that is shared."""

    code = "REMOTE_PROTOCOL_ERROR"


class BadInput(AppError):
    """A person gave something unusable: the message says what, where, and what to do. The command line exits with 2."""

    code = "BAD_INPUT"
