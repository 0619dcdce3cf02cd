"""A book above a ledger: the smallest durable actor, for stories that are about the ledger itself.

    machines = { shop = "book" }          the program: a ledger, and an actor at /book that writes lines into it

| do                     | what it does, and when it is over                                                     |
|------------------------|---------------------------------------------------------------------------------------|
| write (count, size)    | so many lines, one after the other; the book has said the number of each              |
| compact                | the process ends, `ferryman ledger compact` runs, the process starts again            |
| migrate                | the process ends, its ledger is an older format's, and the next start migrates it     |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import Field

from ferryman.actors.durable_stream import durable_stream
from ferryman.actors.keychain_file import FileKeychain
from ferryman.actors.ledger_compact import compact
from ferryman.actors.ledger_file import Place, connect, executor, explained, pragma
from ferryman.actors.ledger_migrate import migrate
from ferryman.actors.ledger_open import inspect, lock, open_ledger
from ferryman.actors.ledger_segment import FORMAT
from ferryman.actors.ledger_store import LedgerStore
from ferryman.actors.ports import Ports
from ferryman.protocol.ledger.codec import recorded
from ferryman.protocol.machine import Command, Decision
from ferryman.supervisors.simulation.asking import COMMAND_ID_BYTES, ask
from ferryman.supervisors.simulation.history import Replied
from ferryman.supervisors.simulation.machine import Machine
from ferryman.supervisors.simulation.programs import KEYS, LEDGER, program
from ferryman.supervisors.simulation.registry import Step, invariant, step
from ferryman.supervisors.simulation.service import serviced
from ferryman.supervisors.spec import ChildSpec

BOOK = "book"
PATH = "/book"
OLDER = FORMAT - 1


@recorded("simulation.line/1")
@dataclass(frozen=True, slots=True)
class Line(Command[int]):
    """The command, and the event that it leads to. The reply is the line's number."""

    text: str


Lines: TypeAlias = tuple[str, ...]


class Book:
    name = BOOK
    initial: Lines = ()

    def decide(self, state: Lines, command: Line) -> Decision[Line]:
        return Decision((command,), reply=len(state) + 1)

    def evolve(self, state: Lines, event: Line) -> Lines:
        return (*state, event.text)

    def owed(self, state: Lines) -> dict[str, object]:
        return {}


@program(BOOK)
def book(machine: Machine) -> Sequence[ChildSpec]:
    assert machine.ports is not None  # noqa: S101 - a program is built within a life
    return [ChildSpec(BOOK, durable_stream(Book(), BOOK, machine.ports, snapshot_every=0))]


@step("write")
class Write(Step):
    count: Annotated[int, Field(ge=1, le=10_000)] = 1
    size: Annotated[int, Field(ge=1, le=100_000)] = 40

    async def run(self, world: Any) -> None:
        machine: Machine = world.machine(self.device)
        for _ in range(self.count):
            machine.host["asked"] = number = machine.host.get("asked", 0) + 1
            line = Line(f"line {number} ".ljust(self.size, "."))
            await ask(world, self.device, PATH, number.to_bytes(COMMAND_ID_BYTES, "big"), line)


@step("compact")
class Compact(Step):
    async def run(self, world: Any) -> None:
        await serviced(world.machine(self.device), compacted)


@step("migrate")
class Migrate(Step):
    async def run(self, world: Any) -> None:
        await serviced(world.machine(self.device), migrated, before=aged)


@invariant("book")
def lines_stand_where_they_were_said_to(world: Any) -> Iterator[str]:
    """Every line has the number that was given for it: none is lost, none came twice."""
    programs: dict[str, str] = world.scenario.world
    numbers: dict[str, list[int]] = {}
    for one in world.history:
        if isinstance(one, Replied) and isinstance(one.reply, int) and programs[one.machine] == BOOK:
            numbers.setdefault(one.machine, []).append(one.reply)
    for name, given in numbers.items():
        if given != list(range(1, len(given) + 1)):
            yield f"the lines of {name} were given the numbers {given}"


# --- what an operator does while the process is down


def place_of(machine: Machine, ports: Ports) -> Place:
    return Place(LEDGER, machine.disk, FileKeychain(machine.disk, KEYS, ports.entropy, None), ports.entropy)


def compacted(machine: Machine, ports: Ports) -> None:
    """As `ferryman ledger compact`."""
    place = place_of(machine, ports)
    opened = open_ledger(place, ports.clock.now(), create=False, wal_bytes=0)
    clean = False
    try:
        compact(place, opened, ports.clock.now())
        clean = True
    finally:
        opened.close(clean=clean)


def aged(machine: Machine) -> None:
    """Format 1 is the first that there is; the same file under a lower number is what an older one will look like."""
    disk = machine.disk.copy()
    with closing(disk.connect(LEDGER)) as connection:
        pragma(connection, "user_version", OLDER)
        pragma(connection, "wal_checkpoint", "truncate")
    machine.replace_disk(disk.contents())


def migrated(machine: Machine, ports: Ports) -> None:
    """As a start of the newer version: lock, check, migrate. Once it is done, nothing is left to do."""
    place = place_of(machine, ports)
    unlock = lock(place.disk, place.path)
    try:
        checked = inspect(place)
        if checked is None:
            return
        with explained(place.path), closing(connect(place.disk, place.path)) as connection:
            store = LedgerStore(connection, place.path, checked.segment, checked.keys, checked.head, place.entropy)
            migrate(place, connection, store, ports.clock.now(), migrations={OLDER: add_a_table})
            store.checkpoint(empty=True)
    finally:
        unlock()


def add_a_table(connection: Any) -> None:
    executor(connection)("CREATE TABLE newer (id INTEGER PRIMARY KEY) STRICT")
