"""The shape of a tree as data: what runs, under whom, and what follows from a crash.

    Supervisor([
        ChildSpec("ledger", ledger),
        ChildSpec("domains", Supervisor([...], because="no domain ends another")),
    ], strategy="rest_for_one", because="everything stands on the ledger")

| strategy     | who restarts with the crashed child      | restart   | comes back after          |
|--------------|------------------------------------------|-----------|---------------------------|
| one_for_one  | nobody                                   | permanent | a crash and a normal end  |
| rest_for_one | those that were started after it         | transient | a crash                   |
| one_for_all  | all its siblings                         | temporary | nothing                   |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ferryman.actors.core.context import Body
from ferryman.actors.core.mailbox import Overflow

Restart: TypeAlias = Literal["permanent", "transient", "temporary"]
Strategy: TypeAlias = Literal["one_for_one", "rest_for_one", "one_for_all"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a child stays down before its n-th restart in the window: the first at once, then longer and longer.

    delay(1) = first_seconds; delay(n) = base_seconds * factor ** (n - 2), at most most_seconds, give or take `jitter`
    of it. What the supervisor's window has forgotten, the delay has forgotten too.
    """

    first_seconds: float = 0.0
    base_seconds: float = 0.1
    factor: float = 2.0
    most_seconds: float = 30.0
    jitter: float = 0.2


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Keeps its children alive. Gives up (TooManyRestarts) at more than `max_restarts` within `within` seconds.

    because: the reason for the strategy, for whoever reads the tree.
    dynamic: children can be started later with `start_child`. Each of those has a budget of `max_restarts` of its own
    and, once it is spent, ends alone; a later `start_child` brings it back. Only one_for_one can be dynamic.
    """

    children: Sequence[ChildSpec] = ()
    strategy: Strategy = field(default="one_for_one", kw_only=True)
    because: str = field(default="", kw_only=True)
    max_restarts: int = field(default=3, kw_only=True)
    within: float = field(default=5.0, kw_only=True)
    dynamic: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        names = [child.name for child in self.children]
        if len(set(names)) != len(names):
            raise ValueError(f"two children of one supervisor have the same name: {names}")
        if self.dynamic and self.strategy != "one_for_one":
            raise ValueError("children that come and go cannot have an order: a dynamic supervisor is one_for_one")
        if self.max_restarts < 0 or self.within <= 0:
            raise ValueError("max_restarts counts from 0, within is longer than 0 s")


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child: a body, or a supervisor with children of its own.

    capacity: messages that its mailbox holds. overflow: what a `tell` does to a full one; "fail" is for the edge of the
    system only, where a host or a socket can be told. grace: seconds between being asked to stop and being cancelled; 0
    cancels at once. A supervisor is always cancelled at once, and waited for without limit: its children have their own
    grace.
    """

    name: str
    run: Body | Supervisor
    restart: Restart = field(default="permanent", kw_only=True)
    capacity: int = field(default=1000, kw_only=True)
    overflow: Overflow = field(default="drop_new", kw_only=True)
    grace: float = field(default=5.0, kw_only=True)
    backoff: Backoff = field(default=Backoff(), kw_only=True)

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name:
            raise ValueError(f"a name is one step of a path: {self.name!r}")
        if self.capacity < 1:
            raise ValueError("a mailbox holds at least one message")
