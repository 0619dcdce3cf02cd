"""What somebody did to the file, and what the next start says: it names file and record, and changes nothing."""

import re

import apsw
import pytest

from ferryman.actors.ledger_open import ANCHOR, MASTER_KEY, accept_rollback
from ferryman.actors.ledger_retention import blank
from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.ledger import codec
from ferryman.protocol.ledger.anchor import parse_anchor
from ferryman.protocol.ledger.errors import (
    LedgerBroken,
    LedgerError,
    LedgerInUse,
    LedgerNoKey,
    LedgerRolledBack,
    LedgerTooNew,
    LedgerUnknownType,
    LedgerUnreadable,
    LedgerUnwritable,
)
from ferryman.protocol.ledger.snapshot import RollbackAccepted
from tests.fakes.ledger_world import PATH, Kept, LedgerWorld, Put, put_entry


@pytest.fixture
def world():
    """Five records in two streams, closed."""
    world = LedgerWorld()
    with world.opened() as store:
        world.fill(store, "a", 3)
        world.fill(store, "b", 2)
    return world


def refuse(world, kind, words, *, record=None):
    """Start: it is refused so, in one line that names the file and what to do, and not a byte is different."""
    before = world.image()
    with pytest.raises(LedgerError, match=words) as raised, world.opened():
        pass
    assert type(raised.value) is kind
    assert raised.value.message.startswith(str(PATH))
    assert "\n" not in raised.value.message
    assert ";" in raised.value.message  # ... and what to do
    if record is not None:
        assert raised.value.record == record
        assert re.search(rf"record {record}\b", raised.value.message)
    assert world.image() == before


def test_a_sound_ledger_opens(world):
    head = world.check().head
    assert (head.seq, head.records, head.versions) == (5, 5, {"a": 3, "b": 2})


@pytest.mark.parametrize(
    "column",
    ["command_id", "command_hash", "principal", "class", "recorded_at", "body_hash", "chain"],
)
def test_a_changed_column_breaks_the_chain_at_its_record(world, column):
    value = {"principal": "mallory", "class": "fact", "recorded_at": 1}.get(column, b"x" * 32)
    world.edit((f"UPDATE record SET {column} = ? WHERE seq = 3", (value,)))  # noqa: S608 - names of columns
    refuse(world, LedgerBroken, "its chain is broken", record=3)


def test_records_that_changed_places_break_the_chain(world):
    world.edit(
        "UPDATE record SET seq = 99 WHERE seq = 2",
        "UPDATE record SET seq = 2 WHERE seq = 3",
        "UPDATE record SET seq = 3 WHERE seq = 99",
    )
    refuse(world, LedgerBroken, "chain is broken", record=2)


def test_a_record_that_moved_to_another_stream_breaks_the_chain(world):
    world.edit("UPDATE record SET stream = 'c' WHERE seq = 5")
    refuse(world, LedgerBroken, "chain is broken", record=5)


def test_a_missing_record_is_named(world):
    world.edit("DELETE FROM record WHERE seq = 2")
    refuse(world, LedgerBroken, "record 2 is missing", record=2)


def test_a_changed_body_is_named(world):
    world.edit("UPDATE body SET bytes = (SELECT bytes FROM body WHERE seq = 2) WHERE seq = 4")
    refuse(world, LedgerBroken, "its body differs", record=4)


def test_a_lost_body_is_named(world):
    world.edit("DELETE FROM body WHERE seq = 4")
    refuse(world, LedgerBroken, "has lost its body", record=4)


def test_a_body_that_was_emptied_by_hand_is_named(world):
    world.edit("UPDATE body SET bytes = NULL WHERE seq = 4")
    refuse(world, LedgerBroken, "not by retention", record=4)


def test_retention_empties_bodies_and_the_chain_still_holds(world):
    with world.opened() as store:
        blank(store, [2, 5], "older than a year", world.now)
        assert b"value-2" not in b"".join(world.image().values())
    assert world.check().head.blanked == [2, 5]
    with world.opened() as store:
        assert [record.events for record in world.replay(store)][1] == ()
        assert [record.version for record in world.replay(store)] == [1, 2, 3]


def test_retention_takes_large_values_along_unless_another_record_holds_them(world):
    with world.opened() as store:
        world.append(
            store,
            put_entry("c", 0, events=(Put("mine", b"m" * 5000), Put("shared", b"s" * 5000))),
            put_entry("c", 1, events=(Put("shared", b"s" * 5000),)),
        )
        blank(store, [6], "on request", world.now)
        assert store.connection.execute("SELECT substr(bytes, 1, 1) FROM payload").fetchall() == [(b"s",)]
        assert world.replay(store, "c")[1].events == (Put("shared", b"s" * 5000),)


def test_retention_leaves_alone_what_a_start_needs(world):
    with world.opened() as store:
        blank(store, [1], "first", world.now)
        for seq in (6, 99):  # the record that says so, and none
            with pytest.raises(LocalProtocolError):
                blank(store, [2, seq], "too much", world.now)
    assert world.check().head.blanked == [1]


@pytest.mark.parametrize("anchored", [5, 3], ids=["at the end", "before it"])
def test_a_ledger_that_ends_before_its_anchor_was_rolled_back(world, anchored):
    world.edit(("DELETE FROM record WHERE seq >= ?", (anchored,)), ("DELETE FROM body WHERE seq >= ?", (anchored,)))
    refuse(world, LedgerRolledBack, "but the key store has seen record 5", record=anchored - 1)


def test_an_older_copy_of_the_file_was_rolled_back(world):
    before = world.image()
    with world.opened() as store:
        world.fill(store, "a", 1)
    world.disk.names[str(PATH)].seen[:] = before[str(PATH)]
    refuse(world, LedgerRolledBack, "ends at record 5, but the key store has seen record 6")


def test_another_history_of_the_same_length_was_rolled_back(world):
    earlier = world.disk.copy()
    with world.opened() as store:
        world.fill(store, "a", 1)
    world.disk = earlier
    anchor = world.keychain.secrets.pop(ANCHOR)
    with world.opened(anchored=False) as store:
        world.append(store, put_entry("a", 3, reply="another"))
    world.keychain.secrets[ANCHOR] = anchor
    refuse(world, LedgerRolledBack, "record 6 is not the one that the key store has seen")


def test_a_deleted_ledger_was_rolled_back(world):
    world.disk.remove(PATH)
    refuse(world, LedgerRolledBack, "is missing, but the key store has seen record 5")


def test_an_emptied_file_was_rolled_back(world):
    world.disk.names[str(PATH)].seen.clear()
    refuse(world, LedgerRolledBack, "is missing, but the key store has seen record 5")


def test_a_lost_anchor_is_no_reason_to_trust(world):
    world.keychain.delete(ANCHOR)
    refuse(world, LedgerRolledBack, "the key store has lost its anchor")


def test_a_damaged_anchor_is_as_good_as_lost(world):
    world.keychain.set(ANCHOR, b"no anchor")
    refuse(world, LedgerRolledBack, "the key store has lost its anchor")


def test_the_anchor_of_another_ledger_does_not_hold_this_one(world):
    other = LedgerWorld(seed=2)
    with other.opened():
        pass
    world.keychain.set(ANCHOR, other.keychain.secrets[ANCHOR])
    refuse(world, LedgerRolledBack, "the key store has seen another ledger")


def test_who_accepts_a_rollback_goes_on_from_there_and_it_is_recorded(world):
    world.edit("DELETE FROM record WHERE seq >= 5", "DELETE FROM body WHERE seq >= 5")
    assert accept_rollback(world.place, world.now) == 5
    with world.opened() as store:
        [accepted] = world.replay(store, "ledger")
        assert accepted.events == (RollbackAccepted(anchor_seq=5),)
        assert world.append(store, put_entry("b", 1)).seq == 6


def test_who_accepts_that_a_ledger_is_gone_begins_a_new_one(world):
    world.disk.remove(PATH)
    assert accept_rollback(world.place, world.now) == 1
    with world.opened() as store:
        assert world.replay(store) == []


def test_a_broken_ledger_cannot_be_accepted(world):
    world.edit("UPDATE record SET class = 'fact' WHERE seq = 3")
    with pytest.raises(LedgerBroken):
        accept_rollback(world.place, world.now)


def test_the_anchor_is_written_at_a_clean_stop_and_every_thousand_records(world):
    def anchored():
        return parse_anchor(world.keychain.secrets[ANCHOR]).seq

    assert anchored() == 5
    with world.opened(clean=False) as store:
        world.append(store, *(put_entry("c", version) for version in range(999)))
        assert not world.ledger.anchor_is_due
        world.fill(store, "d", 1)
        assert world.ledger.anchor_is_due
        world.ledger.write_anchor()
        assert not world.ledger.anchor_is_due
        world.fill(store, "d", 1)
    assert anchored() == 1005
    with world.opened() as store:
        assert store.head.seq == 1006
    assert anchored() == 1006


def test_lives_that_end_badly_do_not_put_the_anchor_off_for_ever(world):
    for _ in range(2):
        with world.opened(clean=False) as store:
            version = store.version("c")
            world.append(store, *(put_entry("c", version + number) for number in range(600)))
            if world.ledger.anchor_is_due:
                world.ledger.write_anchor()
    assert parse_anchor(world.keychain.secrets[ANCHOR]).seq == 1205


def test_the_key_of_another_ledger_is_recognised(world):
    world.keychain.set(MASTER_KEY, bytes(32))
    refuse(world, LedgerNoKey, "not the one that it was written with")


def test_a_lost_key_is_named(world):
    world.keychain.delete(MASTER_KEY)
    refuse(world, LedgerNoKey, "no ledger key")


def test_a_ledger_that_was_killed_is_looked_at_without_a_trace(world):
    with world.opened(clean=False) as store:
        world.fill(store, "a", 1)
        world.disk = world.disk.after_kill()
    before = world.image()
    assert set(before) == {str(PATH), f"{PATH}-wal"}
    assert world.check().head.seq == 6
    assert world.image() == before


def test_an_unknown_type_is_named(world, monkeypatch):
    monkeypatch.delitem(codec._types, "test.put/1")
    refuse(world, LedgerUnknownType, "of type 'test.put/1', which this program does not know", record=1)


def test_an_unknown_type_inside_a_snapshot_is_named(world, monkeypatch):
    with world.opened() as store:
        from ferryman.protocol.ledger.record import TakeSnapshot

        world.append(store, TakeSnapshot("a", 3, Kept({})))
    monkeypatch.delitem(codec._types, "test.kept/1")
    refuse(world, LedgerUnknownType, "of type 'test.kept/1'", record=6)


def test_a_newer_format_is_refused(world):
    world.edit("PRAGMA user_version = 2")
    refuse(world, LedgerTooNew, "format 2")


def test_a_format_that_never_was_is_refused_before_anything_is_migrated(world):
    world.edit("PRAGMA user_version = 0")
    words = "its format is 0, which no Ferryman wrote; restore it"
    with pytest.raises(LedgerError, match=words) as raised, world.opened():
        pass
    assert type(raised.value) is LedgerBroken
    assert not any("format-0" in name for name in world.image())


def test_another_programs_database_is_left_alone(world):
    world.edit("PRAGMA application_id = 7")
    refuse(world, LedgerUnreadable, "no Ferryman ledger")


def test_a_file_that_is_no_database_is_left_alone(world):
    world.disk.names[str(PATH)].seen[:] = b"Dear diary, " * 1000
    refuse(world, LedgerUnreadable, "no Ferryman ledger")


def test_a_ledger_without_its_own_row_is_broken(world):
    world.edit("DELETE FROM segment")
    refuse(world, LedgerBroken, "does not say which ledger it is")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_file_is_refused(world, share):
    content = world.disk.names[str(PATH)].seen
    del content[int(len(content) * share) // 4096 * 4096 :]
    refuse(world, LedgerBroken, "damaged or cut short")


def test_a_flipped_bit_in_a_record_is_named(world):
    world.flip(b"value-3")
    refuse(world, LedgerBroken, "its body differs", record=3)


def test_every_flipped_byte_of_the_records_pages_is_noticed_or_harmless():
    """A start refuses, or what it replays is what was recorded: never something else."""
    world = LedgerWorld()
    with world.opened() as store:
        world.fill(store, "a", 3)
        before = world.replay(store)
    clean = world.image()[str(PATH)]
    refused = 0
    for place in range(100, len(clean), 97):
        content = world.disk.names[str(PATH)].seen
        content[:] = clean
        content[place] ^= 0x10
        world.disk.names.pop(f"{PATH}-wal", None)
        try:
            with world.opened(clean=False) as store:
                assert world.replay(store) == before
        except (LedgerError, apsw.Error):
            refused += 1
    assert refused > 10


def test_an_open_ledger_that_another_program_holds_is_in_use(world):
    class Busy:
        def __getattr__(self, name):
            raise apsw.BusyError

    world.disk.connect = lambda *_, **__: Busy()
    refuse(world, LedgerInUse, "another process has it open")


def test_a_read_only_disk_is_said_to_be_one(world):
    world.disk.read_only = True
    refuse(world, LedgerUnwritable, "Read-only file system; make the file and its directory writable")


def test_records_cut_off_at_the_beginning_need_a_base_that_only_the_key_can_make(world):
    world.edit(
        "UPDATE segment SET base_seq = 2, base_chain = (SELECT chain FROM record WHERE seq = 2)",
        "DELETE FROM record WHERE seq <= 2",
        "DELETE FROM body WHERE seq <= 2",
    )
    refuse(world, LedgerNoKey, "not the one that it was written with")
