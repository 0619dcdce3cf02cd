"""The ledger: one writer for the whole runtime. What it has answered is on the disk.

    mailbox --up to 1,000--> one transaction --thread--> one fsync --> the replies, in order

| message              | answer                                                          |
|----------------------|-----------------------------------------------------------------|
| Record(entry)        | Appended, Repeated, CommandMismatch, Conflict or StorageFull    |
| Replay(stream)       | its records, from the last snapshot on                          |
| Blank(seqs, reason)  | None, once their bodies are empty: retention                    |
| GetStatus()          | LedgerStatus: ok, or degraded while there is no room            |

Inserting happens on the loop and only the commit in the thread: a thread that inserts waits for the GIL at each
statement. A large record is the exception; its bytes would hold up the loop for longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, cast

import apsw
import trio

from ferryman.actors.core.context import Body, Context
from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.core.errors import RecoveryFailed
from ferryman.actors.core.messages import Ask, Envelope
from ferryman.actors.core.ref import Pending, Ref
from ferryman.actors.keychain_errors import KeychainError
from ferryman.actors.ledger_file import WAL_BYTES, Place
from ferryman.actors.ledger_open import OpenLedger, open_ledger
from ferryman.actors.ledger_reader import replay
from ferryman.actors.ledger_retention import blank
from ferryman.actors.ports import Keychain, Ports
from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.ledger.errors import LedgerError, LedgerUnwritable
from ferryman.protocol.ledger.record import Append, AppendOutcome, Recorded, StorageFull, TakeSnapshot
from ferryman.protocol.ledger.snapshot import REMEMBER_SECONDS

GROUP_RECORDS = 1_000
"""Above some hundred records a commit costs by the byte; more would only make the first of them wait."""
GROUP_BYTES = 8 * 1024 * 1024
"""A group of large records is cut here, so that a small one behind it does not wait for all of them."""
ANCHOR_AGAIN_SECONDS = 60.0  # a locked keychain is asked for a password at every try, or costs a second of waiting
CHECKPOINT_PAGES = 2_000
"""8 MiB of WAL: a restart reads little of it, and a page that many commits changed is written back once."""


@dataclass(frozen=True, slots=True)
class Record(Ask[AppendOutcome]):
    entry: Append | TakeSnapshot


@dataclass(frozen=True, slots=True)
class Replay(Ask[list[Recorded]]):
    stream: str


@dataclass(frozen=True, slots=True)
class Blank(Ask[None]):
    """Empty the bodies of these records. Raises LocalProtocolError for one that is not here, or that a start needs."""

    seqs: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class LedgerStatus:
    """seq: the last record on disk. reason: one line, "" while all is well."""

    state: Literal["ok", "degraded"]
    reason: str
    seq: int
    records: int


@dataclass(frozen=True, slots=True)
class GetStatus(Ask[LedgerStatus]):
    pass


Message = Record | Replay | Blank | GetStatus


class LedgerClient:
    """What durable actors hold of the ledger."""

    def __init__(self, ref: Ref[Message]) -> None:
        self._ref = ref

    async def append(self, entry: Append) -> AppendOutcome:
        """Returns when it is on the disk, or refused. Raises LocalProtocolError for what cannot be recorded."""
        return await self._ref.ask(Record(entry))

    async def post(self, entry: Append) -> Pending[AppendOutcome]:
        """Queue it behind everything posted before; the Pending gives the outcome."""
        return await self._ref.post(Record(entry))

    async def snapshot(self, stream: str, expected_version: int, state: object) -> AppendOutcome:
        """Record the state as a snapshot: the next replay starts there."""
        return await self._ref.ask(Record(TakeSnapshot(stream, expected_version, state)))

    async def replay(self, stream: str) -> list[Recorded]:
        """Oldest first. Raises RecoveryFailed."""
        return await self._ref.ask(Replay(stream))

    async def blank(self, seqs: tuple[int, ...], reason: str) -> None:
        """Empty the bodies of these records; the records, and the reason, stay."""
        await self._ref.ask(Blank(seqs, reason))

    async def status(self) -> LedgerStatus:
        return await self._ref.ask(GetStatus())


def ledger_body(
    path: Path, ports: Ports, keychain: Keychain, *, tables: Sequence[str] = (), wal_bytes: int = WAL_BYTES
) -> Body:
    """The ledger at `path`. `tables`: DDL (CREATE TABLE, CREATE INDEX ... IF NOT EXISTS) of the tables rows may write.

    Raises RecoveryFailed on start when the ledger cannot be trusted; its code says why.
    """
    place = Place(path, ports.disk, keychain, ports.entropy)

    async def body(ctx: Context[Message]) -> None:
        try:
            start = partial(open_ledger, place, ports.clock.now(), tables=tables, wal_bytes=wal_bytes)
            opened = await ports.threads.run(start)
        except LedgerError as error:
            raise RecoveryFailed(error.message, code=error.code) from error
        clean = False
        try:
            writer = _Writer(ctx, ports, place, opened)
            while batch := await ctx.receive_batch(GROUP_RECORDS):
                await writer.handle(batch)
            clean = True
        finally:
            with trio.CancelScope(shield=True):
                await ports.threads.run(partial(opened.close, clean=clean))

    return body


class _Writer:
    def __init__(self, ctx: Context[Message], ports: Ports, place: Place, opened: OpenLedger) -> None:
        self._ctx = ctx
        self._ports = ports
        self._place = place
        self._opened = opened
        self._store = opened.store
        self._reason = ""
        self._unanchored = ""
        self._anchor_again = 0.0

    async def handle(self, batch: list[Envelope[Message]]) -> None:
        """Appends first: a replay asked for behind them must see them."""
        appends = [cast("Envelope[Record]", envelope) for envelope in batch if isinstance(envelope.msg, Record)]
        with trio.CancelScope(shield=True):  # from the first INSERT to the last reply
            while appends:
                appends = await self._write_group(appends)
        for envelope in batch:
            match envelope.msg:
                case Record():
                    pass
                case Replay(stream):
                    self._ctx.tasks.start_soon(self._replay, envelope, stream, self._store.replay_start(stream))
                case Blank(seqs, reason):
                    await self._blank(envelope, seqs, reason)
                case GetStatus():
                    envelope.reply(self._status())

    async def _write_group(self, appends: list[Envelope[Record]]) -> list[Envelope[Record]]:
        """Write as many as fit one group; the rest comes back."""
        now = self._ports.clock.now()
        answers: list[object] = []
        full: apsw.FullError | None = None
        try:
            self._store.begin()
            self._stage(appends, now, answers, heavy=False)
            await self._ports.threads.run(partial(self._finish, appends, now, answers))
        except apsw.FullError as error:
            self._store.rollback()
            full = error
        taken = len(answers) if full is None else len(appends)
        if full is not None:
            self._reason = f"{self._place.path}: the disk is full; nothing can be recorded until there is room"
            answers = [StorageFull(self._reason)] * taken
        else:
            self._reason = ""
        crash_point("ledger.reply")
        for envelope, answer in zip(appends, answers, strict=False):
            if isinstance(answer, LocalProtocolError):
                envelope.fail(answer)
            else:
                envelope.reply(answer)
        await self._keep_house()
        return appends[taken:]

    def _stage(self, appends: list[Envelope[Record]], now: int, answers: list[object], *, heavy: bool) -> None:
        for envelope in appends[len(answers) :]:
            if self._store.staged_bytes > GROUP_BYTES:
                return
            try:
                answer = self._store.stage(envelope.msg.entry, now, heavy=heavy)
            except LocalProtocolError as error:
                answer = error
            if answer is None:
                return
            answers.append(answer)

    def _finish(self, appends: list[Envelope[Record]], now: int, answers: list[object]) -> None:
        self._stage(appends, now, answers, heavy=True)
        crash_point("ledger.commit")
        self._store.commit()

    async def _keep_house(self) -> None:
        now = trio.current_time()
        if self._opened.anchor_is_due and now >= self._anchor_again:
            crash_point("ledger.anchor")
            try:
                await self._ports.threads.run(self._opened.write_anchor)
                self._unanchored = ""
            except (OSError, KeychainError) as error:
                self._unanchored = f"{self._place.path}: the key store cannot keep the newest anchor: {error}"
                self._anchor_again = now + ANCHOR_AGAIN_SECONDS
        if self._store.wal_pages > CHECKPOINT_PAGES:
            try:
                await self._ports.threads.run(self._store.checkpoint)
            except apsw.FullError:
                self._reason = f"{self._place.path}: the disk is full; the write-ahead log cannot be emptied"

    async def _replay(self, envelope: Envelope[Message], stream: str, start: int) -> None:
        place, since = self._place, self._ports.clock.now() - REMEMBER_SECONDS
        read = partial(replay, place.disk, place.path, self._store.keys, stream, start, since=since)
        try:
            envelope.reply(await self._ports.threads.run(read))
        except LedgerError as error:
            envelope.fail(RecoveryFailed(error.message, code=error.code))

    async def _blank(self, envelope: Envelope[Message], seqs: tuple[int, ...], reason: str) -> None:
        work = partial(blank, self._store, seqs, reason, self._ports.clock.now())
        with trio.CancelScope(shield=True):
            try:
                envelope.reply(await self._ports.threads.run(work))
            except (LocalProtocolError, LedgerUnwritable) as error:
                envelope.fail(error)

    def _status(self) -> LedgerStatus:
        head = self._store.head
        reason = self._reason or self._unanchored
        return LedgerStatus("degraded" if reason else "ok", reason, head.seq, head.records)
