"""The streams of a device on a real ledger: snapshots come by themselves, and a restart goes on from them."""

import pytest

from ferryman.actors import durable_stream as subject
from ferryman.actors.durable import Do, Look
from ferryman.actors.durable_stream import durable_stream
from ferryman.actors.ledger_compact import CARRY_RECORDS, compact
from ferryman.actors.ledger_file import Place
from ferryman.actors.ledger_open import open_ledger
from ferryman.actors.simulated.ports import EPOCH, SeededEntropy, make_simulated_ports
from ferryman.protocol.crypto.sealing import Chain
from ferryman.protocol.ledger.codec import Secret
from ferryman.protocol.sync.group import Group, JoinGroup, SetEnabled
from ferryman.protocol.sync.inbox import Inbox, Take
from ferryman.protocol.sync.outbox import TABLE, Outbox
from ferryman.protocol.sync.strands import Link, strands
from ferryman.supervisors.spec import ChildSpec
from tests.fakes.ledger_tree import LedgerTree
from tests.fakes.ledger_world import PATH
from tests.fakes.sync_values import enqueue, number

GROUP = b"g" * 32
JOIN = JoinGroup(GROUP, Secret(b"secret"), "wss://relay.example", b"c" * 32, None)


def take(cursor):
    place = Link(b"s" * 32, Chain(b"chain-00", cursor, bytes(16)), number(cursor))
    return Take(GROUP, 0, (cursor,), strands([place]), cursor)


def tree():
    world = LedgerTree()
    world.tables = (TABLE,)
    return world


async def carry(world, machine, commands, window):
    """One life of the stream's actor; its state at the end."""
    ports = make_simulated_ports(9, disk=world.disk)
    async with world.system(ChildSpec("stream", durable_stream(machine, "stream", ports, window=window))) as system:
        ref = system.ref("/stream")
        for place, command in commands:
            await ref.ask(Do(number(place), command))
        return await ref.ask(Look())


@pytest.mark.parametrize("window", [1, 64])
@pytest.mark.parametrize(
    ("machine", "commands"),
    [
        pytest.param(Inbox(), [take(cursor) for cursor in range(1, 8)], id="inbox"),
        pytest.param(Outbox(), [enqueue(value) for value in range(1, 8)], id="outbox"),
        pytest.param(Group(), [JOIN, *(SetEnabled(bool(value % 2)) for value in range(6))], id="group"),
    ],
)
async def test_a_restart_after_a_snapshot_goes_on_as_without_one(machine, commands, window, monkeypatch):
    monkeypatch.setattr(subject, "SNAPSHOT_RECORDS", 2)
    world, numbered = tree(), list(enumerate(commands, 1))
    await carry(world, machine, numbered[:5], window)
    again = await carry(world, machine, numbered[4:], window)
    state = machine.initial
    for command in commands:
        decision = machine.decide(state, command)
        for event in decision.events:
            state = machine.evolve(state, event)
    assert again == state


async def test_a_long_stream_is_no_longer_than_its_snapshot_and_holds_up_no_compaction():
    assert subject.SNAPSHOT_RECORDS < CARRY_RECORDS
    world = tree()
    many = [(cursor, take(cursor)) for cursor in range(1, CARRY_RECORDS + 10)]
    await carry(world, Inbox(), many, 64)
    place = Place(PATH, world.disk, world.keychain, SeededEntropy(1))
    ledger = open_ledger(place, EPOCH, wal_bytes=0)
    try:
        assert ledger.store.replay_start("stream") > CARRY_RECORDS - subject.SNAPSHOT_RECORDS
        assert compact(place, ledger, EPOCH).waiting == ()
    finally:
        ledger.close(clean=True)
