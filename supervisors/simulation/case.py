"""Which crash, what survives it, and which seed: one line that replays a run.

relay:buffer.commit#2/torn/7        before the 2nd passing of the point, policy torn, seed 7
a:io#31/drop/0~3                    before the 31st operation of a's disk; again at the 3rd of the recovery
a:io#31/drop/0~3~5                  and once more at the 5th of the recovery from that
a:io+31/kill/0                      right after it
a:EIO#31/drop/0                     that operation fails
-/-/4                               no crash
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ferryman.protocol.errors import BadInput
from ferryman.supervisors.simulation.registry import meant
from ferryman.supervisors.simulation.scenario import ALL_POLICIES

IO = "io"
ERRORS = {"EIO": 5, "ENOSPC": 28}
NOWHERE = "-"

_SPOT = re.compile(r"([^:#+/~\s]+):([A-Za-z0-9_.-]+?)([#+])([0-9]+)")
_CASE = re.compile(r"([^/\s]+)/([a-z-]+)/([0-9]+)((?:~[0-9]+)*)")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where it crashes. point: a crash point's name, "io", "EIO" or "ENOSPC". number: from the first step on, from 1.

    after: right after the operation instead of before it."""

    machine: str
    point: str
    number: int
    after: bool = False

    def __str__(self) -> str:
        return f"{self.machine}:{self.point}{'+' if self.after else '#'}{self.number}"

    @property
    def row(self) -> str:
        """The line of the matrix that it belongs to."""
        if self.point == IO:
            return f"{self.machine}: {'after' if self.after else 'before'} every operation of its disk"
        if self.point in ERRORS:
            return f"{self.machine}: {self.point} at every operation of its disk"
        return f"{self.machine}: {self.point}"


@dataclass(frozen=True, slots=True)
class Case:
    """One run of a scenario. nested: at which operation of each recovery the power goes once more."""

    seed: int
    spot: Spot | None = None
    policy: str = "drop"
    nested: tuple[int, ...] = ()

    def __str__(self) -> str:
        if self.spot is None:
            return f"{NOWHERE}/{NOWHERE}/{self.seed}"
        return f"{self.spot}/{self.policy}/{self.seed}{''.join(f'~{number}' for number in self.nested)}"


def parse_case(text: str) -> Case:
    """The case that a line names. Raises BadInput."""
    found = _CASE.fullmatch(text)
    if found is None:
        raise BadInput(f"--case {text!r}: wants POINT/POLICY/SEED, as in relay:buffer.commit#1/drop/0")
    where, policy, seed, nested = found.groups()
    if where == NOWHERE:
        return Case(int(seed))
    spot = _SPOT.fullmatch(where)
    if spot is None:
        raise BadInput(f"--case {text!r}: {where!r} is no point; as in relay:buffer.commit#1 or a:io#31")
    if policy not in ALL_POLICIES:
        raise BadInput(f"--case {text!r}: there is no policy {policy!r}{meant(policy, list(ALL_POLICIES))}")
    machine, point, sign, number = spot.groups()
    if int(number) < 1:
        raise BadInput(f"--case {text!r}: {where!r}: points and operations are counted from 1")
    return Case(
        int(seed), Spot(machine, point, int(number), sign == "+"), policy, tuple(map(int, nested.split("~")[1:]))
    )
