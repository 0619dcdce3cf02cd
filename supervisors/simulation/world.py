"""A world: machines on one network, under one wall clock, and the story that is told in it.

    machines start --> given --> steps, with the case's crash --> healed --> settled --> judged

Everything that chance decides is drawn from the case's seed; nothing here reads a clock or a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from random import Random
from traceback import extract_tb
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from ferryman.actors.core.determinism import throw_anew
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.network import MemoryNetwork
from ferryman.actors.simulated.ports import VirtualClock
from ferryman.protocol.errors import AppError
from ferryman.supervisors.simulation.case import ERRORS, IO, Case, Spot
from ferryman.supervisors.simulation.ends import Crashed
from ferryman.supervisors.simulation.machine import HERE, Machine, words
from ferryman.supervisors.simulation.registry import PROGRAMS, Step
from ferryman.supervisors.simulation.scenario import Scenario
from ferryman.supervisors.simulation.start import Start, earlier
from ferryman.supervisors.simulation.trace import Trace
from ferryman.supervisors.simulation.twins import Crashes, Known, seen

START_SECONDS = 60.0
UP_SECONDS = 600.0  # until a machine stays up that may live so many times
STEP_SECONDS = 600.0  # of virtual time, for one step with all its repetitions
FAULTS = ((IO, False), (IO, True), *((error, False) for error in ERRORS))  # that an operation of a disk can have
SETTLE_SECONDS = 900.0  # once the faults have stopped: more than any backoff and time-out together


class StepFailed(Exception):
    """A step cannot be done, whatever crashes: the script asks for what is not there, or the step has a bug."""


class World:
    """seed: of everything. history: what hosts saw, in order, for the checks."""

    def __init__(
        self, scenario: Scenario, case: Case, trace: Trace, start: Start | None = None, known: Known | None = None
    ) -> None:
        self.scenario = scenario
        self.case = case
        self.seed: int | str = case.seed
        self.trace = trace
        self.clock = VirtualClock()
        self.network = MemoryNetwork(delay=self._delay("network", scenario.weather.network_ms))
        self.machines: dict[str, Machine] = {}
        for name, program in scenario.world.items():
            self.machines[name] = self._machine(name, PROGRAMS.find(program)())
        self.history: list[object] = []
        if start is not None:
            self.history += start.history
            for name, (contents, host) in start.machines.items():
                self.machines[name].disk = MemoryDisk.holding(contents, seed=f"{self.seed} {name}")
                self.machines[name].host = deepcopy(host)
        self.reached = False  # the case's crash happened
        self.wants_images = case.spot is not None
        self.images: dict[str, str] = {}  # policy -> hash of the disk that it would leave of that crash
        self.recovery = 0  # how many operations of its disk the crashed machine needed until it was up again
        self.alone = len(self.machines) == 1  # see twins.py
        self.twins = None if known is None or case.spot is None or not self.alone else Crashes(known)
        self.armed = False  # the given steps are over
        self._counted: list[str] = []  # machines whose operations count: each until it crashes
        self.passed: Counter[tuple[str, str]] = Counter()  # (machine, point) since then
        self.steps_begun = 0
        self.violations: list[str] = []
        self.crashes: list[str] = []  # of actors, that no fault explains

    @property
    def seconds_at_most(self) -> float:
        """Virtual: each wait of the story has its own limit, so a longer one hangs in what it cannot cancel."""
        steps = len(self.scenario.prelude) + len(self.scenario.steps)
        return START_SECONDS + steps * STEP_SECONDS + len(self.machines) * UP_SECONDS + 4 * SETTLE_SECONDS

    # --- for steps

    def machine(self, name: str) -> Machine:
        return self.machines[name]

    def note(self, what: object) -> None:
        """Something that a host saw."""
        self.history.append(what)
        name = str(getattr(what, "device", getattr(what, "machine", "")))
        life = self.machines[name].life if name in self.machines else 0
        self.trace.add("saw", str(what).removeprefix(f"{name} "), name, life)

    def disk_delay(self, seed: str) -> Callable[[], float] | None:
        return self._delay(f"disk {seed}", self.scenario.weather.disk_ms)

    def _machine(self, name: str, program: Any) -> Machine:
        return Machine(self, name, program)

    def _delay(self, what: str, limits_ms: tuple[float, float]) -> Callable[[], float] | None:
        least, most = limits_ms
        if most <= 0:
            return None
        chance = Random(f"{self.seed} {what}")
        return lambda: chance.uniform(least, most) / 1000

    # --- the story

    async def tell(self) -> None:
        """Live through the scenario. What went wrong on the way is in `violations`."""
        scenario = self.scenario
        async with trio.open_nursery() as nursery:
            for machine in self.machines.values():
                nursery.start_soon(machine.run, name=machine.name)
            with trio.fail_after(START_SECONDS):
                for machine in self.machines.values():
                    await machine.up()
            await self.settle("start")
            self.arm()
            await self._take_all(scenario.steps)
            await self.heal()
            await self.settle("end")
            self.disarm()
            await self.heal()  # what crashed while the world settled
            await self.settle("end")
            for machine in self.machines.values():
                await machine.program.look_inside(machine)
            nursery.cancel_scope.cancel()

    async def prepare(self) -> Start:
        """Live through the given steps, without a fault; what the machines' disks and hosts hold then."""
        self.seed = "given"  # or a life after it would draw the same IDs again
        async with trio.open_nursery() as nursery:
            for machine in self.machines.values():
                nursery.start_soon(machine.run, name=machine.name)
            for step in self.scenario.prelude:
                await self.take(step)
            await self.settle("given")
            for machine in reversed(self.machines.values()):
                machine.keep_down(True)
                machine.shut_down()
                await machine.asleep()
            nursery.cancel_scope.cancel()
        now = trio.current_time()
        return Start(
            {name: (machine.disk.contents(), machine.host) for name, machine in self.machines.items()},
            tuple(earlier(one, now) for one in self.history),
        )

    async def _take_all(self, steps: list[Step]) -> None:
        if not self.scenario.together:
            for step in steps:
                await self.take(step)
            return
        hands: dict[str, list[Step]] = {}
        for step in steps:
            hands.setdefault(step.device, []).append(step)

        async def hand(own: list[Step]) -> None:
            for step in own:
                await self.take(step)

        async with trio.open_nursery() as nursery:
            for own in hands.values():
                nursery.start_soon(hand, own)

    async def take(self, step: Step) -> None:
        """One step; told again to the next life of its machine when a crash interrupts it."""
        self.trace.add("step", f"step {step.name}", step.device, self.machines[step.device].life)
        self.steps_begun += 1
        with trio.move_on_after(STEP_SECONDS):
            while True:
                try:
                    await step.run(self)
                except Crashed:
                    if step.again:
                        continue
                except Exception as error:  # a step may be anybody's: whatever it stumbles over, it is named
                    at = extract_tb(error.__traceback__)[-1]
                    where = "" if isinstance(error, AppError) else f" ({at.filename}:{at.lineno})"
                    raise StepFailed(f"{step.name} of {step.device}: {words(error)}{where}") from error
                return
        self.violations.append(f"the step {step.name} of {step.device} did not end within {STEP_SECONDS:.0f} s")

    async def heal(self) -> None:
        """No fault from here on: cables in, readers read, machines up."""
        for machine in self.machines.values():
            machine.keep_down(False)
        for machine in self.machines.values():
            await machine.up()
            machine.endpoint.isolate(False)
            machine.endpoint.stall(False)
            machine.fill_disk(False)
            machine.program.heal(machine)

    async def settle(self, when: str) -> None:
        """Wait until every machine has nothing left to do."""
        missing = ["nothing was looked at"]
        with trio.move_on_after(SETTLE_SECONDS):
            while missing:
                missing = [said for machine in self.machines.values() for said in machine.program.missing(machine)]
                if missing:
                    await trio.sleep(0.25)
            await wait_all_tasks_blocked()  # what follows by itself, at this very moment, belongs to it
        if missing:
            self.violations.append(f"{when}: after {SETTLE_SECONDS:.0f} s without a fault: {'; '.join(missing)}")

    # --- crashes

    def plan(self, machine: Machine) -> None:
        """A life begins: what will happen to its disk."""
        if self.alone:
            throw_anew(f"{self.seed} {machine.life}")
        if self.reached and machine.nested:
            number, machine.nested = machine.nested[0], machine.nested[1:]
            machine.disk.cut_at = machine.disk.operations + number
        else:
            machine.ambushes.arm(machine.disk)

    def life_over(self, machine: Machine) -> None:
        """A crash ends the count: what its disk did until then is where a case may crash it."""
        if machine.crashed and machine.name in self._counted:
            self._counted.remove(machine.name)

    def recovered(self, machine: Machine) -> None:
        """A machine is up: if the case had crashed it, that was its recovery."""
        if self.reached and not self.recovery and self.case.spot is not None and machine.name == self.case.spot.machine:
            self.recovery = machine.disk.operations

    def count_crash(self, machine: Machine) -> None:
        """A machine has gone down, and its next disk is known. Raises Twin."""
        if self.twins is None or not self.reached or self.violations or self.crashes or machine.ends:
            return
        told = {"history": self.history, "begun": self.steps_begun, "armed": self.armed, "seed": self.seed}
        time = {"time": trio.current_time(), "clock": self.clock.now_ms()}
        to_come = {"nested": machine.nested, "policy": machine.policy if any(self.scenario.nested) else ""}
        self.twins.add({"disk": machine.disk.image(), **told, **time, **to_come, **seen(machine)})

    def arm(self) -> None:
        """From here on points and operations are counted, and the case's crash waits for its own."""
        self.armed = True
        self._counted = list(self.machines)

    def disarm(self) -> None:
        self.armed = False
        for machine in self.machines.values():
            machine.ambushes.clear(machine.disk)

    def pass_point(self, name: str) -> None:
        """Called by every crash point in every process of the world."""
        machine = HERE.get()
        if machine is None:
            return
        machine.note("point", name)
        if not self.armed:
            return
        self.passed[machine.name, name] += 1
        if self._is_due(machine, Spot(machine.name, name, self.passed[machine.name, name])):
            self.reached = True
            machine.crash(self.case.policy)
            machine.disk.require_power()
        machine.pass_point(name)

    def pass_operation(self, machine: Machine) -> Spot | None:
        """A disk is about to do something: the case's fault, if it is this operation's."""
        if not self.armed or machine.name not in self._counted:
            return None
        self.passed[machine.name, IO] += 1
        number = self.passed[machine.name, IO]
        faults = (Spot(machine.name, point, number, after) for point, after in FAULTS)
        return next((spot for spot in faults if self._is_due(machine, spot)), None)

    def _is_due(self, machine: Machine, spot: Spot) -> bool:
        """Whether the case's fault comes now."""
        if self.reached or spot != self.case.spot:
            return False
        machine.policy, machine.nested = self.case.policy, self.case.nested
        return True
