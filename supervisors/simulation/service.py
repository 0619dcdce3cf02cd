"""What is done to a machine between two lives of its process: a backup, a restore, another version's files."""

from __future__ import annotations

from collections.abc import Callable

from ferryman.actors.ports import Ports
from ferryman.supervisors.simulation.machine import Machine


async def serviced(
    machine: Machine, chore: Callable[[Machine, Ports], None], *, before: Callable[[Machine], None] | None = None
) -> None:
    """Its process ends in order, the chore is done, and it starts again. A chore that a crash cuts short is begun anew
    before the next start. before: what is changed while it is down, with no crash."""
    await machine.up()
    if before is not None:
        machine.keep_down(True)
    machine.shut_down()
    machine.chores.append(chore)
    if before is not None:
        await machine.asleep()
        before(machine)
        machine.keep_down(False)
    while machine.chores:
        await machine.change()
    await machine.up()
