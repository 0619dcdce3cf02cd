"""`ferryman sim self-test`: proof that the simulator has teeth. Planted bugs, each hunted in a process of its own.

    bug --> fresh process: planted, then loaded --> hunt its scenario --> Catch: which policy, which invariant, a replay
                                                                    --> the same run without the bug: it must hold

| verdict          | when                                                                                |
|------------------|-------------------------------------------------------------------------------------|
| caught           | a run fails, within so many runs or seconds, and holds without the bug               |
| missed           | no run fails                                                                        |
| slow             | one fails, but later than that, or its story has more steps than a person reads     |
| not the bug      | the run fails without the bug as well                                               |
| broken           | the process ended otherwise: the bug is not one that runs                           |
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import msgspec

from ferryman.supervisors.simulation.hunt import RUNS_AT_MOST, Catch
from ferryman.supervisors.simulation.planted import Bug
from ferryman.supervisors.simulation.scenario import ALL_POLICIES

SECONDS_AT_MOST = 10.0
STEPS_AT_MOST = 3
PATIENCE_SECONDS = 300  # of one process, before it counts as broken
CHILD = "from ferryman.supervisors.simulation.planted import child; child()"
COLUMNS = ("-", *ALL_POLICIES)


@dataclass(frozen=True, slots=True)
class Result:
    """runs: without a failure, for a bug that was missed. said: of a process that broke."""

    bug: Bug
    catch: Catch | None = None
    runs: int = 0
    said: str = ""
    innocent: bool = True  # the run holds without the bug

    @property
    def verdict(self) -> str:
        catch = self.catch
        if self.said:
            return "broken"
        if catch is None:
            return "missed"
        if not self.innocent:
            return "not the bug"
        within = catch.runs <= RUNS_AT_MOST or catch.seconds <= SECONDS_AT_MOST
        return "caught" if within and len(catch.steps) <= STEPS_AT_MOST else "slow"

    @property
    def ok(self) -> bool:
        return self.verdict == "caught"


def self_test(bugs: Sequence[Bug], *, workers: int = 2, full: bool = False) -> Iterator[Result]:
    """Each bug's result, in order."""
    with ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(partial(hunted, full=full), bugs))
    holds = without_bugs([(result.bug, result.catch) for result in results if result.catch is not None])
    for result in results:
        yield replace(result, innocent=holds.get(result.bug.name, True))


def hunted(bug: Bug, *, full: bool = False, calm: bool = False, runs_at_most: int = RUNS_AT_MOST) -> Result:
    """calm: in its script without anything that overlaps, where a race must not show."""
    try:
        answer = fresh(bug, {"hunt": str(bug.scenario), "full": full, "calm": calm, "runs_at_most": runs_at_most})
    except ChildBroke as broke:
        return Result(bug, said=str(broke))
    if "runs" in answer:
        return Result(bug, runs=answer["runs"])
    return Result(bug, msgspec.convert(answer["catch"], Catch))


def without_bugs(catches: Sequence[tuple[Bug, Catch]]) -> dict[str, bool]:
    """Whether the run of each holds in the product as it is."""
    if not catches:
        return {}
    again = fresh(None, {"again": [[str(bug.scenario), catch.steps, catch.case] for bug, catch in catches]})["again"]
    return {
        bug.name: all("is never reached" in said for said in violations)
        for (bug, _), (violations, _, _) in zip(catches, again, strict=True)
    }


def replayed(bug: Bug, case: str, steps: Sequence[int]) -> tuple[list[str], str, list[str]]:
    """Violations, hash and rows of one run with the bug. Raises ChildBroke."""
    violations, digest, rows = fresh(bug, {"again": [[str(bug.scenario), list(steps), case]]})["again"][0]
    return violations, digest, rows


class ChildBroke(Exception):
    """The process that had the bug did not answer."""


def fresh(bug: Bug | None, work: Mapping[str, Any]) -> dict[str, Any]:
    """What a new process answers. Raises ChildBroke with its last words."""
    job = json.dumps({"bug": None if bug is None else asdict(bug), "work": work})
    try:
        done = subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, "-c", CHILD],
            input=job,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ChildBroke(f"no answer within {PATIENCE_SECONDS} s") from None
    if done.returncode:
        raise ChildBroke((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])


def table(results: Sequence[Result]) -> Iterator[str]:
    """Policy x bug: the invariant that speaks, "." where that policy does not show the bug at the spot that does."""
    width = max(len(result.bug.name) for result in results)
    yield f"  {'bug':<{width}}  {'verdict':<11} {'runs':>5} {'s':>5} {'steps':>5}  " + " ".join(
        f"{column:>7}" for column in COLUMNS
    )
    for result in results:
        catch = result.catch
        found = (
            f"{catch.runs:>5} {catch.seconds:>5.1f} {len(catch.steps):>5}"
            if catch
            else f"{result.runs:>5} {'':>5} {'':>5}"
        )
        marks = " ".join(f"{mark(catch, column):>7}" for column in COLUMNS)
        race = " (race)" if result.bug.race else ""
        invariant = catch.invariant if catch else result.said
        yield f"  {result.bug.name:<{width}}  {result.verdict:<11} {found}  {marks}  {invariant}{race}"


def mark(catch: Catch | None, column: str) -> str:
    if catch is None or column not in catch.policies:
        return ""
    return "caught" if catch.policies[column] else "."


def replay_lines(results: Sequence[Result]) -> Iterator[str]:
    """Of each bug: the run that shows it, and what it violates there."""
    for result in results:
        if result.catch is not None:
            steps = ",".join(map(str, result.catch.steps))
            yield f"ferryman sim self-test --only {result.bug.name} --case {result.catch.case} --steps {steps}"
            yield f"    {result.catch.said}"
