"""A group invite: everything that a new device needs to join, as a link, as a QR code's text, or behind a short code.

    {scheme}://sync?invite=BASE64URL(payload)                                    wire.md §9, S4 §8.4

| key | model       | is                                                                                     |
|-----|-------------|----------------------------------------------------------------------------------------|
| v   |             | 1                                                                                      |
| r   | relay_url   | where the relay is                                                                     |
| g   | group_id    | 32 bytes, base64                                                                       |
| s   | secret      | 32 bytes, base64: whoever has it is a member                                           |
| c   | creator_id  | the inviting device, base64                                                            |
| e   | expires_at  | UNIX seconds; a joiner's clock may be wrong, so it refuses only 10 minutes later       |
| k   | relay_key   | optional: the relay's static key, to pin it from the first connection                  |
| i   | invite_id   | optional: a label for the creator's list; a reader ignores it                          |
| b   | bootstrap   | optional: 1 when the group is a room made for this one invite                          |
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import unquote

from ferryman.protocol.errors import BadInput
from ferryman.protocol.identity import read_base64

VERSION: Final = 1
LIFETIME_SECONDS: Final = 600
LATE_SECONDS: Final = 600  # S4 gives an invite ten minutes; clocks of two people get ten more
MAX_PAYLOAD_BYTES: Final = 4_096  # what a relay takes
DEFAULT_SCHEME: Final = "ferryman"
MAX_EXPIRY: Final = 2**63 - 1

_LINK = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://sync/?\?(?P<query>[^#]*)(?:#.*)?", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class GroupInvite:
    relay_url: str
    group_id: bytes
    secret: bytes = field(repr=False)
    creator_id: bytes
    expires_at: int
    relay_key: bytes | None = None
    invite_id: bytes | None = None
    bootstrap: bool = False

    def payload(self) -> bytes:
        """The JSON that a link or a sealed short-code payload carries."""
        entries: dict[str, object] = {
            "v": VERSION,
            "r": self.relay_url,
            "g": _base64(self.group_id),
            "s": _base64(self.secret),
            "c": _base64(self.creator_id),
            "e": self.expires_at,
        }
        if self.relay_key is not None:
            entries["k"] = _base64(self.relay_key)
        if self.invite_id is not None:
            entries["i"] = _base64(self.invite_id)
        if self.bootstrap:
            entries["b"] = 1
        return json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()

    def link(self, scheme: str = DEFAULT_SCHEME) -> str:
        """The link, which is also the text of the QR code."""
        return f"{scheme}://sync?invite={base64.urlsafe_b64encode(self.payload()).decode('ascii').rstrip('=')}"

    def check_expiry(self, now: int) -> None:
        """`now`: UNIX seconds. Raises BadInput ten minutes after expires_at."""
        if now > self.expires_at + LATE_SECONDS:
            raise BadInput("this invite has expired: ask for a new one", code="INVITE_EXPIRED")


def read_link(text: str) -> GroupInvite:
    """A pasted link or a scanned QR text, of whatever scheme. Raises BadInput."""
    match = _LINK.fullmatch(text.strip())
    if match is None:
        raise BadInput("not an invite link: it looks like ferryman://sync?invite=...")
    values = [part.partition("=")[2] for part in match["query"].split("&") if part.startswith("invite=")]
    if len(values) != 1:
        raise BadInput("the link carries no invite")
    try:
        # Not parse_qs: it would read the + of the other alphabet as a blank.
        payload = read_base64(unquote(values[0]))
    except ValueError:
        raise BadInput("the link is damaged: copy it whole") from None
    return read_payload(payload)


def read_payload(payload: bytes) -> GroupInvite:
    """The JSON of a link or an opened short code. Unknown keys are ignored. Raises BadInput."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise BadInput("the invite is too long")
    try:
        parsed = cast("object", json.loads(payload))
    except (ValueError, RecursionError):
        raise BadInput("the invite is not readable") from None
    if not isinstance(parsed, dict):
        raise BadInput("the invite is not readable")
    entries = cast("dict[str, Any]", parsed)
    if _whole(entries, "v") != VERSION:
        raise BadInput("the invite is of another version: update Ferryman")
    relay_url = entries.get("r")
    if not isinstance(relay_url, str) or not relay_url:
        raise BadInput("the invite names no relay")
    return GroupInvite(
        relay_url=relay_url,
        group_id=_key(entries, "g"),
        secret=_key(entries, "s"),
        creator_id=_key(entries, "c"),
        expires_at=_whole(entries, "e"),
        relay_key=_key(entries, "k") if entries.get("k") is not None else None,
        invite_id=_label(entries.get("i")),
        bootstrap=entries.get("b") in (1, True),
    )


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _key(entries: dict[str, Any], name: str) -> bytes:
    value = entries.get(name)
    try:
        raw = read_base64(value) if isinstance(value, str) else b""
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise BadInput(f"the invite's {name!r} is not 32 bytes in base64")
    return raw


def _label(value: object) -> bytes | None:
    """A label and nothing more: one that cannot be read is no reason to turn a joiner away."""
    try:
        return read_base64(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _whole(entries: dict[str, Any], name: str) -> int:
    value = entries.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_EXPIRY:
        raise BadInput(f"the invite's {name!r} is not a whole number")
    return value
