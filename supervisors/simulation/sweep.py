"""All runs of a scenario: without a crash, then crashed everywhere it asks for, under every policy, for every seed.

    one run without a crash, a seed --> every passing of every point, every operation of every disk
                                    --> a spot each --> under each policy, unless it leaves the same disk as another

A policy that leaves the disk that another one left leads to the same run, and is counted without being run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from ferryman.protocol.errors import BadInput
from ferryman.supervisors.simulation.case import IO, Case, Spot
from ferryman.supervisors.simulation.pool import shared
from ferryman.supervisors.simulation.registry import meant
from ferryman.supervisors.simulation.run import Outcome, run_case, start_of
from ferryman.supervisors.simulation.scenario import Scenario, machine_of

EVERY_POINT = "*"
RECORDS = ("ledger.commit", "buffer.commit")  # passed by whatever the product writes down
IDLE = "the steps make no durable actor record anything: such a scenario proves nothing; let a step send or ask"


@dataclass(slots=True)
class Cell:
    runs: int = 0
    failures: int = 0


@dataclass(slots=True)
class Sweep:
    """rows: spot's row -> policy -> cell. runs: worlds that were lived through; same: those that would be equal."""

    rows: dict[str, dict[str, Cell]] = field(default_factory=dict[str, dict[str, Cell]])
    failures: list[Outcome] = field(default_factory=list[Outcome])
    runs: int = 0
    same: int = 0
    lives: int = 0
    points: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])

    def count(self, outcome: Outcome) -> None:
        self.runs += 1
        self.lives += outcome.lives
        self._enter(outcome.case, outcome.ok)
        if not outcome.ok:
            self.failures.append(outcome)

    def count_quiet(self, scenario: Scenario, quiet: Outcome) -> None:
        """A run without a crash: what it passes is what there is to crash at. Raises BadInput."""
        self.count(quiet)
        if quiet.ok and not any(quiet.passed.get((name, point)) for name in scenario.world for point in RECORDS):
            raise BadInput(IDLE)
        for place, passed in quiet.passed.items():
            self.points[place] = max(passed, self.points.get(place, 0))

    def count_same(self, case: Case, ok: bool) -> None:
        self.same += 1
        self._enter(case, ok)

    def fail(self, outcome: Outcome) -> None:
        """A run that was counted as well turns out not to be."""
        self.enter_row(outcome.case)[outcome.case.policy].failures += 1
        self.failures.append(outcome)

    def enter_row(self, case: Case) -> dict[str, Cell]:
        row = "no crash" if case.spot is None else case.spot.row
        if case.nested:
            row += f", again at operation {case.nested} of the recovery"
        return self.rows.setdefault(row, {})

    def _enter(self, case: Case, ok: bool) -> None:
        cell = self.enter_row(case).setdefault("-" if case.spot is None else case.policy, Cell())
        cell.runs += 1
        cell.failures += not ok


@dataclass(frozen=True, slots=True)
class Group:
    """The runs that crash at one spot under one seed."""

    seed: int
    spot: Spot
    nested: int


Answer = tuple[Group, list[Outcome], list[tuple[Case, bool]]]


def sweep(
    scenario: Scenario, *, workers: int | None = None, progress: Callable[[Sweep, int], None] | None = None
) -> Sweep:
    """Run them all. workers: processes; as many as there are processors when left out. Raises BadInput.

    progress: called now and then with what is known and how many groups of runs there are."""
    result = Sweep()
    start_of(scenario)
    groups: list[Group] = []
    for seed in scenario.seeds:
        quiet = run_case(scenario, Case(seed))
        result.count_quiet(scenario, quiet)
        if quiet.ok:
            groups += [
                Group(seed, spot, nested) for spot in spots(scenario, quiet.passed) for nested in scenario.nested
            ]
    if (
        not groups
        and (scenario.crash.points or scenario.crash.every_io or scenario.crash.errors)
        and not result.failures
    ):
        raise BadInput("crash: nothing to crash: no point is passed and no disk is written to")
    for number, (_, outcomes, same) in enumerate(shared(partial(run_group, scenario), groups, workers), 1):
        for outcome in outcomes:
            result.count(outcome)
        for case, ok in same:
            result.count_same(case, ok)
        if progress is not None and (number % 8 == 0 or number == len(groups)):
            progress(result, len(groups) - number)
    return result


def run_group(scenario: Scenario, group: Group) -> Answer:
    """One spot under every policy. Policies that leave the same disk share a run."""
    outcomes: list[Outcome] = []
    same: list[tuple[Case, bool]] = []
    by_image: dict[str, Outcome] = {}
    images: Mapping[str, str] = {}
    for policy in policies(scenario, group.spot):
        case = Case(group.seed, group.spot, policy, group.nested)
        twin = by_image.get(images.get(policy, "")) if not group.nested else None
        if twin is not None:
            same.append((case, twin.ok))
            continue
        outcome = run_case(scenario, case)
        outcomes.append(outcome)
        images = images or outcome.images
        if policy in images:
            by_image[images[policy]] = outcome
    return group, outcomes, same


def policies(scenario: Scenario, spot: Spot) -> tuple[str, ...]:
    """An error is answered by a process that lives, or ends in order: nothing is lost of its disk."""
    return ("kill",) if spot.point in scenario.crash.errors else scenario.policies


def spots(scenario: Scenario, passed: Mapping[tuple[str, str], int]) -> Iterator[Spot]:
    """Every spot that the scenario asks for. Raises BadInput for a point that is never passed."""
    crash = scenario.crash
    machines = crash.machines or tuple(scenario.world)
    for wanted in crash.points:
        yield from at_point(wanted, machines, passed)
    for machine in machines:
        operations = range(1, passed.get((machine, IO), 0) + 1)
        for number in operations if crash.every_io else ():
            yield Spot(machine, IO, number)
            yield Spot(machine, IO, number, after=True)
        for error in crash.errors:
            yield from (Spot(machine, error, number) for number in operations)


def at_point(wanted: str, machines: Iterable[str], passed: Mapping[tuple[str, str], int]) -> Iterator[Spot]:
    machine, name = machine_of(wanted), wanted.rpartition(":")[2]
    wanted_of = (machine,) if machine else tuple(machines)
    found = False
    for (where, point), count in passed.items():
        fits = point != IO and (name in (point, EVERY_POINT)) and where in wanted_of
        for number in range(1, count + 1) if fits else ():
            found = True
            yield Spot(where, point, number)
    if not found:
        raise BadInput(f"crash.points: {wanted!r} is never reached{meant(name, known_to(wanted_of, passed))}")


def known_to(machines: Iterable[str], passed: Mapping[tuple[str, str], int]) -> list[str]:
    """The points that these machines pass."""
    return sorted({point for machine, point in passed if machine in machines and point != IO})
