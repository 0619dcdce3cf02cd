"""A relay's operator: backups, and what comes after the day on which one is needed.

| do        | what it does, and when it is over                                                          |
|-----------|--------------------------------------------------------------------------------------------|
| back-up   | a copy of the database, made while the relay runs                                          |
| restore   | the relay ends, the copy takes the database's place, and it starts as with `--restored`    |

After a restore cursors begin new incarnations, and the invariants let devices hear of a resync.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.relay import Relay
from ferryman.supervisors.relay_backup import copy_into
from ferryman.supervisors.simulation.history import Restored
from ferryman.supervisors.simulation.machine import Machine
from ferryman.supervisors.simulation.programs import DATABASE
from ferryman.supervisors.simulation.registry import Step, step
from ferryman.supervisors.simulation.service import serviced

BACKUP = Path("/backup.db")
DRAFT = Path("/.backup.db.draft")


@step("back-up")
class BackUp(Step):
    device: str = "relay"

    async def run(self, world: Any) -> None:
        machine: Machine = world.machine(self.device)

        async def copied(_: Relay) -> None:
            back_up(machine.disk)

        await machine.do(copied)


@step("restore")
class Restore(Step):
    again: ClassVar[bool] = False
    device: str = "relay"

    async def run(self, world: Any) -> None:
        machine: Machine = world.machine(self.device)
        machine.host["restored"] = True
        world.note(Restored(machine.name))
        await serviced(machine, lambda _, __: None, before=restore)
        await machine.up()


def back_up(disk: MemoryDisk) -> None:
    """As `relay_backup.back_up`, whose names are made by the system: a draft, synced, gets its name."""
    disk.remove(DRAFT)
    copy_into(disk, DATABASE, DRAFT)
    disk.write(BACKUP, disk.read(DRAFT))
    disk.remove(DRAFT)


def restore(machine: Machine) -> None:
    files = machine.disk.contents()
    backup = files.get(str(BACKUP))
    if backup is None:
        raise BadInput("restore: there is no backup: a step `back-up` comes before it")
    lost = (str(DATABASE), f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal")
    machine.replace_disk({**{name: data for name, data in files.items() if name not in lost}, str(DATABASE): backup})
