"""Which groups are busy: pushes and bytes a minute, fading. An operator's question, so the least busy may be forgotten.

A group's figure is a sum in which what is a minute old counts 1/e: no window to keep, and one number to compare.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

import trio

FADE_SECONDS = 60.0
GROUPS_KEPT = 1024  # of those that pushed last


@dataclass(slots=True)
class Pace:
    """`at`: Trio's seconds of the last push."""

    pushes: float
    size: float
    at: float

    def faded(self, now: float) -> Pace:
        left = math.exp((self.at - now) / FADE_SECONDS)
        return Pace(self.pushes * left, self.size * left, now)


class Traffic:
    def __init__(self) -> None:
        self._paces: OrderedDict[bytes, Pace] = OrderedDict()

    def pushed(self, group_id: bytes, pushes: int, size: int) -> None:
        """So many pushes of `size` bytes together."""
        now = trio.current_time()
        pace = self._paces.pop(group_id, None)
        pace = Pace(0, 0, now) if pace is None else pace.faded(now)
        self._paces[group_id] = Pace(pace.pushes + pushes, pace.size + size, now)
        if len(self._paces) > GROUPS_KEPT:
            self._paces.popitem(last=False)

    def busiest(self, count: int) -> list[tuple[bytes, Pace]]:
        """The groups with most pushes, the busiest first."""
        now = trio.current_time()
        paces = [(group_id, pace.faded(now)) for group_id, pace in self._paces.items()]
        return sorted(paces, key=lambda item: -item[1].pushes)[:count]
