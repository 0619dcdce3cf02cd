"""Reading the tables that follow from the ledger, beside its writer and never in its way.

    Query(sql, values) --> a connection that can only read, in a thread of its own --> rows

Up to four queries run at once; each sees what was committed before it began. Where the database is locked exclusively
(a disk without shared memory) a connection sees nothing that is committed after it was opened: it serves one query.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import trio

from ferryman.actors.core.context import Body, Context
from ferryman.actors.core.messages import Ask, Envelope
from ferryman.actors.ledger_file import executor, explain, open_reader, pragma
from ferryman.actors.ports import Disk, Ports
from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.machine import SQLValue

READERS = 4
"""More would queue for the GIL while they turn rows into objects."""
MAX_ROWS = 10_000
"""A page, not a table: whoever wants more asks for the next page."""


@dataclass(frozen=True, slots=True)
class Query(Ask[list[tuple[Any, ...]]]):
    """At most `limit` rows. Raises LocalProtocolError for SQL that is wrong, or writes."""

    sql: str
    values: tuple[SQLValue, ...] = ()
    limit: int = MAX_ROWS


def store_body(path: Path, ports: Ports) -> Body:
    """The readers of the ledger at `path`. Start it after the ledger."""

    async def body(ctx: Context[Query]) -> None:
        readers = _Readers(ports.disk, path)
        places = trio.Semaphore(READERS)

        async def answer(envelope: Envelope[Query]) -> None:
            try:
                envelope.reply(await ports.threads.run(partial(readers.read, envelope.msg)))
            except LocalProtocolError as error:
                envelope.fail(error)
            except apsw.Error as error:
                envelope.fail(explain(path, error))
            finally:
                places.release()

        try:
            async for envelope in ctx:
                await places.acquire()
                ctx.tasks.start_soon(answer, envelope)
            for _ in range(READERS):  # those that were asked before we were to stop
                await places.acquire()
        finally:
            readers.close()

    return body


class _Readers:
    """Idle connections. A thread takes one out for as long as it reads."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self._path = path
        self._idle: list[apsw.Connection] = []
        self._open = True

    def read(self, query: Query) -> list[tuple[Any, ...]]:
        connection = self._idle.pop() if self._idle else open_reader(self._disk, self._path)
        try:
            rows = executor(connection)(query.sql, query.values)
            return list(_first(rows, min(query.limit, MAX_ROWS)))
        except (apsw.SQLError, apsw.ReadOnlyError, apsw.BindingsError, apsw.AuthError) as error:
            raise LocalProtocolError(f"a query that cannot be asked: {error}") from None
        finally:
            self._put_back(connection)

    def close(self) -> None:
        self._open = False
        while self._idle:
            self._idle.pop().close()

    def _put_back(self, connection: apsw.Connection) -> None:
        if self._open and pragma(connection, "locking_mode") == "normal":
            self._idle.append(connection)
        else:
            connection.close()


def _first(rows: Any, count: int) -> Any:
    with contextlib.closing(rows):
        for place, row in enumerate(rows):
            if place == count:
                return
            yield row
