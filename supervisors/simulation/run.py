"""One run of one case: a world is made, told its story, and judged.

run_case(scenario, parse_case("relay:buffer.commit#1/drop/0")) -> Outcome
"""

from __future__ import annotations

import gc
import logging
import signal
import sys
import warnings
from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager
from traceback import extract_tb
from types import FrameType
from typing import TypeVar

import trio
from trio.testing import MockClock

from ferryman.actors.core.crash_points import crashing
from ferryman.actors.core.determinism import seeded_scheduler
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.simulation.case import Case
from ferryman.supervisors.simulation.ends import leaves, words
from ferryman.supervisors.simulation.guards import guarded
from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.registry import INVARIANTS
from ferryman.supervisors.simulation.scenario import Scenario
from ferryman.supervisors.simulation.start import Start
from ferryman.supervisors.simulation.trace import Trace
from ferryman.supervisors.simulation.twins import Known, Twin
from ferryman.supervisors.simulation.world import StepFailed, World

WATCHDOG_SECONDS = 60  # of the processor: a run that needs more hangs
BARK_SECONDS = 0.01
GIVEN_SEED = 0

T = TypeVar("T")


class Hung(BaseException):
    """The run does not come back to the scheduler."""


def run_case(
    scenario: Scenario, case: Case, *, keep: bool = False, every_step: bool = False, known: Known | None = None
) -> Outcome:
    """Live through the scenario once. Nothing is raised for what goes wrong in the world: it is a violation.

    known: of the runs before it: see twins.py."""
    trace = Trace(keep=keep, every_step=every_step)
    with ExitStack() as afterwards:
        outcome = tell(World(scenario, case, trace, start_of(scenario), known), afterwards)
        trace.scope = None
    return outcome


def tell(world: World, afterwards: ExitStack) -> Outcome:
    """The story of this world, and what is to be said of it. afterwards: what ends once the world is forgotten."""
    case, trace = world.case, world.trace
    violations: list[str] = []
    twin: Twin | None = None
    try:
        live(world.tell, world, case.seed)
    except BaseException as error:  # whatever ends a world is what the run found
        if any(isinstance(leaf, KeyboardInterrupt | SystemExit) for leaf in leaves(error)):
            raise
        twins = [leaf for leaf in leaves(error) if isinstance(leaf, Twin)]
        if twins:
            twin = twins[0]
        else:
            violations.append(f"the world ended: {words(error)}")
        if any(isinstance(leaf, Hung) for leaf in leaves(error)):
            afterwards.enter_context(silence())
    crash = world.twins.first if world.twins is not None else ""
    if twin is not None:
        return Outcome(
            case,
            () if twin.ok else ("as a run that is known",),
            trace.hash,
            tuple(trace.rows),
            world.reached,
            world.passed,
            world.images,
            twin=True,
            crash=crash,
        )
    if not violations:
        violations = judge(world)
    missed = case.spot is not None and not world.reached and not violations
    if missed:
        violations.append(f"{case.spot} is never reached: the crash did not happen")
    asleep = [f"{machine.name}:{one.point}" for machine in world.machines.values() for one in machine.ambushes.missed]
    if asleep and not violations:
        missed = True
        violations.append(f"crash-at: {', '.join(asleep)} is never reached: the crash did not happen")
    if world.twins is not None:
        world.twins.conclude(ok=not violations)
    lives = sum(machine.life for machine in world.machines.values())
    return Outcome(
        case,
        tuple(violations),
        trace.hash,
        tuple(trace.rows),
        world.reached,
        world.passed,
        world.images,
        world.recovery,
        crash=crash,
        lives=lives,
        steps=trace.steps,
        missed=missed,
    )


def live(story: Callable[[], Awaitable[T]], world: World, seed: int) -> T:
    """Run a story of this world, in virtual time, with everything out of reach that no seed decides."""

    async def main() -> T:
        trio.lowlevel.spawn_system_task(wake_watchdog, world.seconds_at_most + 1)
        with trio.move_on_after(world.seconds_at_most) as scope:
            world.trace.scope = scope
            return await story()
        raise Hung(f"{world.trace.steps:,} steps of tasks, {trio.current_time():,.0f} virtual seconds, and no end")

    logger = logging.getLogger("ferryman")
    silent, logger.disabled = logger.disabled, True
    clock = MockClock(autojump_threshold=0)  # before the guard: it looks at the real one, and follows nothing of it
    try:
        with seeded_scheduler(seed), guarded(), crashing(world.pass_point), watchdog():
            return trio.run(main, clock=clock, instruments=[world.trace])
    finally:
        logger.disabled = silent


@contextmanager
def silence() -> Generator[None]:
    """A scheduler that was stopped leaves tasks behind. They complain as they are collected; all is told already."""
    unraisable, sys.unraisablehook = sys.unraisablehook, str
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
            while gc.collect():  # what is collected runs its clean-up, and that leaves something too
                pass
    finally:
        sys.unraisablehook = unraisable


async def wake_watchdog(seconds: float) -> None:
    """All time is over, and somebody still waits for what cannot be cancelled: nothing will ever happen again."""
    await trio.sleep(seconds)
    signal.setitimer(signal.ITIMER_REAL, BARK_SECONDS)  # not at once: a task is no place to end a world from


_starts: dict[str, Start] = {}


def start_of(scenario: Scenario) -> Start | None:
    """What the given steps lead to: lived through once a process, under one seed. Raises BadInput when they fail."""
    if not scenario.given:
        return None
    key = repr((scenario.given, scenario.world, scenario.weather, scenario.uses))
    if key not in _starts:
        world = World(scenario, Case(GIVEN_SEED), Trace())
        failed: list[BaseException] = []
        try:
            _starts[key] = live(world.prepare, world, GIVEN_SEED)
        except* StepFailed as group:
            failed = leaves(group)
        if failed:  # not raised in the clause: that would make a group of it
            raise BadInput(f"given: {failed[0]}") from failed[0]
        if world.violations or world.crashes:
            raise BadInput(f"given: {(world.violations + world.crashes)[0]}")
    return _starts[key]


def judge(world: World) -> list[str]:
    """What every invariant has to say."""
    wanted = world.scenario.expect.invariants
    names = INVARIANTS.ours() if wanted is None else wanted
    return [f"{name}: {said}" for name in names for said in ask_check(name, world)]


def ask_check(name: str, world: World) -> Generator[str]:
    """A check may be anybody's: one that cannot be finished has found something, too."""
    try:
        yield from INVARIANTS.find(name)(world)
    except Exception as error:  # noqa: BLE001 - it is told of
        at = extract_tb(error.__traceback__)[-1]
        yield f"the check itself failed at {at.filename}:{at.lineno}: {words(error)}"


@contextmanager
def watchdog(seconds: float = WATCHDOG_SECONDS) -> Generator[None]:
    """A loop without a checkpoint is stopped where it stands. Only in the main thread, where signals arrive.

    It counts the processor's time, for a machine may have other things to do; and ten times as much of a clock's, for
    who waits for a lock takes none."""

    def bark(number: int, _: FrameType | None) -> None:
        if number == signal.SIGVTALRM:
            raise Hung(f"no return to the scheduler for {seconds:g} s")
        raise Hung("a wait for what never comes: nothing is left to happen, and a shield keeps it from being cancelled")

    timers = ((signal.SIGVTALRM, signal.ITIMER_VIRTUAL, seconds), (signal.SIGALRM, signal.ITIMER_REAL, seconds * 10))
    before = [(number, signal.signal(number, bark)) for number, _, _ in timers]
    try:
        for _, timer, wait in timers:
            signal.setitimer(timer, wait)
        yield
    finally:
        for _, timer, _ in timers:
            signal.setitimer(timer, 0)
        for number, was in before:
            signal.signal(number, was)
