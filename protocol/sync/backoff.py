"""How long a client waits before it connects again (S4 §12.2).

    attempt   1    2    3    4    5     6 and later
    seconds   1    2    4    8    16    30               each +/- 20 %, and 1 again after a successful connection

The jitter keeps a thousand clients of a restarted relay from coming back in the same second.
"""

from __future__ import annotations

from typing import Final, Protocol

FIRST_SECONDS: Final = 1.0
MOST_SECONDS: Final = 30.0
JITTER: Final = 0.2
# 1 s doubled so often is already 34 years: no attempt number, however high, makes a number that does not fit.
MAX_DOUBLINGS: Final = 30


class Chance(Protocol):
    """What is used of a random.Random."""

    def random(self) -> float: ...


def delay_seconds(attempt: int, chance: Chance, *, first: float = FIRST_SECONDS, most: float = MOST_SECONDS) -> float:
    """The wait before attempt 1, 2, ... `first` and `most` are sync.reconnect_delay and its maximum, in seconds."""
    plain = min(first * 2 ** min(max(attempt, 1) - 1, MAX_DOUBLINGS), most)
    return plain * (1 - JITTER + 2 * JITTER * chance.random())
