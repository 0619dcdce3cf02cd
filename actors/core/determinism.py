"""The one place that reaches into Trio: the order in which it runs tasks that are ready, made to follow from a seed.

Trio shuffles the tasks of each round, on purpose, from a generator of its own. With the seed set, a run that draws all
else from ports is the same run again, in another process and under another PYTHONHASHSEED.

    with seeded_scheduler(7):
        trio.run(main, clock=MockClock(autojump_threshold=0))

Both names are private to Trio. They are looked for at import, and pyproject.toml pins the range in which they exist.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from random import Random
from typing import Any

import trio
from trio._core import _run  # pyright: ignore[reportPrivateUsage] - the seed has no public door (see above)

_FLAG = "_ALLOW_DETERMINISTIC_SCHEDULING"
_CHANCE = "_r"

_internals: Any = _run
if not isinstance(getattr(_internals, _FLAG, None), bool) or not isinstance(getattr(_internals, _CHANCE, None), Random):
    raise ImportError(f"trio {trio.__version__} has no seeded scheduler where 0.31 to 0.35 have it")


@contextmanager
def seeded_scheduler(seed: int) -> Generator[None]:
    """Every `trio.run` inside schedules by `seed`; afterwards Trio is as it was."""
    chance: Random = getattr(_internals, _CHANCE)
    flag, state = getattr(_internals, _FLAG), chance.getstate()
    setattr(_internals, _FLAG, True)
    chance.seed(seed)
    try:
        yield
    finally:
        setattr(_internals, _FLAG, flag)
        chance.setstate(state)


def throw_anew(seed: int | str) -> None:
    """From here on the order follows from this seed, whatever was drawn before. Inside `seeded_scheduler`."""
    getattr(_internals, _CHANCE).seed(seed)
