"""What a person reads of a sweep: the matrix, the points, the speed, and for a failure all that it takes to see it."""

from __future__ import annotations

from collections.abc import Iterator

from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.real import left_out
from ferryman.supervisors.simulation.scenario import Scenario
from ferryman.supervisors.simulation.sweep import Cell, Sweep
from ferryman.supervisors.simulation.trace import LAST_ROWS

SHOWN_FAILURES = 3


def lines(scenario: Scenario, swept: Sweep, seconds: float) -> Iterator[str]:
    """The report without its failures."""
    yield f"{scenario.name}: {verdict(swept)}"
    yield from matrix(swept)
    speed = swept.runs / seconds if seconds > 0 else 0.0
    yield (
        f"{swept.runs:,} runs, {swept.lives:,} lives of processes, {swept.same:,} more that leave the same disk, "
        f"{seconds:.1f} s, {speed:,.0f} runs/s"
    )


def real_lines(scenario: Scenario, swept: Sweep, seconds: float) -> Iterator[str]:
    """Of a sweep with real processes, and what the script asks for that was not done."""
    yield f"{scenario.name}: {verdict(swept)}, with real processes and SIGKILL"
    yield from matrix(swept)
    restarts = swept.lives - len(scenario.world) * swept.runs
    yield (
        f"{swept.runs:,} runs, {swept.lives:,} lives of processes, {restarts:,} restarts after SIGKILL, {seconds:.1f} s"
    )
    for said in left_out(scenario):
        yield f"not done for real: {said}"


def verdict(swept: Sweep) -> str:
    return "all ok" if not swept.failures else f"{len(swept.failures):,} of {swept.runs:,} runs failed"


def matrix(swept: Sweep) -> Iterator[str]:
    """Crash at x policy: how many runs, and how many of them failed."""
    columns = list(dict.fromkeys(policy for cells in swept.rows.values() for policy in cells if policy != "-"))
    width = max([len("crash at"), *(len(row) for row in swept.rows)])
    if columns:
        yield f"  {'crash at':<{width}}  " + "  ".join(f"{column:>9}" for column in columns)
    for row, cells in swept.rows.items():
        if "-" in cells:
            yield f"  {row:<{width}}  {shown(cells['-']):>9}"
        else:
            yield f"  {row:<{width}}  " + "  ".join(f"{shown(cells.get(column)):>9}" for column in columns)


def shown(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return f"{cell.failures}/{cell.runs}" if cell.failures else f"ok {cell.runs}"


def finding(outcome: Outcome) -> Iterator[str]:
    """What went wrong, and what happened last."""
    yield f"{outcome.case}"
    for said in outcome.violations[:5]:
        yield f"  {said}"
    if len(outcome.violations) > 5:
        yield f"  and {len(outcome.violations) - 5} more"
    yield f"  the last {min(LAST_ROWS, len(outcome.rows))} of {len(outcome.rows):,} rows, trace {outcome.hash}:"
    for row in outcome.rows[-LAST_ROWS:]:
        yield f"    {row}"
