"""What a supervisor decides, without doing it: pure functions of the spec, the crash, the time and the dice.

The decisions:

    beyond_restart(cause)                 is there no point in trying?
    comes_back(restart, crashed)          does this child run again?
    affected(strategy, index, count)      which children restart with it, in start order
    Window.spend(now)                     is this restart still within the limit?
    delay(backoff, attempt, rng)          how long it stays down
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any, TypeGuard, cast

from ferryman.actors.core.errors import RecoveryFailed
from ferryman.supervisors.spec import Backoff, Restart, Strategy


def beyond_restart(cause: BaseException | None) -> TypeGuard[BaseException]:
    """What is recorded does not become readable by reading it again."""
    if isinstance(cause, BaseExceptionGroup):
        return cast("BaseExceptionGroup[Any]", cause).subgroup(RecoveryFailed) is not None
    return isinstance(cause, RecoveryFailed)


def comes_back(restart: Restart, *, crashed: bool) -> bool:
    match restart:
        case "permanent":
            return True
        case "transient":
            return crashed
        case "temporary":
            return False


def affected(strategy: Strategy, index: int, count: int) -> range:
    """The places of the children that restart when the one at `index` of `count` comes back."""
    match strategy:
        case "one_for_one":
            return range(index, index + 1)
        case "rest_for_one":
            return range(index, count)
        case "one_for_all":
            return range(count)


class Window:
    """The restarts of the last `within` seconds; exactly `within` seconds ago still counts."""

    __slots__ = ("max_restarts", "times", "within")

    def __init__(self, max_restarts: int, within: float) -> None:
        self.max_restarts = max_restarts
        self.within = within
        self.times: deque[float] = deque()

    def spend(self, now: float) -> bool:
        """Count one restart. False: it is one too many."""
        self.times.append(now)
        while self.times[0] < now - self.within:
            self.times.popleft()
        return len(self.times) <= self.max_restarts


def delay(backoff: Backoff, attempt: int, rng: Random) -> float:
    """Seconds before the `attempt`-th restart (from 1) of a child in the window. Draws from `rng` only for a delay."""
    if attempt <= 1:
        return backoff.first_seconds
    # the exponent is bounded: 2.0 ** 1100 is an OverflowError, and most_seconds cuts long before
    seconds = min(backoff.most_seconds, backoff.base_seconds * backoff.factor ** min(attempt - 2, 64))
    return seconds * (1 + backoff.jitter * rng.uniform(-1, 1))
