"""What may come in the middle of a group's first proof, while what strangers pushed goes slice by slice."""

import pytest
import trio

from ferryman.actors.core.events import Crashed
from ferryman.actors.relay.deleting import SLICE_ROWS
from ferryman.protocol.crypto.keys import derive_group
from ferryman.protocol.relay.messages import Push, PushAck
from ferryman.supervisors.relay import children
from tests.fakes.relay_load import LOST
from tests.fakes.relay_world import memory_relay
from tests.fakes.wire_client import blob_id

KEYS = derive_group(b"s" * 32, b"salt of sixteen.")
PLANTED = 3 * SLICE_ROWS
AGAIN_SECONDS = 1.0
IDLE_SECONDS = 180.0


async def plant(world):
    async with world.client("mallory") as mallory:
        await mallory.hello(KEYS.group_id)
        for number in range(PLANTED):
            await mallory.send(Push(blob_id(number), b"planted", 0))
        for _ in range(PLANTED):
            await mallory.wait_for(PushAck)


async def prove(world, name):
    async with world.client(name) as member:
        await member.prove(KEYS)
        assert (await member.pull(0)).blobs == ()


async def prove_in_vain(world, name, scope):
    try:
        with scope:
            await prove(world, name)
    except* LOST:
        pass


async def until_a_slice_is_gone(world):
    while world.relay.metrics.blobs_buffered == PLANTED:
        await trio.lowlevel.checkpoint()
    assert world.relay.metrics.blobs_buffered > 0


@pytest.mark.parametrize("what", ["the router crashes", "the buffer crashes", "the prover is lost", "another proves"])
async def test_whatever_comes_in_the_middle_of_a_purge_the_next_proof_finds_nothing_of_strangers(autojump_clock, what):
    async with memory_relay() as world:
        await plant(world)
        group, scope = world.group_path(KEYS.group_id), trio.CancelScope()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(prove_in_vain, world, "anna", scope)
            await until_a_slice_is_gone(world)
            match what:
                case "the router crashes":
                    world.crash(f"{group}/group_router")
                case "the buffer crashes":
                    world.crash("/buffer")
                case "the prover is lost":
                    scope.cancel()
                case _:
                    await prove(world, "bert")
        await trio.sleep(AGAIN_SECONDS)
        await prove(world, "anna")
        assert world.relay.metrics.blobs_buffered == 0
        assert any(isinstance(event, Crashed) for event in world.events) is what.endswith("crashes")
        await trio.sleep(IDLE_SECONDS)
        assert children(world.relay.system.tree(), "/groups") == []
