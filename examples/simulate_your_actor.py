"""A till of your own, crashed wherever it can be: ferryman sim run examples/scenarios/simulate_your_actor.toml"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ferryman import simulation as sim

Tickets = dict[int, str]  # number -> buyer, "" once it is printed


@sim.recorded("till.sold/1")
@dataclass(frozen=True)
class Sell(sim.Command[int]):  # the command, and the event that it leads to
    buyer: str


@sim.recorded("till.printed/1")
@dataclass(frozen=True)
class Printed(sim.Command[None]):
    number: int


class Till:
    name, initial = "till", Tickets()

    def decide(self, state: Tickets, command: Sell | Printed) -> sim.Decision[Sell | Printed]:
        return sim.Decision((command,), reply=len(state) + 1 if isinstance(command, Sell) else None)

    def evolve(self, state: Tickets, event: Sell | Printed) -> Tickets:
        return state | ({len(state) + 1: event.buyer} if isinstance(event, Sell) else {event.number: ""})

    def owed(self, state: Tickets) -> dict[str, int]:
        return {f"ticket {number}": number for number, buyer in state.items() if buyer}


@sim.program("till")
def till(machine: sim.Machine) -> list[sim.ChildSpec]:
    async def work(_: object, debt_id: str, number: Any) -> Printed:
        machine.host[debt_id] = number  # the printer outlives a crash, and knows by the debt's id what it has printed
        return Printed(number)

    return [sim.ChildSpec("till", sim.durable_stream(Till(), "till", machine.ports, perform=work, snapshot_every=0))]


@sim.step("sell")
class SellOne(sim.Step):
    buyer: str

    async def run(self, world: sim.World) -> None:
        await sim.ask(world, self.device, "/till", self.buyer.encode().ljust(16), Sell(self.buyer))


@sim.invariant("one_ticket_each")
def one_ticket_each(world: sim.World) -> Iterator[str]:
    sold = {one.command_id: one.reply for one in world.history if isinstance(one, sim.Replied)}
    printed = sorted(world.machine("till").host.values())
    if printed != list(range(1, len(sold) + 1)) or set(sold.values()) != set(printed):
        yield f"sold {list(sold.values())}, printed {printed}"
