"""The shortest story that still fails alike: one step fewer at a time, the last ones first, crashed where it was.

Each try is a run. There are so many and no more: a long story that cannot be shortened is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ferryman.protocol.errors import BadInput
from ferryman.supervisors.simulation.case import Case
from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.scenario import Scenario
from ferryman.supervisors.simulation.sweep import EVERY_POINT, spots

TRIES = 300
ENDED = "the world ended"
NUMBER = re.compile(r"[0-9]+")  # lives, times and counts are others in a shorter story


def shrink(scenario: Scenario, failed: Outcome, tries: int = TRIES) -> tuple[Outcome, tuple[int, ...]]:
    """The failing run with the fewest steps that was found, and which of the script's steps those are, from 1."""
    kept: tuple[int, ...] = tuple(range(1, len(scenario.step) + 1))
    found = failed
    shorter = True
    while shorter and len(kept) > 1 and tries > 0:
        shorter = False
        for out in reversed(kept):
            rest = tuple(number for number in kept if number != out)
            fewer = scenario.model_copy(update={"step": tuple(scenario.step[number - 1] for number in rest)})
            for outcome in fails_alike(fewer, found):
                tries -= 1
                if alike(outcome, failed):
                    kept, found, shorter = rest, outcome, True
                    break
                if tries <= 0:
                    break
            if shorter or tries <= 0:
                break
    return found, kept


def alike(outcome: Outcome, failed: Outcome) -> bool:
    """The same invariant is violated: another one would be another finding."""
    return not outcome.ok and finding(outcome) == finding(failed)


def finding(failed: Outcome) -> str:
    """The invariant; of a world that ended, how: a step that lacks those before it ends one too, in its own way."""
    said = failed.violations[0]
    return NUMBER.sub("#", said) if said.startswith(ENDED) else said.partition(":")[0]


def fails_alike(fewer: Scenario, failed: Outcome) -> Iterator[Outcome]:
    """Runs of the shorter story that crash where the long one did: nearest first, then every passing of that point."""
    case = failed.case
    if case.spot is None:
        yield run_case(fewer, case)
        return
    yield run_case(fewer, case)
    quiet = run_case(fewer, Case(case.seed))
    yield quiet
    if not quiet.ok:
        return
    wider = fewer.model_copy(update={"crash": fewer.crash.model_copy(update={"points": (EVERY_POINT,)})})
    try:
        for spot in spots(wider, quiet.passed):
            if (spot.machine, spot.point, spot.after) == (case.spot.machine, case.spot.point, case.spot.after):
                yield run_case(fewer, Case(case.seed, spot, case.policy, case.nested))
    except BadInput:
        return  # nothing is passed any more
