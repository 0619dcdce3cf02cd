"""What makes a short code's last eight letters a key, and the seal on the invite under it (wire.md §9).

key               = Argon2id(last 8 letters, salt = SHA-256("ferryman/short-code/1" || lookup key)[:16])
encrypted_payload = base64url(nonce 24 || XChaCha20-Poly1305(key, payload, "ferryman/short-code/1" || lookup key))
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from argon2.low_level import Type, hash_secret_raw
from nacl import bindings
from nacl.exceptions import CryptoError

from ferryman.protocol.crypto import domains
from ferryman.protocol.errors import BadInput, LocalProtocolError
from ferryman.protocol.identity import read_base64

NONCE_BYTES: Final = 24
# Eight letters are only 40 bits, and a relay that keeps the ciphertext may search for ever: each try costs this.
ARGON2_MEMORY_KIB: Final = 65_536
ARGON2_PASSES: Final = 3
ARGON2_LANES: Final = 1


def stretch(lookup_key: str, secret_half: str) -> bytes:
    """32 bytes. Blocks for 100 ms or more and takes 64 MiB."""
    return hash_secret_raw(
        secret_half.encode(),
        hashlib.sha256(_associated(lookup_key)).digest()[:16],
        time_cost=ARGON2_PASSES,
        memory_cost=ARGON2_MEMORY_KIB,
        parallelism=ARGON2_LANES,
        hash_len=32,
        type=Type.ID,
    )


def seal_under_code(payload: bytes, *, lookup_key: str, key: bytes, nonce: bytes) -> str:
    if len(nonce) != NONCE_BYTES:
        raise LocalProtocolError(f"a nonce of {NONCE_BYTES} bytes")
    sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(payload, _associated(lookup_key), nonce, key)
    return base64.urlsafe_b64encode(nonce + sealed).decode("ascii").rstrip("=")


def open_under_code(encrypted_payload: str, *, lookup_key: str, key: bytes) -> bytes:
    """Raises BadInput: the last eight letters are wrong, or the relay changed something."""
    try:
        raw = read_base64(encrypted_payload)
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            raw[NONCE_BYTES:], _associated(lookup_key), raw[:NONCE_BYTES], key
        )
    except (CryptoError, ValueError):
        raise BadInput("the code does not open this invite: check its last eight letters") from None


def _associated(lookup_key: str) -> bytes:
    return domains.SHORT_CODE + lookup_key.encode()
