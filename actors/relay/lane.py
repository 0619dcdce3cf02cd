"""A lane brings answers upstream. A full mailbox drops a tell; an answer must not be dropped.

    downstream   connection -> router -> allocator -> buffer      tell; False is answered with ERROR 3000
    upstream     buffer -> allocator -> router -> connection      lane: put, then a wake-up

The wake-up may be dropped: then the mailbox is full, its owner is about to read, and looks into the lane on each turn.
A lane needs no bound of its own: what comes up was let down through a bounded mailbox.
It belongs to one incarnation; what is put into the lane of a dead one is for nobody.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ferryman.actors.core.ref import Ref

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wake:
    """There is something in a lane."""


WAKE = Wake()


class Lane(Generic[T]):
    def __init__(self, owner: Ref[Any]) -> None:
        self._owner = owner
        self._items: deque[T] = deque()

    def put(self, item: T) -> None:
        """Hand over; never blocks, never drops."""
        self._items.append(item)
        if len(self._items) == 1:
            self._owner.tell(WAKE)

    def drain(self) -> list[T]:
        """All that was put since the last time, in order."""
        items = list(self._items)
        self._items.clear()
        return items


@dataclass(frozen=True, slots=True)
class Drain:
    """The relay shuts down: finish what is in flight, say so, end."""


@dataclass(frozen=True, slots=True)
class Drained:
    """Everything before this is settled."""
