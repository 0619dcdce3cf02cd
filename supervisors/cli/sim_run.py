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

import json as json_text
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ferryman.actors.real_ports import make_real_ports
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.cli.screen import is_terminal
from ferryman.supervisors.simulation.case import ERRORS, IO, Case, Spot, parse_case
from ferryman.supervisors.simulation.evidence import evidence
from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.real import RealRuns, real_runs
from ferryman.supervisors.simulation.registry import meant
from ferryman.supervisors.simulation.report import SHOWN_FAILURES, finding, lines, real_lines
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.scenario import Scenario, load
from ferryman.supervisors.simulation.shrink import shrink
from ferryman.supervisors.simulation.sweep import Sweep, known_to, sweep
from ferryman.supervisors.simulation.twice import samples
from ferryman.supervisors.simulation.twice import twice as once_more

EXIT_VIOLATED = 1
FOLDER = Path("sim-failures")


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
    held: list[bool] = []
    wrong: list[BadInput] = []
    with real_runs(workers) if real else nullcontext() as runs:
        for story in stories:
            try:
                held.append(told(story, workers, desk, runs) if wanted is None else replayed(story, wanted, desk, runs))
            except BadInput as error:  # the other scripts are told of all the same
                wrong.append(error)
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


@dataclass(frozen=True, slots=True)
class Story:
    """A script and the steps of it that are taken, by their numbers; none: all of them. real: with real processes."""

    script: Path
    whole: Scenario
    numbers: tuple[int, ...] = ()
    real: bool = False

    @property
    def scenario(self) -> Scenario:
        if not self.numbers:
            return self.whole
        return self.whole.model_copy(update={"step": tuple(self.whole.step[number - 1] for number in self.numbers)})

    def only(self, steps: str | None) -> Story:
        """Raises BadInput."""
        if steps is None:
            return self
        words, last = steps.split(","), len(self.whole.step)
        if not all(word.isdecimal() and 1 <= int(word) <= last for word in words):
            raise BadInput(f"--steps {steps!r}: wants numbers of the {last} steps of {self.script}, as in 1,{last}")
        return replace(self, numbers=tuple(map(int, words)))

    def fewer(self, kept: tuple[int, ...]) -> Story:
        """Of its own steps, counted from 1, these."""
        own = self.numbers or tuple(range(1, len(self.whole.step) + 1))
        numbers = tuple(own[number - 1] for number in kept)
        return replace(self, numbers=() if len(numbers) == len(self.whole.step) else numbers)

    def again(self, case: Case) -> str:
        steps = f" --steps {','.join(map(str, self.numbers))}" if self.numbers else ""
        return f"ferryman sim run {shlex.quote(str(self.script))} --case {case}{steps}{' --real' if self.real else ''}"


class Desk:
    """Where it is all put: words or objects on standard output, pages and traces in a folder."""

    def __init__(self, out: Path | None, *, as_json: bool) -> None:
        self.as_json = as_json
        self.asked_for = out is not None
        self.folder = out or FOLDER

    def say(self, words: Iterable[str]) -> None:
        """For a person."""
        if not self.as_json:
            for line in words:
                print(line)

    def put(self, kind: str, /, **entries: object) -> None:
        """For a program."""
        if self.as_json:
            print(json_text.dumps({"type": kind, **entries}, ensure_ascii=False))

    def keep(self, story: Story, outcome: Outcome) -> list[str]:
        """The page and the trace of a run; where they are. Raises BadInput."""
        files = evidence(story.scenario, str(story.script), outcome, story.again(outcome.case))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (self.folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            where = error.filename or self.folder
            raise BadInput(f"--out {self.folder}: {where}: {error.strerror or error}") from None
        return [str(self.folder / name) for name in files]


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


def told(story: Story, workers: int | None, desk: Desk, runs: RealRuns | None) -> bool:
    """The whole scenario, and of the first failures all that it takes to see them."""
    clock = make_real_ports().clock
    began = clock.now_ms()
    show = progress if is_terminal() and not desk.as_json else None
    try:
        if runs is None:
            swept = sweep(story.scenario, workers=workers, progress=show)
        else:
            swept = runs.sweep(story.scenario, progress=show)
    except BadInput as error:
        raise BadInput(f"{story.script}: {error.message}") from None
    if show is not None:
        print("\r\x1b[K", end="", file=sys.stderr)
    seconds = (clock.now_ms() - began) / 1000
    desk.say(lines(story.scenario, swept, seconds) if runs is None else real_lines(story.scenario, swept, seconds))
    for crash_at, cells in swept.rows.items():
        for policy, cell in cells.items():
            desk.put("cell", script=str(story.script), crash_at=crash_at, policy=policy, **asdict(cell))
    shown = list(unlike(swept.failures))
    for outcome in shown:
        show_failure(story, outcome, desk)
    if len(swept.failures) > len(shown):
        desk.say(["", f"and {len(swept.failures) - len(shown):,} more runs that failed"])
    desk.put(
        "summary",
        script=str(story.script),
        scenario=story.scenario.name,
        ok=not swept.failures,
        runs=swept.runs,
        failures=len(swept.failures),
        lives=swept.lives,
        same=swept.same,
        seconds=seconds,
    )
    return not swept.failures


def show_failure(story: Story, outcome: Outcome, desk: Desk) -> None:
    shorter, seen = (story, outcome) if story.real else shrunk(story, outcome)
    files = desk.keep(shorter, seen)
    again = shorter.again(seen.case)
    desk.say(["", *finding(seen), f"  again: {again}", *(f"  in {name}" for name in files)])
    desk.put(
        "failure",
        script=str(story.script),
        case=str(seen.case),
        violations=seen.violations,
        hash=seen.hash,
        again=again,
        files=files,
    )


def shrunk(story: Story, outcome: Outcome) -> tuple[Story, Outcome]:
    """The shortest story that still fails, with all its rows."""
    small, kept = shrink(story.scenario, outcome)
    shorter = story.fewer(kept)
    return shorter, run_case(shorter.scenario, small.case, keep=True)


def unlike(failures: list[Outcome]) -> Iterator[Outcome]:
    """The first failure of each invariant: a hundred runs mostly fail for one reason."""
    first: dict[str, Outcome] = {}
    for outcome in sorted(failures, key=lambda one: one.case.nested):
        first.setdefault(outcome.violations[0].partition(":")[0], outcome)
    yield from list(first.values())[:SHOWN_FAILURES]


def progress(swept: Sweep, left: int) -> None:
    bad = f", {len(swept.failures)} failed" if swept.failures else ""
    print(f"\r\x1b[K{swept.runs:,} runs{bad}, {left:,} spots to go", end="", file=sys.stderr, flush=True)
