"""Invites: sealed payloads that wait ten minutes for the one who knows their lookup key (wire.md §8 and §9).

    PostInvite    -> Posted(expires_at, revoke_token), or why not
    FetchInvite   -> the payload, which is gone then, or None: expired, claimed, never made look the same
    CancelInvite  -> whether there was one of whoever holds the token

The relay sees a lookup key and a ciphertext; what opens it never leaves the devices.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ferryman.actors.core.context import Context
from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.core.messages import Ask
from ferryman.actors.ports import Clock, Entropy
from ferryman.actors.relay.buffer_messages import ClaimInvite, PutInvite, RevokeInvite
from ferryman.actors.relay.settings import Settings
from ferryman.actors.relay.transaction import StorageFull
from ferryman.protocol.relay.code_letters import canonical

BUFFER = "/buffer"
LOOKUP_LETTERS = 8
LIFETIME_SECONDS = 600
TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Posted:
    expires_at: int
    revoke_token: str


@dataclass(frozen=True, slots=True)
class PostInvite(Ask["Posted | str"]):
    """A str says why not: "bad key", "taken" or "full"."""

    lookup_key: str
    encrypted_payload: str


@dataclass(frozen=True, slots=True)
class FetchInvite(Ask["str | None"]):
    lookup_key: str


@dataclass(frozen=True, slots=True)
class CancelInvite(Ask[bool]):
    lookup_key: str
    revoke_token: str


def invites(clock: Clock, entropy: Entropy, settings: Settings) -> Callable[[Context[Any]], Awaitable[None]]:
    """The actor's body. It keeps nothing: invites are in the buffer's database."""

    async def body(ctx: Context[Any]) -> None:
        buffer = ctx.ref(BUFFER)
        async for env in ctx:
            asked = env.msg
            lookup_key = canonical(asked.lookup_key, LOOKUP_LETTERS)
            try:
                match asked:
                    case PostInvite(encrypted_payload=payload):
                        if lookup_key is None:
                            env.reply("bad key")
                            continue
                        token = urlsafe_b64encode(entropy.random_bytes(TOKEN_BYTES)).rstrip(b"=").decode()
                        expires_at = clock.now() + LIFETIME_SECONDS
                        put = PutInvite(lookup_key, payload, token_hash(token), expires_at, settings.max_invites)
                        env.reply(await buffer.ask(put) or Posted(expires_at, token))
                    case FetchInvite():
                        found = None if lookup_key is None else await buffer.ask(ClaimInvite(lookup_key))
                        crash_point("invites.answer")
                        env.reply(found)
                    case CancelInvite(revoke_token=token):
                        gone = lookup_key is not None and await buffer.ask(RevokeInvite(lookup_key, token_hash(token)))
                        env.reply(gone)
                    case other:
                        raise TypeError(f"not a message of invites: {type(other).__name__}")
            except StorageFull as error:  # whoever asks comes again: a full disk is nobody's crash
                env.fail(error)

    return body


def token_hash(token: str) -> bytes:
    """What is stored: whoever reads the database cannot revoke."""
    return sha256(token.encode()).digest()
