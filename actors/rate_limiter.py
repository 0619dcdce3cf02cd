"""The rate limiter: buckets for keys that several actors share. The law of a single step is protocol/relay/limits.py.

| asked  | for                       | the bucket afterwards                       | answered                     |
|--------|---------------------------|---------------------------------------------|------------------------------|
| Spend  | what is about to happen   | less by the amount, or as it was            | allowed, or when it would be |
| Settle | what has happened already | less by the amount, below nothing if needed | the same                     |

Who alone owns a key's state applies the law himself and asks nobody. A bucket holds one period's worth: that much may
come at once, then it fills at its rate. Over `MAX_KEYS` the longest unused keys go, which can only favour a stranger.
A crash forgets what was spent: everybody starts with a full bucket again.
"""

from __future__ import annotations

import math
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


@dataclass(frozen=True, slots=True)
class Settle(Ask[Verdict]):
    bucket: str
    key: str
    amount: int


def spend(bucket: Bucket, amount: int, now: float) -> tuple[Bucket, Verdict]:
    bucket, allowed, retry_after_ms = take(bucket, now, amount)
    return bucket, Verdict(allowed, retry_after_ms)


def settle(bucket: Bucket, amount: int, now: float) -> tuple[Bucket, Verdict]:
    """A debt is at most one bucket: who overdid it waits two periods, not for ever."""
    filled, _, _ = take(bucket, now, 0)
    tokens = max(filled.tokens - amount, -filled.capacity)
    owing = Bucket(filled.capacity, filled.per_second, tokens, filled.updated)
    return owing, Verdict(tokens >= 0, max(0, math.ceil(-tokens / filled.per_second * 1000)))


def rate_limiter(rates: Mapping[str, Rate]) -> Callable[[Context[Spend | Settle]], Awaitable[None]]:
    """The actor's body."""

    async def body(ctx: Context[Spend | Settle]) -> None:
        buckets: OrderedDict[tuple[str, str], Bucket] = OrderedDict()
        async for env in ctx:
            asked = env.msg
            rate, now = rates[asked.bucket], trio.current_time()
            place = (asked.bucket, asked.key)
            bucket = buckets.pop(place, None)
            if bucket is None or bucket.capacity != rate.amount:  # `rates` may be changed while it runs
                bucket = Bucket.full(rate.amount, rate.seconds, now)
            law = spend if isinstance(asked, Spend) else settle
            buckets[place], verdict = law(bucket, asked.amount, now)
            while len(buckets) > MAX_KEYS:
                buckets.popitem(last=False)
            env.reply(verdict)

    return body
