"""Short codes: sixteen letters that carry an invite past the relay (wire.md §9, S4 §8.5).

    ABCD-EFGH-JKMN-PQRS
    \\_______/ \\_______/
    lookup key  the rest: never leaves the devices; Argon2id makes it the payload's key

How letters are read stands in `protocol.relay.code_letters`, which the relay shares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ferryman.protocol.crypto.code_seal import open_under_code, seal_under_code, stretch
from ferryman.protocol.errors import BadInput, LocalProtocolError
from ferryman.protocol.relay.code_letters import ALPHABET, LOOKUP_LETTERS, canonical

ENTROPY_BYTES: Final = 10  # 16 letters of 5 bits


@dataclass(frozen=True, slots=True)
class ShortCode:
    """In canonical form. `lookup_key` goes to the relay, `secret_half` nowhere."""

    lookup_key: str
    secret_half: str = field(repr=False)

    @property
    def shown(self) -> str:
        letters = self.lookup_key + self.secret_half
        return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def new_code(entropy: bytes) -> ShortCode:
    """`entropy`: 10 bytes fit for keys."""
    if len(entropy) != ENTROPY_BYTES:
        raise LocalProtocolError(f"a short code is made of {ENTROPY_BYTES} bytes")
    number = int.from_bytes(entropy, "big")
    letters = "".join(ALPHABET[number >> shift & 31] for shift in range(75, -1, -5))
    return ShortCode(letters[:LOOKUP_LETTERS], letters[LOOKUP_LETTERS:])


def read_code(text: str) -> ShortCode:
    """What a person typed. Raises BadInput."""
    letters = canonical(text.strip(), 2 * LOOKUP_LETTERS)
    if letters is None:
        raise BadInput("a short code is 16 letters and digits, like K7QD-29XM-F4TB-8VHN")
    return ShortCode(letters[:LOOKUP_LETTERS], letters[LOOKUP_LETTERS:])


def derive_key(code: ShortCode) -> bytes:
    """The payload's key, 32 bytes. Blocks for 100 ms or more and takes 64 MiB: run it through the threads port."""
    return stretch(code.lookup_key, code.secret_half)


def seal_payload(payload: bytes, *, code: ShortCode, key: bytes, nonce: bytes) -> str:
    """The `encrypted_payload` of POST /invite. `key`: derive_key(code); `nonce`: 24 fresh random bytes."""
    return seal_under_code(payload, lookup_key=code.lookup_key, key=key, nonce=nonce)


def open_payload(encrypted_payload: str, *, code: ShortCode, key: bytes) -> bytes:
    """The invite's payload. Raises BadInput."""
    return open_under_code(encrypted_payload, lookup_key=code.lookup_key, key=key)
