"""One group filled by many hands, against a relay that runs: keys, addresses and bytes without end, and a bound."""

import os

import trio

from ferryman.protocol.relay.errors import WireCode
from ferryman.protocol.relay.messages import Error, Hello, Push, PushAck, Welcome
from ferryman.supervisors.relay_config import StorageConfig
from tests.fakes.child import PATIENCE_SECONDS
from tests.fakes.live_relay import LIMITS
from tests.fakes.wire_client import blob_id

MEGABYTE = 1_000_000
STORAGE = StorageConfig()


async def test_device_keys_without_end_do_not_fill_a_group_past_its_bound(relay):
    """From many addresses, so that no rate of a source is what holds them."""
    group, bound, answers = os.urandom(32), LIMITS["max_devices_per_group"], []
    async with relay.client("anna", relay.address()) as anna:
        await anna.hello(group)
        for number in range(bound + 10):
            async with relay.raw(f"key {number}") as mallory:
                await mallory.secured()
                mallory.group_id = group
                await mallory.say(Hello(1, "mallory", group, 0))
                answers.append(await mallory.hear())
        assert (await anna.push(1)).cursor == 1
    room = bound - 1  # anna is one of them
    assert [type(answer) for answer in answers] == [Welcome] * room + [Error] * (len(answers) - room)
    assert {answer.code for answer in answers[room:]} == {WireCode.GROUP_QUOTA_EXCEEDED}


async def test_bytes_from_many_keys_fill_what_a_source_and_a_group_may_have_and_no_more(relay):
    """Two keys at each of four addresses push into one group as fast as they can, until each was refused ten times."""
    group, taken, codes = os.urandom(32), {}, set()

    async def fill(name, source):
        refused = 0
        async with relay.client(name, source) as mallory:
            await mallory.hello(group)
            while refused < 10:
                await mallory.send(Push(os.urandom(16), bytes(MEGABYTE), 0))
                answer = await mallory.wait_for((PushAck, Error))
                if isinstance(answer, PushAck):
                    taken[source] += MEGABYTE
                else:
                    refused += 1
                    codes.add(answer.code)

    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            for source in [relay.address() for _ in range(4)]:
                taken[source] = 0
                for number in range(2):
                    nursery.start_soon(fill, f"{number} of {source}", source)
    assert WireCode.GROUP_QUOTA_EXCEEDED in codes
    assert codes <= {WireCode.RATE_LIMITED, WireCode.GROUP_QUOTA_EXCEEDED}  # a fast relay is full before it settles
    assert sum(taken.values()) <= STORAGE.max_group_storage
    assert max(taken.values()) <= 2 * LIMITS["ingress_bytes_per_minute"]  # a burst, and what a minute brings
    async with relay.client("anna", relay.address()) as anna:
        await anna.hello(os.urandom(32))
        assert (await anna.push(1)).blob_id == blob_id(1)
