"""How a demo fails, and how one cause is found among the exceptions of several tasks.

| what happened                                  | raised      | exit code |
|------------------------------------------------|-------------|-----------|
| the folder, the disk or the port is unusable   | BadInput    | 2         |
| a process ended, fell silent or gave up        | DemoFailed  | 1         |
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

from ferryman.protocol.errors import AppError


class DemoFailed(AppError):
    """The demo could not be played to its end. `last_words`: what the process in question wrote last, line by line."""

    code = "DEMO_FAILED"

    def __init__(self, message: str, last_words: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.last_words = last_words


@contextmanager
def one_cause() -> Generator[None]:
    """Raise the first cause instead of a group of them. A group with a bug in it passes as it is: show everything."""
    try:
        yield
    except BaseExceptionGroup as group:
        causes = list(each(group))
        if not all(isinstance(cause, AppError | OSError) for cause in causes):
            raise
        raise causes[0] from None


def each(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The exceptions inside nested groups."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from each(error)  # pyright: ignore[reportUnknownArgumentType] - isinstance cannot narrow the parameter
        else:
            yield error
