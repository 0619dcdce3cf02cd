"""A scenario for real: real processes, real SIGKILL, real files, real sockets, real time. The same script and judges.

    with real_runs() as runs:                       before any thread starts: it forks the fork server
        swept = runs.sweep(scenario)                every case that can be done for real; `left_out` says which cannot
        outcome = runs.replay(scenario, case)

A run takes the time that it takes, most of it waiting: so several worlds live beside each other.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from ferryman.actors.real_ports import make_real_ports
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.simulation.case import ERRORS, IO, Case, Spot
from ferryman.supervisors.simulation.edges import IO_POINTS, remove
from ferryman.supervisors.simulation.ends import leaves, words
from ferryman.supervisors.simulation.fork_server import ForkServer, ServerGone, fork_server
from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.real_life import live
from ferryman.supervisors.simulation.real_world import CASE_SECONDS, RealWorld
from ferryman.supervisors.simulation.registry import PROGRAMS
from ferryman.supervisors.simulation.run import GIVEN_SEED, judge
from ferryman.supervisors.simulation.scenario import KILL, Scenario
from ferryman.supervisors.simulation.start import Start
from ferryman.supervisors.simulation.sweep import Sweep, spots
from ferryman.supervisors.simulation.world import StepFailed

WORLDS = 8  # at one time: they wait for back-offs, not for the processor
TRIES = 3  # of a crash that did not come

T = TypeVar("T")


@contextmanager
def real_runs(worlds: int | None = None) -> Generator[RealRuns]:
    """worlds: how many live at one time."""
    PROGRAMS.find("device")  # loads all that a life needs: the server forks it warm
    with fork_server(live) as server:
        yield RealRuns(server, worlds or WORLDS)


class RealRuns:
    def __init__(self, server: ForkServer, worlds: int) -> None:
        self._server = server
        self._worlds = worlds
        self._ports = make_real_ports()

    def sweep(self, scenario: Scenario, *, progress: Callable[[Sweep, int], None] | None = None) -> Sweep:
        """Without a crash, and with one at every spot. Raises BadInput. progress: what is known, and runs to go."""
        return self._watched(partial(self._sweep, scenario, progress or (lambda _, __: None)))

    def replay(self, scenario: Scenario, case: Case) -> Outcome:
        """One run, with all its rows. Raises BadInput."""
        refuse(case)

        async def once() -> Outcome:
            return missed(await self._run(scenario, case, await self._start(scenario)))

        return self._watched(once)

    def _watched(self, work: Callable[[], Awaitable[T]]) -> T:
        async def main() -> T:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._server.watch)
                done = await work()
                nursery.cancel_scope.cancel()
            return done

        try:
            return trio.run(main)
        except BaseExceptionGroup as group:
            for leaf in leaves(group):
                if isinstance(leaf, BadInput | KeyboardInterrupt):
                    raise leaf from None
            raise

    @asynccontextmanager
    async def _room(self) -> AsyncGenerator[Path]:
        """A folder for one world. It is removed beside the loop: a disk takes its time."""
        folder = self._server.new_room()
        try:
            yield folder
        finally:
            with trio.CancelScope(shield=True):
                await self._ports.threads.run(partial(remove, folder))

    async def _start(self, scenario: Scenario) -> Start | None:
        """What the given steps lead to, lived through for real."""
        if not scenario.given:
            return None
        async with self._room() as folder:
            world = RealWorld(
                scenario,
                Case(GIVEN_SEED),
                server=self._server,
                folder=folder,
                ports=self._ports,
                start=None,
            )
            start = await world.live(world.prepare)
        if world.violations or world.crashes:
            raise BadInput(f"given: {(world.violations + world.crashes)[0]}")
        return start

    async def _run(self, scenario: Scenario, case: Case, start: Start | None) -> Outcome:
        """Live through the scenario once. What goes wrong in the world is a violation."""
        async with self._room() as folder:
            world = RealWorld(scenario, case, server=self._server, folder=folder, ports=self._ports, start=start)
            violations: list[str] = []
            try:
                await world.live(world.tell)
            except trio.TooSlowError:
                violations.append(f"the run did not end within {CASE_SECONDS:.0f} s")
            except Exception as error:  # noqa: BLE001 - whatever ends a world is what the run found
                for leaf in leaves(error):
                    cause = leaf.__cause__ if isinstance(leaf, StepFailed) else leaf
                    if isinstance(cause, BadInput | ServerGone):
                        raise cause from None
                violations.append(f"the world ended: {words(error)}")
        return Outcome(
            case,
            tuple(violations or judge(world)),
            world.trace.hash,
            tuple(world.trace.rows),
            world.reached,
            world.passed,
            lives=world.lives,
        )

    async def _sweep(self, scenario: Scenario, progress: Callable[[Sweep, int], None]) -> Sweep:
        swept = Sweep()
        start = await self._start(scenario)
        cases: list[Case] = []
        for seed in scenario.seeds:
            quiet = await self._run(scenario, Case(seed), start)
            swept.count_quiet(scenario, quiet)
            if quiet.ok:
                cases += [Case(seed, spot, KILL) for spot in real_spots(scenario, quiet.passed)]
        if not cases and not swept.failures and (scenario.crash.points or scenario.crash.every_io):
            raise BadInput("crash: nothing to crash for real: no point is passed and nothing is written")
        for case in cases:
            swept.enter_row(case)
        outcomes: list[Outcome] = []
        room = trio.CapacityLimiter(self._worlds)

        async def one(case: Case) -> None:
            async with room:
                outcome = await self._try(scenario, case, start)
            outcomes.append(outcome)
            swept.count(outcome)
            progress(swept, len(cases) - len(outcomes))

        async with trio.open_nursery() as nursery:
            for case in cases:
                nursery.start_soon(one, case)
        for outcome in never_reached(outcomes):
            swept.fail(missed(outcome))
        return swept

    async def _try(self, scenario: Scenario, case: Case, start: Start | None) -> Outcome:
        """Real time passes a point one time more or less: a crash that did not come may come the next time."""
        for _ in range(TRIES - 1):
            outcome = await self._run(scenario, case, start)
            if outcome.reached or not outcome.ok:
                return outcome
        return await self._run(scenario, case, start)


def missed(outcome: Outcome) -> Outcome:
    """A crash that was asked for and did not come is no pass."""
    if outcome.reached or outcome.case.spot is None or not outcome.ok:
        return outcome
    return replace(outcome, violations=(f"{outcome.case.spot} is never reached: the crash did not happen",))


def never_reached(outcomes: Sequence[Outcome]) -> Iterator[Outcome]:
    """Of each line of the matrix on which no process was killed, one run."""
    lines: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.case.spot is not None:
            lines.setdefault(outcome.case.spot.row, []).append(outcome)
    for runs in lines.values():
        if not any(run.reached or not run.ok for run in runs):
            yield runs[0]


def real_spots(scenario: Scenario, passed: Mapping[tuple[str, str], int]) -> Iterator[Spot]:
    """The named points, and of the operations of a disk those that can be crashed before."""
    crash = scenario.crash
    by_name = scenario.model_copy(update={"crash": crash.model_copy(update={"every_io": False, "errors": ()})})
    yield from spots(by_name, {place: count for place, count in passed.items() if place[1] not in IO_POINTS})
    for (machine, point), count in passed.items():
        if crash.every_io and point in IO_POINTS and machine in (crash.machines or scenario.world):
            yield from (Spot(machine, point, number) for number in range(1, count + 1))


def refuse(case: Case) -> None:
    """Raises BadInput for a case that cannot be done for real."""
    if case.spot is None:
        return
    if case.spot.point == IO or case.spot.point in ERRORS or case.spot.after:
        raise BadInput(
            f"--case {case}: a real disk is not stopped at its {case.spot.number}. operation: name a point, or one of"
            f" {', '.join(IO_POINTS)}; or leave out --real"
        )
    if case.policy != KILL or case.nested:
        raise BadInput(f"--case {case}: for real there is only SIGKILL: write {Case(case.seed, case.spot, KILL)}")


def left_out(scenario: Scenario) -> Iterator[str]:
    """What the script asks for and a real run does not do, a sentence each."""
    others = [policy for policy in scenario.policies if policy != KILL]
    if others:
        yield f"policies {', '.join(others)}: nobody takes the power from a real disk; every crash is SIGKILL"
    if scenario.crash.every_io:
        yield f"every_io: of a real disk's operations, only before each of {', '.join(IO_POINTS)}"
    if scenario.crash.errors:
        yield f"errors {', '.join(scenario.crash.errors)}: a real disk does not fail when it is told to"
    if any(scenario.nested):
        yield "nested: a recovery is not crashed again"
    if scenario.weather != type(scenario.weather)():
        yield "weather: network and disk take the time that they take"
    for number, one in enumerate(scenario.step, 1):
        if one["do"] == "crash" and one.get("policy", "drop") != KILL:
            yield f"step {number}: the crash is SIGKILL"
