"""One place in the tree: a cell, the spec it was made from, and its children. Places outlive what runs in them."""

from __future__ import annotations

from contextvars import Context as Variables
from dataclasses import dataclass
from typing import Any, Protocol

from ferryman.actors.core.address import House
from ferryman.actors.core.cell import Cell, State
from ferryman.actors.core.context import Body
from ferryman.actors.core.messages import Envelope
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.strategy import Window


class Registry(House, Protocol):
    """A house that knows its nodes by path, makes new ones, and counts."""

    nodes: dict[str, Node]

    def plant(self, path: str, spec: ChildSpec, variables: Variables, *, dynamic: bool = False) -> Node: ...
    def count_restart(self) -> None: ...
    def count_ended_alone(self) -> None: ...


class Branch(Protocol):
    """A running supervisor, as far as starting children goes."""

    def take_in(self, envelope: Envelope[Any]) -> None: ...


class Node(Cell):
    """`children` by name, in start order. `window` holds its own restarts; `dynamic`: came by `start_child`.

    `branch` is what takes new children in while a supervisor runs here.
    """

    __slots__ = ("branch", "children", "dynamic", "spec", "window")

    def __init__(
        self, house: House, path: str, spec: ChildSpec, body: Body, variables: Variables, *, dynamic: bool = False
    ) -> None:
        super().__init__(house, path, body, spec.capacity, spec.overflow, variables)
        self.spec = spec
        self.dynamic = dynamic
        self.children: dict[str, Node] = {}
        self.window: Window | None = None
        self.branch: Branch | None = None

    @property
    def supervisor(self) -> Supervisor | None:
        """The spec of its children, None for a leaf."""
        return self.spec.run if isinstance(self.spec.run, Supervisor) else None

    def child_path(self, name: str) -> str:
        return f"/{name}" if self.path == "/" else f"{self.path}/{name}"

    @property
    def name(self) -> str:
        return self.spec.name

    def ask_to_stop(self) -> None:
        """A leaf is halted and has its grace; a supervisor is cancelled: its children have theirs."""
        if self.current is not None:
            if self.supervisor is None:
                self.current.halt(self.spec.grace)
            else:
                self.current.kill()

    def end(self, reason: BaseException | None) -> None:
        """End for good, those below first."""
        for child in reversed(list(self.children.values())):
            if child.state != "ended":
                child.end(None)
        super().end(reason)

    def leave(self, nodes: dict[str, Node]) -> None:
        """Take this place and those below off the map, unless somebody else has the path by now."""
        for child in self.children.values():
            child.leave(nodes)
        if nodes.get(self.path) is self:
            del nodes[self.path]

    def seen(self) -> TreeNode:
        """A picture of this place and those below."""
        return TreeNode(
            path=self.path,
            kind="actor" if self.supervisor is None else self.supervisor.strategy,
            state=self.state,
            incarnation=self.incarnation,
            queued=len(self.mailbox.queue) + len(self.mailbox.writers),
            handled=self.mailbox.handled,
            restarts=self.restarts,
            children=tuple(child.seen() for child in self.children.values()),
        )


@dataclass(frozen=True, slots=True)
class TreeNode:
    """What `system.tree()` shows of one place. `kind` is "actor", or a supervisor's strategy."""

    path: str
    kind: str
    state: State
    incarnation: int
    queued: int
    handled: int
    restarts: int
    children: tuple[TreeNode, ...] = ()

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, indent: str = "") -> list[str]:
        """This place and those below, a line each."""
        line = (
            f"{indent}{self.path.rsplit('/', 1)[-1] or '/'}  {self.kind}, {self.state}, incarnation {self.incarnation},"
            f" {self.queued} queued, {self.handled} handled, {self.restarts} restarts"
        )
        return [line, *(below for child in self.children for below in child.lines(indent + "  "))]
