"""Carries sealed blobs from the ledger's file to the relay line: read in a thread, checked by their hash, in order."""

from __future__ import annotations

import contextlib
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any, cast

import trio

from ferryman.actors.client_world import ClientWorld
from ferryman.actors.core.errors import RecoveryFailed
from ferryman.actors.core.ref import Ref
from ferryman.actors.ledger_file import executor, open_reader
from ferryman.actors.ports import Disk
from ferryman.actors.recorder import look
from ferryman.actors.relay_line import Call, RelayLine
from ferryman.protocol.crypto.sealing import blob_hash
from ferryman.protocol.relay.messages import Push
from ferryman.protocol.sync.events import Error
from ferryman.protocol.sync.happenings import (
    PushGone,
)
from ferryman.protocol.sync.outbox import SELECT, OutboxState
from ferryman.protocol.sync.shelf import Waiting


class OutboxReader:
    """One client's. What was asked for on a connection that is gone is not sent on another."""

    def __init__(self, world: ClientWorld, line: RelayLine, outbox: Ref[Any]) -> None:
        self._world = world
        self._outbox = outbox
        self._line = line
        self._wanted: deque[tuple[tuple[Waiting, ...], Call]] = deque()
        self._news = trio.Event()

    def send(self, blobs: tuple[Waiting, ...], call: Call | None) -> None:
        if call is not None:
            self._wanted.append((blobs, call))
            self._news.set()

    async def run(self) -> None:
        while True:
            await self._news.wait()
            self._news = trio.Event()
            while self._wanted:
                blobs, call = self._wanted.popleft()
                if self._line.counts(call):
                    await self._carry(blobs, call)

    async def _carry(self, blobs: tuple[Waiting, ...], call: Call) -> None:
        world = self._world
        read = partial(read_blobs, world.ports.disk, world.ledger, world.group_id, blobs)
        try:
            found = await world.ports.threads.run(read)
            if None in found:
                await self._require_settled(blobs, found)
        except RecoveryFailed as damage:  # this client ends for good: its host should know why
            world.board.show_end(damage.message)
            world.hub.publish(Error(0, damage.message))
            raise
        self._hand_over(blobs, found, call)

    async def _require_settled(self, blobs: tuple[Waiting, ...], found: list[bytes | None]) -> None:
        """A row that is not there is right for a blob that was acknowledged, and damage for one that still waits."""
        state: OutboxState = await look(self._outbox)
        lane = state.lanes.get(self._world.group_id)
        for waiting, sealed in zip(blobs, found, strict=True):
            if sealed is None and lane is not None and lane.shelf.find(waiting.seq) is not None:
                raise damaged(waiting.seq)

    def _hand_over(self, blobs: tuple[Waiting, ...], read: list[bytes | None], call: Call) -> None:
        for waiting, sealed in zip(blobs, read, strict=True):
            if not self._line.counts(call):
                return
            if sealed is None:
                self._line.feed(PushGone(waiting.blob_id))
            else:
                call.send(Push(waiting.blob_id, sealed, 0))


def read_blobs(disk: Disk, ledger: Path, group_id: bytes, blobs: tuple[Waiting, ...]) -> list[bytes | None]:
    """Their sealed bytes, None for one that was acknowledged meanwhile. Blocking. Raises RecoveryFailed."""
    found: list[bytes | None] = []
    with contextlib.closing(open_reader(disk, ledger)) as connection:  # for one look: it holds up no checkpoint
        execute = executor(connection)
        for waiting in blobs:
            row = execute(SELECT, (group_id, waiting.seq)).fetchone()
            sealed = None if row is None else cast("bytes", row[0])
            if sealed is not None and blob_hash(sealed) != waiting.sealed_hash:
                raise damaged(waiting.seq)
            found.append(sealed)
    return found


def damaged(seq: int) -> RecoveryFailed:
    return RecoveryFailed(
        f"blob {seq} in the outbox's table is not what was recorded: restore the home directory", code="OUTBOX_DAMAGED"
    )
