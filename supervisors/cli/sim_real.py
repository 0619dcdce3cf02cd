"""`ferryman sim run --real`: a script with real processes and kill -9, and in words what of it cannot be done so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ferryman.actors.real_ports import make_real_ports
from ferryman.supervisors.simulation.case import Case
from ferryman.supervisors.simulation.real import RealRuns, left_out, real_runs
from ferryman.supervisors.simulation.report import SHOWN_FAILURES, failure, one_run, real_lines
from ferryman.supervisors.simulation.scenario import Scenario


def told_real(scripts: Sequence[tuple[Path, Scenario]], case: Case | None, worlds: int | None) -> list[bool]:
    """Whether each held. worlds: that live at one time."""
    held: list[bool] = []
    with real_runs(worlds) as runs:
        for script, scenario in scripts:
            for line in one_case(runs, script, scenario, case, held) if case else swept(runs, script, scenario, held):
                print(line)
    return held


def one_case(runs: RealRuns, script: Path, scenario: Scenario, case: Case, held: list[bool]) -> Iterator[str]:
    outcome = runs.replay(scenario, case)
    held.append(outcome.ok)
    yield from one_run(outcome, str(script))


def swept(runs: RealRuns, script: Path, scenario: Scenario, held: list[bool]) -> Iterator[str]:
    clock = make_real_ports().clock
    began = clock.now_ms()
    result = runs.sweep(scenario)
    held.append(not result.failures)
    yield from real_lines(scenario, result, (clock.now_ms() - began) / 1000, left_out(scenario))
    for outcome in result.failures[:SHOWN_FAILURES]:
        yield ""
        yield from failure(outcome, str(script), " --real")
