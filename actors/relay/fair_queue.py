"""Work that waits for the writer, served in turns: a firehose must not make the other groups wait for its whole hose.

    add(group, job, bytes)  ->  take(): at most 64 jobs and 512 KiB, 16 of a group a turn, each group's in order

With one commit a batch this bounds how long a commit takes, and so how long anybody waits for one (10 MiB/s of four
firehoses beside a quiet group: its median wait is that of two commits).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

BATCH_JOBS = 64
BATCH_BYTES = 512 * 1024
TURN_JOBS = 16

J = TypeVar("J")


class FairQueue(Generic[J]):
    def __init__(self) -> None:
        self._groups: OrderedDict[bytes, deque[tuple[J, int]]] = OrderedDict()
        self.jobs = 0
        self.bytes = 0

    def add(self, group_id: bytes, job: J, size: int) -> None:
        self._groups.setdefault(group_id, deque()).append((job, size))
        self.jobs += 1
        self.bytes += size

    def take(self) -> list[tuple[bytes, J]]:
        """The next batch: at least one job if any waits."""
        batch: list[tuple[bytes, J]] = []
        room = BATCH_BYTES
        for _ in range(len(self._groups)):
            if not self._groups or len(batch) >= BATCH_JOBS or room <= 0:
                break
            group_id, jobs = self._groups.popitem(last=False)
            turn = 0
            while jobs and turn < TURN_JOBS and len(batch) < BATCH_JOBS and (room > 0 or not batch):
                job, size = jobs.popleft()
                batch.append((group_id, job))
                self.jobs -= 1
                self.bytes -= size
                room -= size
                turn += 1
            if jobs:
                self._groups[group_id] = jobs  # to the end of the line
        return batch
