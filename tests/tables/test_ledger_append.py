"""What an append meets, and what it is answered: a row a test."""

import apsw
import pytest

from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.ledger.codec import Secret
from ferryman.protocol.ledger.record import Append, Appended, CommandMismatch, Conflict, Repeated, TakeSnapshot
from ferryman.protocol.machine import Refused, Row
from tests.fakes.ledger_world import PATH, Kept, LedgerWorld, Put, command_id, put_entry

PAIR = Row("INSERT INTO pairing VALUES (?, ?)", ("phone", "Ann"))


@pytest.fixture
def world():
    return LedgerWorld()


def test_records_are_numbered_in_the_ledger_and_in_their_stream(world):
    with world.opened() as store:
        assert world.append(store, put_entry("a", 0), put_entry("b", 0), put_entry("a", 1)) == [
            Appended(1, 1),
            Appended(2, 1),
            Appended(3, 2),
        ]


def test_a_record_comes_back_as_it_went_in(world):
    with world.opened() as store:
        entry = put_entry("a", 0, reply=Refused("NO", "not today"), principal="ann", record_class="fact")
        world.append(store, entry)
        [record] = world.replay(store)
    assert (record.stream, record.version, record.seq) == ("a", 1, 1)
    assert (record.command_id, record.command_hash) == (entry.command_id, entry.command_hash)
    assert (record.events, record.reply) == (entry.events, entry.reply)
    assert record.recorded_at == world.now
    assert not record.snapshot


def test_a_repeat_gets_the_first_reply_and_writes_nothing(world):
    with world.opened() as store:
        world.append(store, put_entry("a", 0, reply="first"))
        again = put_entry("a", 0, reply="second")
        assert world.append(store, again) == Repeated(1, 1, "first")
        assert len(world.replay(store)) == 1


def test_a_repeat_is_known_whatever_version_it_expects_and_in_its_own_group(world):
    with world.opened() as store:
        first, later = put_entry("a", 0, reply="first"), put_entry("a", 1, number=1, reply="second")
        assert world.append(store, first, later, put_entry("a", 7, number=1)) == [
            Appended(1, 1),
            Repeated(1, 1, "first"),
            Repeated(1, 1, "first"),
        ]


def test_another_command_under_the_same_id_is_a_mismatch_and_never_the_first_reply(world):
    with world.opened() as store:
        world.append(store, put_entry("a", 0, reply="secret of the first"))
        other = put_entry("a", 0, command_hash=b"\xff" * 32)
        assert world.append(store, other) == CommandMismatch("a", command_id(1))


def test_the_same_id_in_another_stream_is_another_command(world):
    with world.opened() as store:
        assert world.append(store, put_entry("a", 0), put_entry("b", 0)) == [Appended(1, 1), Appended(2, 1)]


@pytest.mark.parametrize("expected", [0, 1, 3, 4])
def test_another_version_than_the_streams_is_a_conflict(world, expected):
    with world.opened() as store:
        world.fill(store, count=2)
        assert world.append(store, put_entry("a", expected, number=9)) == Conflict("version")


def test_a_violated_constraint_undoes_that_append_alone_and_is_named(world):
    with world.opened() as store:
        answers = world.append(
            store,
            put_entry("a", 0, rows=(PAIR,)),
            put_entry("b", 0, rows=(Row("INSERT INTO pairing VALUES ('tablet', 'Bo')"), PAIR)),
            put_entry("c", 0),
        )
        assert answers == [Appended(1, 1), Conflict("pairing.device_id"), Appended(2, 1)]
        assert store.connection.execute("SELECT device_id FROM pairing").fetchall() == [("phone",)]
        assert world.replay(store, "b") == []


def test_a_violated_check_is_named_too(world):
    with world.opened() as store:
        entry = put_entry("a", 0, rows=(Row("INSERT INTO pairing VALUES ('phone', '')"),))
        assert world.append(store, entry) == Conflict("name <> ''")


def test_a_repeat_of_an_append_with_rows_is_no_constraint(world):
    with world.opened() as store:
        world.append(store, put_entry("a", 0, rows=(PAIR,)))
        assert world.append(store, put_entry("a", 0, rows=(PAIR,))) == Repeated(1, 1, 1)


def test_after_an_undone_append_the_stream_goes_on_where_it_was(world):
    with world.opened() as store:
        world.append(store, put_entry("a", 0, rows=(PAIR,)), put_entry("b", 0, rows=(PAIR,)), put_entry("b", 0))
        assert [record.version for record in world.replay(store, "b")] == [1]
    world.check()  # and the chain holds


def test_a_lost_fence_is_a_conflict_and_a_held_one_is_not(world):
    with world.opened() as store:
        assert world.append(
            store,
            put_entry("a", 0, fence=("lease", 5)),
            put_entry("a", 1, fence=("lease", 5)),
            put_entry("b", 0, fence=("lease", 4)),
            put_entry("c", 0, fence=("other", 1)),
            put_entry("b", 0, fence=("lease", 6)),
        ) == [Appended(1, 1), Appended(2, 2), Conflict("fence"), Appended(3, 1), Appended(4, 1)]


def test_a_fence_that_was_undone_was_not_raised(world):
    with world.opened() as store:
        world.append(store, put_entry("a", 0, rows=(PAIR,)))
        world.append(store, put_entry("b", 0, rows=(PAIR,), fence=("lease", 9)))
        assert isinstance(world.append(store, put_entry("c", 0, fence=("lease", 1))), Appended)


def test_a_repeat_behind_a_lost_fence_still_gets_its_reply(world):
    with world.opened() as store:
        world.append(store, put_entry("a", 0, fence=("lease", 1)), put_entry("a", 1, fence=("lease", 2)))
        assert world.append(store, put_entry("a", 2, number=1, fence=("lease", 1))) == Repeated(1, 1, 1)


def test_a_group_that_is_taken_back_leaves_no_trace(world):
    with world.opened() as store:
        store.begin()
        store.stage(put_entry("a", 0), world.now)
        store.rollback()
        assert store.version("a") == 0
        assert world.append(store, put_entry("a", 0)) == Appended(1, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"command_id": b"short"},
        {"command_hash": b"short"},
        {"stream": ""},
        {"stream": "s" * 251},
        {"stream": "\ud800"},
        {"command_id": "a text of length"},
        {"events": (Put("\ud800"),)},
        {"rows": (Row("INSERT INTO pairing VALUES (?, ?)", ("\ud800", "x")),)},
        {"rows": (Row("INSERT INTO pairing VALUES (?, ?)", (object(), "x")),)},
        {"rows": (Row("INSERT INTO pairing VALUES (?, ?)", (2**70, "x")),)},
        {"rows": (Row("INSERT INTO pairing VALUES (?, ?)", ("phone",)),)},
        {"rows": (Row("INSERT INTO nowhere VALUES (1)"),)},
        {"events": (object(),)},
        {"events": ([1, 2],)},
        {"reply": {"a": 1}},
        {"events": (Put("key", object()),)},
    ],
)
def test_what_cannot_be_recorded_is_the_callers_bug_and_the_group_goes_on(world, changes):
    with world.opened() as store:
        store.begin()
        with pytest.raises(LocalProtocolError):
            store.stage(put_entry("a", 0, **changes), world.now)
        assert isinstance(store.stage(put_entry("b", 0), world.now), Appended)
        store.commit()


def test_large_values_stand_apart_once_however_many_records_hold_them(world):
    large = bytes(range(256)) * 64
    with world.opened() as store:
        events = (Put("one", large), Put("two", b"small"), Put("three", large))
        world.append(
            store, put_entry("a", 0, events=events), put_entry("b", 0, events=(Put("four", large),), reply=large)
        )
        assert world.replay(store)[0].events == events
        assert world.replay(store, "b")[0].reply == large
        assert world.append(store, put_entry("b", 0, reply="other")) == Repeated(2, 1, large)
        assert store.connection.execute("SELECT count(*), sum(length(bytes)) FROM payload").fetchall() == [
            (1, len(large))
        ]
        assert store.connection.execute("SELECT max(length(bytes)) FROM body").fetchall()[0][0] < 300


def test_a_large_append_is_not_for_the_loop(world):
    with world.opened() as store:
        store.begin()
        heavy = put_entry("a", 0, events=(Put("key", bytes(100_000)),))
        assert store.stage(heavy, world.now, heavy=False) is None
        assert store.stage(TakeSnapshot("a", 0, Kept({})), world.now, heavy=False) is None
        assert isinstance(store.stage(heavy, world.now, heavy=True), Appended)
        store.rollback()


def test_secrets_are_on_the_disk_only_sealed_and_command_hashes_only_masked(world):
    entry = put_entry(
        "a", 0, events=(Put("key", b"open", Secret(b"0123456789 the secret")),), command_hash=b"\x77" * 32
    )
    with world.opened() as store:
        world.append(store, entry)
        world.append(store, TakeSnapshot("a", 1, Put("state", secret=Secret(b"0123456789 the secret"))))
        assert world.replay(store)[-1].events[0].secret == Secret(b"0123456789 the secret")
        on_disk = b"".join(world.image().values())
    for content in (on_disk, b"".join(world.image().values())):
        assert b"open" in content
        assert b"0123456789 the secret" not in content
        assert entry.command_hash not in content


def test_a_sealed_field_opens_only_in_its_own_stream(world):
    with world.opened() as store:
        world.append(store, put_entry("a", 0, events=(Put("key", secret=Secret(b"mine")),)), put_entry("b", 0))
        body = store.connection.execute("SELECT bytes FROM body WHERE seq = 1").fetchall()[0][0]
        with pytest.raises(Exception, match="does not open"):
            store.seal("b").codec.decode(body)


def test_what_was_appended_is_there_after_the_connection_is_lost(world):
    with world.opened() as store:
        world.fill(store)
        before = world.disk.after_kill()
    world.disk = before
    with world.opened() as store:
        assert [record.version for record in world.replay(store)] == [1, 2, 3]
        assert world.append(store, put_entry("a", 3)) == Appended(4, 4)


def test_wal_and_synchronous_are_what_durability_needs(world):
    with world.opened() as store:
        assert store.connection.pragma("journal_mode") == "wal"
        assert store.connection.pragma("synchronous") == 3
        assert store.connection.pragma("wal_autocheckpoint") == 0


def test_the_wal_is_made_long_once_and_stays_so(world):
    with world.opened(wal_bytes=100_000) as store:
        length = len(world.image()[f"{PATH}-wal"])
        assert length > 100_000
        world.fill(store, count=5)
        store.checkpoint()
        world.fill(store, count=1)
        assert len(world.image()[f"{PATH}-wal"]) == length


def test_an_append_of_the_wrong_type_is_an_error_of_python(world):
    with world.opened() as store, pytest.raises(AttributeError):
        world.append(store, "no entry")


def test_the_writer_is_alone(world):
    with world.opened(), pytest.raises(Exception, match="another process") as raised, world.opened():
        pass
    assert raised.value.code == "LEDGER_IN_USE"
    with world.opened():
        pass


def test_appends_are_values_with_the_columns_that_governance_will_want():
    entry = Append("a", 0, command_id(1), bytes(32))
    assert (entry.principal, entry.record_class, entry.fence, entry.rows) == ("", "internal", None, ())
    assert apsw.sqlite_lib_version()
