"""Snapshots, and moving what they stand for into an archive."""

import pytest

from ferryman.actors.ledger_compact import CARRY_RECORDS, compact
from ferryman.actors.ledger_file import Place
from ferryman.actors.ledger_open import inspect, open_ledger
from ferryman.actors.ledger_show import json_lines
from ferryman.actors.ledger_verify import check_deeply
from ferryman.protocol.ledger.codec import Secret
from ferryman.protocol.ledger.errors import LedgerBroken, LedgerUnwritable
from ferryman.protocol.ledger.record import Appended, CommandMismatch, Conflict, Repeated, TakeSnapshot
from ferryman.protocol.ledger.snapshot import REMEMBER_SECONDS
from tests.fakes.ledger_world import PATH, Kept, LedgerWorld, Put, command_id, crowd, put_entry

LARGE = bytes(range(256)) * 40


@pytest.fixture
def world():
    return LedgerWorld()


def compacted(world):
    ledger = open_ledger(world.place, world.now, wal_bytes=0)
    try:
        return compact(world.place, ledger, world.now)
    finally:
        ledger.close(clean=True)


def archive_of(world, done):
    return Place(done.archive, world.disk, world.keychain, world.entropy)


# --- snapshots


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


# --- compaction


def test_compaction_moves_all_that_no_replay_needs(world):
    with world.opened() as store:
        world.fill(store, count=3)
        world.append(store, TakeSnapshot("a", 3, Kept({"k": b"v"})))
        world.fill(store, count=1)
    done = compacted(world)
    assert (done.first, done.last, done.waiting) == (1, 5, ())
    with world.opened() as store:
        assert store.head.versions == {"a": 6}
        assert store.head.records == 1
        records = world.replay(store)
    assert [record.version for record in records] == [1, 2, 3, 5, 6, 6]
    assert [record.events for record in records if record.snapshot] == [(Kept({"k": b"v"}),)]
    assert records[-1].events == (Put("key-5", b"value-5"),)


def test_a_stream_without_a_snapshot_is_carried_over_event_by_event(world):
    with world.opened() as store:
        world.fill(store, "a", 3)
        world.append(store, put_entry("b", 0, events=(Put("s", LARGE, Secret(b"hidden")),)))
    compacted(world)
    with world.opened() as store:
        *known, carried = world.replay(store)
        assert [record.reply for record in known] == [1, 2, 3]
        assert carried.events == tuple(Put(f"key-{n}", b"value-%d" % n) for n in (1, 2, 3))
        assert not carried.snapshot
        assert world.replay(store, "b")[-1].events == (Put("s", LARGE, Secret(b"hidden")),)


def test_after_compaction_a_repeat_still_gets_its_first_reply(world):
    with world.opened() as store:
        world.append(store, put_entry("a", 0, reply=LARGE), put_entry("a", 1))
    compacted(world)
    with world.opened() as store:
        assert world.append(store, put_entry("a", 3, number=1)) == Repeated(1, 1, LARGE)
        assert world.append(store, put_entry("a", 0, number=2)) == Repeated(2, 2, 2)
        assert world.append(store, put_entry("a", 3, number=2, command_hash=bytes(32))) == CommandMismatch(
            "a", command_id(2)
        )
        assert world.append(store, put_entry("a", 3, number=4)) == Appended(4, 4)


def test_compacting_twice_keeps_every_reply_and_every_event(world):
    for _ in range(3):
        with world.opened() as store:
            world.append(store, *(put_entry("a", store.version("a") + n, store.head.seq + n + 1) for n in range(2)))
        compacted(world)
    with world.opened() as store:
        *known, carried = world.replay(store)
        assert [record.reply for record in known] == [1, 2, 4, 5, 7, 8]
        assert [event.key for event in carried.events] == ["key-1", "key-2", "key-4", "key-5", "key-7", "key-8"]
        assert world.append(store, put_entry("a", 9, number=1)) == Repeated(1, 1, 1)


def test_compacting_with_nothing_new_does_nothing(world):
    with world.opened() as store:
        world.fill(store)
    assert compacted(world) is not None
    before = world.image()[str(PATH)]
    assert compacted(world) is None
    assert world.image()[str(PATH)] == before


def test_an_empty_ledger_has_nothing_to_move(world):
    with world.opened():
        pass
    assert compacted(world) is None


def test_a_long_stream_waits_for_a_snapshot_of_its_own(world):
    with world.opened() as store:
        world.fill(store, "short", 2)
        crowd(world, store, CARRY_RECORDS + 1, "long")
        world.fill(store, "late", 1)
    done = compacted(world)
    assert (done.last, done.waiting) == (2, ("long",))
    with world.opened() as store:
        assert len(world.replay(store, "long")) == CARRY_RECORDS + 1
        assert len(world.replay(store, "short")) == 3
        world.append(store, TakeSnapshot("long", CARRY_RECORDS + 1, Kept({})))
    assert compacted(world).waiting == ()


def test_the_archive_verifies_by_itself_and_ends_where_the_ledger_begins(world):
    with world.opened() as store:
        world.fill(store, "a", 2)
        world.append(store, put_entry("b", 0, events=(Put("key", LARGE, Secret(b"hidden")),)))
    done = compacted(world)
    archive = archive_of(world, done)
    checked = inspect(archive)
    check_deeply(archive, checked)
    assert checked.segment.archive
    live = inspect(world.place)
    assert (checked.head.seq, checked.head.chain) == (live.segment.base.seq, live.segment.base.chain)
    assert [line.count("hidden") for line in json_lines(archive, None)] == [0, 0, 0]
    with pytest.raises(LedgerUnwritable, match="an archive"):
        open_ledger(archive, world.now)


def test_large_values_that_nobody_holds_any_more_leave_with_their_records(world):
    with world.opened() as store:
        world.append(
            store,
            put_entry("a", 0, events=(Put("gone", LARGE),)),
            put_entry("b", 0, events=(Put("kept", LARGE + b"!"),)),
        )
        world.append(store, TakeSnapshot("a", 1, Kept({})))
    done = compacted(world)
    with world.opened() as store:
        assert store.connection.execute("SELECT bytes FROM payload").fetchall() == [(LARGE + b"!",)]
    archive = archive_of(world, done)
    check_deeply(archive, inspect(archive))


def test_a_changed_archive_is_noticed(world):
    with world.opened() as store:
        world.fill(store)
    done = compacted(world)
    content = world.disk.names[str(done.archive)].seen
    content[content.index(b"value-2")] ^= 1
    with pytest.raises(LedgerBroken, match="record 2"):
        inspect(archive_of(world, done))


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM remembered WHERE version = 2",
        "UPDATE remembered SET reply = x'92a0c3' WHERE version = 2",
        "INSERT INTO remembered SELECT 'a', x'0102', command_hash, 1, 1, recorded_at, reply FROM remembered LIMIT 1",
        "INSERT INTO remembered SELECT 'z', command_id, command_hash, 1, 1, recorded_at, reply FROM remembered LIMIT 1",
    ],
)
def test_what_the_file_remembers_is_what_its_snapshots_say(world, statement):
    with world.opened() as store:
        world.fill(store)
    compacted(world)
    world.check()
    world.edit(statement)
    with pytest.raises(LedgerBroken):
        world.check()


def test_commands_older_than_thirty_days_are_forgotten_by_the_next_compaction(world):
    with world.opened() as store:
        world.fill(store)
    compacted(world)
    world.now += REMEMBER_SECONDS + 1
    with world.opened() as store:
        world.append(store, TakeSnapshot("a", 4, Kept({})))
        assert world.append(store, put_entry("a", 5, number=2)) == Repeated(2, 2, 2)
        world.fill(store, "b", 1)
    compacted(world)
    with world.opened() as store:
        assert store.connection.execute("SELECT stream FROM remembered").fetchall() == [("b",)]
        assert [record.version for record in world.replay(store)] == [6]


def test_a_later_snapshot_of_the_actor_forgets_nothing_that_compaction_kept(world):
    with world.opened() as store:
        world.fill(store)
    compacted(world)
    with world.opened() as store:
        world.append(store, TakeSnapshot("a", 4, Kept({})))
        assert [record.version for record in world.replay(store)] == [1, 2, 3, 5]
        assert world.append(store, put_entry("a", 5, number=2)) == Repeated(2, 2, 2)
    compacted(world)
    with world.opened() as store:
        assert world.append(store, put_entry("a", 6, number=2)) == Repeated(2, 2, 2)


# --- verifying to the ground


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
    from ferryman.actors.ledger_migrate import migrate

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
    world.disk.names[str(PATH)].seen[:] = world.disk.read(copy)
    world.disk.names.pop(f"{PATH}-wal", None)
    assert len(world.disk.read(copy)) == len(before)
    assert world.check().head.versions == {"a": 3}


def test_a_migration_that_fails_leaves_the_old_format(world):
    from ferryman.actors.ledger_migrate import migrate

    def fail(connection):
        connection.execute("CREATE TABLE newer (x)")
        raise ZeroDivisionError

    with world.opened() as store:
        world.fill(store)
        with pytest.raises(ZeroDivisionError):
            migrate(world.place, store.connection, store, world.now, migrations={1: fail}, target=2)
        assert store.connection.pragma("user_version") == 1
    assert world.check().head.versions == {"a": 3}
