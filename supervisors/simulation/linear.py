"""Is a group's log linearizable? An append log is the easy case: unique values, and every answer names a position.

    time ---->   |-- push x: 5 --|                 x stands at 5
                        |-- push y: 6 --|
                                            |- pull -|        sees 5 and 6, or else no order explains it

| rule                                                                                                  |
|-------------------------------------------------------------------------------------------------------|
| a blob has one position, and a position one blob                                                      |
| what is begun after a position was acknowledged or seen stands behind it                              |
| a pull that saw the end sees all that was acknowledged or seen before it was asked                    |
| a pull sees a stretch: nothing is missing before the last thing that it sees, and it sees it in order |

A position orders pushes, and a pull stands right behind the last one it saw: so it is enough to compare each operation
with the highest position that was known before it began. tests/properties/test_linear.py tries all orders instead.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from ferryman.supervisors.simulation.history import Enqueued, Pulled, Pushed, short


def faults(history: Sequence[object]) -> Iterator[str]:
    """A sentence for each thing that no order of the operations explains."""
    began = {one.blob_id: one.began for one in history if isinstance(one, Enqueued)}
    pushed = [one for one in history if isinstance(one, Pushed) and one.blob_id in began]  # a pull hides control blobs
    pulls = [one for one in history if isinstance(one, Pulled)]
    log: dict[int, bytes] = {}
    yield from places(log, pushed, pulls)
    floor = Floor(pushed, pulls)
    positions = sorted(log)
    for cursor in positions:
        blob_id = log[cursor]
        since = began.get(blob_id, -math.inf)  # a crash came before enqueue() returned
        if (behind := floor.at(since)) >= cursor:
            yield f"{short(blob_id)} was begun after cursor {behind} was known, and stands before it, at {cursor}"
    for pull in pulls:
        yield from reads(pull, positions, log, floor)


def places(log: dict[int, bytes], pushed: Sequence[Pushed], pulls: Sequence[Pulled]) -> Iterator[str]:
    """Fill in what stands where, and tell of what stands twice."""
    homes: dict[bytes, int] = {}
    sightings = [((one.cursor, one.blob_id),) for one in pushed] + [pull.entries for pull in pulls]
    for entries in sightings:
        for cursor, blob_id in entries:
            if (there := log.setdefault(cursor, blob_id)) != blob_id:
                yield f"{short(blob_id)} was seen at cursor {cursor}, where {short(there)} stands"
            elif (home := homes.setdefault(blob_id, cursor)) != cursor:
                yield f"{short(blob_id)} stands at cursor {home} and at {cursor}"


class Floor:
    """The highest position that anybody knew at a time: acknowledged, or seen by a pull that had ended."""

    def __init__(self, pushed: Sequence[Pushed], pulls: Sequence[Pulled]) -> None:
        known = [(one.at, one.cursor) for one in pushed]
        known += [(pull.ended, max(pull.entries)[0]) for pull in pulls if pull.entries]
        known.sort()
        self._times = [time for time, _ in known]
        self._highest: list[int] = []
        highest = 0
        for _, cursor in known:
            highest = max(highest, cursor)
            self._highest.append(highest)

    def at(self, time: float) -> int:
        before = bisect_left(self._times, time)
        return self._highest[before - 1] if before else 0


def reads(pull: Pulled, positions: Sequence[int], log: dict[int, bytes], floor: Floor) -> Iterator[str]:
    seen = [cursor for cursor, _ in pull.entries]
    if seen != sorted(set(seen)) or (seen and seen[0] <= pull.after):
        yield f"{pull.device} pulled {seen} after {pull.after}, which is no order"
        return
    last = seen[-1] if seen else pull.after
    due = last if pull.more else max(last, floor.at(pull.began))
    first, end = bisect_right(positions, pull.after), bisect_right(positions, due)
    if end - first != len(seen):
        missing = next(cursor for cursor in positions[first:end] if cursor not in seen)
        yield f"{pull.device} pulled up to {last}, without {short(log[missing])} at {missing}"
