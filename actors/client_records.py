"""What a client has on record: pushes with the outbox, blobs taken with the inbox, the relay's key with its group.

    acknowledged, rejected --> outbox --> the board's totals, BlobPushed or BlobRejected
    take, advance ----------> inbox  --> moved(run, through)
    restart ----------------> inbox  --> `knows(run)`: before that, nothing of this run is handed over
    pin --------------------> group

Each is told again, under one id, until there is an answer; nothing here waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ferryman.actors.client_world import ClientWorld
from ferryman.actors.core.context import Context
from ferryman.actors.recorder import Recorder, look
from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.machine import Refused
from ferryman.protocol.sync.events import BlobPushed, BlobRejected, Error
from ferryman.protocol.sync.group import Pin
from ferryman.protocol.sync.inbox import START, Advance, InboxState, Position, Restart, Take
from ferryman.protocol.sync.outbox import Acknowledge, Reject, Totals

Moved = Callable[[int, int], None]


class ClientRecords:
    """One incarnation's. moved: is told the run of cursors, and up to which of them all is recorded."""

    def __init__(self, ctx: Context[Any], world: ClientWorld, moved: Moved) -> None:
        near = world.neighbours
        self._ctx = ctx
        self._world = world
        self._moved = moved
        self._inbox = ctx.ref(near.inbox)
        self._pins = Recorder(ctx.ref(near.group))
        self._settled = Recorder(ctx.ref(near.outbox))
        self._taken = Recorder(self._inbox)
        self._new_id = world.ports.ids.new_id
        self._run = 0

    async def begin(self) -> Position:
        """Where the inbox stands. From now on, records are made."""
        state: InboxState = await look(self._inbox)
        position = state.positions.get(self._world.group_id, START)
        self._run = position.run
        for recorder in (self._pins, self._settled, self._taken):
            self._ctx.tasks.start_soon(recorder.run)
        return position

    def knows(self, run: int) -> bool:
        """Whether this run is on record. After a crash, the number of one that is not is another history's."""
        return run == self._run

    # --- with the inbox

    def restart(self, run: int, incarnation: bytes, then: Callable[[], None]) -> None:
        restart = Restart(self._world.group_id, run, incarnation)
        self._taken.record(self._new_id(), restart, partial(self._restarted, run, then))

    def _restarted(self, run: int, then: Callable[[], None], answer: int | Refused) -> None:
        if isinstance(answer, int):
            self._world.board.last_cursor = answer
            self._run = max(run, self._run)
            then()

    def advance(self, run: int, through: int) -> None:
        command = Advance(self._world.group_id, run, through)
        self._taken.record(self._new_id(), command, partial(self._recorded, run))

    def take(self, take: Take, then: Callable[[], None]) -> None:
        def done(answer: int | Refused) -> None:
            if isinstance(answer, Refused):  # the inbox refuses no take; the host must not hear that it is on record
                raise LocalProtocolError(f"a take was refused: {answer.message}")
            self._recorded(take.run, answer)
            then()

        self._taken.record(self._new_id(), take, done)

    def _recorded(self, run: int, answer: int | Refused) -> None:
        if isinstance(answer, int):
            self._moved(run, answer)

    # --- with the outbox, and the group

    def acknowledged(self, seq: int, blob_id: bytes, cursor: int) -> None:
        command = Acknowledge(self._world.group_id, seq, blob_id, cursor)
        self._settled.record(self._new_id(), command, partial(self._forgot, BlobPushed(blob_id, cursor)))

    def rejected(self, seq: int, blob_id: bytes, code: int) -> None:
        command = Reject(self._world.group_id, seq, blob_id, code)
        self._settled.record(self._new_id(), command, partial(self._forgot, BlobRejected(blob_id, code)))

    def _forgot(self, settled: BlobPushed | BlobRejected, answer: Totals | Refused) -> None:
        if isinstance(answer, Refused):
            self._world.hub.publish(Error(0, f"the outbox could not record an acknowledgement: {answer.message}"))
            return
        self._world.hub.publish(settled)  # before the totals: what follows from it is told after it
        self._world.board.show_totals(answer)

    def pin(self, relay_key: bytes) -> None:
        self._pins.record(self._new_id(), Pin(self._world.group_id, relay_key), lambda _: None)
