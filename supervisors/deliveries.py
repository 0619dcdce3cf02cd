"""How blobs reach the host's stream, and how what it took is recorded: through the client of the moment.

next_blobs   waits for a client, and asks it; one that crashes meanwhile is asked again
begin_take   puts a tray in line with the client, if there is one
take         returns when it is recorded: by the client, or without one by the inbox alone (`note`)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from ferryman.actors.core.errors import ActorCrashed, ActorStopped, NoSuchActor
from ferryman.actors.core.ref import Pending as Taking
from ferryman.actors.core.ref import Ref
from ferryman.actors.recorder import AGAIN_SECONDS
from ferryman.actors.sync_messages import Handed, NextBlobs, TakeBlobs, Tray
from ferryman.protocol.sync.errors import Closed
from ferryman.supervisors.harbour import Harbour

Note = Callable[[list[Handed], bytes], Awaitable[None]]


class Deliveries:
    def __init__(self, harbour: Harbour, ref: Callable[[str], Ref[Any]], note: Note) -> None:
        self._harbour = harbour
        self._ref = ref
        self._note = note

    async def next_blobs(self, reader: int) -> tuple[Handed, ...]:
        """The next for this reader, at least one. Raises Closed, Superseded."""
        board = self._harbour.board
        while True:
            client = board.client
            if board.closed:
                raise Closed
            if client is None:
                await board.changed.wait()
                continue
            try:
                return await self._ref(client).ask(NextBlobs(reader))
            except (ActorCrashed, ActorStopped, NoSuchActor):
                await trio.sleep(AGAIN_SECONDS)

    async def begin_take(self, tray: Tray) -> Taking[None] | None:
        """Put it in line with the client; None when there is none."""
        client = self._harbour.board.client
        if client is None:
            return None
        try:
            return await self._ref(client).post(TakeBlobs(self._harbour.ports.ids.new_id(), tray))
        except NoSuchActor:
            return None

    async def take(self, blobs: list[Handed]) -> None:
        """Through the client, which knows what lies before them; without one the inbox notes these alone."""
        command_id = self._harbour.ports.ids.new_id()
        while (client := self._harbour.board.client) is not None:
            try:
                return await self._ref(client).ask(TakeBlobs(command_id, Tray(blobs)))
            except (ActorCrashed, ActorStopped, NoSuchActor):
                await trio.sleep(AGAIN_SECONDS)
        await self._note(blobs, command_id)
        return None
