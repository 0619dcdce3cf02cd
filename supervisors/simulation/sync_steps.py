"""The steps of sync.

| do                                | what it does, and when it is over                                          |
|-----------------------------------|----------------------------------------------------------------------------|
| enable                            | the device makes a group at the relay, or goes on with its own             |
| disable                           | it leaves the relay, until it is enabled again                             |
| join (from)                       | it joins the group of `from`, by a short code                              |
| enqueue (count, size)             | so many blobs of its own; each is on its disk                              |
| push (count, size)                | the same, each acknowledged by the relay, or pending                       |
| pull (after, limit)               | a page from the relay                                                      |
| ack                               | what its host took is acknowledged to the relay                            |
| host-takes (count)                | its host takes so many blobs and no more, until another step or the end    |
| host-loses (count)                | its host gets so many, stores none of them, and the process is killed      |
| wait (seconds), settle            | time goes by; or until nobody has anything left to do                      |

What goes wrong is on the page of its own: fault_steps.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, ClassVar

import trio
from pydantic import Field

from ferryman.protocol.errors import AppError
from ferryman.protocol.sync.errors import AlreadyJoined, InviteRefused, Pending
from ferryman.supervisors.blobs import Invite
from ferryman.supervisors.runtime import Runtime
from ferryman.supervisors.simulation.devices import sent_by_others
from ferryman.supervisors.simulation.history import Enqueued, Pulled
from ferryman.supervisors.simulation.machine import Machine
from ferryman.supervisors.simulation.programs import RELAY_URL
from ferryman.supervisors.simulation.registry import Step, step
from ferryman.supervisors.simulation.scenario import KILL

Count = Annotated[int, Field(ge=1, le=10_000)]
Size = Annotated[int, Field(ge=1, le=900_000)]
AGAIN_SECONDS = 1.0
ACK_SECONDS = 3.0


class DeviceStep(Step):
    """A step that a device's host does. What is retryable is tried until the world's patience ends."""

    program: ClassVar[str] = "device"

    async def run(self, world: Any) -> None:
        machine: Machine = world.machine(self.device)
        while True:
            try:
                await machine.do(lambda runtime: self.act(world, machine, runtime))
            except AppError as error:
                if not error.retryable:
                    raise
                await trio.sleep(AGAIN_SECONDS)
                continue
            return

    @abstractmethod
    async def act(self, world: Any, machine: Machine, runtime: Runtime) -> None: ...


@step("enable")
class Enable(DeviceStep):
    async def act(self, world: Any, machine: Machine, runtime: Runtime) -> None:
        await runtime.sync.enable(RELAY_URL)
        machine.host.enabled, machine.host.group = True, machine.host.group or machine.name


@step("disable")
class Disable(DeviceStep):
    async def act(self, world: Any, machine: Machine, runtime: Runtime) -> None:
        machine.host.enabled = False
        await runtime.sync.disable()


@step("join")
class Join(Step):
    """`from` makes the invite, `device` reads it. A code that a crash has spent is asked for anew."""

    program: ClassVar[str] = "device"

    creator: Annotated[str, Field(alias="from")] = "a"

    @property
    def machines(self) -> tuple[str, ...]:
        return (self.creator, self.device)

    async def run(self, world: Any) -> None:
        creator: Machine = world.machine(self.creator)
        joiner: Machine = world.machine(self.device)
        while True:
            try:
                invite = await creator.do(invite_one)
                await joiner.do(partial(become_member, invite.short_code))
            except AppError as error:
                if not (error.retryable or isinstance(error, InviteRefused)):
                    raise
                await trio.sleep(AGAIN_SECONDS)
                continue
            joiner.host.enabled, joiner.host.group = True, creator.host.group
            joiner.host.earlier = list(sent_by_others(joiner))
            return


async def invite_one(runtime: Runtime) -> Invite:
    return await runtime.sync.create_invite()


async def become_member(code: str, runtime: Runtime) -> None:
    try:
        await runtime.sync.join_invite(code, RELAY_URL)
    except AlreadyJoined:
        return  # the life before had recorded it


class Sending(DeviceStep):
    count: Count = 1
    size: Size = 40

    async def act(self, world: Any, machine: Machine, runtime: Runtime) -> None:
        host = machine.host
        for _ in range(self.count):
            host.attempts += 1
            data = b"%s %d " % (machine.name.encode(), host.attempts)
            data += b"." * (self.size - len(data))
            began = trio.current_time()
            blob_id = await self.send(runtime, data)
            host.sent.append(data)
            world.note(Enqueued(machine.name, blob_id, data, began, trio.current_time()))

    @abstractmethod
    async def send(self, runtime: Runtime, data: bytes) -> bytes: ...


@step("enqueue")
class Enqueue(Sending):
    async def send(self, runtime: Runtime, data: bytes) -> bytes:
        return await runtime.sync.enqueue(data)


@step("push")
class Push(Sending):
    async def send(self, runtime: Runtime, data: bytes) -> bytes:
        try:
            return (await runtime.sync.push(data)).blob_id
        except Pending as pending:
            return pending.blob_id


@step("pull")
class Pull(DeviceStep):
    after: int = 0
    limit: int = 100

    async def act(self, world: Any, machine: Machine, runtime: Runtime) -> None:
        began = trio.current_time()
        page = await runtime.sync.pull(self.after, self.limit, own=True)
        entries = tuple((blob.cursor, blob.id) for blob in page.blobs)
        world.note(Pulled(machine.name, self.after, entries, page.has_more, began, trio.current_time()))


@step("ack")
class Ack(DeviceStep):
    async def act(self, world: Any, machine: Machine, runtime: Runtime) -> None:
        await trio.sleep(ACK_SECONDS)  # a client sends what was taken within a second


async def until(over: Callable[[], bool]) -> None:
    """Look every tenth of a second, for ten."""
    for _ in range(100):
        if over():
            return
        await trio.sleep(0.1)


@step("host-takes")
class HostTakes(DeviceStep):
    count: Annotated[int, Field(ge=0)] = 1

    async def act(self, world: Any, machine: Machine, runtime: Runtime) -> None:
        machine.host.patience = self.count
        await until(lambda: not machine.host.patience)


@step("host-loses")
class HostLoses(Step):
    again: ClassVar[bool] = False
    program: ClassVar[str] = "device"
    count: Count = 1

    async def run(self, world: Any) -> None:
        machine: Machine = world.machine(self.device)
        machine.host.losing = 1
        await until(lambda: not machine.host.losing)
        machine.host.losing = 0
        if not machine.crashed:
            machine.crash(KILL)
        await machine.up()


@step("wait")
class Wait(Step):
    seconds: Annotated[float, Field(gt=0, le=100_000_000)] = 1.0

    async def run(self, world: Any) -> None:
        await trio.sleep(self.seconds)


@step("settle")
class Settle(Step):
    async def run(self, world: Any) -> None:
        await world.settle("settle")
