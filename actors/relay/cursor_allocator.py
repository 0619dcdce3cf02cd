"""The cursor allocator of one group: its pushes in order on their way to the buffer, its cursors without a gap.

    router --Propose--> allocator --StoreAll--> buffer: the cursor is assigned in the transaction that stores the blob
    router <---lane---- allocator <---lane----- buffer: outcomes, after the commit

What it proposes is what the buffer must answer: the next cursor of each new blob is the last one and one. An answer
that says otherwise would be a cursor given twice or a gap, so the group stops and is read from disk again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from ferryman.actors.core.context import Context
from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.relay.buffer_messages import Open, Outcomes, StoreAll
from ferryman.actors.relay.lane import Drained, Lane, Wake
from ferryman.actors.relay.records import Push, Refused, Stored
from ferryman.actors.relay.transaction import StorageFull
from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.relay.errors import Refusal, WireCode

BUFFER = "/buffer"
TURN = 256  # messages taken at once
RETRY_MS = 500


class Propose(Struct, frozen=True):
    """Pushes of one group, in the order in which they came. `answers` takes their outcomes."""

    pushes: tuple[Push, ...]
    answers: Lane[Outcomes | Drained]
    last: bool = False  # answer Drained once everything is settled


def cursor_allocator(group_id: bytes) -> Callable[[Context[Any]], Awaitable[None]]:
    """The actor's body."""

    async def body(ctx: Context[Any]) -> None:
        buffer = ctx.ref(BUFFER)
        committed = (await buffer.ask(Open(group_id))).group.max_cursor
        outcomes: Lane[Outcomes] = Lane(ctx.self_ref)
        answers: Lane[Outcomes | Drained] | None = None
        while batch := await ctx.receive_batch(TURN):
            pushes: list[Push] = []
            last = False
            for env in batch:
                match env.msg:
                    case Propose():
                        answers = env.msg.answers
                        pushes += env.msg.pushes
                        last = last or env.msg.last
                    case Wake():
                        pass
                    case other:
                        raise TypeError(f"not a message of a cursor allocator: {type(other).__name__}")
            crash_point("allocator.propose")
            if pushes and not buffer.tell(StoreAll(group_id, tuple(pushes), outcomes)):
                outcomes.put(tuple(Refused(push, overloaded(push)) for push in pushes))
            if last:  # stands in line behind everything that was told before
                with contextlib.suppress(StorageFull):  # then what was told before it is refused, which settles it too
                    await buffer.ask(Open(group_id))
            for settled in outcomes.drain():
                committed = check_cursors(committed, settled)
                if answers is not None:
                    answers.put(settled)
                del settled  # or the last blob stays in memory until this group has another
            if last and answers is not None:
                answers.put(Drained())

    return body


def check_cursors(committed: int, outcomes: Outcomes) -> int:
    """The highest cursor after these outcomes. Raises LocalProtocolError on one given twice or passed over."""
    for outcome in outcomes:
        if isinstance(outcome, Stored):
            if outcome.cursor != committed + 1:
                raise LocalProtocolError(f"cursor {outcome.cursor} was assigned after {committed}")
            committed = outcome.cursor
    return committed


def overloaded(push: Push) -> Refusal:
    return Refusal(WireCode.RELAY_OVERLOADED, "too many pushes wait", RETRY_MS, push.blob_id)
