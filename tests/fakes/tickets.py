"""A small machine with everything a machine can have: events, refusals of both kinds, a question, and debts.

| state       | command        | event                | reply                          | owed afterwards            |
|-------------|----------------|----------------------|--------------------------------|----------------------------|
| any room    | Sell(name)     | Sold(number, name)   | the ticket's number            | "print 1": Print(1, name)  |
| sold out    | Sell(name)     |                      | Refused SOLD_OUT               |                            |
| printed     | Printed(n)     | Handed(n)            | None                           | not any more               |
| any         | Rename(n, to)  | Renamed(n, to)       | None                           | the same id, a new effect  |
| any         | Complain()     |                      | Refused NO_COMPLAINTS, recorded|                            |
| any         | CountSold()    |                      | how many; not recorded         |                            |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import trio

from ferryman.actors.durable import durable
from ferryman.protocol.machine import Command, Decision, Refused
from ferryman.supervisors.spec import Backoff, ChildSpec, Supervisor
from tests.fakes.memory_ledger import MemoryLedger, ReprCodec


@dataclass(frozen=True, slots=True)
class Sell(Command[int]):
    name: str


@dataclass(frozen=True, slots=True)
class Printed(Command[None]):
    number: int


@dataclass(frozen=True, slots=True)
class Rename(Command[None]):
    number: int
    to: str


@dataclass(frozen=True, slots=True)
class Complain(Command[None]):
    pass


@dataclass(frozen=True, slots=True)
class CountSold(Command[int]):
    pass


@dataclass(frozen=True, slots=True)
class Sold:
    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Handed:
    number: int


@dataclass(frozen=True, slots=True)
class Renamed:
    number: int
    to: str


@dataclass(frozen=True, slots=True)
class Print:
    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Booth:
    sold: tuple[str, ...] = ()
    unprinted: Mapping[int, str] = field(default_factory=dict)


class Tickets:
    """`decided` counts decisions, to show that a repeat needs none."""

    name = "tickets"
    initial = Booth()

    def __init__(self, limit: int = 1000) -> None:
        self.limit = limit
        self.decided = 0

    def decide(self, state: Booth, command: Command[object]) -> Decision[object] | Refused:
        self.decided += 1
        match command:
            case Sell(name):
                number = len(state.sold) + 1
                if number > self.limit:
                    return Refused("SOLD_OUT")
                return Decision((Sold(number, name),), reply=number)
            case Printed(number):
                return Decision((Handed(number),)) if number in state.unprinted else Decision()
            case Rename(number, to):
                return Decision((Renamed(number, to),))
            case Complain():
                return Refused("NO_COMPLAINTS", record=True)
            case CountSold():
                return Decision(reply=len(state.sold))
            case _:
                raise AssertionError(command)

    def evolve(self, state: Booth, event: object) -> Booth:
        match event:
            case Sold(number, name):
                return Booth((*state.sold, name), {**state.unprinted, number: name})
            case Handed(number):
                return replace(state, unprinted={key: name for key, name in state.unprinted.items() if key != number})
            case Renamed(number, to):
                return replace(state, unprinted={**state.unprinted, number: to})
            case _:
                raise LookupError(f"a ticket booth knows no {event}")

    def owed(self, state: Booth) -> Mapping[str, object]:
        return {f"print {number}": Print(number, name) for number, name in state.unprinted.items()}


@dataclass
class Printer:
    """The world. `printed`: what came out, in order. While `jammed` nothing does."""

    printed: list[Print] = field(default_factory=list)
    begun: list[Print] = field(default_factory=list)
    dropped: list[Print] = field(default_factory=list)
    jammed: bool = False

    async def perform(self, _: object, debt_id: str, effect: object) -> Command[object] | None:
        assert isinstance(effect, Print)
        assert debt_id == f"print {effect.number}"
        self.begun.append(effect)
        try:
            if self.jammed:
                await trio.sleep_forever()
            await trio.lowlevel.checkpoint()
        except trio.Cancelled:
            self.dropped.append(effect)
            raise
        self.printed.append(effect)
        return Printed(effect.number)


def command_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


class Ids:
    """Ids for commands that come from effects: apart from those of callers."""

    def __init__(self) -> None:
        self.given = 1_000_000

    def __call__(self) -> bytes:
        self.given += 1
        return command_id(self.given)


def booth(ledger: MemoryLedger, machine: object = None, *, printer: Printer | None = None, **options) -> Supervisor:
    """A tree of one durable actor at /tickets, quick to restart."""
    body = durable(
        machine or Tickets(),
        "tickets",
        ledger,
        codec=ReprCodec,
        new_id=Ids(),
        perform=printer.perform if printer else None,
        **options,
    )
    return Supervisor([ChildSpec("tickets", body, backoff=Backoff(base_seconds=0))], max_restarts=10)
