"""A hunt: a scenario is swept until something fails, and that is made small. One process hunts one planted bug.

    seeds without a crash --> spot after spot, under every policy --> the first spot that fails --> shrunk

At that spot every policy is lived through: so the answer says which of them show the bug, and by which invariant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ferryman.actors.real_ports import make_real_ports
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.simulation.case import NOWHERE, Case, parse_case
from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.scenario import Scenario, Weather, load
from ferryman.supervisors.simulation.shrink import shrink
from ferryman.supervisors.simulation.sweep import Group, forget, run_group, spots

RUNS_AT_MOST = 1_000
SHRINKING_RUNS = 60
STILL = {"at_once": False, "asks": 1, "count": 1}  # what steps have to make things overlap


@dataclass(frozen=True, slots=True)
class Catch:
    """case, steps: the smallest run that fails, steps of the script from 1. said: what is violated there.

    policies: policy, "-" for a run without a crash, -> the invariant that it violates at that spot, "" for none.
    runs, seconds: until the first failure, the start of the process left out. hash: of the smallest run's trace."""

    case: str
    steps: tuple[int, ...]
    said: str
    policies: Mapping[str, str] = field(default_factory=dict[str, str])
    runs: int = 0
    seconds: float = 0.0
    hash: str = ""

    @property
    def invariant(self) -> str:
        return self.said.partition(":")[0]


def answer(job: Mapping[str, Any]) -> dict[str, Any]:
    """What a child process is asked: {"again": [[script, steps, case], ...]}, or how to hunt which script:

    {"hunt": script, "full": bool, "calm": bool, "runs_at_most": int}"""
    if "again" in job:
        again = [replay(Path(script), tuple(steps), case) for script, steps, case in job["again"]]
        return {
            "again": [[list(outcome.violations), outcome.hash, [str(row) for row in outcome.rows]] for outcome in again]
        }
    scenario = load(Path(job["hunt"]))
    story = calm(scenario) if job["calm"] else scenario
    caught = hunt(story, full=job["full"], runs_at_most=job["runs_at_most"])
    return {"runs": caught} if isinstance(caught, int) else {"catch": asdict(caught)}


def calm(scenario: Scenario) -> Scenario:
    """The same story where nothing overlaps: no latency, one after another, nobody asks twice at a time."""
    steps = tuple({**table, **{key: still for key, still in STILL.items() if key in table}} for table in scenario.step)
    return scenario.model_copy(update={"weather": Weather(), "together": False, "step": steps})


def hunt(scenario: Scenario, *, full: bool = False, runs_at_most: int = RUNS_AT_MOST) -> Catch | int:
    """The first thing that fails, or after how many runs nothing did.

    full: goes on until every policy has failed somewhere, or everything was tried; else the first spot is enough."""
    clock = make_real_ports().clock
    began, runs, seconds = clock.now_ms(), 0, 0.0
    first: Outcome | None = None
    policies: dict[str, str] = {}
    for tried in tries(scenario):
        for outcome, policy in tried:
            policies[policy] = policies.get(policy) or ("" if outcome.ok else outcome.violations[0].partition(":")[0])
        if first is None:
            runs += len({id(outcome) for outcome, _ in tried})
            first = next((outcome for outcome, _ in tried if not outcome.ok), None)
            seconds = (clock.now_ms() - began) / 1000
        if runs >= runs_at_most or (first is not None and not (full and "" in policies.values())):
            break
    if first is None:
        return runs
    small, steps = shrink(scenario, first, SHRINKING_RUNS)
    return Catch(str(small.case), steps, small.violations[0], policies, runs, seconds, small.hash)


def tries(scenario: Scenario) -> Iterator[list[tuple[Outcome, str]]]:
    """Runs with the policy that each stands for, a spot at a time. A spot that is no more reached is no finding."""
    for seed in scenario.seeds:
        try:
            quiet = run_case(scenario, Case(seed))
        except BadInput:
            return  # the given steps fail already, without a crash: there is no world to begin with
        yield [(quiet, NOWHERE)]
        if not quiet.ok:
            continue
        for spot in spots(scenario, quiet.passed):
            forget()  # each spot's twins are its own here, so that there is an outcome to show for each
            answer = run_group(scenario, Group(seed, spot))
            tried = [(outcome, outcome.case.policy) for outcome in answer.outcomes]
            found = {outcome.ok: outcome for outcome in answer.outcomes}
            yield tried + [(found[ok], case.policy) for case, ok in answer.same if ok in found]


def replay(script: Path, steps: tuple[int, ...], case: str) -> Outcome:
    """One run of some steps of a script."""
    scenario = load(script)
    kept = tuple(scenario.step[number - 1] for number in steps)
    return run_case(scenario.model_copy(update={"step": kept}), parse_case(case), keep=True)
