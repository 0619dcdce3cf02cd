"""Crashes that lie in wait on a machine, one after the other.

lay --> [ first | second | third ]      the first one is armed; when it has happened, the next one is
                                        a life that begins arms the first anew: it counts from there
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.supervisors.simulation.case import ERRORS, IO


@dataclass(frozen=True, slots=True)
class Ambush:
    """A crash point's name, "io", "EIO" or "ENOSPC", and which of its passings or operations, from 1.

    maybe: it is no failure when it is never reached."""

    point: str
    number: int
    after: bool = False
    policy: str = "drop"
    maybe: bool = False


class Ambushes:
    """passed: how often the first one's point was passed since it is the first."""

    def __init__(self) -> None:
        self._row: deque[Ambush] = deque()
        self._passed = 0
        self.missed: list[Ambush] = []  # never reached, though they had to be

    @property
    def waiting(self) -> tuple[tuple[Ambush, ...], int]:
        """Those to come, and how often the first one's point was passed."""
        return tuple(self._row), self._passed

    def lay(self, ambush: Ambush, disk: MemoryDisk) -> None:
        self._row.append(ambush)
        if len(self._row) == 1:
            self.arm(disk)

    def arm(self, disk: MemoryDisk) -> None:
        """The first one waits from now on, at this disk."""
        self._passed = 0
        if not self._row:
            return
        first = self._row[0]
        set_fault(disk, first.point, disk.operations + first.number, after=first.after)

    def clear(self, disk: MemoryDisk) -> None:
        """Nothing goes wrong from here on. What was never reached is told: a script that tests nothing is wrong."""
        self.missed = [one for one in self._row if not one.maybe]
        self._row.clear()
        disk.cut_at = disk.cut_after = disk.fail_at = None

    def sprung_at(self, name: str) -> Ambush | None:
        """The first one, if this passing of a crash point is its own."""
        if not self._row or self._row[0].point != name:
            return None
        self._passed += 1
        return self._row.popleft() if self._passed == self._row[0].number else None

    def sprung(self, *points: str) -> Ambush | None:
        """The first one, if it is what the disk has just done. The next one is armed with the next life."""
        return self._row.popleft() if self._row and self._row[0].point in points else None


def set_fault(disk: MemoryDisk, point: str, operation: int, *, after: bool) -> None:
    """What will go wrong with that operation; nothing, if the point is none of a disk's."""
    if point in ERRORS:
        disk.fail_at, disk.fail_with = operation, ERRORS[point]
    elif point == IO and after:
        disk.cut_after = operation
    elif point == IO:
        disk.cut_at = operation
