"""Where the runs of a scenario begin: what its given steps left on the machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Start:
    """What worlds of a scenario begin with: files and host of each machine, and what was seen on the way there."""

    machines: Mapping[str, tuple[Mapping[str, bytes], Any]]
    history: tuple[object, ...]


def earlier(one: Any, seconds: float) -> object:
    """The same, so much before."""
    times = {name: getattr(one, name) - seconds for name in ("began", "ended", "at") if hasattr(one, name)}
    return replace(one, **times) if times else one
