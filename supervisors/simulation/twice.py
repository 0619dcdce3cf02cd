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
from ferryman.supervisors.simulation.run import Outcome, run_case
from ferryman.supervisors.simulation.scenario import Scenario, check, run_beside

HASH_SEED = 1_000_003


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
            yield f"{job.scenario.name}: {job.case}: {difference(job, hash_seed)}"


def difference(job: Job, hash_seed: int) -> str:
    """The first row of the trace that is another one there."""
    here = map(str, run_case(job.scenario, job.case, keep=True).rows)
    ((_, there),) = elsewhere([job], keep=True, hash_seed=hash_seed)
    for number, (ours, theirs) in enumerate(zip_longest(here, there, fillvalue="nothing more"), 1):
        if ours != theirs:
            return f"row {number} is {ours!r} here, and {theirs!r} in another process"
    return "its traces differ, and are equal when it runs alone: something is left behind by the run before it"


def main() -> None:
    request = json.load(sys.stdin)
    for told in request["jobs"]:
        job = heard(told)
        outcome = run_case(job.scenario, job.case, keep=request["keep"])
        sys.stdout.write(json.dumps({"hash": outcome.hash, "rows": list(map(str, outcome.rows))}) + "\n")


if __name__ == "__main__":
    main()
