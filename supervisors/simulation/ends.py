"""How a process ended: the exceptions that came out of it, without the groups around them."""

from __future__ import annotations

import os
from typing import cast

import trio

from ferryman.actors.simulated.disk import PowerCut


class Crashed(Exception):
    """The machine went down while it was asked something: nobody knows the outcome."""


def leaves(error: BaseException) -> list[BaseException]:
    """The exceptions inside groups, at any depth; of an end of the scheduler itself, what ended it."""
    if isinstance(error, trio.TrioInternalError) and error.__cause__ is not None:
        return leaves(error.__cause__)
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return [leaf for one in group.exceptions for leaf in leaves(one)]
    return [error]


def words(error: BaseException) -> str:
    return "; ".join(
        dict.fromkeys(f"{type(leaf).__name__}: {leaf}" for leaf in leaves(error) if not isinstance(leaf, PowerCut))
    )


def describe(status: int) -> str:
    """A wait status in words."""
    code = os.waitstatus_to_exitcode(status) if status >= 0 else status
    return f"signal {-code}" if code < 0 else f"exit code {code}"
