"""Carries sealed blobs from the ledger's file to the relay line: read in a thread, checked against their hash, in order."""

from __future__ import annotations

import contextlib
from collections import deque
from functools import partial
from typing import cast

import apsw
import trio

from ferryman.actors.client_world import ClientWorld
from ferryman.actors.core.errors import RecoveryFailed
from ferryman.actors.ledger_file import executor, open_reader
from ferryman.actors.relay_line import Call, RelayLine
from ferryman.protocol.crypto.sealing import blob_hash
from ferryman.protocol.relay.messages import Push
from ferryman.protocol.sync.outbox import SELECT
from ferryman.protocol.sync.session import PushGone
from ferryman.protocol.sync.shelf import Waiting


class OutboxReader:
    """One client's. What was asked for on a connection that is gone is not sent on another."""

    def __init__(self, world: ClientWorld, line: RelayLine) -> None:
        self._world = world
        self._line = line
        self._wanted: deque[tuple[tuple[Waiting, ...], Call]] = deque()
        self._news = trio.Event()

    def send(self, blobs: tuple[Waiting, ...], call: Call | None) -> None:
        if call is not None:
            self._wanted.append((blobs, call))
            self._news.set()

    async def run(self) -> None:
        """Never returns; keeps one connection to the file while it runs."""
        world = self._world
        connection = await world.ports.threads.run(lambda: open_reader(world.ports.disk, world.ledger))
        with contextlib.closing(connection):
            while True:
                await self._news.wait()
                self._news = trio.Event()
                while self._wanted:
                    blobs, call = self._wanted.popleft()
                    if self._line.counts(call):
                        read = partial(read_blobs, connection, world.group_id, blobs)
                        self._hand_over(blobs, await world.ports.threads.run(read), call)

    def _hand_over(self, blobs: tuple[Waiting, ...], read: list[bytes | None], call: Call) -> None:
        for waiting, sealed in zip(blobs, read, strict=True):
            if not self._line.counts(call):
                return
            if sealed is None:
                self._line.feed(PushGone(waiting.blob_id))
            else:
                call.send(Push(waiting.blob_id, sealed, 0))


def read_blobs(connection: apsw.Connection, group_id: bytes, blobs: tuple[Waiting, ...]) -> list[bytes | None]:
    """Their sealed bytes, None for one that was acknowledged meanwhile. Blocking. Raises RecoveryFailed."""
    found: list[bytes | None] = []
    for waiting in blobs:
        row = executor(connection)(SELECT, (group_id, waiting.seq)).fetchone()
        sealed = None if row is None else cast("bytes", row[0])
        if sealed is not None and blob_hash(sealed) != waiting.sealed_hash:
            raise RecoveryFailed(
                f"blob {waiting.seq} in the outbox's table is not the one that was recorded: restore the home directory",
                code="OUTBOX_DAMAGED",
            )
        found.append(sealed)
    return found
