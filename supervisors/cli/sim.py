"""`ferryman sim`: scripted crashes of the real actors.

| command                          | what it does                                                              |
|----------------------------------|---------------------------------------------------------------------------|
| ferryman sim run SCRIPT...       | crashes a scenario everywhere it asks for, and prints the matrix          |
| ferryman sim self-test           | plants bugs in the product, and shows which policy and invariant see them |
| ferryman sim list-points         | the crash points, and what a crash leaves behind there                    |

Exit codes: 0 all is well, 1 an invariant is violated, 2 the script is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from ferryman.actors.core.crash_points import POINTS
from ferryman.actors.real_ports import make_real_ports
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.cli.screen import is_terminal
from ferryman.supervisors.simulation.case import parse_case
from ferryman.supervisors.simulation.planted import Bug, read_bugs
from ferryman.supervisors.simulation.registry import meant
from ferryman.supervisors.simulation.report import SHOWN_FAILURES, failure, lines
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.scenario import Scenario, load
from ferryman.supervisors.simulation.self_test import replay_lines, replayed, table
from ferryman.supervisors.simulation.self_test import self_test as hunt_all
from ferryman.supervisors.simulation.shrink import shrink
from ferryman.supervisors.simulation.sweep import Sweep, sweep

EXIT_VIOLATED = 1

app = App(name="sim", help="Scripted crashes of the real actors: what survives, and a line that replays what does not.")


@app.command
def run(
    *scripts: Path,
    case: str | None = None,
    steps: str | None = None,
    workers: Annotated[int | None, Parameter(name=["--workers", "-j"])] = None,
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
    workers
        Processes; one a processor when left out.
    """
    if not scripts:
        raise BadInput("ferryman sim run: wants a script: ferryman sim run examples/scenarios/*.toml")
    loaded = [(script, picked(load(script), steps)) for script in scripts]
    if case is not None:
        held = [replay(script, scenario, case) for script, scenario in loaded]
    else:
        held = [told(script, scenario, workers) for script, scenario in loaded]
    return 0 if all(held) else EXIT_VIOLATED


def picked(scenario: Scenario, steps: str | None) -> Scenario:
    if steps is None:
        return scenario
    kept = tuple(scenario.step[number - 1] for number in numbers_of(steps, len(scenario.step)))
    return scenario.model_copy(update={"step": kept})


def numbers_of(steps: str, most: int) -> list[int]:
    """Which steps, from 1. Raises BadInput."""
    numbers = [int(number) for number in steps.split(",") if number.isdecimal()]
    if len(numbers) != steps.count(",") + 1 or not all(1 <= number <= most for number in numbers):
        raise BadInput(f"--steps {steps!r}: wants numbers of the script's steps, 1 to {most}, as in 1,3")
    return numbers


def replay(script: Path, scenario: Scenario, text: str) -> bool:
    """One run, with all that happened in it."""
    outcome = run_case(scenario, parse_case(text), keep=True)
    for row in outcome.rows:
        print(row)
    print(f"{script}: {outcome.case}: {'ok' if outcome.ok else 'violated'}, trace {outcome.hash}")
    for said in outcome.violations:
        print(f"  {said}")
    return outcome.ok


def told(script: Path, scenario: Scenario, workers: int | None) -> bool:
    """The whole scenario, and of the first failures all that it takes to see them."""
    clock = make_real_ports().clock
    began = clock.now_ms()
    show = progress if is_terminal() else None
    swept = sweep(scenario, workers=workers, progress=show)
    if show is not None:
        print("\r\x1b[K", end="", file=sys.stderr)
    for line in lines(scenario, swept, (clock.now_ms() - began) / 1000):
        print(line)
    for line in failures(script, scenario, swept):
        print(line)
    return not swept.failures


def failures(script: Path, scenario: Scenario, swept: Sweep) -> Iterator[str]:
    for outcome in swept.failures[:SHOWN_FAILURES]:
        small, steps = shrink(scenario, outcome)
        picked_steps = "" if len(steps) == len(scenario.step) else f" --steps {','.join(map(str, steps))}"
        yield ""
        yield from failure(small, str(script), picked_steps)
    if len(swept.failures) > SHOWN_FAILURES:
        yield f"and {len(swept.failures) - SHOWN_FAILURES:,} more runs that failed"


def progress(swept: Sweep, left: int) -> None:
    bad = f", {len(swept.failures)} failed" if swept.failures else ""
    print(f"\r\x1b[K{swept.runs:,} runs{bad}, {left:,} spots to go", end="", file=sys.stderr, flush=True)


@app.command(name="self-test")
def self_test(
    *,
    only: str | None = None,
    case: str | None = None,
    steps: str | None = None,
    full: bool = False,
    workers: Annotated[int, Parameter(name=["--workers", "-j"])] = 2,
) -> int:
    """Plant bugs in the product, one in each new process, and see whether a scenario notices.

    Parameters
    ----------
    only
        The bug of this name.
    case
        Only this run of it, as a result prints it: POINT/POLICY/SEED. Every row of its trace is shown.
    steps
        Only these steps of its script, as a result prints them: 1,3.
    full
        Go on until every policy has seen the bug, or everything was tried, and not at the first spot only.
    workers
        Processes at a time.
    """
    known = {bug.name: bug for bug in read_bugs()}
    if only is not None and only not in known:
        raise BadInput(f"--only {only!r}: there is no such bug{meant(only, list(known))}")
    if case is not None:
        if only is None:
            raise BadInput("--case: wants the bug's name too: --only NAME")
        return replay_planted(known[only], case, steps)
    clock = make_real_ports().clock
    began = clock.now_ms()
    results = list(hunt_all([known[only]] if only is not None else list(known.values()), workers=workers, full=full))
    for line in (*table(results), *replay_lines(results)):
        print(line)
    caught = sum(result.ok for result in results)
    races = sum(result.ok and result.bug.race for result in results)
    seconds = (clock.now_ms() - began) / 1000
    print(f"{caught} of {len(results)} planted bugs caught, {races} of them races, {seconds:.1f} s")
    return 0 if caught == len(results) else EXIT_VIOLATED


def replay_planted(bug: Bug, case: str, steps: str | None) -> int:
    """One run with the bug, with all that happened in it."""
    parse_case(case)
    scenario = load(bug.scenario)
    numbers = range(1, len(scenario.step) + 1) if steps is None else numbers_of(steps, len(scenario.step))
    violations, digest, rows = replayed(bug, case, list(numbers))
    for row in rows:
        print(row)
    print(f"{bug.name}: {case}: {'violated' if violations else 'ok'}, trace {digest}")
    for said in violations:
        print(f"  {said}")
    return EXIT_VIOLATED if violations else 0


@app.command(name="list-points")
def list_points() -> int:
    """The crash points, and what a crash just before each leaves behind."""
    width = max(map(len, POINTS))
    for name, leaves in POINTS.items():
        print(f"{name:<{width}}  {leaves}")
    print(f"{'io':<{width}}  (every_io) before and after every write, sync, truncation and change of a name")
    return 0
