"""What came of one run of one case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ferryman.supervisors.simulation.case import Case
from ferryman.supervisors.simulation.trace import Row


@dataclass(frozen=True, slots=True)
class Outcome:
    """violations: sentences, invariant first. passed: (machine, point) -> how often, after the given steps.

    images: policy -> hash of the disk that it would leave: equal ones lead to the same run. recovery: operations of the
    disk from the crash until the machine was up. twin: after its crash it would have been a run that is known.
    crash: hash of that crash, in a world of one machine."""

    case: Case
    violations: tuple[str, ...]
    hash: str
    rows: tuple[Row, ...]
    reached: bool
    passed: Mapping[tuple[str, str], int]
    images: Mapping[str, str] = field(default_factory=dict[str, str])
    recovery: int = 0
    twin: bool = False
    crash: str = ""
    lives: int = 0
    steps: int = 0
    missed: bool = False  # all held, and the crash never came

    @property
    def ok(self) -> bool:
        return not self.violations
