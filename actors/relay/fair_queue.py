"""Work that waits for the writer, served in turns: a firehose must not make the other groups wait for its whole hose.

    add(group, job, bytes)  ->  take(): at most 64 jobs and 512 KiB, 16 of a group a turn, each group's in order

    a group for which nothing waited  -> fresh: comes first, with half a batch for all such while a line stands
    what a turn left over             -> the end of the line, which has one job of each batch at least

With one commit a batch this bounds how long a commit takes, and so how long anybody waits for one (10 MiB/s of four
firehoses beside a quiet group: its median wait is that of two commits). Each batch serves the first of the fresh and
the first of the line, so nobody waits for more commits than there are groups before it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

BATCH_JOBS = 64
BATCH_BYTES = 512 * 1024
TURN_JOBS = 16
FRESH_JOBS = BATCH_JOBS // 2
FRESH_BYTES = BATCH_BYTES // 2  # the last blob may go over it, however large it is

J = TypeVar("J")


class FairQueue(Generic[J]):
    def __init__(self) -> None:
        self._fresh: OrderedDict[bytes, deque[tuple[J, int]]] = OrderedDict()
        self._line: OrderedDict[bytes, deque[tuple[J, int]]] = OrderedDict()
        self.jobs = 0
        self.bytes = 0

    def add(self, group_id: bytes, job: J, size: int) -> None:
        jobs = self._line.get(group_id)
        if jobs is None:
            jobs = self._fresh.setdefault(group_id, deque())
        jobs.append((job, size))
        self.jobs += 1
        self.bytes += size

    def take(self) -> list[tuple[bytes, J]]:
        """The next batch: at least one job if any waits."""
        batch: list[tuple[bytes, J]] = []
        room = BATCH_BYTES
        standing = len(self._line)
        if standing:
            room -= self._serve(self._fresh, len(self._fresh), FRESH_JOBS, FRESH_BYTES, batch)
            room -= self._serve(self._line, standing, BATCH_JOBS, max(room, 1), batch)
        self._serve(self._fresh, len(self._fresh), BATCH_JOBS, room, batch)
        return batch

    def _serve(
        self,
        line: OrderedDict[bytes, deque[tuple[J, int]]],
        turns: int,
        most_jobs: int,
        room: int,
        batch: list[tuple[bytes, J]],
    ) -> int:
        """Give so many groups their turn, while jobs and bytes are left: with any room at all, one job at least.

        Returns the bytes taken."""
        taken = 0
        for _ in range(turns):
            if len(batch) >= most_jobs or taken >= room:
                break
            group_id, jobs = line.popitem(last=False)
            turn = 0
            while jobs and turn < TURN_JOBS and len(batch) < most_jobs and taken < room:
                job, size = jobs.popleft()
                batch.append((group_id, job))
                self.jobs -= 1
                self.bytes -= size
                taken += size
                turn += 1
            if jobs:
                self._line[group_id] = jobs  # to the end of the line
        return taken
