"""How blobs reach the host's streams, and how what it took is recorded: through the client of the moment.

begin_next   waits for a client, and puts a reader's question in line with it
begin_take   puts a tray in line with the client, if there is one
take         returns when it is recorded: by the client, or without one by the inbox alone (`note`)

The newest stream that asked is the one that reads: an older one is told so, with its next question at the latest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from ferryman.actors.core.errors import ActorCrashed, ActorStopped, NoSuchActor
from ferryman.actors.core.ref import Pending, Ref
from ferryman.actors.recorder import AGAIN_SECONDS
from ferryman.actors.sync_messages import Handed, NextBlobs, TakeBlobs, Taken, Tray
from ferryman.protocol.sync.errors import Closed, Superseded
from ferryman.supervisors.harbour import Harbour

Note = Callable[[list[Taken]], Awaitable[None]]


class Deliveries:
    """_reader: the newest that has asked. They are numbered in the order in which the host opened them."""

    def __init__(self, harbour: Harbour, ref: Callable[[str], Ref[Any]], note: Note) -> None:
        self._harbour = harbour
        self._ref = ref
        self._note = note
        self._reader = 0

    def admit(self, reader: int) -> None:
        """Raises Superseded when a newer one reads."""
        if reader < self._reader:
            raise Superseded
        self._reader = reader

    async def begin_next(self, reader: int) -> Pending[tuple[Handed, ...]]:
        """Its answer is the next blobs, at least one. Raises Closed, Superseded; so may the answer."""
        board = self._harbour.board
        while True:
            self.admit(reader)
            if board.closed:
                raise Closed
            if board.client is None:
                await board.changed.wait()
                continue
            try:
                return await self._ref(board.client).post(NextBlobs(reader))
            except NoSuchActor:
                await trio.sleep(AGAIN_SECONDS)

    async def begin_take(self, tray: Tray) -> Pending[None] | None:
        """Put it in line with the client; None when there is none."""
        client = self._harbour.board.client
        if client is None:
            return None
        try:
            return await self._ref(client).post(TakeBlobs(tray))
        except NoSuchActor:
            return None

    async def take(self, blobs: list[Taken]) -> None:
        """Through the client, which knows what lies before them; without one the inbox notes these alone."""
        while (client := self._harbour.board.client) is not None:
            try:
                return await self._ref(client).ask(TakeBlobs(Tray(blobs)))
            except (ActorCrashed, ActorStopped, NoSuchActor):
                await trio.sleep(AGAIN_SECONDS)
        await self._note(blobs)
        return None
