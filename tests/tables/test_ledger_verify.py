"""Verifying to the ground, and going from an older format to a newer one."""

import pytest

from ferryman.actors.ledger_migrate import migrate
from ferryman.actors.ledger_verify import check_deeply
from ferryman.protocol.ledger.errors import LedgerBroken
from tests.fakes.ledger_world import PATH, LedgerWorld, Put, put_entry

LARGE = bytes(range(256)) * 40


@pytest.fixture
def world():
    return LedgerWorld()


def test_a_changed_large_value_is_found_by_its_record(world):
    with world.opened() as store:
        world.fill(store, count=1)
        world.append(store, put_entry("a", 1, events=(Put("key", LARGE),)))
    check_deeply(world.place, world.check())
    world.edit("UPDATE payload SET bytes = x'00'")
    with pytest.raises(LedgerBroken, match="record 2: a large value of it is not what was recorded"):
        check_deeply(world.place, world.check())
    world.edit("DELETE FROM payload")
    with pytest.raises(LedgerBroken, match="record 2: a large value of it is missing"):
        check_deeply(world.place, world.check())


def test_a_replay_refuses_a_changed_large_value_too(world):
    with world.opened() as store:
        world.append(store, put_entry("a", 0, events=(Put("key", LARGE),)))
    world.edit("UPDATE payload SET bytes = x'00'")
    with world.opened(clean=False) as store, pytest.raises(Exception, match=r"record 1 .*not what was recorded"):
        world.replay(store)


def test_a_damaged_index_is_found_beside_sound_records(world):
    with world.opened() as store:
        world.fill(store)
    world.edit("PRAGMA writable_schema = ON", "DELETE FROM sqlite_schema WHERE name = 'sqlite_autoindex_record_1'")
    with pytest.raises(LedgerBroken, match="damaged"):
        check_deeply(world.place, world.check())


# --- migration


def test_an_older_format_is_copied_and_then_migrated_by_a_record(world):
    with world.opened() as store:
        world.fill(store)
    before = world.disk.read(PATH)
    with world.opened(clean=False) as store:
        migrate(
            world.place,
            store.connection,
            store,
            world.now,
            migrations={1: lambda connection: connection.execute("CREATE TABLE newer (x)")},
            target=2,
        )
        assert store.connection.pragma("user_version") == 2
        assert store.connection.execute("SELECT count(*) FROM newer").fetchall() == [(0,)]
        [record] = world.replay(store, "ledger")
        assert (record.events[0].from_format, record.events[0].to_format) == (1, 2)
        assert [one.version for one in world.replay(store)] == [1, 2, 3]
    copy = PATH.with_name(record.events[0].copy_name)
    assert copy.name == "ledger.db.format-1"
    assert world.disk.exists(copy)
    world.disk.names[str(PATH)].seen[:] = world.disk.read(copy)
    world.disk.names.pop(f"{PATH}-wal", None)
    assert len(world.disk.read(copy)) == len(before)
    assert world.check().head.versions == {"a": 3}


def test_a_migration_that_fails_leaves_the_old_format(world):
    def fail(connection):
        connection.execute("CREATE TABLE newer (x)")
        raise ZeroDivisionError

    with world.opened() as store:
        world.fill(store)
        with pytest.raises(ZeroDivisionError):
            migrate(world.place, store.connection, store, world.now, migrations={1: fail}, target=2)
        assert store.connection.pragma("user_version") == 1
    assert world.check().head.versions == {"a": 3}
