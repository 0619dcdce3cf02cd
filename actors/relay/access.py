"""Who may use the relay: API keys, which come as `Authorization: Bearer ...` with the upgrade.

| the upgrade has                    | it is     | what follows                                                    |
|------------------------------------|-----------|-----------------------------------------------------------------|
| no key                             | "none"    | 401 with `server.require_key`, else as everybody                |
| a key that the relay knows         | "known"   | may create groups, always                                       |
| another key                        | "unknown" | ERROR 1002 to its HELLO: who mistyped a key must hear of it     |
| a key over plaintext from outside  | "exposed" | 401: whoever was on the way has it now                          |

A relay without any key in its configuration looks at none. Keys are compared by hash, all of them each time, so that no
answer comes sooner for a key that is nearly right.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from hmac import compare_digest
from typing import Literal, TypeAlias

from ferryman.actors.relay.heads import Headers
from ferryman.actors.relay.settings import Settings
from ferryman.actors.relay.sources import address_of, is_within
from ferryman.protocol.crypto.domains import API_KEY
from ferryman.protocol.relay.errors import Refusal, WireCode

Bearer: TypeAlias = Literal["none", "known", "unknown", "exposed"]

SCHEME = b"bearer "


def hash_key(key: str) -> bytes:
    """What relay.toml holds of a key: whoever reads that file cannot use it."""
    return sha256(API_KEY + key.encode()).digest()


def new_key(entropy: bytes) -> str:
    """A key of 32 random bytes."""
    return f"fr_{urlsafe_b64encode(entropy).rstrip(b'=').decode()}"


def judge_bearer(headers: Headers, *, peer: str, tls: bool, settings: Settings) -> Bearer:
    """What the upgrade's key is worth."""
    said = [value.strip() for name, value in headers if name == b"authorization"]
    if not settings.key_hashes or not said:
        return "none"
    if not is_private(headers, peer, settings, tls=tls):
        return "exposed"
    if len(said) != 1 or not said[0].lower().startswith(SCHEME):
        return "unknown"
    digest = sha256(API_KEY + said[0][len(SCHEME) :].strip()).digest()
    found = [compare_digest(digest, known) for _, known in settings.key_hashes]
    return "known" if any(found) else "unknown"


def is_private(headers: Headers, peer: str, settings: Settings, *, tls: bool) -> bool:
    """Whether nobody on the way saw it: TLS, or from this machine. A trusted proxy tells of the way up to itself.

    One that speaks TLS to the relay and says nothing of what it was spoken to is taken for one that passes TLS on."""
    if is_within(peer, settings.trusted_proxies):
        protocols = [value.strip().lower() for name, value in headers if name == b"x-forwarded-proto"]
        return protocols in ([b"https"], [b"wss"]) or (tls and not protocols)
    address = address_of(peer)
    return tls or (address is not None and address.is_loopback)


def judge_access(bearer: Bearer, settings: Settings, *, new: bool) -> Refusal | None:
    """Why a HELLO is not taken. `new`: it would create its group."""
    if bearer == "unknown":
        return Refusal(WireCode.UNAUTHORIZED, "the relay does not know this API key")
    if new and settings.tokens_create_groups and bearer != "known":
        return Refusal(WireCode.UNAUTHORIZED, "only who has an API key may create a group here")
    return None
