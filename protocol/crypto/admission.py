"""The cryptography of a room for one join: a commitment, the number two people compare, the seal on the way in (§9).

    joiner                                                       creator
      commit = SHA-256("ferryman/join/1" || nonce_j)  -------->
                                                      <--------  nonce_c
      nonce_j                                         -------->
      SAS                                                        SAS: the same, or somebody stands between them
                                                      <--------  crypto_box_seal(group_id || secret || hash, joiner)

Whoever stands between them must choose before it knows what it has to match: it guesses one of a million, once.
"""

from __future__ import annotations

import hashlib
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

from ferryman.protocol.crypto import domains
from ferryman.protocol.crypto.keys import SECRET_BYTES, DeviceKeys
from ferryman.protocol.errors import LocalProtocolError, RemoteProtocolError

NONCE_BYTES: Final = 32
COMMIT_BYTES: Final = 32
ID_BYTES: Final = 32
SEED_BYTES: Final = 32
BOX_NONCE_BYTES: Final = 24
SAS_DIGITS: Final = 6
SEALED_BYTES: Final = 32 + 16 + ID_BYTES + SECRET_BYTES + 32  # ephemeral key, tag, and the three parts inside


def commitment(nonce_j: bytes) -> bytes:
    """What the joiner says before it knows the creator's nonce. nonce_j: 32 random bytes."""
    if len(nonce_j) != NONCE_BYTES:
        raise LocalProtocolError(f"a joiner's nonce is {NONCE_BYTES} bytes")
    return hashlib.sha256(domains.JOIN + nonce_j).digest()


def short_string(
    room_id: bytes, creator_id: bytes, joiner_id: bytes, *, commit: bytes, nonce_c: bytes, nonce_j: bytes
) -> str:
    """The SAS as both devices show it, NNN-NNN. All arguments: 32 bytes."""
    parts = (room_id, creator_id, joiner_id, commit, nonce_c, nonce_j)
    if any(len(part) != 32 for part in parts):  # so that no two give the same bytes
        raise LocalProtocolError("a SAS is made of six parts of 32 bytes")
    digest = hashlib.sha256(domains.JOIN_SAS + b"".join(parts)).digest()
    number = f"{int.from_bytes(digest[:8], 'big') % 10**SAS_DIGITS:0{SAS_DIGITS}}"
    return f"{number[:3]}-{number[3:]}"


def seal_admission(group_id: bytes, secret: bytes, *, room_id: bytes, joiner_id: bytes, seed: bytes) -> bytes:
    """The real group for one device and nobody else. seed: 32 fresh random bytes, of the sender's passing key.

    It is libsodium's crypto_box_seal, written out because that one draws its own chance. Raises RemoteProtocolError
    when joiner_id is no key that anything can be sealed to."""
    if len(seed) != SEED_BYTES or len(group_id) != ID_BYTES or len(secret) != SECRET_BYTES:
        raise LocalProtocolError("an admission seals a group ID and a secret of 32 bytes, with a seed of 32")
    inside = group_id + secret + _tie(room_id, joiner_id)
    passing, private = bindings.crypto_box_seed_keypair(seed)
    nonce = bindings.crypto_generichash_blake2b_salt_personal(passing + joiner_id, digest_size=BOX_NONCE_BYTES)
    try:
        return passing + bindings.crypto_box(inside, nonce, joiner_id, private)
    except CryptoError:
        raise RemoteProtocolError("the joiner's ID is no key") from None


def open_admission(sealed: bytes, *, room_id: bytes, device: DeviceKeys) -> tuple[bytes, bytes]:
    """Group ID and secret. Raises RemoteProtocolError: it is for another device or another room, or damaged."""
    if len(sealed) != SEALED_BYTES:
        raise RemoteProtocolError("an admission of another length")
    try:
        inside = bindings.crypto_box_seal_open(sealed, device.device_id, device.noise_private)
    except CryptoError:
        raise RemoteProtocolError("an admission that is not sealed to this device") from None
    if inside[ID_BYTES + SECRET_BYTES :] != _tie(room_id, device.device_id):
        raise RemoteProtocolError("an admission to another room")
    return inside[:ID_BYTES], inside[ID_BYTES : ID_BYTES + SECRET_BYTES]


def _tie(room_id: bytes, joiner_id: bytes) -> bytes:
    return hashlib.sha256(domains.ADMIT + room_id + joiner_id).digest()
