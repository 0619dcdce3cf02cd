"""`ferryman sim self-test`: plants bugs in the product, one in each new process, and shows which policy sees which."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ferryman.actors.real_ports import make_real_ports
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.cli.sim_run import EXIT_VIOLATED
from ferryman.supervisors.cli.sim_story import Story
from ferryman.supervisors.simulation.case import parse_case
from ferryman.supervisors.simulation.planted import Bug, read_bugs
from ferryman.supervisors.simulation.registry import meant
from ferryman.supervisors.simulation.scenario import load
from ferryman.supervisors.simulation.self_test import replay_lines, replayed, table
from ferryman.supervisors.simulation.self_test import self_test as hunt_all


def self_test(
    *,
    only: str | None = None,
    case: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
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
    story = Story(bug.scenario, load(bug.scenario)).only(steps)
    violations, digest, rows = replayed(bug, case, story.numbers or range(1, len(story.whole.step) + 1))
    for row in rows:
        print(row)
    print(f"{bug.name}: {case}: {'violated' if violations else 'ok'}, trace {digest}")
    for said in violations:
        print(f"  {said}")
    return EXIT_VIOLATED if violations else 0
