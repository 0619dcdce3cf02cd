"""What a machine has of its world: the seed, the clock, the network, and ears for what happens on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ferryman.actors.simulated.network import MemoryNetwork
from ferryman.actors.simulated.ports import VirtualClock
from ferryman.supervisors.simulation.case import Spot
from ferryman.supervisors.simulation.scenario import Scenario
from ferryman.supervisors.simulation.trace import Trace


class Surroundings(Protocol):
    """What a machine has of its world."""

    seed: int | str
    scenario: Scenario
    trace: Trace
    clock: VirtualClock
    network: MemoryNetwork
    machines: dict[str, Any]
    history: list[object]
    crashes: list[str]
    reached: bool
    wants_images: bool
    images: dict[str, str]

    def note(self, what: object) -> None: ...
    def pass_operation(self, machine: Any) -> Spot | None: ...
    def plan(self, machine: Any) -> None: ...
    def recovered(self, machine: Any) -> None: ...
    def count_crash(self, machine: Any) -> None: ...
    def life_over(self, machine: Any) -> None: ...
    def disk_delay(self, seed: str) -> Callable[[], float] | None: ...
