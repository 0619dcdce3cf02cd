"""What a supervisor finds in its mailbox.

| notice     | from              | what follows                                                           |
|------------|-------------------|------------------------------------------------------------------------|
| Exited     | a child           | a restart, an end, an escalation; nothing if that incarnation is stale |
| Due        | a backoff's timer | what was down comes back                                               |
| StartChild | anyone            | a new dynamic child, or the living one; answered when it is ready      |
| StopChild  | anyone            | the child is asked to stop; answered when it has ended                 |
"""

from __future__ import annotations

from contextvars import Context as Variables
from dataclasses import dataclass
from typing import Any

from ferryman.actors.core.address import Address
from ferryman.actors.core.context import Context
from ferryman.actors.core.messages import Ask, Notice
from ferryman.supervisors.node import Node
from ferryman.supervisors.spec import ChildSpec


@dataclass(frozen=True, slots=True)
class Exited(Notice):
    ctx: Context[Any]
    cause: BaseException | None


@dataclass(frozen=True, slots=True, eq=False)
class Due(Notice):
    """The timer of one child, or of the group. It counts only while it is the one that is waited for."""

    child: Node | None


@dataclass(frozen=True, slots=True)
class StartChild(Ask[Address]):
    spec: ChildSpec
    variables: Variables


@dataclass(frozen=True, slots=True)
class StopChild(Ask[None]):
    name: str
