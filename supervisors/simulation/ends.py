"""How a process ended: the exceptions that came out of it, without the groups around them."""

from __future__ import annotations

from typing import cast

from ferryman.actors.simulated.disk import PowerCut


def leaves(error: BaseException) -> list[BaseException]:
    """The exceptions inside groups, at any depth."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return [leaf for one in group.exceptions for leaf in leaves(one)]
    return [error]


def words(error: BaseException) -> str:
    return "; ".join(
        dict.fromkeys(f"{type(leaf).__name__}: {leaf}" for leaf in leaves(error) if not isinstance(leaf, PowerCut))
    )
