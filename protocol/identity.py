"""How an ID looks to a person: 32 bytes on the wire, base64 on a screen (S4 §4.3).

| bytes       | is                                                       |
|-------------|----------------------------------------------------------|
| device ID   | the device's X25519 public key, its Noise static key     |
| relay ID    | the relay's static key; WELCOME carries it as base64     |
| group ID    | salt 16, hash of the group's verify key 16               |
"""

from __future__ import annotations

import base64
import re
from typing import Final

from ferryman.protocol.errors import BadInput

ID_BYTES: Final = 32
_BASE64 = re.compile(r"[A-Za-z0-9+/]*", re.ASCII)


def show_id(raw: bytes) -> str:
    """Standard base64 with its padding: the form S4 §4.3 gives a device ID on a screen."""
    return base64.b64encode(raw).decode("ascii")


def read_id(text: str) -> bytes:
    """The 32 bytes of a shown ID. Raises BadInput."""
    try:
        raw = read_base64(text.strip())
    except ValueError:
        raise BadInput("an ID is 44 characters of base64") from None
    if len(raw) != ID_BYTES:
        raise BadInput(f"an ID is 32 bytes in base64, this is {len(raw)}")
    return raw


def read_base64(text: str) -> bytes:
    """Either alphabet, padded or not: people and programs paste both. Raises ValueError."""
    letters = text.rstrip("=").replace("-", "+").replace("_", "/")
    if len(text) - len(letters) > 2 or len(letters) % 4 == 1 or _BASE64.fullmatch(letters) is None:
        raise ValueError("not base64")
    return base64.b64decode(letters + "=" * (-len(letters) % 4))
