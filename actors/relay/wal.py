"""The buffer's write-ahead log: COMMIT, and moving what is committed into the database now and then. Blocking.

SQLite would checkpoint by itself inside a COMMIT and keep quiet about a failed fsync there; so it is told not to, and
done here, where a failure is seen. The log's file never shrinks while we run: a commit that has to extend the file
takes twice as long.
"""

from __future__ import annotations

from typing import Any

from ferryman.actors.relay.sql import Sql

CHECKPOINT_PAGES = 1000  # 4 MiB, SQLite's own habit
EXTENT_BYTES = 5 * 1024 * 1024  # a little more than is there when a checkpoint is due
SPILL_PAGES = 64


class Wal:
    def __init__(self, connection: Sql) -> None:
        self._connection = connection
        self._pages = 0
        self.wanted = False  # a checkpoint before one is due
        connection.set_wal_hook(self._note)

    def _note(self, _: Any, __: str, pages: int) -> int:
        self._pages = pages
        return 0  # SQLITE_OK

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    @property
    def due(self) -> bool:
        return self.wanted or self._pages >= CHECKPOINT_PAGES

    def checkpoint(self) -> None:
        """The next commit begins at the start of the log again."""
        self.wanted = False
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        self._pages = 0

    def extend(self, extent_bytes: int) -> None:
        """Give the log's file its length beforehand: a transaction spills into it and is taken back."""
        if extent_bytes <= 0:
            return
        cache_size = self._connection.pragma("cache_size")
        self._connection.pragma("cache_size", SPILL_PAGES)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.execute(
                "INSERT INTO remembered_blobs VALUES (zeroblob(16), zeroblob(16), zeroblob(?), 0, 0, 0)",
                (extent_bytes,),
            )
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._connection.pragma("cache_size", cache_size)
