"""Ports of a world that one seed decides: no real clock, chance, socket, file or thread.

    ports = make_simulated_ports(seed="7 relay 1", network=shared, disk=MemoryDisk())

| port    | here                                                                     |
|---------|--------------------------------------------------------------------------|
| clock   | `EPOCH` plus Trio's time, which a MockClock drives; `jump` shifts it     |
| entropy | SHA-256 of seed and counter; every port drawn from one seed is the same  |
| threads | inline, with a checkpoint before and after; `hold` keeps work waiting,   |
|         | `delay` gives each piece of work its time, half before it and half after |
| human   | the answers of a script; with none left, silence until the question ends |
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

import trio
import trio.testing

from ferryman.actors.ports import Disk, Network, Ports
from ferryman.actors.real_ports import RandomIds
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.network import MemoryNetwork

T = TypeVar("T")

EPOCH = 1_790_000_000  # a day in 2026; any fixed one would do


class VirtualClock:
    """Wall time that follows Trio's. Outside a run it stands still at the epoch."""

    def __init__(self, epoch: int = EPOCH) -> None:
        self._epoch = epoch
        self._jumped = 0.0
        self._zero: float | None = None

    def now(self) -> int:
        return int(self._epoch + self._jumped + self._elapsed())

    def now_ms(self) -> int:
        return int((self._epoch + self._jumped + self._elapsed()) * 1000)

    def jump(self, seconds: float) -> None:
        """The wall clock is set, forwards or backwards; durations do not notice."""
        self._jumped += seconds

    def _elapsed(self) -> float:
        try:
            now = trio.current_time()
        except RuntimeError:
            return 0.0
        if isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock):
            return now
        if self._zero is None:  # Trio's own clock starts anywhere
            self._zero = now
        return now - self._zero


class SeededEntropy:
    def __init__(self, seed: int | str) -> None:
        self._seed = str(seed).encode()
        self._drawn = 0

    def random_bytes(self, count: int) -> bytes:
        drawn = b""
        while len(drawn) < count:
            drawn += hashlib.sha256(b"simulated entropy %s %d" % (self._seed, self._drawn)).digest()
            self._drawn += 1
        return drawn[:count]


class InlineThreads:
    """`hold` makes all work wait for `release`: a disk that takes its time, so that nothing gets on record."""

    _held: trio.Event | None = None

    def __init__(self, delay: Callable[[], float] | None = None) -> None:
        self._delay = delay

    def hold(self) -> None:
        self._held = trio.Event()

    def release(self) -> None:
        if self._held is not None:
            self._held.set()

    async def run(self, work: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        if self._held is not None:
            await self._held.wait()
        half = self._delay() / 2 if self._delay is not None else 0.0
        if half:
            await pause(half)
        done = work()
        await pause(half)
        return done


async def pause(seconds: float) -> None:
    """Begun work is waited for, its result is not lost: no cancel gets through."""
    if not seconds:
        await trio.lowlevel.cancel_shielded_checkpoint()
        return
    with trio.CancelScope(shield=True):
        await trio.sleep(seconds)


class ScriptedHuman:
    """Answers in turn: True, False, or None for somebody who has left the room."""

    def __init__(self, *answers: bool | None) -> None:
        self.asked: dict[bytes, str] = {}
        self._answers = list(answers)
        self._given: dict[bytes, bool | None] = {}

    async def approve(self, question: str, *, request_id: bytes) -> bool:
        self.asked[request_id] = question
        if request_id not in self._given:
            self._given[request_id] = self._answers.pop(0) if self._answers else None
        answer = self._given[request_id]
        if answer is None:
            await trio.sleep(60)
            return False
        await trio.lowlevel.checkpoint()
        return answer


def make_simulated_ports(
    seed: int | str,
    *,
    network: Network | None = None,
    disk: Disk | None = None,
    clock: VirtualClock | None = None,
    human: ScriptedHuman | None = None,
    threads: InlineThreads | None = None,
) -> Ports:
    """A port left out is new. Devices of one test share `network`; a restarted device keeps its `disk`.

    Two devices need two seeds, or they draw the same keys; so does a device's second life."""
    entropy = SeededEntropy(seed)
    return Ports(
        clock=clock or VirtualClock(),
        entropy=entropy,
        ids=RandomIds(entropy),
        network=network or MemoryNetwork(),
        disk=disk or MemoryDisk(),
        threads=threads or InlineThreads(),
        human=human or ScriptedHuman(),
    )
