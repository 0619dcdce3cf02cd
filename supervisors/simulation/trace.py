"""What happened in a run, row by row, and its hash. Two runs with one hash were one run.

    12.500000 relay.1 buffer.commit          virtual seconds, machine and life, what

| kind   | of what                                                                              |
|--------|--------------------------------------------------------------------------------------|
| life   | a process starts, is up, ends                                                        |
| crash  | the power goes, or kill -9                                                           |
| error  | an operation of the disk fails                                                       |
| point  | a crash point is passed                                                              |
| actor  | an actor starts, stops or crashes                                                    |
| step   | a step of the script begins                                                          |
| saw    | what a host saw: a blob, an acknowledgement, a reply                                 |
| task   | a step of a task of the scheduler, when each is a row                                |
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

import trio

FORMAT = "ferryman.trace/1"
LAST_ROWS = 16  # of a failure's report
STEPS_AT_MOST = 500_000  # of all tasks: a world of ten minutes has some thousands

Kind: TypeAlias = Literal["life", "crash", "error", "point", "actor", "step", "saw", "task"]


@dataclass(frozen=True, slots=True)
class Row:
    """t: virtual seconds. machine: "" for what is nobody's. life: of that machine, from 1; 0 before the first."""

    t: float
    machine: str
    life: int
    kind: Kind
    what: str

    def __str__(self) -> str:
        who = f"{self.machine}.{self.life} " if self.machine else ""
        return f"{self.t:.6f} {who}{self.what}"

    @property
    def json(self) -> str:
        """One object: a line of a trace file."""
        return json.dumps(asdict(self), ensure_ascii=False)


class Trace(trio.abc.Instrument):
    """keep: every row stays; otherwise the last ones. every_step: each step of each task is a row too."""

    def __init__(self, *, keep: bool = False, every_step: bool = False, steps_at_most: int = STEPS_AT_MOST) -> None:
        self.rows: deque[Row] = deque(maxlen=None if keep else LAST_ROWS)
        self.count = 0
        self.steps = 0
        self._digest = hashlib.blake2b(digest_size=16)
        self._every_step = every_step
        self._steps_left = steps_at_most
        self.scope: trio.CancelScope | None = None  # of the whole run
        self.exhausted = False

    def add(self, kind: Kind, what: str, machine: str = "", life: int = 0) -> None:
        row = Row(round(trio.current_time(), 6), machine, life, kind, what)
        self.count += 1
        self._digest.update(str(row).encode() + b"\n")
        self.rows.append(row)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps += 1
        if self._every_step:
            self.add("task", f"step {task.name}")
        if self.steps > self._steps_left and self.scope is not None:
            self.exhausted = True
            self.scope.cancel()

    @property
    def hash(self) -> str:
        return self._digest.hexdigest()
