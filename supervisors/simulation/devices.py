"""A device of the world: the product's runtime, and a host application with storage of its own.

The host takes what comes, stores it under its blob ID, and says so; a script may have it wait, or lose what it did not
say it had. What it has stored outlives every crash of the machine; what it had only in its hands does not.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from ferryman.actors.ports import Ports
from ferryman.protocol.sync.errors import Closed
from ferryman.protocol.sync.events import BlobPushed, Connected, Error, HistoryFork, HistoryGap, ResyncRequired
from ferryman.supervisors.config import ControlConfig, KeysConfig, RuntimeConfig, SyncConfig
from ferryman.supervisors.runtime import Runtime, open_runtime
from ferryman.supervisors.simulation.history import Denied, Handed, Pushed, Taken, Told
from ferryman.supervisors.simulation.machine import Machine
from ferryman.supervisors.simulation.programs import Program, chance, listener
from ferryman.supervisors.simulation.registry import PROGRAMS
from ferryman.supervisors.simulation.room_traces import traces_of_rooms

HOME = Path("/home")


@dataclass
class Host:
    """stored: blob ID -> its data, in the order in which they came. sent: what enqueue() has returned for.

    group: the name of the device that made its group, once it is in one. earlier: what its group had sent by then.
    patience: how many blobs it still takes, None for all that come. losing: how many it gets and does not store.
    rooms: what it holds at the end of rooms that are gone."""

    stored: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    sent: list[bytes] = field(default_factory=list[bytes])
    enabled: bool = False
    group: str = ""
    earlier: list[bytes] = field(default_factory=list[bytes])
    patience: int | None = None
    losing: int = 0
    attempts: int = 0
    rooms: list[str] = field(default_factory=list[str])


class DeviceProgram(Program):
    def host(self, machine: Machine) -> Host:
        return Host()

    @asynccontextmanager
    async def open(self, machine: Machine, ports: Ports) -> AsyncGenerator[Runtime]:
        config = RuntimeConfig(
            home=HOME,
            keys=KeysConfig(passphrase=None, allow_plain=True, use_os_keychain=False),
            sync=SyncConfig(device_name=machine.name, direct_invites=True, log_level="error"),
            control=ControlConfig(enabled=False),
        )
        async with open_runtime(
            config, ports=ports, rng=chance(machine), on_event=listener(machine), wal_bytes=0
        ) as runtime:
            yield runtime

    def came_up(self, machine: Machine, process: Any) -> None:
        machine.start(lambda runtime: listen(machine, runtime))
        machine.start(lambda runtime: take_what_comes(machine, runtime))

    def heal(self, machine: Machine) -> None:
        machine.host.patience, machine.host.losing = None, 0

    async def look_inside(self, machine: Machine) -> None:
        if isinstance(machine.process, Runtime):  # what a real one holds in memory is its own; its files are judged
            machine.host.rooms = await traces_of_rooms(machine.process)

    def missing(self, machine: Machine) -> Iterator[str]:
        runtime: Runtime | None = machine.process
        host: Host = machine.host
        if runtime is None:
            yield f"{machine.name} is down"
            return
        if not host.enabled:
            return
        if not isinstance(runtime.sync.status(), Connected):
            yield f"{machine.name} is {type(runtime.sync.status()).__name__}"
        if (waiting := runtime.sync.outbox().count) > 0:
            yield f"{machine.name} has {waiting} blobs in its outbox"
        if host.patience is None:
            lacking = [data for data in due(machine) if data not in host.stored.values()]
            if lacking:
                yield f"{machine.name} lacks {len(lacking)} blobs, first {lacking[0][:24]!r}"


def sent_by_others(machine: Machine) -> Iterator[bytes]:
    """What enqueue() has returned for, on the other devices of its group."""
    for other in machine.world.machines.values():
        if isinstance(other.host, Host) and other is not machine and other.host.group == machine.host.group:
            yield from other.host.sent


def due(machine: Machine) -> Iterator[bytes]:
    """What it has to get: all that was sent since it is a member. The relay may be rid of what came before."""
    return (data for data in sent_by_others(machine) if data not in machine.host.earlier)


async def listen(machine: Machine, runtime: Runtime) -> None:
    async with runtime.sync.events() as events:
        async for event in events:
            match event:
                case BlobPushed(blob_id, cursor):
                    machine.world.note(Pushed(machine.name, blob_id, cursor, trio.current_time()))
                case Error(code, _) if code:
                    machine.world.note(Denied(machine.name, code))
                case HistoryGap() | HistoryFork() | ResyncRequired():
                    machine.world.note(Told(machine.name, event))
                case _:
                    pass


async def take_what_comes(machine: Machine, runtime: Runtime) -> None:
    """Until the runtime ends: a host that is in the middle of something then is told so."""
    with suppress(Closed):
        await take_all(machine, runtime)


async def take_all(machine: Machine, runtime: Runtime) -> None:
    host: Host = machine.host
    async for blob in runtime.sync.blobs():
        machine.world.note(Handed(machine.name, machine.life, blob.id, blob.cursor, blob.data, blob.sender))
        if host.losing:
            host.losing -= 1
            await trio.sleep_forever()  # it has it in its hands, until the crash
        while host.patience == 0:  # noqa: ASYNC110 - a script changes it, now and then
            await trio.sleep(0.1)
        if host.patience:
            host.patience -= 1
        host.stored[blob.id] = blob.data
        await blob.taken()
        machine.world.note(Taken(machine.name, machine.life, blob.id))


PROGRAMS["device"] = DeviceProgram
