"""Many stories, a world each, shared among processes: what came of them.

seeds --> portions --> in every process: story(seed) --> run_case --> counted, in the seeds' order
                                              (twice) --> once more in a process where strings hash otherwise
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from ferryman.supervisors.simulation.case import Case
from ferryman.supervisors.simulation.explore import story
from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.pool import shared
from ferryman.supervisors.simulation.run import run_case, start_of
from ferryman.supervisors.simulation.twice import Job, twice

PORTION = 512  # worlds between two looks at the clock
TOLD_APART = 64  # worlds that one process is started for, to live through them once more


@dataclass(slots=True)
class Exploration:
    """digest: of all hashes, in order. differing: sentences on runs that were others elsewhere."""

    worlds: int = 0
    lives: int = 0
    failures: list[Outcome] = field(default_factory=list[Outcome])
    differing: list[str] = field(default_factory=list[str])
    _digest: hashlib.blake2b = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def count(self, outcome: Outcome) -> None:
        self.worlds += 1
        self.lives += outcome.lives
        self._digest.update(f"{outcome.case.seed} {outcome.hash}\n".encode())
        if not outcome.ok:
            self.failures.append(outcome)


def explore(
    seeds: Sequence[int],
    *,
    again: bool = False,
    workers: int | None = None,
    over: Callable[[Exploration], bool] = lambda _: False,
) -> Exploration:
    """again: each world is lived through twice. over: told how far it is, now and then; True ends it."""
    result = Exploration()
    for first in range(0, len(seeds), PORTION):
        portion = seeds[first : first + PORTION]
        for seed in portion:
            start_of(story(seed))  # a few, for all the processes that are forked from this one
        size = TOLD_APART if again else 1
        jobs = [portion[at : at + size] for at in range(0, len(portion), size)]
        for outcomes, differing in shared(partial(live_through, again=again), jobs, workers):
            for outcome in outcomes:
                result.count(outcome)
            result.differing += differing
            if over(result):
                return result
    return result


def live_through(seeds: Sequence[int], *, again: bool) -> tuple[list[Outcome], list[str]]:
    jobs = [Job(story(seed), Case(seed)) for seed in seeds]
    outcomes = [run_case(job.scenario, job.case) for job in jobs]
    return outcomes, list(twice(jobs, outcomes)) if again else []


def summary(result: Exploration, seconds: float) -> Iterator[str]:
    bad = f"{len(result.failures):,} of {result.worlds:,} worlds failed" if result.failures else "all ok"
    pace = result.worlds / seconds * 60 if seconds > 0 else 0.0
    yield f"{bad}: {result.worlds:,} worlds, {result.lives:,} lives, {seconds:.1f} s, {pace:,.0f} worlds/min"
    yield f"digest of all traces {result.digest}"
