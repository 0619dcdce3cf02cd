"""What happened in a run, row by row, and its hash. Two runs with one hash were one run.

12.500000 relay.1 buffer.commit          virtual seconds, machine and life, what
"""

from __future__ import annotations

import hashlib
from collections import deque

import trio

LAST_ROWS = 16  # of a failure's report
STEPS_AT_MOST = 500_000  # of all tasks: a world of ten minutes has some thousands


class Trace(trio.abc.Instrument):
    """keep: every row stays; otherwise the last ones. every_step: each step of each task is a row too."""

    def __init__(self, *, keep: bool = False, every_step: bool = False, steps_at_most: int = STEPS_AT_MOST) -> None:
        self.rows: deque[str] = deque(maxlen=None if keep else LAST_ROWS)
        self.count = 0
        self.steps = 0
        self._digest = hashlib.blake2b(digest_size=16)
        self._every_step = every_step
        self._steps_left = steps_at_most
        self.scope: trio.CancelScope | None = None  # of the whole run
        self.exhausted = False

    def add(self, what: str) -> None:
        row = f"{trio.current_time():.6f} {what}"
        self.count += 1
        self._digest.update(row.encode() + b"\n")
        self.rows.append(row)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps += 1
        if self._every_step:
            self.add(f"step {task.name}")
        if self.steps > self._steps_left and self.scope is not None:
            self.exhausted = True
            self.scope.cancel()

    @property
    def hash(self) -> str:
        return self._digest.hexdigest()
