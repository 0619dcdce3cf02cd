"""A booth that sells numbered tickets at two counters: durable actors with every habit that one can have.

| counter | hosted with                     | so that                                        |
|---------|---------------------------------|------------------------------------------------|
| window  | one command at a time           | append, evolve and reply follow each other     |
| gate    | eight at a time                 | commands overlap on their way to the disk      |

A ticket is owed to the printer until it is printed. Snapshots come every third record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

import trio

from ferryman.actors.core.context import Body, Context
from ferryman.actors.durable_edge import Look
from ferryman.actors.durable_stream import durable_stream
from ferryman.protocol.ledger.codec import recorded
from ferryman.protocol.machine import Command, DebtId, Decision, Effect
from ferryman.supervisors.simulation.asking import COMMAND_ID_BYTES, ask
from ferryman.supervisors.simulation.machine import Machine
from ferryman.supervisors.simulation.programs import TreeProgram
from ferryman.supervisors.simulation.registry import PROGRAMS, Step, invariant, step
from ferryman.supervisors.spec import ChildSpec

COUNTERS = {"window": 1, "gate": 8}
SNAPSHOT_EVERY = 3


@recorded("booth.sold/1")
@dataclass(frozen=True, slots=True)
class Sold(Command[int]):
    """The command, and the event that it leads to."""

    buyer: str


@recorded("booth.printed/1")
@dataclass(frozen=True, slots=True)
class Printed(Command[None]):
    number: int


@recorded("booth.tickets/1")
@dataclass(frozen=True, slots=True)
class Tickets:
    """buyers: of tickets 1, 2, 3. unprinted: number -> buyer."""

    buyers: tuple[str, ...] = ()
    unprinted: Mapping[int, str] = field(default_factory=dict[int, str])


class Booth:
    name, initial = "booth", Tickets()

    def decide(self, state: Tickets, command: Sold | Printed) -> Decision[Sold | Printed]:
        if isinstance(command, Printed):
            return Decision((command,) if command.number in state.unprinted else ())
        return Decision((command,), reply=len(state.buyers) + 1)

    def evolve(self, state: Tickets, event: Sold | Printed) -> Tickets:
        if isinstance(event, Printed):
            return Tickets(state.buyers, {n: buyer for n, buyer in state.unprinted.items() if n != event.number})
        buyers = (*state.buyers, event.buyer)
        return Tickets(buyers, {**state.unprinted, len(buyers): event.buyer})

    def owed(self, state: Tickets) -> Mapping[DebtId, Effect]:
        return {f"ticket {number}": buyer for number, buyer in state.unprinted.items()}


class BoothProgram(TreeProgram):
    """host: the printer's paper, (counter, number) -> [(buyer, which life)]: it outlives every crash."""

    def __init__(self) -> None:
        super().__init__(lambda machine: [ChildSpec(name, counter(machine, name)) for name in COUNTERS])

    async def look_inside(self, machine: Machine) -> None:
        for name in COUNTERS:
            machine.host[name] = await machine.process.ref(f"/{name}").ask(Look())


PROGRAMS["booth"] = BoothProgram


def counter(machine: Machine, name: str) -> Body:
    async def print_it(ctx: Context[Any], debt_id: DebtId, buyer: Effect) -> Printed:
        number = int(debt_id.removeprefix("ticket "))
        machine.host.setdefault((name, number), []).append((buyer, f"{machine.life}.{ctx.incarnation}"))
        await trio.sleep(0.01)
        return Printed(number)

    assert machine.ports is not None  # noqa: S101 - the program has opened
    return durable_stream(
        Booth(), name, machine.ports, perform=print_it, window=COUNTERS[name], snapshot_every=SNAPSHOT_EVERY
    )


def command_id(counter: str, buyer: str) -> bytes:
    return sha256(f"{counter} {buyer}".encode()).digest()[:COMMAND_ID_BYTES]


@step("sell-at-booth")
class Sell(Step):
    """`count` buyers ask for a ticket, `asks` times each: one after another, or at_once, `apart_seconds` apart.

    The same buyer has the same command id, after a crash and in a later step too."""

    counter: Literal["window", "gate"] = "window"
    buyer: str = "Ada"
    count: int = 1
    at_once: bool = False
    asks: int = 1
    apart_seconds: float = 0.0

    async def run(self, world: Any) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(1, self.count + 1):
                for _ in range(self.asks):
                    if self.at_once:
                        nursery.start_soon(self.ask, world, f"{self.buyer} {number}")
                        await trio.sleep(self.apart_seconds)
                    else:
                        await self.ask(world, f"{self.buyer} {number}")

    async def ask(self, world: Any, buyer: str) -> None:
        reply = await ask(world, self.device, f"/{self.counter}", command_id(self.counter, buyer), Sold(buyer))
        world.machine(self.device).host.setdefault("told", {})[self.counter, buyer] = reply


@invariant("tickets")
def tickets(world: Any) -> Iterator[str]:
    """Every buyer has one ticket, the number that he was told, and it is printed."""
    for machine in world.machines.values():
        if not isinstance(machine.program, BoothProgram):
            continue
        for name in COUNTERS:
            state: Tickets | None = machine.host.get(name)
            if state is None:
                continue
            told = {buyer: number for (at, buyer), number in machine.host.get("told", {}).items() if at == name}
            sold = {buyer: number for number, buyer in enumerate(state.buyers, 1)}
            if len(sold) != len(state.buyers):
                yield f"{name} sold to somebody twice: {', '.join(state.buyers)}"
            for buyer, number in told.items():
                if sold.get(buyer) != number:
                    yield f"{name} told {buyer} ticket {number}, and has {sold.get(buyer)} on record"
            for buyer in sold.keys() - told.keys():
                yield f"{name} sold to {buyer}, who never asked"
            for number, buyer in enumerate(state.buyers, 1):
                printed = machine.host.get((name, number), [])
                if not printed or any(each != buyer for each, _ in printed):
                    yield f"{name} sold ticket {number} to {buyer}, and printed it for {printed}"
                elif len(set(printed)) < len(printed):
                    yield f"{name} printed ticket {number} twice in one life"
