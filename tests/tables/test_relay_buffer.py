"""The buffer alone: what one turn of its writer may take."""

from dataclasses import replace
from pathlib import Path

import trio
import trio.testing

from ferryman.actors.relay.buffer import READS, buffer
from ferryman.actors.relay.buffer_messages import Pull
from ferryman.actors.relay.frames import FrameWriter
from ferryman.actors.relay.metrics import Metrics
from ferryman.actors.relay.seats import Outgoing, Seat
from ferryman.actors.simulated.ports import InlineThreads, make_simulated_ports
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.relay_world import MEMORY_PATH, relay_config

GROUP = b"g" * 32


class PagesPerTurn(InlineThreads):
    """Notes how many pages come out of a thread at one time."""

    def __init__(self):
        super().__init__()
        self.turns = []

    async def run(self, work):
        done = await super().run(work)
        if isinstance(done, list):
            self.turns.append(len(done))
        return done


async def test_however_many_pages_are_asked_for_few_are_in_memory_at_a_time_and_all_are_given(autojump_clock):
    threads = PagesPerTurn()
    ports = replace(make_simulated_ports(1), threads=threads)
    metrics, frames = Metrics(), FrameWriter(b"r" * 32, ports.clock, ports.entropy)
    body = buffer(Path(MEMORY_PATH), relay_config(MEMORY_PATH).settings(), ports, frames, metrics, wal_bytes=0)
    asked = 3 * READS + 1
    async with open_system(Supervisor([ChildSpec("buffer", body)])) as system:
        ref = system.ref("/buffer")
        seats = [
            Seat(ref, Outgoing(), frames, metrics, "source", GROUP, woken=True, pulling=True) for _ in range(asked)
        ]
        for seat in seats:
            assert ref.tell(Pull(seat, 0, 10))
        await trio.testing.wait_all_tasks_blocked()
    assert not any(seat.pulling for seat in seats)
    assert threads.turns == [READS, READS, READS, 1]
