"""One seed, one life of a small tree: prints the hash of all that happened in it. Run by the test beside it.

    python -m tests.simulation.core_trace SEED [POISON]

A poison is a source of chance that must show: "set" iterates a set of strings, "scheduler" leaves Trio's own shuffle
alone.
"""

from __future__ import annotations

import hashlib
import random
import sys
from contextlib import nullcontext

import trio
import trio.testing

from ferryman.actors.core.determinism import seeded_scheduler
from ferryman.actors.durable import Do
from ferryman.supervisors.spec import Backoff, ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.actors import Bang, outcome
from tests.fakes.memory_ledger import MemoryLedger
from tests.fakes.tickets import Printer, Sell, booth, command_id

NAMES = [f"actor {number}" for number in range(8)]


def live(seed: int, poison: str = "") -> str:
    trace: list[str] = []
    ledger, printer = MemoryLedger(), Printer()

    async def gossip(ctx):
        names = list(set(NAMES)) if poison == "set" else list(NAMES)
        async for envelope in ctx:
            trace.append(f"{trio.current_time():.6f} {ctx.path} {ctx.incarnation} {envelope.msg}")
            if ctx.rng.random() < 0.1:
                raise Bang
            await trio.sleep(ctx.rng.random() if ctx.rng.random() < 0.5 else 0)
            if envelope.msg:
                for name in (ctx.rng.choice(names), ctx.rng.choice(names)):
                    ctx.ref(f"/gossip/{name}").tell(envelope.msg - 1)

    async def buy(system, number):
        for _ in range(3):
            reply = await outcome(system.ref("/booth/tickets").ask(Do(command_id(number), Sell(f"buyer {number}"))))
            trace.append(f"{trio.current_time():.6f} buyer {number}: {reply}")

    async def main():
        gossips = [ChildSpec(name, gossip, backoff=Backoff(base_seconds=0.5)) for name in NAMES]
        root = Supervisor([
            ChildSpec("gossip", Supervisor(gossips, max_restarts=10**6)),
            ChildSpec("booth", booth(ledger, printer=printer, window=4)),
        ])  # fmt: skip
        events = open_system(root, rng=random.Random(seed), on_event=lambda event: trace.append(repr(event)))
        async with events as system:
            async with trio.open_nursery() as nursery:
                for number in range(8):
                    nursery.start_soon(buy, system, number)
                for name in NAMES:
                    system.ref(f"/gossip/{name}").tell(4)
                await trio.sleep(0.5)
                system.crash("/booth/tickets", Bang())
            await trio.sleep(60)
        trace.extend(map(str, printer.printed))
        trace.extend(map(str, ledger.events("tickets")))

    with seeded_scheduler(seed) if poison != "scheduler" else nullcontext():
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert len(trace) > 100
    return hashlib.sha256("\n".join(trace).encode()).hexdigest()


if __name__ == "__main__":
    print(live(int(sys.argv[1]), *sys.argv[2:]))
