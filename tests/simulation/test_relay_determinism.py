"""One seed, one run: relay and devices in memory give the same trace in every process, whatever PYTHONHASHSEED is."""

import hashlib
import os
import sys
from pathlib import Path

import trio
from trio.testing import MockClock

from ferryman.actors.core.determinism import seeded_scheduler
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.network import MemoryNetwork
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.protocol.relay.messages import Push
from tests.fakes.child import child
from tests.fakes.relay_load import LOST
from tests.fakes.relay_world import MEMORY_PATH, memory_relay
from tests.fakes.wire_client import blob_id

GROUP = b"a group that is one of bare IDs."
ROOT = Path(__file__).resolve().parents[2]


async def story(trace):
    """Three devices, one of them late, a crash in the middle; everything that anybody saw goes into the trace."""
    disk = MemoryDisk()
    ports = make_simulated_ports(7, network=MemoryNetwork(), disk=disk)
    async with memory_relay(ports) as world:

        async def device(name, start, count):
            await trio.sleep(start)
            left = list(range(count))
            while left:
                try:
                    async with world.client(name) as client:
                        await converse(client, name, start * 1000, left)
                except* LOST:
                    trace(name, trio.current_time(), "lost")

        async def converse(client, name, base, left):
            await client.hello(GROUP, inline=100)
            for number in list(left):
                await client.send(Push(blob_id(base + number), b"%d" % number * 20, 0))
                await trio.sleep(0.01)
            with trio.move_on_after(1):
                while True:
                    frame = await client.receive_frame()
                    trace(name, trio.current_time(), frame.message)
                    seen = getattr(frame.message, "blob_id", b"")
                    left[:] = [number for number in left if blob_id(base + number) != seen]
            trace(name, trio.current_time(), await client.pull(0))

        async with trio.open_nursery() as nursery:
            for name, start in (("anna", 0), ("bert", 0), ("carl", 1)):
                nursery.start_soon(device, name, start, 20)
            await trio.sleep(0.1)
            world.crash(f"{world.group_path(GROUP)}/group_router")
        for event in world.events:
            trace("tree", type(event).__name__, event.path)
    trace("disk", disk.operations, disk.syncs, hashlib.sha256(disk.read(Path(MEMORY_PATH))).hexdigest())


def trace_hash(seed):
    rows = []
    with seeded_scheduler(seed):
        trio.run(story, lambda *row: rows.append(repr(row)), clock=MockClock(autojump_threshold=0))
    assert len(rows) > 100
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def test_the_same_seed_is_the_same_trace_in_other_processes_with_other_hash_seeds():
    program = "from tests.simulation.test_relay_determinism import trace_hash; print(trace_hash(3))"

    def run(seed):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        return child(sys.executable, "-c", program, cwd=ROOT, env=environment, text=True)

    with run("1") as one, run("2") as two:
        hashes = {each.stdout.read().strip() for each in (one, two)}
    assert hashes == {trace_hash(3)}


def test_another_seed_is_another_order():
    assert trace_hash(3) != trace_hash(4)
