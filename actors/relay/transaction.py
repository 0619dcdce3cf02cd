"""One transaction of the buffer: jobs are applied on the loop, COMMIT runs in a thread, then answers leave.

    begin -> apply(job)... -> COMMIT (one fsync) -> answer()       reads that answers need come back as `reads`
                           -> undo()                               no job has an effect, each is told so

Statements are short and in memory; only COMMIT waits for the disk, so only COMMIT is worth a thread's 50 us. New blobs
of one group that follow each other are a `Run`: they take their cursors together, in one statement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, TypeAlias

from msgspec import Struct

from ferryman.actors.core.messages import Envelope
from ferryman.actors.relay.buffer_messages import (
    Acked,
    ClaimInvite,
    Open,
    Outcomes,
    PutInvite,
    Register,
    Remove,
    RevokeInvite,
    Sweep,
)
from ferryman.actors.relay.deleting import Deleting
from ferryman.actors.relay.holdings import Holding, Holdings
from ferryman.actors.relay.invite_table import InviteTable
from ferryman.actors.relay.lane import Lane
from ferryman.actors.relay.records import Outcome, Push, Refused, RegisterFailed, Repeated
from ferryman.actors.relay.sweeping import Sweeping
from ferryman.actors.relay.tables import Tables
from ferryman.protocol.errors import AppError
from ferryman.protocol.relay.errors import Refusal, WireCode
from ferryman.protocol.relay.group import Device

RETRY_MS = 5000  # storage that fails now may work when somebody has made room


class StoreOne(Struct, frozen=True):
    """One push of a StoreAll."""

    push: Push
    lane: Lane[Outcomes]


@dataclass(frozen=True, slots=True)
class Delivered:
    """Blobs that were handed to a device: noted, and nothing follows from it (acknowledged is another thing)."""

    group_id: bytes
    device_id: bytes
    blob_ids: tuple[bytes, ...]


Job: TypeAlias = StoreOne | Register | Remove | Acked | Delivered | Envelope[Any]
Read: TypeAlias = Callable[[], Callable[[], None]]
"""Runs off the loop and returns what hands over its result on the loop."""


class Run(Struct):
    """Pushes of one group that were judged to be new, and are not stored yet."""

    group_id: bytes
    holding: Holding
    pushes: list[tuple[Push, bytes]]  # with SHA-256(payload)
    lanes: list[Lane[Outcomes]]
    blob_ids: set[bytes]


class StorageFull(AppError):
    code = "STORAGE_FULL"


class Transaction:
    """Between BEGIN and COMMIT."""

    def __init__(
        self,
        tables: Tables,
        deleting: Deleting,
        sweeping: Sweeping,
        invites: InviteTable,
        holdings: Holdings,
        jobs: list[tuple[bytes, Job]],
        now: int,
    ) -> None:
        self._tables = tables
        self._deleting = deleting
        self._sweeping = sweeping
        self._invites = invites
        self._holdings = holdings
        self._jobs = jobs
        self._now = now
        self._rules = holdings.rules
        self._run: Run | None = None
        self._before: dict[bytes, Holding | None] = {}
        self._outcomes: dict[Lane[Outcomes], list[Outcome]] = {}
        self._replies: list[tuple[Envelope[Any], object]] = []
        self.reads: list[Read] = []

    def apply_all(self) -> None:
        self._before = self._holdings.in_memory([group_id for group_id, _ in self._jobs])
        for group_id, job in self._jobs:
            if isinstance(job, StoreOne):
                self._take_push(group_id, job.push, job.lane)
                continue
            self._store_run()
            match job:
                case Register():
                    self._register(group_id, job)
                case Acked(device=device):
                    self.see(group_id, device)
                case Remove(blob_id=blob_id):
                    self._holdings.went(group_id, *self._deleting.request(group_id, blob_id, self._now))
                case Delivered(device_id=device_id, blob_ids=blob_ids):
                    self._tables.deliver(group_id, device_id, blob_ids, self._now)
                case Envelope():
                    self._replies.append((job, self._answer(job.msg)))
        self._store_run()

    def _take_push(self, group_id: bytes, push: Push, lane: Lane[Outcomes]) -> None:
        run = self._run
        if run is None or run.group_id != group_id or push.blob_id in run.blob_ids:
            self._store_run()  # a repeat is judged when the first is stored
            run = self._run = Run(group_id, self._holdings.of(group_id), [], [], set())
        digest = sha256(push.payload).digest()
        answer = self._judge(run, push, digest)
        if answer is not None:
            self._store_run()  # answers leave in the order of the pushes
            self._outcomes.setdefault(lane, []).append(answer)
            return
        self._holdings.added(run.holding, push)
        run.pushes.append((push, digest))
        run.lanes.append(lane)
        run.blob_ids.add(push.blob_id)

    def _judge(self, run: Run, push: Push, digest: bytes) -> Repeated | Refused | None:
        """The answer to a push that is not to be stored."""
        known = self._tables.recall(run.group_id, push, digest)
        if known is not None:
            return known
        if run.holding.closed and not push.seat.proven:  # it was on its way when a proof put its device out
            return Refused(push, Refusal(WireCode.UNAUTHORIZED, "this group asks for a proof", ref=push.blob_id))
        refusal = self._holdings.judge(run.holding, push, self._rules)
        return None if refusal is None else Refused(push, refusal)

    def _store_run(self) -> None:
        run, self._run = self._run, None
        if run is None or not run.pushes:
            return
        stored = self._tables.store(run.group_id, run.holding.incarnation, run.pushes, self._now)
        for lane, outcome in zip(run.lanes, stored, strict=True):
            self._outcomes.setdefault(lane, []).append(outcome)
        if not run.holding.stored:
            self._store_group(run.group_id, run.holding)

    def _store_group(self, group_id: bytes, holding: Holding) -> None:
        """The group's first blob: what was known of it in memory goes to disk with it."""
        for device in holding.devices.values():
            self._tables.register(group_id, device)
        if holding.closed:
            self._tables.close(group_id)
        self._holdings.group_stored(holding)

    def _register(self, group_id: bytes, job: Register) -> None:
        self.see(group_id, job.device)
        holding = self._holdings.of(group_id)
        if job.closes and not holding.closed:
            holding.close()
            if holding.stored:
                self._holdings.went(group_id, *self._tables.close(group_id))
        self.reads.append(lambda: self._read_registered(group_id, job))

    def _read_registered(self, group_id: bytes, job: Register) -> Callable[[], None]:
        registered = self._tables.registered(group_id, job, self._now)
        return lambda: job.lane.put(registered)

    def see(self, group_id: bytes, device: Device) -> None:
        """A device was seen or acknowledged something."""
        holding = self._holdings.of(group_id)
        if not holding.stored:
            holding.register(device)
            return
        before = self._deleting.acked_before(group_id, device.device_id)
        self._tables.register(group_id, device)
        gone = self._deleting.acknowledged(group_id, before, device.acked_cursor, self._now)
        self._holdings.went(group_id, *gone)

    def _answer(self, asked: object) -> object:
        match asked:
            case Open(group_id=group_id):
                return self._holdings.record(group_id)
            case Sweep(place=place):
                swept = self._sweeping.sweep(place, self._now)
                for group_id, (blobs, total) in swept.freed.items():
                    self._holdings.went(group_id, blobs, total)
                self._holdings.groups_went(swept.groups)
                return swept
            case PutInvite():
                return self._invites.put(asked, self._now)
            case ClaimInvite(lookup_key=lookup_key):
                return self._invites.claim(lookup_key, self._now)
            case RevokeInvite(lookup_key=lookup_key, revoke_hash=revoke_hash):
                return self._invites.revoke(lookup_key, revoke_hash, self._now)
            case _:
                raise TypeError(f"not a job of the buffer: {type(asked).__name__}")

    def answer(self) -> None:
        """The commit returned: say so."""
        for lane, outcomes in self._outcomes.items():
            lane.put(tuple(outcomes))
        for envelope, reply in self._replies:
            envelope.reply(reply)

    def undo(self, message: str) -> None:
        """The transaction failed as a whole: nothing of it is on disk, no cursor was given away."""
        self._holdings.undo(self._before)
        self.reads.clear()
        failed: dict[Lane[Outcomes], list[Outcome]] = {}
        for _, job in self._jobs:
            match job:
                case StoreOne(push=push, lane=lane):
                    refusal = Refusal(WireCode.RELAY_OVERLOADED, message, RETRY_MS, push.blob_id)
                    failed.setdefault(lane, []).append(Refused(push, refusal))
                case Register(seat=seat, lane=lane):
                    lane.put(RegisterFailed(seat, message))
                case Envelope():
                    job.fail(StorageFull(message, retryable=True, retry_after_ms=RETRY_MS))
                case Acked() | Remove() | Delivered():  # said again by the next ACK or DELETE; a delivery binds nobody
                    pass
        for lane, refusals in failed.items():
            lane.put(tuple(refusals))


def settled(device: Device, update: Device) -> Device:
    """Two notes about one device as one."""
    return replace(
        update,
        last_seen=max(device.last_seen, update.last_seen),
        acked_cursor=max(device.acked_cursor, update.acked_cursor),
        proven=device.proven or update.proven,
    )
