"""What machines run: a relay, a device with a host, or a tree of durable actors above a ledger.

| a program says    | of its machine                                                                |
|-------------------|-------------------------------------------------------------------------------|
| open              | how its process begins and ends                                               |
| host              | what of it outlives every crash: the host application's own storage           |
| came_up           | what runs beside the process                                                  |
| missing           | what it still has to do; nothing, when it has settled                         |
| heal              | its part in the end of all faults                                             |
| look_inside       | what the checks want to know of it at the end, while it is up                 |
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any, TypeAlias, TypeVar

import trio

from ferryman.actors.core.events import Crashed as ActorCrash
from ferryman.actors.core.events import Event
from ferryman.actors.debts import DEBT
from ferryman.actors.keychain_file import FileKeychain
from ferryman.actors.ledger import ledger_body
from ferryman.actors.ports import Ports
from ferryman.actors.relay.buffer_messages import Census, Totals
from ferryman.supervisors.relay import Relay, open_relay
from ferryman.supervisors.relay_config import RelayConfig
from ferryman.supervisors.relay_log import make_log
from ferryman.supervisors.simulation.machine import Machine
from ferryman.supervisors.simulation.registry import PROGRAMS
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.system import System, open_system

HOST, PORT = "127.0.0.1", 8080
RELAY_URL = f"ws://{HOST}:{PORT}"
DATABASE = Path("/relay.db")
LEDGER = Path("/ledger.db")
KEYS = Path("/keys")
PLENTY = 1_000_000
RATES = (
    "messages_per_minute",
    "invite_posts_per_minute",
    "invite_gets_per_minute",
    "handshakes_per_minute",
)


Build: TypeAlias = Callable[[Any], Sequence[ChildSpec]]


class Program:
    """Nothing yet: the common silence."""

    def host(self, machine: Machine) -> Any:
        return None

    def came_up(self, machine: Machine, process: Any) -> None:
        pass

    def missing(self, machine: Machine) -> Iterator[str]:
        if machine.process is None:
            yield f"{machine.name} is down"

    def heal(self, machine: Machine) -> None:
        pass

    async def look_inside(self, machine: Machine) -> None:
        pass


def chance(machine: Machine) -> Random:
    return Random(f"{machine.world.seed} {machine.name} {machine.life} rng")


class RelayProgram(Program):
    """totals: what the relay's memory says it holds; rows: what its database says, at the end."""

    def __init__(self) -> None:
        self.totals: Totals | None = None

    def host(self, machine: Machine) -> dict[str, bool]:
        return {"restored": False}

    def came_up(self, machine: Machine, process: Any) -> None:
        machine.host["restored"] = False

    @asynccontextmanager
    async def open(self, machine: Machine, ports: Ports) -> AsyncGenerator[Relay]:
        config = RelayConfig.model_validate(
            {
                "server": {"bind": f"{HOST}:{PORT}"},
                "storage": {"database": str(DATABASE)},
                "limits": {
                    **dict.fromkeys(RATES, PLENTY),
                    "ingress_bytes_per_minute": 2**40,
                    "egress_bytes_per_minute": 2**40,
                },
            }
        )
        silent = make_log(ports.clock, level="error", stream=StringIO())
        heard, restored = listener(machine), machine.host["restored"]
        async with open_relay(
            config, ports, log=silent, rng=chance(machine), on_event=heard, wal_bytes=0, restored=restored
        ) as relay:
            yield relay

    async def look_inside(self, machine: Machine) -> None:
        self.totals = await machine.process.system.ref("/buffer").ask(Census())


class TreeProgram(Program):
    """Durable actors of somebody's own, above a ledger. Their process is the System."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._task: trio.lowlevel.Task | None = None

    def host(self, machine: Machine) -> dict[str, Any]:
        return {}

    @asynccontextmanager
    async def open(self, machine: Machine, ports: Ports) -> AsyncGenerator[System]:
        keychain = FileKeychain(machine.disk, KEYS, ports.entropy, None)
        self._task = trio.lowlevel.current_task()
        write = ledger_body(LEDGER, ports, keychain, wal_bytes=0)
        children: list[ChildSpec] = [ChildSpec("ledger", write, capacity=1_000), *self._build(machine)]
        root = Supervisor(children, strategy="rest_for_one", because="everything stands on what is recorded")
        async with open_system(root, rng=chance(machine), on_event=listener(machine)) as system:
            yield system

    def missing(self, machine: Machine) -> Iterator[str]:
        """Down, or at work on a debt. One whose work has ended without a report is the machine's own affair."""
        yield from super().missing(machine)
        if machine.process is not None and self._task is not None:
            debts = sorted(task.name for task in tasks_below(self._task) if DEBT in task.name)
            yield from (f"{machine.name} is not done: {name}" for name in debts)


def tasks_below(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            yield child
            yield from tasks_below(child)


def listener(machine: Machine) -> Any:
    """Every crash of an actor is in the trace; one that nothing has caused is a finding."""

    def told(event: Event) -> None:
        if machine.crashed:
            return
        machine.note("actor", f"{type(event).__name__} {event.path}")
        if isinstance(event, ActorCrash) and not machine.faulted:
            machine.world.crashes.append(f"{machine.name}{event.path}: {type(event.cause).__name__}: {event.cause}")

    return told


B = TypeVar("B", bound=Build)


def program(name: str) -> Callable[[B], B]:
    """Register what a machine may run: a function from the machine to the children of its tree, above a ledger."""

    def register(build: B) -> B:
        PROGRAMS.add(name, partial(TreeProgram, build))
        return build

    return register


PROGRAMS["relay"] = RelayProgram
