"""What a script may name: steps, programs that machines run, and invariants. Registered, not hard-wired.

    @step("sell")                  class Sell(Step): buyer: str; async def run(self, world): ...
    @program("till")               def till(machine): return [ChildSpec("till", ...)]
    @invariant("no_double_sale")   def no_double_sale(world): yield "what is wrong", for each thing that is

A scenario that `uses` a Python file runs it first, and may name what that file registered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from importlib import import_module
from typing import Any, ClassVar, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from ferryman.protocol.errors import BadInput

T = TypeVar("T")


class Step(BaseModel):
    """One thing that happens. A field is a key of the script's `[[step]]`.

    again: a step that a crash interrupts is told again to the next life of its machine; False: its outcome stays
    unknown. program: what its machines have to run, "" for anything."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    again: ClassVar[bool] = True
    name: ClassVar[str] = ""
    program: ClassVar[str] = ""

    device: str = "a"

    @property
    def machines(self) -> tuple[str, ...]:
        """All that the step has to do with, by name."""
        return (self.device,)

    async def run(self, world: Any) -> None:
        """Do it. Waits for what the step promises, not for what follows from it."""
        raise TypeError(f"the step {self.name!r} says nothing of what it does: give it `async def run(self, world)`")


Check: TypeAlias = Callable[[Any], Iterator[str]]


class Register(dict[str, T]):
    """Named things of one kind. The product's own are loaded when the first is looked for: they import this page."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self._ours: list[str] = []

    def add(self, name: str, thing: T) -> None:
        """Raises BadInput for a name that is taken: the second would hide the first."""
        if name in self:
            raise BadInput(f"there is a {self.kind} {name!r} already: give yours another name")
        self[name] = thing
        if thing.__module__.startswith("ferryman."):
            self._ours.append(name)

    def find(self, name: str) -> T:
        """Raises BadInput with the nearest name."""
        if name not in self.all():
            raise BadInput(f"there is no {self.kind} {name!r}{meant(name, self.all())}")
        return self[name]

    def all(self) -> list[str]:
        """Every name, in the order in which they were registered."""
        import_module("ferryman.supervisors.simulation.everything")
        return list(self)

    def ours(self) -> tuple[str, ...]:
        """The product's own."""
        self.all()
        return tuple(self._ours)


def meant(name: str, known: list[str]) -> str:
    """A guess for a person, or all that there is."""
    near = get_close_matches(name, known, n=1)
    return f": did you mean {near[0]!r}?" if near else f": there are {', '.join(sorted(known))}"


STEPS: Register[type[Step]] = Register("step")
PROGRAMS: Register[Callable[[], Any]] = Register("program")
INVARIANTS: Register[Check] = Register("invariant")

S = TypeVar("S", bound=type[Step])
C = TypeVar("C", bound=Check)


def step(name: str) -> Callable[[S], S]:
    """Register a step under the name that scripts say after `do`."""

    def register(kind: S) -> S:
        kind.name = name
        STEPS.add(name, kind)
        return kind

    return register


def invariant(name: str) -> Callable[[C], C]:
    """Register a check: from the world at its end to a sentence for each thing that is wrong."""

    def register(check: C) -> C:
        INVARIANTS.add(name, check)
        return check

    return register
