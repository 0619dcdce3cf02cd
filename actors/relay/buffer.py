"""The buffer: the relay's one writer. What it acknowledges is on disk.

    mailbox --> intake --> fair queue --> [ INSERTs on the loop | COMMIT in a thread ] --> lanes, replies
                       --> reads ---------[ in a thread, between two commits ]---------> seats, lanes

While a commit waits for its fsync the next batch gathers: that is what makes one fsync serve many pushes.
A full disk refuses (ERROR 3000) and is tried again; any other failure of the disk ends the process: after a failed
fsync nobody knows what is on disk, and asking again gets a success that means nothing.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import trio

from ferryman.actors.core.context import Context
from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.core.errors import RecoveryFailed
from ferryman.actors.core.messages import Envelope
from ferryman.actors.ports import Ports
from ferryman.actors.relay.buffer_messages import (
    Acked,
    Census,
    Pull,
    Register,
    Remove,
    StoreAll,
    Totals,
    Unload,
    VacuumSome,
)
from ferryman.actors.relay.deleting import Deleting
from ferryman.actors.relay.deliveries import Deliveries
from ferryman.actors.relay.fair_queue import BATCH_JOBS, FairQueue
from ferryman.actors.relay.frames import FrameWriter
from ferryman.actors.relay.holdings import INCARNATION_BYTES, Holdings
from ferryman.actors.relay.invite_table import InviteTable
from ferryman.actors.relay.metrics import Metrics
from ferryman.actors.relay.records import Refused
from ferryman.actors.relay.schema import begin_lifetime, end_lifetime, open_database
from ferryman.actors.relay.settings import Settings
from ferryman.actors.relay.sql import Sql
from ferryman.actors.relay.sweeping import Sweeping
from ferryman.actors.relay.tables import Tables
from ferryman.actors.relay.transaction import Delivered, Job, Read, StoreOne, Transaction, settled
from ferryman.actors.relay.wal import EXTENT_BYTES, Wal
from ferryman.protocol.relay.errors import Refusal, WireCode
from ferryman.protocol.relay.group import Device

QUEUE_BYTES = 32 * 1024 * 1024  # pushes in memory that wait for a commit, of all groups
QUEUE_RETRY_MS = 1000
HOPS = 4  # of a push from its socket to the queue: connection, router, allocator, intake
INTAKE = 256  # messages taken in before the writer gets its turn
READS = 8  # pages read in one turn: each may have 4 MiB, and a commit waits for all of them
ACK_SECONDS = 1.0  # an acknowledgement alone waits so long for company: losing one costs a blob some more time on disk

StorageFailures = (apsw.IOError, apsw.CorruptError, apsw.NotADBError, apsw.ReadOnlyError, apsw.CantOpenError)


def buffer(
    path: Path,
    settings: Settings,
    ports: Ports,
    frames: FrameWriter,
    metrics: Metrics,
    *,
    restored: bool = False,
    wal_bytes: int = EXTENT_BYTES,
) -> Callable[[Context[Any]], Awaitable[None]]:
    """The actor's body. `restored`: the database came out of a backup, so all cursors begin new incarnations."""

    has_begun = False  # in this process: what an earlier incarnation committed, the system still has, synced or not

    async def body(ctx: Context[Any]) -> None:
        nonlocal has_begun
        connection = await ports.threads.run(lambda: open_database(ports.disk, path, synchronous=settings.synchronous))
        try:
            if not has_begun:
                begin_lifetime(
                    connection,
                    loses=settings.synchronous == "normal",
                    restored=restored,
                    new_incarnation=lambda: ports.entropy.random_bytes(INCARNATION_BYTES),
                )
                has_begun = True
            async with trio.open_nursery() as tasks:  # over before the connection closes: a COMMIT may be in its thread
                writer = Buffer(connection, path, settings, ports, frames, metrics, tasks)
                await writer.prepare(wal_bytes)
                tasks.start_soon(writer.write)
                while batch := await ctx.receive_batch(INTAKE):
                    for env in batch:
                        writer.take_in(env)
                await writer.finish()
                tasks.cancel_scope.cancel()
            with contextlib.suppress(apsw.FullError):  # what was committed is in the log, and the next start finds it
                await ports.threads.run(lambda: end_lifetime(connection))
        finally:
            connection.close()

    return body


class Buffer:
    """One incarnation."""

    def __init__(
        self,
        connection: Sql,
        path: Path,
        settings: Settings,
        ports: Ports,
        frames: FrameWriter,
        metrics: Metrics,
        tasks: trio.Nursery,
    ) -> None:
        self._connection = connection
        self._path = path
        self._ports = ports
        self._frames = frames
        self._metrics = metrics
        self._tasks = tasks
        self._wal = Wal(connection)
        self._tables = Tables(connection, default_ttl=settings.default_ttl)
        deleting = Deleting(connection, default_ttl=settings.default_ttl)
        self._sweeping = Sweeping(connection, deleting, default_ttl=settings.default_ttl)
        self._statements = self._tables, deleting, self._sweeping, InviteTable(connection)
        self._holdings = Holdings(self._tables, ports.entropy, lambda: settings.rules)
        self._queue: FairQueue[Job] = FairQueue()
        self._reads: deque[Read] = deque()
        self._acked: dict[tuple[bytes, bytes], Device] = {}
        self._deliveries = Deliveries()
        self._acks_due = self._acks_waiting = False
        self._work = trio.Event()
        self._finishing = False
        self._finished = trio.Event()
        metrics.buffered(self._holdings.groups, self._holdings.blobs, self._holdings.size)

    async def prepare(self, wal_bytes: int) -> None:
        """Make room in the log's file; a disk too full for that serves what it holds."""
        with contextlib.suppress(apsw.FullError):
            await self._ports.threads.run(lambda: self._wal.extend(wal_bytes))

    # intake

    def take_in(self, env: Envelope[Any]) -> None:
        match env.msg:
            case StoreAll():
                self._take_pushes(env.msg)
            case Pull():
                self._reads.append(lambda asked=env.msg: self._pull(asked))
            case Register(seat=seat):
                self._queue.add(seat.group_id, env.msg, 0)
            case Acked(group_id=group_id, device=device):
                self._take_ack(group_id, device)
            case Remove(group_id=group_id):
                self._queue.add(group_id, env.msg, 0)
            case Unload(group_id=group_id):
                self._holdings.unload(group_id)
            case VacuumSome():
                self._reads.append(lambda asked=env: self._vacuum(asked))
            case Census():
                held = self._holdings
                env.reply(Totals(held.groups, held.blobs, held.size, self._metrics.degraded))
            case asked:  # a group's Open stands in line behind what is queued for that group
                self._queue.add(getattr(asked, "group_id", b""), env, 0)
        self._work.set()

    def _take_pushes(self, asked: StoreAll) -> None:
        refused: list[Refused] = []
        for push in asked.pushes:
            cost = push.cost
            if self._queue.bytes + cost > QUEUE_BYTES:
                said = "too much waits for the disk"
                refused.append(Refused(push, Refusal(WireCode.RELAY_OVERLOADED, said, QUEUE_RETRY_MS, push.blob_id)))
            else:
                self._queue.add(asked.group_id, StoreOne(push, asked.lane), cost)
        if refused:
            asked.lane.put(tuple(refused))

    def _take_ack(self, group_id: bytes, device: Device) -> None:
        place = (group_id, device.device_id)
        before = self._acked.get(place)
        self._acked[place] = device if before is None else settled(before, device)
        if not self._acks_waiting:
            self._acks_waiting = True
            self._tasks.start_soon(self._wait_for_acks)

    async def _wait_for_acks(self) -> None:
        await trio.sleep(ACK_SECONDS)
        self._acks_waiting = False
        self._acks_due = True
        self._work.set()

    # the writer

    async def write(self) -> None:
        while True:
            await self._work.wait()
            self._work = trio.Event()
            while self._queue.jobs or self._reads or self._acks_due:
                for _ in range(HOPS if self._queue.jobs < BATCH_JOBS else 0):  # who was readable comes along
                    await trio.lowlevel.checkpoint()
                await self._write_batch()
                await self._read_batch()
                if self._wal.due:
                    await self._checkpoint()
            if self._finishing:
                self._finished.set()

    async def finish(self) -> None:
        """Wait until everything taken in is on disk and answered."""
        self._finishing = True
        self._acks_due = bool(self._acked)
        self._work.set()
        await self._finished.wait()

    async def _write_batch(self) -> None:
        jobs = self._queue.take()
        if not jobs and not self._acks_due:
            return
        self._acks_due = False
        acked, self._acked = self._acked, {}
        jobs += [(group_id, Acked(group_id, device)) for (group_id, _), device in acked.items()]
        jobs += self._deliveries.take()
        now = self._ports.clock.now()
        transaction = Transaction(*self._statements, self._holdings, jobs, now)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            transaction.apply_all()
            crash_point("buffer.commit")
            with self._metrics.commit_seconds.measure():
                await self._ports.threads.run(self._wal.commit)
        except apsw.FullError:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._metrics.degraded = True
            transaction.undo("the relay's disk is full")
        except StorageFailures as error:
            raise self._fatal(error) from error
        else:
            self._metrics.degraded = False
            crash_point("buffer.answer")
            transaction.answer()
        self._reads.extend(transaction.reads)
        self._metrics.buffered(self._holdings.groups, self._holdings.blobs, self._holdings.size)

    async def _checkpoint(self) -> None:
        crash_point("buffer.checkpoint")
        try:
            await self._ports.threads.run(self._wal.checkpoint)
        except apsw.FullError:  # what was committed is in the log, and stays there until there is room
            self._metrics.degraded = True
        except StorageFailures as error:
            raise self._fatal(error) from error

    def _fatal(self, error: apsw.Error) -> RecoveryFailed:
        return RecoveryFailed(
            f"{self._path}: the disk failed ({error}); the relay ends, what was acknowledged is on disk",
            code="STORAGE_FAILED",
        )

    async def _read_batch(self) -> None:
        reads = [self._reads.popleft() for _ in range(min(READS, len(self._reads)))]
        if not reads:
            return
        try:
            results = await self._ports.threads.run(lambda: [read() for read in reads])
        except StorageFailures as error:
            raise self._fatal(error) from error
        for hand_over in results:
            hand_over()

    def _pull(self, asked: Pull) -> Callable[[], None]:
        seat = asked.seat
        now = self._ports.clock.now()
        page = self._tables.page(seat.group_id, asked.after, asked.limit, now)
        frame = self._frames.frame(page, group_id=seat.group_id, cursor=page.max_cursor)

        def hand_over() -> None:
            self._metrics.delivered(len(page.blobs))
            blob_ids = tuple(blob.blob_id for blob in page.blobs)
            self._deliveries.note(Delivered(seat.group_id, seat.device_id, blob_ids))
            seat.pulled(frame, more=page.has_more)

        return hand_over

    def _vacuum(self, env: Envelope[Any]) -> Callable[[], None]:
        try:
            more = self._sweeping.vacuum_some()
        except apsw.FullError:  # giving pages back takes room in the log; the next round may find some
            self._metrics.degraded = True
            more = False
        self._wal.wanted |= not more  # the file is cut when what is committed moves into it
        return lambda: env.reply(more)
