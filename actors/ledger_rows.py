"""The rows that follow from events: which tables they may write, and who sees to it.

An authorizer stands in the writer's connection all its life. While a row runs it lets through reading, functions, and
INSERT, UPDATE, DELETE on the tables that the runtime registered; everything else (the ledger's own tables, DDL, PRAGMA,
ATTACH, COMMIT) is refused. SQLite asks it when a statement is compiled, so a compiled statement of the ledger's own
must not be found again by a row with the same text: the ledger compiles its own with another flag, which is part of
the statement cache's key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import apsw

from ferryman.actors.ledger_file import executor
from ferryman.actors.ledger_segment import OWN_TABLES
from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.ledger.errors import LedgerError
from ferryman.protocol.machine import Row

_OF_THE_FILE = (apsw.FullError, apsw.IOError, apsw.CorruptError, apsw.BusyError, apsw.LockedError, apsw.NoMemError)
_READS = frozenset((apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_RECURSIVE))
_WRITES = frozenset((apsw.SQLITE_INSERT, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE))
_takes_back = re.compile(r"\bROLLBACK\b", re.IGNORECASE)  # values are parameters, so no value can hold the word
_SCHEMA_TABLES = frozenset(("sqlite_master", "sqlite_schema"))


class WrongTables(LedgerError):
    """The tables that the runtime asks for and those in the file do not fit. Ours to mend, not the user's."""

    code = "LEDGER_WRONG_TABLES"


class RowGate:
    """The write surface of one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._execute = executor(connection, flags=0)
        self._tables: dict[str, None] = {}
        self._phase = "own"
        connection.authorizer = self._authorize

    @property
    def tables(self) -> list[str]:
        return list(self._tables)

    def run(self, rows: Iterable[Row]) -> None:
        """Raises LocalProtocolError for what is outside the write surface or is no SQL, apsw.ConstraintError for a
        violation, and what the file itself is guilty of."""
        self._phase = "rows"
        try:
            for row in rows:
                if _takes_back.search(row.sql):
                    raise LocalProtocolError("a row that cannot be written (OR ROLLBACK would undo the whole group)")
                self._execute(row.sql, row.parameters).fetchall()
        except (apsw.ConstraintError, *_OF_THE_FILE):
            raise
        except (apsw.Error, TypeError, ValueError, OverflowError) as error:
            raise LocalProtocolError(f"a row that cannot be written ({error})") from None
        finally:
            self._phase = "own"

    def create(self, path: Path, statements: Sequence[str]) -> None:
        """Create the registered tables and indexes where they are missing; those tables are the write surface.

        Raises WrongTables when a statement is something else, or the file has another table under that name.
        """
        for statement in statements:
            if "ROLLBACK" in statement.upper():  # its violation would take the whole group with it
                raise WrongTables(f"{path}: ON CONFLICT ROLLBACK does not fit group commit: {_one_line(statement)}")
            if "DEFERRED" in statement.upper():  # it would be found only at COMMIT, and take the whole group with it
                raise WrongTables(f"{path}: deferred constraints do not fit group commit: {_one_line(statement)}")
            self._phase = "schema"
            try:
                self._execute(statement)
            except (apsw.AuthError, apsw.SQLError) as error:
                raise WrongTables(f"{path}: {error} in {_one_line(statement)}") from None
            finally:
                self._phase = "own"
            self._require_same(path, statement)

    def _require_same(self, path: Path, statement: str) -> None:
        wanted = _shape(statement)
        stored = self._execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
        if wanted not in {_shape(sql) for (sql,) in stored}:
            raise WrongTables(
                f"{path}: the file has another form of: {_one_line(statement)}; start the version that wrote it"
            )

    def _authorize(
        self, action: int, first: str | None, second: str | None, database: str | None, _trigger: str | None
    ) -> int:
        if self._phase == "own":
            return apsw.SQLITE_OK
        if action in _READS or (action == apsw.SQLITE_FUNCTION and second != "load_extension"):
            return apsw.SQLITE_OK
        if self._phase == "rows":
            return apsw.SQLITE_OK if action in _WRITES and first in self._tables else apsw.SQLITE_DENY
        if database not in (None, "main"):
            return apsw.SQLITE_DENY
        if action == apsw.SQLITE_CREATE_TABLE and first is not None and first not in OWN_TABLES:
            self._tables[first] = None
            return apsw.SQLITE_OK
        if action == apsw.SQLITE_CREATE_INDEX:
            return apsw.SQLITE_OK if second in self._tables else apsw.SQLITE_DENY
        if action == apsw.SQLITE_REINDEX or (action in _WRITES and first in _SCHEMA_TABLES):
            return apsw.SQLITE_OK
        return apsw.SQLITE_DENY


def constraint_name(error: apsw.ConstraintError) -> str:
    """ "pairings.device_id" of "UNIQUE constraint failed: pairings.device_id"; else SQLite's own words."""
    _, found, name = str(error).partition("constraint failed: ")
    return name if found else str(error)


def _shape(statement: str) -> str:
    words = statement.rstrip().rstrip(";").split()
    upper = [word.upper() for word in words]
    if upper[2:5] == ["IF", "NOT", "EXISTS"]:
        del words[2:5]
    elif upper[3:6] == ["IF", "NOT", "EXISTS"]:
        del words[3:6]
    return " ".join([word.upper() for word in words[:2]] + words[2:])


def _one_line(statement: str) -> str:
    return " ".join(statement.split())
