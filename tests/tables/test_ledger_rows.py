"""Which tables the rows of an append may write, and which the runtime may bring."""

import apsw
import pytest

from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.ledger.errors import LedgerError
from ferryman.protocol.ledger.record import Appended
from ferryman.protocol.machine import Row
from tests.fakes.ledger_world import PATH, TABLE, LedgerWorld, put_entry

PAIR = Row("INSERT INTO pairing VALUES (?, ?)", ("phone", "Ann"))


@pytest.fixture
def world():
    return LedgerWorld()


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO record VALUES (9, 'x', 1, x'00', x'00', '', '', 0, x'00', x'00')",
        "UPDATE body SET bytes = NULL",
        "DELETE FROM record",
        "UPDATE fence SET token = 0",
        "DROP TABLE pairing",
        "CREATE TABLE mine (x)",
        "ATTACH '/elsewhere' AS elsewhere",
        "PRAGMA synchronous = OFF",
        "COMMIT",
        "SAVEPOINT mine",
        "INSERT INTO pairing VALUES ('tablet', 'Bo'); DELETE FROM record",
    ],
)
def test_rows_write_only_to_the_tables_of_the_runtime(world, sql):
    with world.opened() as store:
        world.append(store, put_entry("a", 0))
        with pytest.raises(LocalProtocolError, match="cannot be written"):
            world.append(store, put_entry("a", 1, rows=(PAIR, Row(sql))))
        assert store.connection.execute("SELECT count(*) FROM pairing").fetchall() == [(0,)]
        assert [record.version for record in world.replay(store)] == [1]


def test_a_row_in_the_ledgers_own_words_is_refused_although_those_words_are_compiled(world):
    with world.opened() as store:
        world.append(store, put_entry("a", 0), put_entry("a", 1))
        own = Row("INSERT INTO body VALUES (?, ?)", (99, b"forged"))
        with pytest.raises(LocalProtocolError, match="not authorized"):
            world.append(store, put_entry("b", 0, rows=(own,)))


def test_a_row_that_would_take_the_whole_group_back_is_refused_and_the_group_goes_on(world):
    with world.opened() as store:
        world.append(store, put_entry("a", 0, rows=(PAIR,)))
        store.begin()
        store.stage(put_entry("b", 0), world.now)
        rude = Row("INSERT OR ROLLBACK INTO pairing VALUES ('phone', 'Cy')")
        with pytest.raises((LocalProtocolError, LedgerError, apsw.Error)) as raised:
            store.stage(put_entry("a", 1, rows=(rude,)), world.now)
        assert type(raised.value) is LocalProtocolError
        assert store.stage(put_entry("a", 1), world.now) == Appended(3, 2)
        store.commit()
        assert len(world.replay(store, "b")) == 1


class TakesBack:
    """A gate that lets through what no gate should: the transaction is gone when it returns."""

    def __init__(self, connection):
        self.connection = connection

    def run(self, _rows):
        self.connection.execute("ROLLBACK")
        raise apsw.ConstraintError("UNIQUE constraint failed: pairing.device_id")


def test_when_the_group_is_gone_nobody_takes_it_for_the_fault_of_one_append(world):
    with world.opened() as store:
        store.gate = TakesBack(store.connection)
        with pytest.raises((LedgerError, LocalProtocolError), match="took the whole group back") as raised:
            world.append(store, put_entry("b", 0), put_entry("a", 0, rows=(PAIR,)))
        assert not isinstance(raised.value, LocalProtocolError)
        assert world.replay(store, "b") == []


def test_a_row_reads_what_it_likes(world):
    with world.opened() as store:
        count = Row("INSERT INTO pairing SELECT 'phone', count(*) FROM record")
        assert isinstance(world.append(store, put_entry("a", 0, rows=(count,))), Appended)


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TABLE IF NOT EXISTS record (x)",
        "CREATE TABLE IF NOT EXISTS fence (name TEXT PRIMARY KEY, token INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS fine (x); DROP TABLE record",
        "CREATE TRIGGER t AFTER INSERT ON pairing BEGIN DELETE FROM record; END",
        "CREATE VIEW IF NOT EXISTS v AS SELECT 1",
        "CREATE INDEX IF NOT EXISTS i ON record (stream)",
        "CREATE TABLE IF NOT EXISTS t (x REFERENCES pairing (device_id) DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TABLE IF NOT EXISTS t (x UNIQUE ON CONFLICT ROLLBACK)",
        "DELETE FROM record",
        "no SQL",
    ],
)
def test_the_runtimes_tables_are_tables_and_indexes_and_nothing_else(world, ddl):
    with pytest.raises(Exception, match=str(PATH)) as raised, world.opened(tables=(TABLE, ddl)):
        pass
    assert raised.value.code == "LEDGER_WRONG_TABLES"
    with world.opened(tables=()) as store:
        assert "pairing" not in [name for (name,) in store.connection.execute("SELECT name FROM sqlite_schema")]


def test_a_table_that_the_file_has_in_another_form_is_refused(world):
    with world.opened():
        pass
    with (
        pytest.raises(Exception, match="another form of") as raised,
        world.opened(tables=(TABLE.replace("TEXT", "BLOB"),)),
    ):
        pass
    assert raised.value.code == "LEDGER_WRONG_TABLES"
    with world.opened(tables=(f"  {TABLE.replace(' (', '   (')};", "CREATE INDEX IF NOT EXISTS i ON pairing (name)")):
        pass
