"""A world of real processes: the same story as a simulated one, told in the time that it takes.

files written --> machines start --> steps, and what follows from them --> healed --> settled --> files read back
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import trio

from ferryman.actors.ports import Ports
from ferryman.actors.simulated.ports import VirtualClock
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.simulation.case import Case
from ferryman.supervisors.simulation.fork_server import ForkServer
from ferryman.supervisors.simulation.machine import Machine
from ferryman.supervisors.simulation.real_machine import RealMachine
from ferryman.supervisors.simulation.registry import Step
from ferryman.supervisors.simulation.scenario import Scenario
from ferryman.supervisors.simulation.trace import Kind, Row, Trace
from ferryman.supervisors.simulation.world import Start, World

CASE_SECONDS = 120.0  # a run that needs more hangs
SETTLE_SECONDS = 60.0  # once the faults have stopped: a client that waits longest tries again after 30 s
LOOK_SECONDS = 0.1  # each look is a question to every process

T = TypeVar("T")


class RealTrace(Trace):
    """Seconds since the run began. No two real runs are one run: there is no hash to compare."""

    def __init__(self) -> None:
        super().__init__(keep=True)  # a run that failed is not to be had again
        self._zero = trio.current_time()

    def add(self, kind: Kind, what: str, machine: str = "", life: int = 0) -> None:
        self.count += 1
        self.rows.append(Row(round(trio.current_time() - self._zero, 6), machine, life, kind, what))

    @property
    def hash(self) -> str:
        return "of real time"


class RealClock(VirtualClock):
    def jump(self, seconds: float) -> None:
        raise BadInput(f"jump {seconds:g} s: the clock of a real machine is not set for a scenario: leave out --real")


class RealWorld(World):
    """listening: machine -> the port at which it really listens, while it does."""

    def __init__(
        self,
        scenario: Scenario,
        case: Case,
        *,
        server: ForkServer,
        folder: Path,
        ports: Ports,
        start: Start | None,
    ) -> None:
        self.server = server
        self.folder = folder
        self.ports = ports
        self.listening: dict[str, int] = {}
        self.real: list[RealMachine] = []
        super().__init__(scenario, case, RealTrace(), start)
        self.clock: VirtualClock = RealClock()

    def _machine(self, name: str, program: Any) -> Machine:
        machine = RealMachine(self, name, program)
        self.real.append(machine)
        return machine

    async def live(self, story: Callable[[], Awaitable[T]]) -> T:
        """Tell a story of this world. Afterwards no process of it is left, and its disks can be read.

        Raises TooSlowError."""
        for machine in self.real:
            machine.write_down()
        with trio.fail_after(CASE_SECONDS):
            async with trio.open_nursery() as nursery:
                for machine in self.real:
                    await nursery.start(machine.cable.carry)
                told = await story()
                nursery.cancel_scope.cancel()
        for machine in self.real:
            machine.read_back()
        return told

    @property
    def lives(self) -> int:
        return sum(machine.life for machine in self.real)

    async def settle(self, when: str) -> None:
        missing = ["nothing was looked at"]
        with trio.move_on_after(SETTLE_SECONDS):
            while missing:
                missing = [said for machine in self.real for said in await machine.missing(armed=self.armed)]
                if missing:
                    await trio.sleep(LOOK_SECONDS)
        if missing:
            self.violations.append(f"{when}: after {SETTLE_SECONDS:.0f} s without a fault: {'; '.join(missing)}")

    # --- crashes

    def arm(self) -> None:
        self.armed = True

    def disarm(self) -> None:
        """Each process hears of it with the next look, which is before anything else."""
        self.armed = False

    async def _take_all(self, steps: list[Step]) -> None:
        for machine in self.real:
            await machine.arm(self.crash_of(machine))
        await super()._take_all(steps)

    def crash_of(self, machine: Machine) -> tuple[str, int] | None:
        """Where this life of it kills itself."""
        spot = self.case.spot
        if spot is None or not self.armed or self.reached or spot.machine != machine.name:
            return None
        return spot.point, spot.number - self.passed[machine.name, spot.point]

    def pass_real_point(self, machine: Machine, point: str) -> None:
        if self.armed:
            self.passed[machine.name, point] += 1
