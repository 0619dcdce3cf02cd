"""Which commands are recorded: the ledger's answer to somebody who repeats himself.

record(stream, command id)       here, or
remembered(stream, command id)   its record is archived, a snapshot still knows it
"""

from __future__ import annotations

import msgspec

from ferryman.actors.ledger_file import Execute
from ferryman.actors.ledger_stream import StreamSeal
from ferryman.protocol.ledger.codec import Named, split_body
from ferryman.protocol.ledger.errors import RecordUnreadable
from ferryman.protocol.ledger.payload import lower
from ferryman.protocol.ledger.record import CommandMismatch, Repeated
from ferryman.protocol.ledger.snapshot import REMEMBER_SECONDS, SNAPSHOT_CLASS, RememberedCommand

_FIND = "SELECT seq, version, command_hash FROM record WHERE stream = ? AND command_id = ?"
_FIND_REMEMBERED = "SELECT seq, version, command_hash, reply FROM remembered WHERE stream = ? AND command_id = ?"
_YOUNG = """
SELECT r.command_id, r.command_hash, r.seq, r.version, r.recorded_at, b.bytes
FROM record AS r JOIN body AS b ON b.seq = r.seq
WHERE r.stream = ? AND r.recorded_at >= ? AND r.class <> ? AND b.bytes IS NOT NULL ORDER BY r.version
"""
_YOUNG_REMEMBERED = """
SELECT command_id, command_hash, seq, version, recorded_at, reply
FROM remembered WHERE stream = ? AND recorded_at >= ? ORDER BY seq
"""


class CommandIndex:
    """Looks commands up over the writer's connection, what is staged included."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._remembering = dict(execute("SELECT DISTINCT stream, NULL FROM remembered"))

    def is_remembering(self, stream: str) -> bool:
        """True: a command of this stream may be known without a record here, so that no UNIQUE would notice it."""
        return stream in self._remembering

    def find(
        self, seal: StreamSeal, stream: str, command_id: bytes, command_hash: bytes
    ) -> Repeated | CommandMismatch | None:
        """What is recorded under the id."""
        found = self._execute(_FIND, (stream, command_id)).fetchone()
        if found is not None:
            seq, version, masked = found
            reply = self._reply_of(seq)
        else:
            found = self._execute(_FIND_REMEMBERED, (stream, command_id)).fetchone()
            if found is None:
                return None
            seq, version, masked, packed = found
            reply = unpack_reply(lower(packed, self._payload))
        if seal.mask(command_id, masked) != command_hash:
            return CommandMismatch(stream, command_id)
        return Repeated(seq, version, None if reply is None else seal.codec.decode_one(reply))

    def commands(self, stream: str, now: int) -> list[RememberedCommand]:
        """The commands of the stream that are younger than 30 days, in the order in which they were recorded."""
        since = now - REMEMBER_SECONDS
        known = [
            RememberedCommand(command_id, masked, seq, version, at, unpack_reply(reply))
            for command_id, masked, seq, version, at, reply in self._execute(_YOUNG_REMEMBERED, (stream, since))
        ]
        known.extend(
            RememberedCommand(command_id, masked, seq, version, at, split_body(body)[1])
            for command_id, masked, seq, version, at, body in self._execute(_YOUNG, (stream, since, SNAPSHOT_CLASS))
        )
        return known

    def _reply_of(self, seq: int) -> Named | None:
        found = self._execute("SELECT bytes FROM body WHERE seq = ?", (seq,)).fetchone()
        return split_body(lower(found[0], self._payload))[1] if found and found[0] is not None else None

    def _payload(self, digest: bytes) -> bytes:
        return fetch_payload(self._execute, digest)


def fetch_payload(execute: Execute, digest: bytes) -> bytes:
    """A large value by its hash. Raises RecordUnreadable."""
    found = execute("SELECT bytes FROM payload WHERE hash = ?", (digest,)).fetchone()
    if found is None:
        raise RecordUnreadable("a large value is missing")
    return found[0]


def unpack_reply(packed: bytes) -> Named:
    """Raises RecordUnreadable."""
    try:
        return _reply.decode(packed)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordUnreadable(str(error)) from None


_reply: msgspec.msgpack.Decoder[Named] = msgspec.msgpack.Decoder(Named)
