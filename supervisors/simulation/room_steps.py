"""A device that is let in through a room made for it (wire §9), and what must hold of rooms at the end.

    join-room (from)   `from` makes an invite, `device` asks, and the people approve when both screens show one number

Neither of the two starts again from the beginning after a crash while the room of the life before goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, ClassVar

import trio
from pydantic import Field

from ferryman.actors.recorder import look
from ferryman.protocol.errors import AppError
from ferryman.protocol.sync.errors import AlreadyJoined, InviteRefused
from ferryman.protocol.sync.events import JoinRequested
from ferryman.protocol.sync.room_state import Comparing, Knocking, RoomsState, Showing
from ferryman.supervisors.blobs import Invite
from ferryman.supervisors.harbour import GROUP, ROOMS
from ferryman.supervisors.runtime import Runtime
from ferryman.supervisors.simulation.devices import Host, sent_by_others
from ferryman.supervisors.simulation.ends import Crashed
from ferryman.supervisors.simulation.machine import Machine
from ferryman.supervisors.simulation.programs import RELAY_URL
from ferryman.supervisors.simulation.registry import Step, invariant, step

AGAIN_SECONDS = 1.0
LOOK_SECONDS = 0.25  # between two looks of a person at the screens


@step("join-room")
class JoinRoom(Step):
    program: ClassVar[str] = "device"

    creator: Annotated[str, Field(alias="from")] = "a"

    @property
    def machines(self) -> tuple[str, ...]:
        return (self.creator, self.device)

    async def run(self, world: Any) -> None:
        creator: Machine = world.machine(self.creator)
        joiner: Machine = world.machine(self.device)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(compare, creator, joiner)
            while not await get_in(creator, joiner):  # noqa: ASYNC110 - a person tries again
                await trio.sleep(AGAIN_SECONDS)
            nursery.cancel_scope.cancel()
        joiner.host.enabled, joiner.host.group = True, creator.host.group
        joiner.host.earlier = list(sent_by_others(joiner))


async def get_in(creator: Machine, joiner: Machine) -> bool:
    """One try of the person at the new device. A room that is open already is gone on with."""
    try:
        room_id = await joiner.do(room_entered)
        if room_id is not None:
            await joiner.do(partial(wait_in, room_id))
            return True
        if await joiner.do(is_member):
            return True
        invite = await creator.do(open_room)
        await joiner.do(partial(ask_to_join, invite.short_code))
    except Crashed:
        return False
    except AppError as error:
        if not (error.retryable or isinstance(error, InviteRefused)):
            raise
        return False
    return True


async def compare(creator: Machine, joiner: Machine) -> None:
    """The two people: whoever is asked looks at the other screen."""
    while True:
        await trio.sleep(LOOK_SECONDS)
        try:
            number = await joiner.do(number_shown)
            if number is not None:
                await creator.do(partial(approve_if_equal, number))
        except Crashed:
            continue
        except AppError as error:
            if not (error.retryable or isinstance(error, InviteRefused)):
                raise


async def rooms_of(runtime: Runtime) -> RoomsState:
    return await look(runtime.system.ref(ROOMS))


async def is_member(runtime: Runtime) -> bool:
    return (await look(runtime.system.ref(GROUP))).member is not None


async def room_entered(runtime: Runtime) -> bytes | None:
    for room_id, stay in (await rooms_of(runtime)).stays.items():
        if isinstance(stay.phase, Knocking | Showing):
            return room_id
    return None


async def wait_in(room_id: bytes, runtime: Runtime) -> None:
    await runtime.sync.invitations.wait_inside(room_id)


async def open_room(runtime: Runtime) -> Invite:
    return await runtime.sync.invitations.open_room((await look(runtime.system.ref(GROUP))).member)


async def ask_to_join(code: str, runtime: Runtime) -> None:
    try:
        await runtime.sync.join_invite(code, RELAY_URL)
    except AlreadyJoined:
        return  # the life before had recorded it


async def number_shown(runtime: Runtime) -> str | None:
    phases = [stay.phase for stay in (await rooms_of(runtime)).stays.values()]
    return next((phase.sas for phase in phases if isinstance(phase, Showing)), None)


async def approve_if_equal(number: str, runtime: Runtime) -> None:
    for room_id, stay in (await rooms_of(runtime)).stays.items():
        match stay.phase:
            case Comparing(guest, sas) if sas == number:
                await runtime.sync.approve(JoinRequested(room_id, guest.device_id, guest.device_name, sas))
            case _:
                pass


@invariant("rooms")
def rooms(world: Any) -> Iterator[str]:
    for name, machine in world.machines.items():
        if isinstance(machine.host, Host):
            yield from (f"{name}: {one}" for one in machine.host.rooms)
