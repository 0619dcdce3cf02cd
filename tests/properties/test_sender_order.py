"""Between one sender and one receiver: in order, none twice, and nothing lost but what a crash had in hand."""

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from ferryman.actors.core.determinism import seeded_scheduler
from ferryman.supervisors.spec import Backoff, ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.actors import Bang, settled

WAYS = st.sampled_from(["tell", "send", "post"])
SCRIPTS = st.lists(st.lists(st.tuples(WAYS, st.booleans()), max_size=12), min_size=1, max_size=4)


@given(scripts=SCRIPTS, capacity=st.integers(1, 5), seed=st.integers(0, 2**16))
def test_messages_of_one_sender_arrive_in_order_and_only_those_in_hand_are_lost(scripts, capacity, seed):
    """A script is what one sender does: how it puts each message, and whether the receiver crashes on it."""
    taken, in_hand, refused = [], [], []

    async def receiver(ctx):
        async for envelope in ctx:
            sender, number, fatal = envelope.msg
            if fatal:
                in_hand.append((sender, number))
                raise Bang
            taken.append((sender, number))
            envelope.reply()

    async def sender(ref, name, script):
        for number, (way, fatal) in enumerate(script):
            message = (name, number, fatal)
            if way == "tell":
                if not ref.tell(message):
                    refused.append((name, number))
                await trio.lowlevel.checkpoint()
            elif way == "send":
                await ref.send(message)
            else:
                await ref.post(message)

    async def main():
        spec = ChildSpec("receiver", receiver, capacity=capacity, backoff=Backoff(base_seconds=0))
        async with open_system(Supervisor([spec], max_restarts=100)) as system:
            async with trio.open_nursery() as nursery:
                for name, script in enumerate(scripts):
                    nursery.start_soon(sender, system.ref("/receiver"), name, script)
            await settled()
            assert [letter.message[:2] for letter in system.dead_letters] == refused

    with seeded_scheduler(seed):
        trio.run(main)
    for name, script in enumerate(scripts):
        mine = [number for sender, number in taken if sender == name]
        assert mine == sorted(set(mine))
        put = {(name, number) for number in range(len(script))}
        assert {one for one in taken + in_hand + refused if one[0] == name} == put
    assert len(taken) + len(in_hand) + len(refused) == sum(map(len, scripts))
