"""The letters of short codes, which the relay must read as devices do (wire.md §9). Nothing here can open an invite.

Crockford's base32 has no I, L, O and U. People type what they read, so before any use, on the relay too: hyphens and
blanks dropped, upper case, I and L read as 1, O as 0.
"""

from __future__ import annotations

import re
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LOOKUP_LETTERS: Final = 8

_LETTERS = re.compile(f"[{ALPHABET}]*", re.ASCII)
_LOOK_ALIKES: Final = str.maketrans("ILO", "110", "- ")


def canonical(text: str, letters: int = LOOKUP_LETTERS) -> str | None:
    """The canonical form of a code or a lookup key of so many letters, None when it is none (for the relay: 404)."""
    if not text.isascii():
        return None
    plain = text.upper().translate(_LOOK_ALIKES)
    return plain if len(plain) == letters and _LETTERS.fullmatch(plain) else None
