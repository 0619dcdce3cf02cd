"""A ledger in memory, with the law of the real one: savepoints, versions, one reply for ever. It outlives every actor.

ledger = MemoryLedger()
ledger.fail(2, "before")      the 2nd append from now raises, nothing recorded
ledger.fail(2, "after")       the same, but it is recorded
ledger.answer(1, Conflict("pairings.device_id"))   the next append gets this outcome, nothing recorded
ledger.held = True            posted entries wait in line; `release()` commits them in order
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import trio

from ferryman.protocol.ledger.record import (
    Append,
    Appended,
    AppendOutcome,
    CommandMismatch,
    Conflict,
    Recorded,
    Repeated,
)


class LedgerGone(Exception):
    """The ledger crashed under its caller."""


@dataclass
class MemoryPending:
    ledger: MemoryLedger
    entry: Append
    outcome: AppendOutcome | Exception | None = None
    done: trio.Event = field(default_factory=trio.Event)

    async def wait(self) -> AppendOutcome:
        await self.done.wait()
        assert self.outcome is not None
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class MemoryLedger:
    """`streams` is what is on the disk; `appends` counts every attempt."""

    def __init__(self) -> None:
        self.streams: dict[str, list[Recorded]] = {}
        self.appends = 0
        self.replays = 0
        self.held = False
        self.line: list[MemoryPending] = []
        self._faults: dict[int, Literal["before", "after"]] = {}
        self._outcomes: dict[int, AppendOutcome] = {}

    def fail(self, nth: int, when: Literal["before", "after"]) -> None:
        self._faults[self.appends + nth] = when

    def answer(self, nth: int, outcome: AppendOutcome) -> None:
        self._outcomes[self.appends + nth] = outcome

    def records(self, stream: str) -> list[Recorded]:
        return self.streams.get(stream, [])

    def events(self, stream: str) -> list[object]:
        return [event for record in self.records(stream) for event in record.events]

    # --- LedgerPort

    async def append(self, entry: Append) -> AppendOutcome:
        pending = await self.post(entry)
        return await pending.wait()

    async def post(self, entry: Append) -> MemoryPending:
        pending = MemoryPending(self, entry)
        self.line.append(pending)
        if not self.held:
            self.release()
        await trio.lowlevel.checkpoint()
        return pending

    async def snapshot(self, stream: str, expected_version: int, state: object) -> AppendOutcome:
        await trio.lowlevel.checkpoint()
        self.appends += 1
        entry = Append(stream, expected_version, b"snapshot %d" % self.appends, bytes(32), (state,))
        outcome = self._outcomes.get(self.appends) or self._write(entry)
        if isinstance(outcome, Appended):
            self.streams[stream][-1] = msgspec.structs.replace(self.streams[stream][-1], snapshot=True)
        return outcome

    async def replay(self, stream: str) -> list[Recorded]:
        self.replays += 1
        await trio.lowlevel.checkpoint()
        records = self.records(stream)
        snapshots = [place for place, record in enumerate(records) if record.snapshot]
        if not snapshots:
            return list(records)
        remembered = [
            msgspec.structs.replace(record, events=()) for record in records[: snapshots[-1]] if not record.snapshot
        ]
        return [*remembered, *records[snapshots[-1] :]]

    # --- the disk

    def release(self, count: int | None = None) -> None:
        """Commit what is in line, the oldest `count` of it."""
        due, self.line = (self.line, []) if count is None else (self.line[:count], self.line[count:])
        for pending in due:
            try:
                pending.outcome = self._commit(pending.entry)
            except Exception as gone:
                pending.outcome = gone
            pending.done.set()

    def _commit(self, entry: Append) -> AppendOutcome:
        self.appends += 1
        fault = self._faults.get(self.appends)
        if fault == "before":
            raise LedgerGone
        planned = self._outcomes.get(self.appends)
        outcome = planned if planned is not None else self._write(entry)
        if fault == "after":
            raise LedgerGone
        return outcome

    def _write(self, entry: Append) -> AppendOutcome:
        records = self.streams.setdefault(entry.stream, [])
        for record in records:
            if record.command_id == entry.command_id:
                if record.command_hash != entry.command_hash:
                    return CommandMismatch(entry.stream, entry.command_id)
                return Repeated(record.seq, record.version, record.reply)
        if entry.expected_version != (records[-1].version if records else 0):
            return Conflict("version")
        version = entry.expected_version + 1
        records.append(
            Recorded(
                seq=sum(map(len, self.streams.values())) + 1,
                stream=entry.stream,
                version=version,
                command_id=entry.command_id,
                command_hash=entry.command_hash,
                events=entry.events,
                reply=entry.reply,
                recorded_at=0,
            )
        )
        return Appended(records[-1].seq, version)


class ReprCodec:
    """Tells commands apart by their repr: enough for machines made of plain dataclasses."""

    @staticmethod
    def command_hash(command: object) -> bytes:
        return hashlib.sha256(repr(command).encode()).digest()
