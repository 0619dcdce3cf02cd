"""`ferryman sim`: scripted crashes of the real actors.

| command                          | what it does                                                              |
|----------------------------------|---------------------------------------------------------------------------|
| ferryman sim run SCRIPT...       | crashes a scenario everywhere it asks for, and prints the matrix          |
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
from ferryman.supervisors.simulation.report import SHOWN_FAILURES, failure, lines
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.scenario import Scenario, load
from ferryman.supervisors.simulation.shrink import shrink
from ferryman.supervisors.simulation.sweep import Sweep, sweep

EXIT_VIOLATED = 1

app = App(name="sim", help="Scripted crashes of the real actors: what survives, and a line that replays what does not.")


@app.command
def run(
    *scripts: Path,
    case: str | None = None,
    steps: str | None = None,
    full: bool = False,
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
    full
        Every operation of every disk under every policy, whatever the script asks for, and crashes of the recoveries.
    workers
        Processes; one a processor when left out.
    """
    if not scripts:
        raise BadInput("ferryman sim run: wants a script: ferryman sim run examples/scenarios/*.toml")
    loaded = [(script, picked(load(script), steps)) for script in scripts]
    if full:
        loaded = [(script, scenario.widened()) for script, scenario in loaded]
    if case is not None:
        held = [replay(script, scenario, case) for script, scenario in loaded]
    else:
        held = [told(script, scenario, workers) for script, scenario in loaded]
    return 0 if all(held) else EXIT_VIOLATED


def picked(scenario: Scenario, steps: str | None) -> Scenario:
    if steps is None:
        return scenario
    try:
        numbers = [int(number) for number in steps.split(",")]
        kept = tuple(scenario.step[number - 1] for number in numbers if number > 0 or wrong(steps))
    except (ValueError, IndexError):
        raise wrong(steps, len(scenario.step)) from None
    return scenario.model_copy(update={"step": kept})


def wrong(steps: str, most: int = 0) -> BadInput:
    return BadInput(f"--steps {steps!r}: wants numbers of the script's steps, 1 to {most}, as in 1,3")


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


@app.command(name="list-points")
def list_points() -> int:
    """The crash points, and what a crash just before each leaves behind."""
    width = max(map(len, POINTS))
    for name, leaves in POINTS.items():
        print(f"{name:<{width}}  {leaves}")
    print(f"{'io':<{width}}  (every_io) before and after every write, sync, truncation and change of a name")
    return 0
