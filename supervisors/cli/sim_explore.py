"""`ferryman sim explore`: random stories, a world each, and of those that end badly all that it takes to see it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from pydantic import TypeAdapter, ValidationError

from ferryman.actors.real_ports import make_real_ports
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.cli.screen import is_terminal
from ferryman.supervisors.simulation.exploration import Exploration, summary
from ferryman.supervisors.simulation.exploration import explore as search
from ferryman.supervisors.simulation.explore import story
from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.report import SHOWN_FAILURES, finding
from ferryman.supervisors.simulation.saved import as_toml
from ferryman.supervisors.simulation.scenario import Scenario, Seeds, complaint
from ferryman.supervisors.simulation.shrink import shrink

EXIT_VIOLATED = 1
TRIES = 120  # runs to make a story shorter
EVERY_MS = 500  # between two words on how far it is


def explore(
    *,
    seeds: str = "0..199",
    minutes: float | None = None,
    twice: bool = False,
    save: Path | None = None,
    workers: Annotated[int | None, Parameter(name=["--workers", "-j"])] = None,
) -> int:
    """Tell random stories, and print what did not hold in them.

    Parameters
    ----------
    seeds
        A number, or a range: one story each, the same in every process.
    minutes
        No new worlds after so long.
    twice
        Each once more, in a process where strings hash otherwise: a trace that differs is a failure.
    save
        The first failure as a script, in few steps, that `ferryman sim run` replays.
    workers
        Processes; one a processor when left out.
    """
    numbers = parse_seeds(seeds)
    if minutes is not None and minutes <= 0:
        raise BadInput(f"--minutes {minutes:g}: wants more than 0")
    clock = make_real_ports().clock
    began = shown = clock.now_ms()

    def over(result: Exploration) -> bool:
        nonlocal shown
        now = clock.now_ms()
        if is_terminal() and now - shown >= EVERY_MS:
            shown = now
            progress(result, len(numbers))
        return minutes is not None and now - began > minutes * 60_000

    result = search(numbers, again=twice, workers=workers, over=over)
    if is_terminal():
        print("\r\x1b[K", end="", file=sys.stderr)
    for line in summary(result, (clock.now_ms() - began) / 1000):
        print(line)
    for line in result.differing[:SHOWN_FAILURES]:
        print(line)
    if twice:
        print(f"{len(result.differing):,} of {result.worlds:,} worlds were others in another process")
    for line in failures(result, save):
        print(line)
    return EXIT_VIOLATED if result.failures or result.differing else 0


def parse_seeds(text: str) -> tuple[int, ...]:
    try:
        return TypeAdapter(Seeds).validate_python(int(text) if text.isdecimal() else text)
    except ValidationError as error:
        raise BadInput(f"--seeds {text!r}: {complaint(error, []).partition(': ')[2]}") from None


def failures(result: Exploration, save: Path | None) -> Iterator[str]:
    for number, outcome in enumerate(result.failures[:SHOWN_FAILURES]):
        seed = outcome.case.seed
        small, scenario = shortened(outcome)
        yield ""
        yield from finding(small)
        yield f"  again: ferryman sim explore --seeds {seed}..{seed}"
        if number == 0 and save is not None:
            save.write_text(as_toml(scenario), encoding="utf-8")
            yield f"  in {len(scenario.step)} steps: ferryman sim run {save}"
    if len(result.failures) > SHOWN_FAILURES:
        yield f"and {len(result.failures) - SHOWN_FAILURES:,} more worlds that failed"


def shortened(outcome: Outcome) -> tuple[Outcome, Scenario]:
    """The same failure in few steps, and the story that leads to it."""
    long = story(outcome.case.seed)
    small, steps = shrink(long, outcome, tries=TRIES)
    return small, long.model_copy(update={"step": tuple(long.step[number - 1] for number in steps)})


def progress(result: Exploration, all_worlds: int) -> None:
    bad = f", {len(result.failures)} failed" if result.failures else ""
    print(f"\r\x1b[K{result.worlds:,} of {all_worlds:,} worlds{bad}", end="", file=sys.stderr, flush=True)
