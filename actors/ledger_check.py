"""Reading a whole ledger before anybody trusts it. Finds the first thing that is wrong, and changes nothing.

segment --> base MAC --> each record: next number, next version, chain, body hash, known types --> anchor
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import apsw
import msgspec

from ferryman.actors.ledger_file import RESTORE, executor, explain
from ferryman.actors.ledger_segment import Segment
from ferryman.protocol.crypto.ledger_seal import LedgerKeys
from ferryman.protocol.ledger.anchor import Anchor
from ferryman.protocol.ledger.chain import Chain, body_hash
from ferryman.protocol.ledger.codec import Named, decode, is_known, split_body
from ferryman.protocol.ledger.errors import (
    LedgerBroken,
    LedgerRolledBack,
    LedgerUnknownType,
    LedgerUnreadable,
    RecordUnreadable,
)
from ferryman.protocol.ledger.snapshot import LEDGER_STREAM, SNAPSHOT_CLASS, SNAPSHOT_NAME, Blanked, Snapshot

_RECORDS = """
SELECT r.seq, r.stream, r.version, r.command_id, r.command_hash, r.principal, r.class, r.recorded_at, r.body_hash,
       r.chain, b.seq, b.bytes
FROM record AS r LEFT JOIN body AS b ON b.seq = r.seq ORDER BY r.seq
"""
_SNAPSHOTS = """
SELECT r.seq, r.stream, b.bytes FROM record AS r JOIN body AS b ON b.seq = r.seq
WHERE r.class = ? AND b.bytes IS NOT NULL ORDER BY r.seq
"""
_REMEMBERED = "SELECT stream, command_id, command_hash, seq, version, recorded_at, reply FROM remembered"
_snapshot = msgspec.msgpack.Decoder(Snapshot)


@dataclass(slots=True)
class Head:
    """Where a checked ledger ends, and what its writer has to know of it."""

    seq: int
    chain: bytes
    records: int = 0
    versions: dict[str, int] = field(default_factory=dict[str, int])
    snapshots: dict[str, int] = field(default_factory=dict[str, int])  # stream: version of its last snapshot
    blanked: list[int] = field(default_factory=list[int])
    watched: bytes | None = None

    def anchor(self, ledger_id: bytes) -> Anchor:
        return Anchor(ledger_id, self.seq, self.chain)


def check(connection: apsw.Connection, path: Path, segment: Segment, keys: LedgerKeys, *, watch: int = 0) -> Head:
    """Read every record. Raises a LedgerError for the first that is wrong.

    watch: the number of a record whose chain the caller wants to see in `watched`.
    """
    head = Head(segment.base.seq, segment.base.chain)
    if watch == segment.base.seq:
        head.watched = segment.base.chain
    try:
        emptied = _walk(connection, path, keys, head, watch)
        if not segment.archive and segment.base.seq > 0:
            _require_memory(connection, path, segment)
    except (apsw.Error, UnicodeDecodeError) as error:
        raise explain(path, _as_damage(error), record=head.seq + 1) from None
    if not segment.archive:  # what says why an archived body is empty may stand in a later segment
        for number in emptied:
            raise LedgerBroken(f"{path}: record {number} was emptied, and not by retention; {RESTORE}", record=number)
    return head


def _walk(connection: apsw.Connection, path: Path, keys: LedgerKeys, head: Head, watch: int) -> list[int]:
    """Returns the records that are empty without a record that says why."""
    link = Chain(keys.chain).link
    versions = head.versions
    seq, chain = head.seq, head.chain
    whole = head.seq == 0
    excused: dict[int, None] = {}
    for number, stream, version, command_id, masked, principal, kind, at, digest, mac, has_body, body in executor(
        connection
    )(_RECORDS):
        head.seq = seq
        if number != seq + 1:
            raise LedgerBroken(f"{path}: record {seq + 1} is missing; {RESTORE}", record=seq + 1)
        chain = link(chain, number, stream, version, command_id, masked, principal, kind, at, digest)
        if chain != mac:
            raise LedgerBroken(
                f"{path}: record {number} (stream {stream}) is not what was recorded: its chain is broken; {RESTORE}",
                record=number,
            )
        if version != versions.get(stream, 0) + 1 and (whole or stream in versions):
            raise LedgerBroken(f"{path}: record {number} is out of order in {stream}; {RESTORE}", record=number)
        versions[stream] = version
        if body is None:
            if has_body is None:
                raise LedgerBroken(f"{path}: record {number} has lost its body; {RESTORE}", record=number)
            head.blanked.append(number)
        else:
            if body_hash(body) != digest:
                raise LedgerBroken(
                    f"{path}: record {number} (stream {stream}) is not what was recorded: its body differs; {RESTORE}",
                    record=number,
                )
            _require_known(path, number, stream, body)
        if kind == SNAPSHOT_CLASS:
            head.snapshots[stream] = version
        if stream == LEDGER_STREAM and body is not None:
            excused.update(_blanked_by(body))
        if number == watch:
            head.watched = chain
        seq = number
        head.records += 1
    head.seq, head.chain = seq, chain
    return [number for number in head.blanked if number not in excused]


def _require_known(path: Path, number: int, stream: str, body: bytes) -> None:
    try:
        events, reply = split_body(body)
        names = [name for name, _ in events if not is_known(name)]
        if not is_known(reply[0]):
            names.append(reply[0])
        if events and events[0][0] == SNAPSHOT_NAME:
            names += _unknown_inside(unpack_snapshot(events[0]))
    except RecordUnreadable as error:
        raise LedgerUnreadable(
            f"{path}: record {number} (stream {stream}) cannot be read: {error}; {RESTORE}", record=number
        ) from None
    if names:
        raise LedgerUnknownType(
            f"{path}: record {number} (stream {stream}) is of type {names[0]!r}, which this program does not know;"
            " start the version or the application that wrote it",
            record=number,
        )


def _unknown_inside(snapshot: Snapshot) -> list[str]:
    names = [name for name, _ in snapshot.events]
    names += [command.reply[0] for command in snapshot.commands]
    if snapshot.state is not None:
        names.append(snapshot.state[0])
    return [name for name in names if not is_known(name)]


def unpack_snapshot(named: Named) -> Snapshot:
    """Raises RecordUnreadable."""
    try:
        return _snapshot.decode(named[1])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordUnreadable(str(error)) from None


def _blanked_by(body: bytes) -> dict[int, None]:
    seqs: dict[int, None] = {}
    for name, raw in split_body(body)[0]:
        if name == "ledger.blanked/1":
            event = decode(msgspec.msgpack.encode((name, raw)))
            if isinstance(event, Blanked):
                seqs.update(dict.fromkeys(event.seqs))
    return seqs


def require_anchor(path: Path, segment: Segment, anchor: Anchor | None, head: Head) -> None:
    """`head` comes from a check that watched the anchor's record. Raises LedgerRolledBack."""
    if anchor is None:
        if head.seq == 0:
            return  # made, and nothing recorded yet
        seen = "the key store has lost its anchor"
    elif anchor.ledger_id != segment.ledger_id:
        seen = "the key store has seen another ledger"
    elif anchor.seq > head.seq:
        seen = f"it ends at record {head.seq}, but the key store has seen record {anchor.seq}"
    elif anchor.seq < segment.base.seq:
        seen = f"it begins after record {segment.base.seq}, but the key store has seen only record {anchor.seq}"
    elif anchor.chain != head.watched:
        seen = f"record {anchor.seq} is not the one that the key store has seen"
    else:
        return
    raise LedgerRolledBack(
        f"{path}: {seen}; restore the newest ledger, or take this one with `ferryman ledger accept-rollback {path}`",
        record=head.seq,
    )


def _require_memory(connection: apsw.Connection, path: Path, segment: Segment) -> None:
    """The commands of archived records stand in a table that no chain covers: it must say what the snapshots say."""
    execute = executor(connection)
    written = {(stream, bytes(known[0])): known for stream, *known in execute(_REMEMBERED)}
    for seq, stream, body in execute(_SNAPSHOTS, (SNAPSHOT_CLASS,)):
        for known in unpack_snapshot(split_body(body)[0][0]).commands:
            if known.seq > segment.base.seq:
                continue
            row = [known.command_id, known.command_hash, known.seq, known.version, known.recorded_at]
            row.append(msgspec.msgpack.encode(known.reply))
            if written.pop((stream, known.command_id), None) != row:
                raise LedgerBroken(
                    f"{path}: record {seq} (snapshot of {stream}) knows a command that the file lost; {RESTORE}",
                    record=seq,
                )
    for stream, _ in written:
        raise LedgerBroken(f"{path}: it claims a command of {stream} that no snapshot knows; {RESTORE}")


def _as_damage(error: Exception) -> Exception:
    return apsw.CorruptError("text that is no UTF-8") if isinstance(error, UnicodeDecodeError) else error
