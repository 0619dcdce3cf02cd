"""Durable actors over the real ledger: what they replay after a crash and after a restart."""

from dataclasses import dataclass

import pytest

from ferryman.actors.durable import Do, Look, durable
from ferryman.actors.ledger import LedgerClient
from ferryman.protocol.ledger import codec
from ferryman.protocol.ledger.codec import recorded
from ferryman.protocol.machine import Command, Decision, Refused
from ferryman.supervisors.spec import ChildSpec
from tests.fakes.ledger_tree import LedgerTree


@pytest.fixture
def world():
    return LedgerTree()


@recorded("test.added/1")
@dataclass(frozen=True, slots=True)
class Added:
    amount: int


@dataclass(frozen=True, slots=True)
class Add(Command[int]):
    amount: int


class Counter:
    name = "counter"
    initial = 0

    def decide(self, state, command):
        if command.amount == 0:
            return Refused("NOTHING", "to add", record=True)
        return Decision((Added(command.amount),), reply=state + command.amount)

    def evolve(self, state, event):
        return state + event.amount

    def owed(self, _state):
        return {}


class Commands:
    command_hash = staticmethod(codec.command_hash)


def counter(window):
    async def body(ctx):
        ledger = LedgerClient(ctx.ref("/ledger"))
        await durable(Counter(), "count", ledger, codec=Commands, new_id=lambda: bytes(16), window=window)(ctx)

    return ChildSpec("counter", body)


@pytest.mark.parametrize("window", [1, 16])
async def test_a_durable_actor_replays_its_stream_from_the_real_ledger(world, window):
    async with world.system(counter(window)) as system:
        ref = system.ref("/counter")
        for number in range(1, 6):
            assert await ref.ask(Do(number.to_bytes(16, "big"), Add(10))) == number * 10
        assert await ref.ask(Do(bytes(16), Add(0))) == Refused("NOTHING", "to add", record=True)
        system.crash("/counter", ZeroDivisionError())
        assert await ref.ask(Do((1).to_bytes(16, "big"), Add(10))) == 10  # a repeat
    async with world.system(counter(window)) as system:
        ref = system.ref("/counter")
        assert await ref.ask(Look()) == 50
        assert await ref.ask(Do((5).to_bytes(16, "big"), Add(10))) == 50
        assert await ref.ask(Do(bytes(16), Add(0))) == Refused("NOTHING", "to add", record=True)
