"""What a stranger sent last must not stay in memory for as long as he pleases: an actor that waits holds no message."""

import contextlib
import gc
import tracemalloc

import pytest

from ferryman.protocol.relay.messages import Error, Push, PushAck
from tests.fakes.relay_world import real_relay
from tests.fakes.wire_client import blob_id

BLOB = 1_000_000
GROUPS = 12


@pytest.mark.parametrize(("messages", "answer"), [(100, PushAck), (2, Error)], ids=["stored", "refused"])
async def test_connections_and_groups_that_rest_hold_no_payload(tmp_path, messages, answer):
    async with (
        real_relay(tmp_path, limits={"messages_per_minute": messages}) as world,
        contextlib.AsyncExitStack() as clients,
    ):
        devices = [await clients.enter_async_context(world.client(f"device {number}")) for number in range(GROUPS)]
        for number, client in enumerate(devices):
            await client.hello(bytes([number]) * 32)
            await client.push(1)
        gc.collect()
        tracemalloc.start()
        for client in devices:
            await client.send(Push(blob_id(2), bytes(BLOB), 0))
            await client.receive(answer)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        snapshot = tracemalloc.take_snapshot()
        tracemalloc.stop()
    largest = [str(entry) for entry in snapshot.statistics("lineno")[:5]]
    assert held < 3 * BLOB, largest
