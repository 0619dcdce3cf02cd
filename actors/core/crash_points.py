"""Named places where a test or a simulation may end the world. Nothing happens there unless somebody installs a hook.

    crash_point("durable.append")            in the code: one global look-up and one comparison
    with crashing(hook): ...                 in a test: hook(name) is called at every point; what it raises, happens

| point              | in `durable`, what a crash just before it leaves behind                    |
|--------------------|----------------------------------------------------------------------------|
| durable.replay     | nothing: records are read, nobody has been answered                        |
| durable.decide     | a command taken from the mailbox and lost                                  |
| durable.append     | a decision that nobody knows of                                            |
| durable.evolve     | a record that the state does not show                                      |
| durable.reply      | a record and a state, an asker who does not know                           |
| durable.effects    | an asker who knows, debts that nobody works on                             |
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

DURABLE_POINTS = (
    "durable.replay",
    "durable.decide",
    "durable.append",
    "durable.evolve",
    "durable.reply",
    "durable.effects",
)

_hook: Callable[[str], None] | None = None


def crash_point(name: str) -> None:
    """Crash here if the installed hook says so."""
    if _hook is not None:
        _hook(name)


@contextmanager
def crashing(hook: Callable[[str], None]) -> Generator[None]:
    """Install a hook for the block. One at a time: the second would hide the first."""
    global _hook
    if _hook is not None:
        raise RuntimeError("a crash hook is installed already")
    _hook = hook
    try:
        yield
    finally:
        _hook = None
