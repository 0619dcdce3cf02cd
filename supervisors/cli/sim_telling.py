"""A script crashed everywhere it asks for, and told of: the matrix, and of the first failures all that it takes.

glance --> some crashes of every script: a failure is shown as soon as it is found
finish --> all that is left of one script, its matrix, and the failures that were not shown yet
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Protocol

from ferryman.actors.real_ports import make_real_ports
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.cli.screen import is_terminal
from ferryman.supervisors.cli.sim_desk import Desk
from ferryman.supervisors.cli.sim_story import Story
from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.real import RealRuns
from ferryman.supervisors.simulation.report import SHOWN_FAILURES, finding, lines, real_lines
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.shrink import shrink
from ferryman.supervisors.simulation.sweep import Progress, Sweep, Sweeping


class Runs(Protocol):
    """What is run of a scenario, in two goes."""

    result: Sweep

    def glance(self) -> None: ...
    def finish(self) -> Sweep: ...


class Telling:
    """One script of a command line. runs: of real processes; None: simulated ones."""

    def __init__(self, story: Story, workers: int | None, desk: Desk, runs: RealRuns | None) -> None:
        self._story = story
        self._desk = desk
        show = progress if is_terminal() and not desk.as_json else None
        self._sweeping: Runs = Sweeping(story.scenario, workers, show) if runs is None else Real(runs, story, show)
        self._clock = make_real_ports().clock
        self._ms = 0.0
        self._shown: list[str] = []  # invariants: a hundred runs mostly fail for one reason

    def glance(self) -> bool:
        """Whether all held so far. Raises BadInput."""
        self._timed(self._sweeping.glance)
        self._show_failures()
        return not self._sweeping.result.failures

    def finish(self) -> bool:
        """Whether all held. Raises BadInput."""
        self._timed(self._sweeping.finish)
        story, desk, swept = self._story, self._desk, self._sweeping.result
        report = real_lines if story.real else lines
        desk.say(report(story.scenario, swept, self._ms / 1000))
        for crash_at, cells in swept.rows.items():
            for policy, cell in cells.items():
                desk.put("cell", script=str(story.script), crash_at=crash_at, policy=policy, **asdict(cell))
        self._show_failures()
        if len(swept.failures) > len(self._shown):
            desk.say(["", f"and {len(swept.failures) - len(self._shown):,} more runs that failed"])
        desk.put(
            "summary",
            script=str(story.script),
            scenario=story.scenario.name,
            ok=not swept.failures,
            runs=swept.runs,
            failures=len(swept.failures),
            lives=swept.lives,
            same=swept.same,
            seconds=self._ms / 1000,
        )
        return not swept.failures

    def _timed(self, work: Callable[[], object]) -> None:
        began = self._clock.now_ms()
        try:
            work()
        except BadInput as error:
            raise BadInput(f"{self._story.script}: {error.message}") from None
        finally:
            self._ms += self._clock.now_ms() - began
        if is_terminal() and not self._desk.as_json:
            print("\r\x1b[K", end="", file=sys.stderr)

    def _show_failures(self) -> None:
        for outcome in sorted(self._sweeping.result.failures, key=lambda one: one.case.nested):
            invariant = outcome.violations[0].partition(":")[0]
            if invariant not in self._shown and len(self._shown) < SHOWN_FAILURES:
                self._shown.append(invariant)
                self._show(outcome)

    def _show(self, outcome: Outcome) -> None:
        shorter, seen = (self._story, outcome) if self._story.real else shrunk(self._story, outcome)
        files = self._desk.keep(shorter, seen)
        again = shorter.again(seen.case)
        self._desk.say(["", *finding(seen), f"  again: {again}", *(f"  in {name}" for name in files)])
        self._desk.put(
            "failure",
            script=str(self._story.script),
            case=str(seen.case),
            violations=seen.violations,
            hash=seen.hash,
            again=again,
            files=files,
        )


class Real:
    """Real processes take their time: there is no glance at them."""

    def __init__(self, runs: RealRuns, story: Story, progress: Progress | None) -> None:
        self._runs, self._story, self._progress = runs, story, progress
        self.result = Sweep()

    def glance(self) -> None:
        return

    def finish(self) -> Sweep:
        self.result = self._runs.sweep(self._story.scenario, progress=self._progress)
        return self.result


def shrunk(story: Story, outcome: Outcome) -> tuple[Story, Outcome]:
    """The shortest story that still fails, with all its rows."""
    small, kept = shrink(story.scenario, outcome)
    shorter = story.fewer(kept)
    return shorter, run_case(shorter.scenario, small.case, keep=True)


def progress(swept: Sweep, left: int) -> None:
    bad = f", {len(swept.failures)} failed" if swept.failures else ""
    print(f"\r\x1b[K{swept.runs:,} runs{bad}, {left:,} spots to go", end="", file=sys.stderr, flush=True)
