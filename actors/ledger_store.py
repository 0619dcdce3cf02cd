"""The ledger's writer: one connection, one open group of appends at a time. Synchronous; `actors/ledger.py` drives it.

    begin -> stage(entry), stage(entry), ... -> commit         one transaction, one fsync; then the replies
                                             -> rollback       nothing of the group has happened

| what an append meets                          | answer                                   |
|-----------------------------------------------|------------------------------------------|
| its command id, recorded with the same hash   | Repeated: the first reply                |
| its command id, recorded with another hash    | CommandMismatch                          |
| another version of its stream than it expects | Conflict("version")                      |
| a higher token of its fence                   | Conflict("fence")                        |
| a constraint of a row's table                 | Conflict(the constraint), savepoint back |
| no room                                       | apsw.FullError: the group goes back      |
| none of these                                 | Appended                                 |
"""

from __future__ import annotations

from pathlib import Path

import apsw

from ferryman.actors.ledger_check import Head
from ferryman.actors.ledger_file import FatalStorageError, executor, is_fsync_failure
from ferryman.actors.ledger_index import CommandIndex
from ferryman.actors.ledger_rows import RowGate, constraint_name
from ferryman.actors.ledger_segment import Segment
from ferryman.actors.ledger_stream import StreamSeal, make_stream_seal
from ferryman.actors.ports import Entropy
from ferryman.protocol.crypto.ledger_seal import LedgerKeys
from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.ledger.anchor import Anchor
from ferryman.protocol.ledger.chain import Chain, body_hash
from ferryman.protocol.ledger.errors import LedgerError
from ferryman.protocol.ledger.payload import hashes, lift
from ferryman.protocol.ledger.record import Append, Appended, CommandMismatch, Conflict, Repeated, TakeSnapshot
from ferryman.protocol.ledger.snapshot import (
    SNAPSHOT_CLASS,
    RememberedCommand,
    Snapshot,
    own_id,
)

Answer = Appended | Repeated | CommandMismatch | Conflict

MAX_RECORD_BYTES = 64 * 1024 * 1024
"""A body above this is a mistake, not a record: SQLite would take it, and every replay would carry it for ever."""
LIGHT_BYTES = 64 * 1024
"""What the loop can encode and insert in well under a millisecond."""
SEALS_KEPT = 1_000
"""Streams come and go; making a seal again costs less than keeping one for each that ever was."""
MAX_NAME_LENGTH = 250
_INSERT_RECORD = "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_BODY = "INSERT INTO body VALUES (?, ?)"
_INSERT_PAYLOAD = "INSERT INTO payload VALUES (?, ?) ON CONFLICT DO NOTHING"


class GroupLost(LedgerError):
    """The transaction is gone under us: nothing of the group is recorded, and nothing more may be staged in it."""

    code = "LEDGER_GROUP_LOST"


class LedgerStore:
    """Appends to a checked ledger. Not for two threads at once."""

    def __init__(
        self, connection: apsw.Connection, path: Path, segment: Segment, keys: LedgerKeys, head: Head, entropy: Entropy
    ) -> None:
        self.path = path
        self.segment = segment
        self.keys = keys
        self.gate = RowGate(connection)
        self.wal_pages = 0
        self.connection = connection
        self._execute = executor(connection)
        self._entropy = entropy
        self._link = Chain(keys.chain).link
        self._seals: dict[str, StreamSeal] = {}
        self.head = head  # what is committed
        self.staged_bytes = 0
        self._seq, self._chain = head.seq, head.chain  # what is staged on top of it
        self._versions: dict[str, int] = {}
        self._snapshots: dict[str, int] = {}
        self._index = CommandIndex(self._execute)
        connection.set_wal_hook(self._committed_to_wal)

    # --- reading what is committed

    @property
    def anchor(self) -> Anchor:
        return self.head.anchor(self.keys.ledger_id)

    def replay_start(self, stream: str) -> int:
        """The version at which a replay of the stream starts: its last snapshot, else the first record that is here."""
        return self.head.snapshots.get(stream, 1)

    def version(self, stream: str) -> int:
        """The version of the stream's last record, staged ones included; 0 if it has none."""
        staged = self._versions.get(stream)
        return staged if staged is not None else self.head.versions.get(stream, 0)

    def commands(self, stream: str, now: int) -> list[RememberedCommand]:
        """What a snapshot taken now would remember."""
        return self._index.commands(stream, now)

    def seal(self, stream: str) -> StreamSeal:
        seal = self._seals.get(stream)
        if seal is None:
            if len(self._seals) >= SEALS_KEPT:
                self._seals.clear()
            seal = self._seals[stream] = make_stream_seal(self.keys, stream, self._entropy)
        return seal

    # --- one group

    def begin(self) -> None:
        self._execute("BEGIN IMMEDIATE")

    def stage(self, entry: Append | TakeSnapshot, now: int, *, heavy: bool = True) -> Answer | None:
        """Put one append into the open group. None, if `heavy` is not allowed: it is large, nothing was done.

        Raises LocalProtocolError for what cannot be recorded (the group stands), apsw.FullError when there is no room
        (roll back), other apsw.Errors when the file fails.
        """
        if isinstance(entry, TakeSnapshot):
            return self._stage_snapshot(entry, now) if heavy else None
        _require_form(entry)
        if self._index.is_remembering(entry.stream) or entry.expected_version != self.version(entry.stream):
            known = self._known(entry)
            if known is not None:
                return known
            if entry.expected_version != self.version(entry.stream):
                return Conflict("version")
        if entry.fence is not None and self._is_fenced_off(*entry.fence):
            return self._known(entry) or Conflict("fence")
        seal = self.seal(entry.stream)
        body = seal.codec.encode(entry.events, entry.reply)
        if len(body) > LIGHT_BYTES and not heavy:
            return None
        masked = seal.mask(entry.command_id, entry.command_hash)
        return self._write(entry, masked, body, now)

    def commit(self) -> None:
        """One fsync; what was staged is recorded when this returns. Raises FatalStorageError if the fsync failed."""
        try:
            self._execute("COMMIT")
        except apsw.Error as error:
            if is_fsync_failure(error):
                raise FatalStorageError(f"{self.path}: fsync failed: {error}") from error
            raise
        head = self.head
        self.staged_bytes = 0
        head.records += self._seq - head.seq
        head.seq, head.chain = self._seq, self._chain
        head.versions.update(self._versions)
        head.snapshots.update(self._snapshots)
        self._versions = {}
        self._snapshots = {}

    def rollback(self) -> None:
        """Take the group back. SQLite may have done so itself when there was no room."""
        if self.connection.in_transaction:
            self._execute("ROLLBACK")
        self._seq, self._chain = self.head.seq, self.head.chain
        self._versions = {}
        self._snapshots = {}
        self.staged_bytes = 0

    def checkpoint(self, *, empty: bool = False) -> None:
        """Move the WAL's pages into the file; `empty` cuts the WAL too. Raises FatalStorageError, apsw.FullError."""
        try:
            self.connection.wal_checkpoint(
                mode=apsw.SQLITE_CHECKPOINT_TRUNCATE if empty else apsw.SQLITE_CHECKPOINT_PASSIVE
            )
            self.wal_pages = 0
        except apsw.BusyError:
            return  # somebody still reads from the log; the next checkpoint goes further
        except apsw.Error as error:
            if is_fsync_failure(error):
                raise FatalStorageError(f"{self.path}: fsync failed: {error}") from error
            raise

    def close(self, *, clean: bool) -> None:
        """A clean close leaves one file. SQLite tidies up when it closes, and says nothing of a sync that fails there:
        so the work is done before, and after a failure nothing is tidied."""
        self.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(not clean))
        self.connection.close()

    # --- writing

    def _write(self, entry: Append, masked: bytes, body: bytes, now: int) -> Answer:
        body, payloads = lift(body)
        if len(body) > MAX_RECORD_BYTES:
            raise LocalProtocolError(f"a record of {len(body)} bytes in stream {entry.stream}")
        seq, version, digest = self._seq + 1, entry.expected_version + 1, body_hash(body)
        header = (
            seq,
            entry.stream,
            version,
            entry.command_id,
            masked,
            entry.principal,
            entry.record_class,
            now,
            digest,
        )
        chain = self._link(self._chain, *header)
        used = hashes(body)  # a snapshot may hold some that are here already
        alone = not (entry.rows or used or entry.fence)  # the first INSERT fails or nothing does: no savepoint
        execute = self._execute
        if not alone:
            execute("SAVEPOINT append")
        try:
            execute(_INSERT_RECORD, (*header, chain))
            execute(_INSERT_BODY, (seq, body))
            if not alone:
                self._write_payloads(seq, used, payloads)
                self._raise_fence(entry)
                self.gate.run(entry.rows)
                execute("RELEASE append")
        except (apsw.ConstraintError, LocalProtocolError) as error:
            if not self.connection.in_transaction:  # an OR ROLLBACK in a row: the whole group is gone
                raise GroupLost(f"a row of stream {entry.stream} took the whole group back") from error
            if not alone:
                execute("ROLLBACK TO append")
                execute("RELEASE append")
            if isinstance(error, LocalProtocolError):
                raise
            return self._known(entry) or Conflict(constraint_name(error))
        self._seq, self._chain = seq, chain
        self.staged_bytes += len(body) + sum(map(len, payloads.values()))
        self._versions[entry.stream] = version
        return Appended(seq, version)

    def _write_payloads(self, seq: int, used: list[bytes], payloads: dict[bytes, bytes]) -> None:
        for digest in used:
            self._execute("INSERT INTO payload_use VALUES (?, ?)", (digest, seq))
            if digest in payloads:
                self._execute(_INSERT_PAYLOAD, (digest, payloads[digest]))

    def _stage_snapshot(self, entry: TakeSnapshot, now: int) -> Answer:
        if entry.expected_version != self.version(entry.stream):
            return Conflict("version")
        state = self.seal(entry.stream).codec.encode_one(entry.state)
        return self.write_snapshot(entry.stream, Snapshot(state, [], []), now)

    def write_snapshot(self, stream: str, snapshot: Snapshot, now: int) -> Answer:
        """Record a snapshot whose parts are packed already."""
        version = self.version(stream)
        entry = Append(stream, version, own_id(version), bytes(32), record_class=SNAPSHOT_CLASS)
        body = self.seal(stream).codec.encode((snapshot,), None)
        answer = self._write(entry, entry.command_hash, body, now)
        if isinstance(answer, Appended):
            self._snapshots[stream] = answer.version
        return answer

    # --- what may stand against it

    def _known(self, entry: Append) -> Repeated | CommandMismatch | None:
        return self._index.find(self.seal(entry.stream), entry.stream, entry.command_id, entry.command_hash)

    def _is_fenced_off(self, name: str, token: int) -> bool:
        found = self._execute("SELECT token FROM fence WHERE name = ?", (name,)).fetchone()
        return found is not None and found[0] > token

    def _raise_fence(self, entry: Append) -> None:
        if entry.fence is not None:
            self._execute(
                "INSERT INTO fence VALUES (?, ?) ON CONFLICT DO UPDATE SET token = max(token, excluded.token)",
                entry.fence,
            )

    def _committed_to_wal(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self.wal_pages = pages
        return apsw.SQLITE_OK


def _require_form(entry: Append) -> None:
    """What would fail further in, where it would fail the whole group."""
    if type(entry.command_id) is not bytes or len(entry.command_id) != 16:
        raise LocalProtocolError("a command id has 16 bytes")
    if type(entry.command_hash) is not bytes or len(entry.command_hash) != 32:
        raise LocalProtocolError("a command hash has 32 bytes")
    for name in (entry.stream, entry.principal, entry.record_class):
        if len(name) > MAX_NAME_LENGTH or not (name.isascii() or _is_text(name)):
            raise LocalProtocolError(f"a stream, principal or class is a text of {MAX_NAME_LENGTH} characters at most")
    if not entry.stream:
        raise LocalProtocolError("a stream has a name")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
