"""Moving what snapshots stand for into an archive: what stays, what goes, and that nobody is forgotten."""

import pytest

from ferryman.actors.ledger_compact import CARRY_RECORDS, compact
from ferryman.actors.ledger_file import Place
from ferryman.actors.ledger_open import inspect, open_ledger
from ferryman.actors.ledger_show import json_lines
from ferryman.actors.ledger_verify import check_deeply
from ferryman.protocol.ledger.codec import Secret
from ferryman.protocol.ledger.errors import LedgerBroken, LedgerUnwritable
from ferryman.protocol.ledger.record import Appended, CommandMismatch, Repeated, TakeSnapshot
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


def test_an_archive_that_cannot_be_written_leaves_the_ledger_whole(world):
    with world.opened() as store:
        world.append(store, put_entry("a", 0, events=(Put("key", bytes(20_000)),)))
    connect = world.disk.connect

    def no_archive(path, **options):
        if path != PATH:
            raise OSError(28, "No space left on device")
        return connect(path, **options)

    world.disk.connect = no_archive
    with pytest.raises(LedgerUnwritable, match="No space left"):
        compacted(world)
    world.disk.connect = connect
    with world.opened() as store:
        assert store.connection.execute("SELECT count(*) FROM record WHERE seq = 1").fetchall() == [(1,)]
    assert compacted(world).last == 2
