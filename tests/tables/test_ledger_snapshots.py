"""Snapshots: where a replay starts, and what it still knows from before."""

import pytest

from ferryman.protocol.ledger.codec import Secret
from ferryman.protocol.ledger.record import Appended, Conflict, TakeSnapshot
from ferryman.protocol.ledger.snapshot import REMEMBER_SECONDS
from tests.fakes.ledger_world import Kept, LedgerWorld, Put, command_id, put_entry

LARGE = bytes(range(256)) * 40


@pytest.fixture
def world():
    return LedgerWorld()


def test_a_replay_starts_at_the_last_snapshot_and_still_knows_the_commands_before_it(world):
    state = Kept({"key": b"value"})
    with world.opened() as store:
        world.fill(store, count=2)
        assert world.append(store, TakeSnapshot("a", 2, state)) == Appended(3, 3)
        world.fill(store, count=1)
        records = world.replay(store)
    assert [(r.version, r.command_id, r.events, r.reply, r.snapshot) for r in records if r.version != 3] == [
        (1, command_id(1), (), 1, False),
        (2, command_id(2), (), 2, False),
        (4, command_id(4), (Put("key-4", b"value-4"),), 4, False),
    ]
    assert [(r.events, r.snapshot) for r in records if r.version == 3] == [((state,), True)]
    assert records[0].command_hash == put_entry("a", 0).command_hash


def test_a_snapshot_of_another_version_than_the_streams_is_a_conflict(world):
    with world.opened() as store:
        world.fill(store, count=2)
        assert world.append(store, TakeSnapshot("a", 1, Kept({}))) == Conflict("version")
        assert store.replay_start("a") == 1


def test_a_snapshot_forgets_commands_after_thirty_days(world):
    with world.opened() as store:
        world.fill(store, count=1)
        world.now += REMEMBER_SECONDS + 1
        world.fill(store, count=1)
        world.append(store, TakeSnapshot("a", 2, Kept({})))
        assert [record.version for record in world.replay(store)] == [2, 3]


def test_a_snapshot_holds_secrets_and_large_values_as_records_do(world):
    state = Put("state", LARGE, Secret(b"hidden"))
    with world.opened() as store:
        world.append(store, put_entry("a", 0, events=(Put("key", LARGE),), reply=LARGE))
        world.append(store, TakeSnapshot("a", 1, state))
        remembered, snapshot = world.replay(store)
        assert (remembered.reply, snapshot.events) == (LARGE, (state,))
        assert store.connection.execute("SELECT count(*) FROM payload").fetchall() == [(1,)]


def test_a_snapshot_that_was_taken_back_starts_no_replay(world):
    with world.opened() as store:
        world.fill(store, count=1)
        store.begin()
        store.stage(TakeSnapshot("a", 1, Kept({})), world.now)
        store.rollback()
        assert store.replay_start("a") == 1
        assert [record.snapshot for record in world.replay(store)] == [False]
