"""Is a group's log linearizable? An append log is the easy case: unique values, and every answer names a position.

| rule                                                                          |
|-------------------------------------------------------------------------------|
| a blob has one position, and a position one blob                              |
| a push acknowledged before another was begun stands before it                 |
| a pull sees what was acknowledged before it was asked                         |
| a pull sees a prefix: nothing is missing before the last thing that it sees   |
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from ferryman.supervisors.simulation.history import Enqueued, Pulled, Pushed, short


def faults(history: Sequence[object]) -> Iterator[str]:
    """A sentence for each thing that no order of the operations explains."""
    began = {one.blob_id: one.began for one in history if isinstance(one, Enqueued)}
    pushed = [one for one in history if isinstance(one, Pushed) and one.blob_id in began]  # a pull hides control blobs
    yield from real_time(pushed, began)
    yield from reads(pushed, [one for one in history if isinstance(one, Pulled)])


def real_time(pushed: Sequence[Pushed], began: dict[bytes, float]) -> Iterator[str]:
    """By time of acknowledgement: the highest position so far bounds whatever begins later from below."""
    acknowledged = sorted(pushed, key=lambda one: (one.at, one.cursor))
    times: list[float] = []
    highest: list[int] = []
    for one in acknowledged:
        times.append(one.at)
        highest.append(max(one.cursor, highest[-1] if highest else 0))
    for one in acknowledged:
        since = began.get(one.blob_id)
        if since is None:
            continue
        before = bisect_left(times, since)
        if before and highest[before - 1] > one.cursor:
            yield (
                f"{short(one.blob_id)} was begun after cursor {highest[before - 1]} was acknowledged, "
                f"and stands before it, at {one.cursor}"
            )


def reads(pushed: Sequence[Pushed], pulls: Sequence[Pulled]) -> Iterator[str]:
    known: dict[int, bytes] = {}
    for one in pushed:
        known.setdefault(one.cursor, one.blob_id)
    for pull in pulls:
        seen = dict(pull.entries)
        for cursor, blob_id in pull.entries:
            if known.get(cursor, blob_id) != blob_id:
                there = f"where {short(known[cursor])} was acknowledged"
                yield f"{pull.device} pulled {short(blob_id)} at {cursor}, {there}"
        last = max(seen, default=pull.after)
        for one in pushed:
            within = pull.after < one.cursor <= last
            due = one.at < pull.began and one.cursor > pull.after and not pull.more
            if (within or due) and one.cursor not in seen:
                yield f"{pull.device} pulled up to {last}, without {short(one.blob_id)} at {one.cursor}"
