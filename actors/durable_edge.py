"""The edges of a durable actor: what it is told from above, and what it needs from below.

| above                  | answer                        | below        | for                                    |
|------------------------|-------------------------------|--------------|----------------------------------------|
| Do(command_id, command)| the reply, or Refused         | LedgerPort   | append, post, replay, snapshot         |
| Look()                 | the state as it is recorded   | Codec        | telling one command from another       |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ferryman.actors.core.messages import Ask
from ferryman.protocol.ledger.record import Append, AppendOutcome, Recorded
from ferryman.protocol.machine import Command, Refused

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Do(Ask[R | Refused], Generic[R]):
    """One command for a durable actor. Repeat it with the same id when the outcome is unknown: it happens once.

    command_id: 16 bytes. The answer is the decision's reply, or Refused: the machine's own refusals,
    COMMAND_MISMATCH (the id was used for another command), STORAGE_FULL, or the name of a conflict.
    """

    command_id: bytes
    command: Command[R]


@dataclass(frozen=True, slots=True)
class Look(Ask[Any]):
    """Asks for the machine's state as it is recorded. States are values: the answer does not change any more."""


class PendingAppend(Protocol):
    async def wait(self) -> AppendOutcome: ...


class LedgerPort(Protocol):
    """The ledger as a durable actor sees it. `ferryman.actors.ledger.LedgerClient` is the real one."""

    async def append(self, entry: Append) -> AppendOutcome:
        """Returns when the record is on the disk, or is refused."""
        ...

    async def post(self, entry: Append) -> PendingAppend:
        """Returns when the entry is in line; entries of one caller commit in the order in which they were posted."""
        ...

    async def snapshot(self, stream: str, expected_version: int, state: Any) -> AppendOutcome:
        """Record the state that so many records lead to. The next replay starts there."""
        ...

    async def replay(self, stream: str) -> list[Recorded]:
        """The records of a stream in order, from its last snapshot on.

        Every append that was put before is among them, or never will be: what an incarnation left under way cannot come
        after its successor's replay.
        """
        ...


class Codec(Protocol):
    """The part of `ferryman.protocol.ledger.codec` that is needed here; the module itself will do."""

    @property
    def command_hash(self) -> Callable[[Any], bytes]: ...
