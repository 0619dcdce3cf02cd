"""What the actor core costs, beside what Trio costs, in one run on one machine.

    python -m tests.benchmarks.bench_core            a table
    python -m tests.benchmarks.bench_core --json     one JSON object a line: name, unit, runs, bar, better

| figure                  | against what                                                       | bar          |
|-------------------------|--------------------------------------------------------------------|--------------|
| send, tell              | the same number of messages through a memory channel of 1000        | 0.9, 4 times |
| ask                     | a question with a reply channel in it, through a memory channel     | 0.8 times    |
| restart to next answer  | from the message that crashes the actor to the answer after it     | 100 us       |
| replay                  | a durable actor over a ledger in memory, until its first answer    | 250,000 / s  |
| spawn                   | 10,000 children of one supervisor, each until it is ready; once as | 60 us, 6 kB  |
|                         | its spec, once each by a call of its own                           |              |

A ratio is taken between two measurements side by side: what slows the machine slows both.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import trio

from ferryman.actors.core.context import Context
from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.core.messages import Ask
from ferryman.actors.durable import Look, durable
from ferryman.protocol.ledger.record import Recorded
from ferryman.protocol.machine import Command, Decision, Refused
from ferryman.supervisors.spec import Backoff, ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.memory_ledger import MemoryLedger, ReprCodec

RUNS = 3
MESSAGES = 50_000
ASKS = 10_000
RESTARTS = 500
RECORDS = 100_000
ACTORS = 10_000
CAPACITY = 1000


@dataclass(frozen=True, slots=True)
class Get(Ask[int]):
    pass


@dataclass(frozen=True, slots=True)
class Crash:
    pass


async def count_up_to(ctx: Context[object]) -> None:
    """Counts what is told, answers with the count, crashes on demand."""
    count = 0
    async for envelope in ctx:
        match envelope.msg:
            case Get():
                envelope.reply(count)
            case Crash():
                raise RuntimeError("as told")
            case _:
                count += 1


counter = ChildSpec("counter", count_up_to, capacity=CAPACITY, backoff=Backoff(base_seconds=0))
one_counter = Supervisor([counter], max_restarts=10**9)


async def channel_seconds() -> float:
    """MESSAGES through a Trio memory channel."""
    sender, receiver = trio.open_memory_channel[object](CAPACITY)

    async def consume() -> None:
        async for _ in receiver:
            pass

    start = time.perf_counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(consume)
        async with sender:
            for number in range(MESSAGES):
                await sender.send(number)
    return time.perf_counter() - start


async def send_seconds() -> float:
    async with open_system(one_counter) as system:
        ref = system.ref("/counter")
        start = time.perf_counter()
        for number in range(MESSAGES):
            await ref.send(number)
        assert await ref.ask(Get()) == MESSAGES
        return time.perf_counter() - start


async def tell_seconds() -> float:
    async with open_system(one_counter) as system:
        ref = system.ref("/counter")
        start = time.perf_counter()
        for number in range(MESSAGES):
            if not number % CAPACITY:
                await trio.lowlevel.checkpoint()
                await trio.lowlevel.checkpoint()
                while system.tree().children[0].queued:
                    await trio.lowlevel.checkpoint()
            ref.tell(number)
        assert await ref.ask(Get()) == MESSAGES
        return time.perf_counter() - start


async def channel_ask_seconds() -> float:
    """A question that carries the channel for its answer: what one writes without actors."""
    sender, receiver = trio.open_memory_channel[trio.MemorySendChannel[int]](CAPACITY)

    async def answer() -> None:
        async for reply in receiver:
            await reply.send(1)

    start = time.perf_counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        async with sender:
            for _ in range(ASKS):
                reply, answered = trio.open_memory_channel[int](1)
                await sender.send(reply)
                await answered.receive()
    return time.perf_counter() - start


async def ask_seconds() -> float:
    async with open_system(one_counter) as system:
        ref = system.ref("/counter")
        start = time.perf_counter()
        for _ in range(ASKS):
            await ref.ask(Get())
        return time.perf_counter() - start


async def restart_microseconds() -> float:
    """The median of RESTARTS times from the fatal message to the answer of the next incarnation."""
    times: list[float] = []
    async with open_system(one_counter) as system:
        ref = system.ref("/counter")
        for _ in range(RESTARTS):
            start = time.perf_counter()
            ref.tell(Crash())
            await ref.ask(Get())
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


@dataclass(frozen=True, slots=True)
class Added:
    amount: int


class Sum:
    """The smallest machine that has a state."""

    name = "sum"
    initial = 0

    def decide(self, state: int, _: Command[int]) -> Decision[Added] | Refused:
        return Decision(events=(Added(1),), reply=state + 1)

    def evolve(self, state: int, event: Added) -> int:
        return state + event.amount

    def owed(self, _: int) -> Mapping[str, object]:
        return {}


async def replayed_per_second() -> float:
    ledger = MemoryLedger()
    ledger.streams["sum"] = [
        Recorded(number + 1, "sum", number + 1, number.to_bytes(16, "big"), bytes(32), (Added(1),), number + 1, 0)
        for number in range(RECORDS)
    ]
    body = durable(Sum(), "sum", ledger, codec=ReprCodec, new_id=lambda: bytes(16))
    gc.collect()
    start = time.perf_counter()
    async with open_system(Supervisor([ChildSpec("sum", body)])) as system:
        assert await system.ref("/sum").ask(Look()) == RECORDS
        return RECORDS / (time.perf_counter() - start)


async def wait_for_messages(ctx: Context[object]) -> None:
    async for _ in ctx:
        pass


async def tree_microseconds() -> float:
    """From the spec to a tree whose 10,000 children are all ready, one after the other."""
    root = Supervisor([ChildSpec(str(number), wait_for_messages) for number in range(ACTORS)])
    gc.collect()
    start = time.perf_counter()
    async with open_system(root):
        return (time.perf_counter() - start) / ACTORS * 1e6


async def spawn_microseconds() -> float:
    root = Supervisor([ChildSpec("many", Supervisor(dynamic=True))])
    specs = [ChildSpec(str(number), wait_for_messages) for number in range(ACTORS)]
    async with open_system(root) as system:
        gc.collect()
        start = time.perf_counter()
        for spec in specs:
            await system.start_child("/many", spec)
        return (time.perf_counter() - start) / ACTORS * 1e6


async def actor_kilobytes() -> float:
    root = Supervisor([ChildSpec("many", Supervisor(dynamic=True))])
    specs = [ChildSpec(str(number), wait_for_messages) for number in range(ACTORS)]
    async with open_system(root) as system:
        gc.collect()
        tracemalloc.start()
        for spec in specs:
            await system.start_child("/many", spec)
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return used / ACTORS / 1000


async def crash_point_nanoseconds() -> float:
    """With the loop that calls it taken off."""
    times = range(1_000_000)
    start = time.perf_counter()
    for _ in times:
        crash_point("durable.append")
    middle = time.perf_counter()
    for _ in times:
        pass
    return (middle - start - (time.perf_counter() - middle)) * 1000


async def ratio(ours: Callable[[], Awaitable[float]], theirs: Callable[[], Awaitable[float]]) -> float:
    return await theirs() / await ours()


async def send_ratio() -> float:
    return await ratio(send_seconds, channel_seconds)


async def tell_ratio() -> float:
    return await ratio(tell_seconds, channel_seconds)


async def ask_ratio() -> float:
    return await ratio(ask_seconds, channel_ask_seconds)


FIGURES: list[tuple[str, str, Callable[[], Awaitable[float]], float | None, str]] = [
    ("core: send against a memory channel", "times", send_ratio, 0.9, "higher"),
    ("core: tell against a memory channel", "times", tell_ratio, 4, "higher"),
    ("core: ask against a channel in a channel", "times", ask_ratio, 0.8, "higher"),
    ("core: restart to next answer, median", "us", restart_microseconds, 100, "lower"),
    ("durable: replay from memory", "records/s", replayed_per_second, 250_000, "higher"),
    ("core: a crash point that is off", "ns", crash_point_nanoseconds, None, "lower"),
    ("core: spawn in a tree, each of 10,000", "us", tree_microseconds, 60, "lower"),
    ("core: spawn with start_child, each of 10,000", "us", spawn_microseconds, 60, "lower"),
    ("core: memory, each of 10,000", "kB", actor_kilobytes, 6, "lower"),
]


def main(arguments: list[str]) -> None:
    for name, unit, measure, bar, better in FIGURES:
        runs = [round(trio.run(measure), 2) for _ in range(RUNS)]
        if "--json" in arguments:
            print(json.dumps({"name": name, "unit": unit, "runs": runs, "bar": bar, "better": better}), flush=True)
        else:
            least, middle, most = sorted(runs)
            verdict = ""
            if bar is not None:
                held = middle >= bar if better == "higher" else middle <= bar
                verdict = f"bar {bar:,} {'held' if held else 'MISSED'}"
            print(f"{name:<44} {least:>12,} {middle:>12,} {most:>12,} {unit:<10} {verdict}")


if __name__ == "__main__":
    main(sys.argv[1:])
