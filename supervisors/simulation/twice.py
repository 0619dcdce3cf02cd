"""The same runs in another process, where strings hash otherwise: what is a function of the seed alone is equal there.

    job(scenario, case) --> twice([...]) --> python -m ferryman.supervisors.simulation.twice, PYTHONHASHSEED another
                                         <-- a hash each; and for one that differs, the first row that does

A scenario that uses Python files beside its script needs the script's path: the other process runs them too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ferryman.supervisors.simulation.case import Case, parse_case
from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.scenario import Scenario, check, run_beside
from ferryman.supervisors.simulation.sweep import policies, spots

HASH_SEED = 1_000_003
ALIKE = 3  # processes with one hash seed: addresses differ from one to the next, seldom in no order that shows


@dataclass(frozen=True, slots=True)
class Job:
    scenario: Scenario
    case: Case
    script: Path | None = None

    def told(self) -> dict[str, Any]:
        return {
            "scenario": self.scenario.model_dump(mode="json"),
            "case": str(self.case),
            "script": None if self.script is None else str(self.script),
        }


def heard(told: dict[str, Any]) -> Job:
    script = None
    if told["script"] is not None:
        script = Path(told["script"])
        for name in told["scenario"]["uses"]:
            run_beside(script, name)
    return Job(check(told["scenario"]), parse_case(told["case"]), script)


def elsewhere(jobs: Sequence[Job], *, keep: bool = False, hash_seed: int = HASH_SEED) -> list[tuple[str, list[str]]]:
    """Hash and last rows of each, from a fresh process. keep: all rows."""
    request = json.dumps({"keep": keep, "jobs": [job.told() for job in jobs]})
    done = subprocess.run(
        [sys.executable, "-m", "ferryman.supervisors.simulation.twice"],
        input=request,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
    )
    return [(answer["hash"], answer["rows"]) for answer in map(json.loads, done.stdout.splitlines())]


def twice(jobs: Sequence[Job], first: Sequence[Outcome], *, hash_seed: int = HASH_SEED) -> Iterator[str]:
    """A sentence for each run that another process lived through otherwise. first: how it was in this one."""
    for job, here, (there, _) in zip(jobs, first, elsewhere(jobs, hash_seed=hash_seed), strict=True):
        if here.hash != there:
            yield f"{job.scenario.name}: {job.case}: {difference(job, hash_seed)}: {cause(job, hash_seed)}"


def cause(job: Job, hash_seed: int) -> str:
    """What it is that no seed decides: hashes are equal under one hash seed, addresses are not."""
    alike = {elsewhere([job], hash_seed=hash_seed)[0][0] for _ in range(ALIKE)}
    return "an order by id(), or an address" if len(alike) > 1 else "the order of a set, or of hashes"


def difference(job: Job, hash_seed: int) -> str:
    """The first row of the trace that is another one there."""
    here = map(str, run_case(job.scenario, job.case, keep=True).rows)
    ((_, there),) = elsewhere([job], keep=True, hash_seed=hash_seed)
    for number, (ours, theirs) in enumerate(zip_longest(here, there, fillvalue="nothing more"), 1):
        if ours != theirs:
            return f"row {number} is {ours!r} here, and {theirs!r} in another process"
    return "its traces differ, and are equal when it runs alone: something is left behind by the run before it"


def samples(scenario: Scenario, script: Path | None = None) -> Iterator[tuple[Job, Outcome]]:
    """Of each seed the run without a crash, and one with a crash in its middle."""
    for seed in scenario.seeds:
        quiet = run_case(scenario, Case(seed))
        yield Job(scenario, quiet.case, script), quiet
        where = list(spots(scenario, quiet.passed)) if quiet.ok else []
        if where:
            spot = where[len(where) // 2]
            crashed = Case(seed, spot, policies(scenario, spot)[0])
            yield Job(scenario, crashed, script), run_case(scenario, crashed)


def main() -> None:
    request = json.load(sys.stdin)
    for told in request["jobs"]:
        job = heard(told)
        outcome = run_case(job.scenario, job.case, keep=request["keep"])
        sys.stdout.write(json.dumps({"hash": outcome.hash, "rows": list(map(str, outcome.rows))}) + "\n")


if __name__ == "__main__":
    main()
