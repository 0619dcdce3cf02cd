"""The one form of every state machine: decide, evolve, owed. Pure: time, chance, keys and ids arrive inside commands.

    decide(state, command) -> Decision | Refused      what would be recorded, and the reply
    evolve(state, event)   -> state                   facts only; reads every old event for ever
    owed(state)            -> {debt id: effect}       all that the world has still to see, deadlines too

`ferryman.actors.durable` hosts any of them: decide, record, evolve, reply, then what is owed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

R = TypeVar("R")
S = TypeVar("S")
C_contra = TypeVar("C_contra", contravariant=True)
E = TypeVar("E")

SQLValue: TypeAlias = int | float | str | bytes | None
DebtId: TypeAlias = str
Effect: TypeAlias = object


class Command(Generic[R]):
    """Base of a machine's commands; `class Enqueue(Command[BlobId])` types the reply to it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One SQL statement that follows from the events and commits with them. Only tables of the write surface pass."""

    sql: str
    parameters: tuple[SQLValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision(Generic[E]):
    """What a command leads to. Without events and rows nothing is recorded, unless `record` asks for it."""

    events: tuple[E, ...] = ()
    reply: object = None
    rows: tuple[Row, ...] = ()
    record: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A legal refusal: a reply, not an exception. `record` writes it down, so that a repeat gets the same answer."""

    code: str
    message: str = ""
    record: bool = False


class Machine(Protocol[S, C_contra, E]):
    """What `durable` hosts. `name` is the stream's kind, used in reports."""

    @property
    def name(self) -> str: ...
    @property
    def initial(self) -> S: ...
    def decide(self, state: S, command: C_contra) -> Decision[E] | Refused: ...
    def evolve(self, state: S, event: E) -> S: ...
    def owed(self, state: S) -> Mapping[DebtId, Effect]: ...
