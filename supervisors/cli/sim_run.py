"""`ferryman sim run`: a script crashed everywhere it asks for, or one case of it; and what is kept of a failure.

| with --json, a line each of  | what                                                                            |
|------------------------------|---------------------------------------------------------------------------------|
| cell                         | a cell of the matrix: crash_at, policy, runs, failures                          |
| failure                      | case, violations, hash, the line that runs it again, files                      |
| row                          | with --case, a row of its trace: t, machine, life, kind, what                   |
| case                         | with --case, its verdict                                                        |
| summary                      | of a script: ok, runs, failures, lives, same, seconds                           |
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ferryman.protocol.errors import BadInput
from ferryman.supervisors.cli.sim_desk import Desk
from ferryman.supervisors.cli.sim_story import Story
from ferryman.supervisors.cli.sim_telling import Telling
from ferryman.supervisors.simulation.case import ERRORS, IO, Case, Spot, parse_case
from ferryman.supervisors.simulation.real import RealRuns, real_runs
from ferryman.supervisors.simulation.registry import meant
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.scenario import load
from ferryman.supervisors.simulation.sweep import known_to
from ferryman.supervisors.simulation.twice import samples
from ferryman.supervisors.simulation.twice import twice as once_more

EXIT_VIOLATED = 1


def run(
    *scripts: Path,
    case: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    steps: str | None = None,
    out: Path | None = None,
    json: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    full: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    workers: Annotated[int | None, Parameter(name=["--workers", "-j"])] = None,
    twice: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    real: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> int:
    """Crash each scenario everywhere it asks for, and print what held.

    Parameters
    ----------
    scripts
        Files of the format ferryman.scenario/1.
    case
        Only this run, as a failure prints it: POINT/POLICY/SEED. Every row of its trace is shown.
    steps
        Only these steps of the script, as a failure prints them: 1,3.
    out
        The folder for the page and the trace of each failure, and of a --case; sim-failures when left out, and only
        when something fails.
    json
        One JSON object a line.
    full
        Every operation of every disk under every policy, whatever the script asks for, and crashes of the recoveries.
    workers
        Processes; one a processor when left out. With --real: worlds that live beside one another.
    twice
        Instead, a quiet run and a crash of each seed once more, in processes where strings hash otherwise: the first
        row of a trace that differs is shown, and what it comes from.
    real
        Real processes, files and sockets, and kill -9. It takes the time that it takes.
    """
    if not scripts:
        raise BadInput("ferryman sim run: wants a script: ferryman sim run examples/scenarios/*.toml")
    if workers is not None and workers < 1:
        raise BadInput(f"--workers {workers}: wants 1 or more")
    wanted = None if case is None else parse_case(case)
    loaded = [(script, load(script)) for script in scripts]
    stories = [Story(script, one.widened() if full else one, real=real).only(steps) for script, one in loaded]
    if twice:
        if real:
            raise BadInput("--twice: no two real runs are one run: leave out --real")
        return 0 if all([lived_twice(story) for story in stories]) else EXIT_VIOLATED  # noqa: C419 - each is told
    desk = Desk(out, as_json=json)
    wrong: list[BadInput] = []

    def tried(work: Callable[[], bool]) -> bool | None:
        try:
            return work()
        except BadInput as error:  # the other scripts are told of all the same
            wrong.append(error)
            return None

    with real_runs(workers) if real else nullcontext() as runs:
        if wanted is None:
            tellings = [Telling(story, workers, desk, runs) for story in stories]
            if len(tellings) > 1:
                tellings = [telling for telling in tellings if tried(telling.glance) is not None]
            held = [tried(telling.finish) for telling in tellings]
        else:
            held = [tried(partial(replayed, story, wanted, desk, runs)) for story in stories]
    for error in wrong[:-1]:
        print(f"ferryman: {error.message}", file=sys.stderr)
    if wrong:
        raise wrong[-1]
    return 0 if all(held) else EXIT_VIOLATED


def lived_twice(story: Story) -> bool:
    """Whether the story is a function of its seed."""
    lived = list(samples(story.scenario, story.script))
    differing = list(once_more([job for job, _ in lived], [outcome for _, outcome in lived]))
    for said in differing:
        print(said)
    print(f"{story.scenario.name}: {len(lived)} runs lived twice, {len(differing)} of them otherwise")
    return not differing


def replayed(story: Story, case: Case, desk: Desk, runs: RealRuns | None) -> bool:
    """One run, with all that happened in it."""
    for machine in [case.spot.machine] if case.spot is not None else []:
        if machine not in story.scenario.world:
            there = ", ".join(story.scenario.world)
            raise BadInput(f"--case {case}: {story.script} has no machine {machine!r}: there are {there}")
    outcome = run_case(story.scenario, case, keep=True) if runs is None else runs.replay(story.scenario, case)
    if case.spot is not None and outcome.missed:
        raise BadInput(f"--case {case}: {unreached(case.spot, outcome.passed)}")
    desk.say(map(str, outcome.rows))
    for row in outcome.rows:
        desk.put("row", **asdict(row))
    desk.say([f"{story.script}: {case}: {'ok' if outcome.ok else 'violated'}, trace {outcome.hash}"])
    desk.say(f"  {said}" for said in outcome.violations)
    files = desk.keep(story, outcome) if desk.asked_for or not outcome.ok else []
    desk.say(f"  in {name}" for name in files)
    desk.put(
        "case",
        script=str(story.script),
        case=str(case),
        ok=outcome.ok,
        violations=outcome.violations,
        hash=outcome.hash,
        files=files,
    )
    return outcome.ok


def unreached(spot: Spot, passed: Mapping[tuple[str, str], int]) -> str:
    """Why a crash did not come."""
    if spot.point == IO or spot.point in ERRORS:
        return f"the disk of {spot.machine} does not come to operation {spot.number:,}"
    if count := passed.get((spot.machine, spot.point), 0):
        return f"{spot.machine} passes {spot.point} {count:,} times, and not {spot.number:,}"
    return f"{spot.machine} never passes {spot.point!r}{meant(spot.point, known_to([spot.machine], passed))}"
