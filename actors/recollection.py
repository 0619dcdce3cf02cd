"""What a stream remembers: the state its events lead to, and the first reply to every command.

    recall(machine, records)        a snapshot begins it, events carry it on

Not yet remembered: decide. Remembered with the same hash: the first reply. With another hash: a mismatch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, NamedTuple, TypeVar, cast

from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.core.errors import RecoveryFailed
from ferryman.protocol.ledger.record import Recorded
from ferryman.protocol.machine import Machine

S = TypeVar("S")

REMEMBERED_SECONDS = 30 * 24 * 3600  # as long as a snapshot does: later than that nobody repeats a command


class Answer(NamedTuple):
    command_hash: bytes
    reply: object
    since: float  # Trio's time


class Recollection(Generic[S]):
    """State, version (the number of records in the stream) and answers, in the order in which they were given."""

    def __init__(self, machine: Machine[S, Any, Any], stream: str) -> None:
        self.machine = machine
        self.stream = stream
        self.state: S = machine.initial
        self.version = 0
        self.snapshot_version = 0  # of the last snapshot
        self.answers: dict[bytes, Answer] = {}

    def recall(self, records: Iterable[Recorded], now: float) -> None:
        """Carry on with these records. Raises RecoveryFailed, naming the record that the machine cannot read."""
        evolve = self.machine.evolve
        answers = self.answers
        state = self.state
        for record in records:
            crash_point("durable.replay")
            try:
                if record.snapshot:
                    state = cast("S", record.events[0])
                else:
                    for event in record.events:
                        state = evolve(state, event)
            except Exception as cause:  # whatever a machine stumbles over, the record is named
                raise RecoveryFailed(
                    f"stream {self.stream}: record {record.seq} (version {record.version}) cannot be replayed:"
                    f" {type(cause).__name__}"
                ) from cause
            self.version = record.version
            if record.snapshot:
                self.snapshot_version = record.version
            else:
                answers[record.command_id] = Answer(record.command_hash, record.reply, now)
        self.state = state

    def adopt(self, state: S, version: int) -> None:
        """The stream has a record more, and this is what it leads to."""
        self.state = state
        self.version = version

    def remember(self, command_id: bytes, command_hash: bytes, reply: object, now: float) -> None:
        """Keep an answer; forget the one that has grown too old."""
        answers = self.answers
        answers[command_id] = Answer(command_hash, reply, now)
        oldest = next(iter(answers))
        if answers[oldest].since < now - REMEMBERED_SECONDS:
            del answers[oldest]
