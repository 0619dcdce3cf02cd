"""A client's eye on the outbox: what waits there for its group, looked up when somebody says that it changed.

look, look, look --> one reading under way, and one more after it --> feed(OutboxSeen)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from ferryman.actors.board import Board
from ferryman.actors.core.ref import Ref
from ferryman.actors.recorder import look
from ferryman.protocol.sync import happenings
from ferryman.protocol.sync.outbox import OutboxState, Totals
from ferryman.protocol.sync.shelf import Shelf

EMPTY = Shelf()


class ShelfWatch:
    """One group's. It reads in tasks of the actor that owns it.

    What it sees is put up on the board too: an answer of the outbox to a client that is gone reached nobody."""

    def __init__(
        self,
        tasks: trio.Nursery,
        outbox: Ref[Any],
        group_id: bytes,
        board: Board,
        feed: Callable[[happenings.Input], None],
    ) -> None:
        self._tasks = tasks
        self._board = board
        self._outbox = outbox
        self._group_id = group_id
        self._feed = feed
        self._looking = False
        self._look_again = False

    def look(self) -> None:
        if self._looking:
            self._look_again = True
            return
        self._looking = True
        self._tasks.start_soon(self._fetch)

    async def _fetch(self) -> None:
        while True:
            self._look_again = False
            state: OutboxState = await look(self._outbox)
            lane = state.lanes.get(self._group_id)
            shelf = EMPTY if lane is None else lane.shelf
            self._board.show_totals(Totals(state.steps, shelf.count, shelf.size))
            self._feed(happenings.OutboxSeen(shelf))
            if not self._look_again:
                break
        self._looking = False
