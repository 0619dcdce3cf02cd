"""The rate limiter: buckets for keys that several actors share. The law is `take` of protocol/relay/limits.py.

    Spend(bucket, key, amount)   -> Verdict: allowed, or after how many milliseconds it would be

Who alone owns a key's state applies the law himself and asks nobody. A bucket holds one period's worth: that much may
come at once, then it fills at its rate. Over `MAX_KEYS` the longest unused keys go, which can only favour a stranger.
A crash empties nothing but the memory of what was spent: everybody starts with a full bucket again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import trio

from ferryman.actors.core.context import Context
from ferryman.actors.core.messages import Ask
from ferryman.protocol.relay.limits import Bucket, take

MAX_KEYS = 65_536  # a flood from many addresses must not become memory


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so many seconds."""

    amount: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Verdict:
    allowed: bool
    retry_after_ms: int = 0


@dataclass(frozen=True, slots=True)
class Spend(Ask[Verdict]):
    bucket: str
    key: str
    amount: int = 1


def rate_limiter(rates: Mapping[str, Rate]) -> Callable[[Context[Spend]], Awaitable[None]]:
    """The actor's body."""

    async def body(ctx: Context[Spend]) -> None:
        buckets: OrderedDict[tuple[str, str], Bucket] = OrderedDict()
        async for env in ctx:
            asked = env.msg
            rate, now = rates[asked.bucket], trio.current_time()
            place = (asked.bucket, asked.key)
            bucket = buckets.pop(place, None) or Bucket.full(rate.amount, rate.seconds, now)
            buckets[place], allowed, retry_after_ms = take(bucket, now, asked.amount)
            while len(buckets) > MAX_KEYS:
                buckets.popitem(last=False)
            env.reply(Verdict(allowed, retry_after_ms))

    return body
