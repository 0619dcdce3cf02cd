"""All runs of a scenario: without a crash, then crashed everywhere it asks for, under every policy, for every seed.

    one run without a crash, a seed --> every passing of every point, every operation of every disk
                                    --> a spot each --> under each policy, unless it leaves the same disk as another

A policy that leaves the disk that another one left leads to the same run, and is counted without being run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import TypeAlias

from ferryman.protocol.errors import BadInput
from ferryman.supervisors.simulation.case import IO, Case, Spot
from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.pool import shared
from ferryman.supervisors.simulation.registry import meant
from ferryman.supervisors.simulation.run import run_case, start_of
from ferryman.supervisors.simulation.scenario import Scenario, machine_of
from ferryman.supervisors.simulation.twins import Known

EVERY_POINT = "*"
RECORDS = ("ledger.commit", "buffer.commit")  # passed by whatever the product writes down
IDLE = "the steps make no durable actor record anything: such a scenario proves nothing; let a step send or ask"
EVERY = "every"
GLANCE = 16  # one spot in so many
RECOVERIES = ("", ", again in the recovery", ", again in that one's recovery too")


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
        row += RECOVERIES[min(len(case.nested), 2)]
        return self.rows.setdefault(row, {})

    def enter_rows(self, spot: Spot) -> None:
        """It has its place in the matrix from here on, whichever spot is crashed first."""
        for recoveries in RECOVERIES:
            self.rows.setdefault(spot.row + recoveries, {})

    def _enter(self, case: Case, ok: bool) -> None:
        cell = self.enter_row(case).setdefault("-" if case.spot is None else case.policy, Cell())
        cell.runs += 1
        cell.failures += not ok


@dataclass(frozen=True, slots=True)
class Group:
    """The runs that crash at one spot under one seed."""

    seed: int
    spot: Spot


@dataclass(slots=True)
class Answer:
    """same: cases that would be equal to a run that was lived through, and whether that one was well."""

    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    same: list[tuple[Case, bool]] = field(default_factory=list[tuple[Case, bool]])


_known: Known = {}  # of one sweep; every process of a pool has its own
_recoveries: dict[str, list[tuple[tuple[int, ...], bool]]] = {}  # crash -> how its recoveries ended


Progress: TypeAlias = Callable[[Sweep, int], None]
"""Called now and then with what is known, and how many groups of runs there are still."""


class Sweeping:
    """The runs of a scenario, begun and not yet all done. workers: processes; one a processor when left out."""

    def __init__(self, scenario: Scenario, workers: int | None = None, progress: Progress | None = None) -> None:
        self.result = Sweep()
        self._scenario = scenario
        self._workers = workers
        self._progress = progress
        self._groups: list[Group] | None = None

    def glance(self) -> None:
        """The runs without a crash, and some spots of all: what is widely wrong shows. Raises BadInput."""
        groups = self._begin()
        self._run(groups[::GLANCE])
        del groups[::GLANCE]

    def finish(self) -> Sweep:
        """All that is left. Raises BadInput."""
        groups = self._begin()
        self._run(groups)
        groups.clear()
        self.result.rows = {row: cells for row, cells in self.result.rows.items() if cells}
        return self.result

    def _begin(self) -> list[Group]:
        if self._groups is not None:
            return self._groups
        scenario, result = self._scenario, self.result
        start_of(scenario)
        groups: list[Group] = []
        for seed in scenario.seeds:
            quiet = run_case(scenario, Case(seed))
            result.count_quiet(scenario, quiet)
            if quiet.ok:
                groups += [Group(seed, spot) for spot in spots(scenario, quiet.passed)]
        wanted = scenario.crash.points or scenario.crash.every_io or scenario.crash.errors
        if wanted and not groups and not result.failures:
            raise BadInput("crash: nothing to crash: no point is passed and no disk is written to")
        for group in groups:
            result.enter_rows(group.spot)
        self._groups = groups
        return groups

    def _run(self, groups: Sequence[Group]) -> None:
        forget()
        for number, answer in enumerate(shared(partial(run_group, self._scenario), groups, self._workers), 1):
            for outcome in answer.outcomes:
                self.result.count(outcome)
            for case, ok in answer.same:
                self.result.count_same(case, ok)
            if self._progress is not None and (number % 8 == 0 or number == len(groups)):
                self._progress(self.result, len(groups) - number)


def sweep(scenario: Scenario, *, workers: int | None = None, progress: Progress | None = None) -> Sweep:
    """Run them all. Raises BadInput."""
    return Sweeping(scenario, workers, progress).finish()


def forget() -> None:
    """Another scenario, or another program under the same one: nothing is known of its runs."""
    _known.clear()
    _recoveries.clear()


def run_group(scenario: Scenario, group: Group) -> Answer:
    """One spot under every policy, and each recovery from it. Policies that leave the same disk share a run; not the
    crashes of its recovery, which the policy decides too."""
    answer = Answer()
    by_image: dict[str, Outcome] = {}
    images: Mapping[str, str] = {}
    for policy in policies(scenario, group.spot):
        case = Case(group.seed, group.spot, policy)
        outcome = by_image.get(images.get(policy, ""))
        if outcome is not None:
            answer.same.append((case, outcome.ok))
        else:
            outcome = lived(scenario, case, answer)
            images = images or outcome.images
            if policy in images:
                by_image[images[policy]] = outcome
        if outcome.twin and outcome.crash in _recoveries:
            answer.same += [(replace(case, nested=nested), ok) for nested, ok in _recoveries[outcome.crash]]
            continue
        ends = [(each.nested, lived(scenario, each, answer).ok) for each in recoveries(scenario, case, outcome)]
        _recoveries.setdefault(outcome.crash, ends)
    return answer


def lived(scenario: Scenario, case: Case, answer: Answer) -> Outcome:
    outcome = run_case(scenario, case, known=_known)
    if outcome.twin:
        answer.same.append((case, outcome.ok))
    else:
        answer.outcomes.append(outcome)
    return outcome


def recoveries(scenario: Scenario, case: Case, outcome: Outcome) -> Iterator[Case]:
    """The same crash, and more while its machine comes back."""
    if scenario.nested != EVERY:
        yield from (replace(case, nested=(number,)) for number in scenario.nested if number)
        return
    yield from (replace(case, nested=(number,)) for number in range(1, outcome.recovery + 1))
    if outcome.recovery > 1:
        chance = Random(str(case))
        yield replace(case, nested=(chance.randint(1, outcome.recovery), chance.randint(1, outcome.recovery)))


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
