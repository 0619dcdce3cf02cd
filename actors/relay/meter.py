"""What a source sends and is sent, counted by its connections and settled with the rate limiter once a second.

The limiter is asked beside the path of the messages, never on it: an excess is noticed a second late at most, and then
refused until the limiter would allow it again. What a connection owes at its end is settled then: the door asks before
the next one (429).

| bucket   | over it                                                  |
|----------|----------------------------------------------------------|
| messages | ERROR 2000                                               |
| ingress  | ERROR 2000                                               |
| egress   | ERROR 2000 to a PULL; NOTIFYs come without their payload |
"""

from __future__ import annotations

from typing import Any

import trio

from ferryman.actors.core.context import Context
from ferryman.actors.core.errors import ActorCrashed, ActorStopped
from ferryman.actors.rate_limiter import Settle, Verdict
from ferryman.actors.relay.seats import Seat
from ferryman.protocol.relay.errors import Refusal, WireCode
from ferryman.protocol.relay.messages import Delete, Pull, Push

LIMITER = "/infrastructure/rate_limiter"
SETTLE_SECONDS = 1.0


class Meter:
    def __init__(self, ctx: Context[Any], seat: Seat) -> None:
        self._ctx = ctx
        self._seat = seat
        self._spent = {"messages": 0, "ingress": 0, "egress": 0}
        self._settling = False
        self._refused_until = 0.0
        self._no_page_until = 0.0

    def received(self, count: int, messages: int) -> None:
        self._spent["ingress"] += count
        self._spent["messages"] += messages
        self._settle_soon()

    def sent(self, count: int) -> None:
        self._spent["egress"] += count
        self._settle_soon()

    def refusal(self, request: object) -> Refusal | None:
        """Why a request is not taken now."""
        until = max(self._refused_until, self._no_page_until) if isinstance(request, Pull) else self._refused_until
        wait = until - trio.current_time()
        if wait <= 0:
            return None
        ref = request.blob_id if isinstance(request, (Push, Delete)) else None
        return Refusal(WireCode.RATE_LIMITED, "too much from this address", round(wait * 1000) + 1, ref)

    def settle_up(self) -> None:
        """At the connection's end: nobody waits for the answer."""
        for bucket, amount in self._spent.items():
            if amount:
                self._ctx.ref(LIMITER).tell(Settle(bucket, self._seat.source, amount))

    def _settle_soon(self) -> None:
        if not self._settling:
            self._settling = True
            self._ctx.tasks.start_soon(self._settle)

    async def _settle(self) -> None:
        await trio.sleep(SETTLE_SECONDS)
        self._settling = False
        for bucket, amount in self._spent.items():
            self._spent[bucket] = 0
            if amount:
                self._obey(bucket, await self._ask(bucket, amount))

    async def _ask(self, bucket: str, amount: int) -> Verdict:
        try:
            return await self._ctx.ref(LIMITER).ask(Settle(bucket, self._seat.source, amount))
        except (ActorCrashed, ActorStopped):  # it comes back and has forgotten what was spent: so do we
            return Verdict(True)

    def _obey(self, bucket: str, verdict: Verdict) -> None:
        if bucket == "egress":
            self._seat.short_of_egress = not verdict.allowed
            self._no_page_until = trio.current_time() + verdict.retry_after_ms / 1000
        elif not verdict.allowed:
            self._refused_until = trio.current_time() + verdict.retry_after_ms / 1000
