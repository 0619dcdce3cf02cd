"""The steps of what goes wrong, with any machine of any program.

| do                                | what it does                                                               |
|-----------------------------------|----------------------------------------------------------------------------|
| revoke-connection                 | all its connections are reset                                              |
| partition, heal                   | its cable is out, or in again                                              |
| stop-reading, go-on-reading       | it reads nothing from its connections, or does again                       |
| fill-disk, free-disk              | not a byte more fits on its disk, or there is room again                   |
| jump (seconds)                    | the wall clock of the world is set, forwards or backwards                  |
| crash (policy, down), restart     | its machine goes down: power, or kill -9                                   |
| crash-at (point, number, after,   | its machine will go down there: at the n-th passing of a crash point, before |
|   policy, maybe)                  | or after the n-th operation "io"; or that one fails, "EIO", "ENOSPC". Several |
|                                   | wait for one another: the second may be in the recovery from the first.      |
|                                   | maybe: it is no failure when it is never reached                             |
| shut-down                         | its process ends in order, and is started again                            |
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from ferryman.supervisors.simulation.ambush import Ambush
from ferryman.supervisors.simulation.case import IO
from ferryman.supervisors.simulation.machine import Machine
from ferryman.supervisors.simulation.registry import Step, step
from ferryman.supervisors.simulation.scenario import Policy


@step("revoke-connection")
class RevokeConnection(Step):
    async def run(self, world: Any) -> None:
        world.machine(self.device).endpoint.drop()


@step("partition")
class Partition(Step):
    async def run(self, world: Any) -> None:
        await world.machine(self.device).up()
        world.machine(self.device).endpoint.isolate(True)


@step("heal")
class Heal(Step):
    async def run(self, world: Any) -> None:
        world.machine(self.device).endpoint.isolate(False)


@step("stop-reading")
class StopReading(Step):
    async def run(self, world: Any) -> None:
        world.machine(self.device).endpoint.stall(True)


@step("go-on-reading")
class GoOnReading(Step):
    async def run(self, world: Any) -> None:
        world.machine(self.device).endpoint.stall(False)


@step("fill-disk")
class FillDisk(Step):
    async def run(self, world: Any) -> None:
        await world.machine(self.device).up()
        world.machine(self.device).fill_disk(True)


@step("free-disk")
class FreeDisk(Step):
    async def run(self, world: Any) -> None:
        world.machine(self.device).fill_disk(False)


@step("jump")
class Jump(Step):
    seconds: float

    async def run(self, world: Any) -> None:
        world.clock.jump(self.seconds)


@step("crash")
class CrashStep(Step):
    """down: it stays down until a `restart`."""

    again: ClassVar[bool] = False
    policy: Policy = "drop"
    down: bool = False

    async def run(self, world: Any) -> None:
        machine: Machine = world.machine(self.device)
        machine.keep_down(self.down)
        if machine.process is not None:
            machine.crash(self.policy)
        if not self.down:
            await machine.up()


@step("crash-at")
class CrashAt(Step):
    point: str = IO
    number: Annotated[int, Field(ge=1)] = 1
    after: bool = False
    policy: Policy = "drop"
    maybe: bool = False

    async def run(self, world: Any) -> None:
        world.machine(self.device).lay(Ambush(self.point, self.number, self.after, self.policy, self.maybe))


@step("restart")
class Restart(Step):
    async def run(self, world: Any) -> None:
        machine: Machine = world.machine(self.device)
        machine.keep_down(False)
        await machine.up()


@step("shut-down")
class ShutDown(Step):
    again: ClassVar[bool] = False

    async def run(self, world: Any) -> None:
        machine: Machine = world.machine(self.device)
        if machine.process is not None:
            machine.shut_down()
            await machine.down()
        await machine.up()
