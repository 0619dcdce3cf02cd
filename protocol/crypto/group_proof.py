"""Membership of a group, as a relay checks it: the ID certifies a key, the key signs this connection (wire.md §5).

    group_id    = salt 16 || SHA-256("ferryman/group-id/1" || salt || group_key)[:16]
    group_proof = Ed25519 over "ferryman/group-proof/1" || Noise handshake hash 32 || group_id 32

Nothing here opens or seals a blob: it is all of the group's keys that a relay ever needs to know.
"""

from __future__ import annotations

import hashlib
from typing import Final

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from ferryman.protocol.crypto import domains

SALT_BYTES: Final = 16
KEY_BYTES: Final = 32
PROOF_BYTES: Final = 64


def certified_id(group_salt: bytes, group_key: bytes) -> bytes:
    """The group ID that ties `group_key` (32 bytes, Ed25519) to `group_salt` (16 bytes)."""
    return group_salt + hashlib.sha256(domains.GROUP_ID + group_salt + group_key).digest()[:16]


def certifies(group_id: bytes, group_key: bytes) -> bool:
    """Whether the ID was made for this key. A bare S4 group, 32 random bytes, certifies none."""
    return certified_id(group_id[:SALT_BYTES], group_key) == group_id


def sign_proof(authentication_key: bytes, handshake_hash: bytes, group_id: bytes) -> bytes:
    """64 bytes that show membership on this one connection."""
    return SigningKey(authentication_key).sign(_signed(handshake_hash, group_id)).signature


def proof_holds(group_key: bytes, proof: bytes, handshake_hash: bytes, group_id: bytes) -> bool:
    """Both steps: the ID certifies the key, and the key signed this handshake."""
    if len(group_key) != KEY_BYTES or len(proof) != PROOF_BYTES or not certifies(group_id, group_key):
        return False
    try:
        VerifyKey(group_key).verify(_signed(handshake_hash, group_id), proof)
    except BadSignatureError:
        return False
    return True


def verify_key(authentication_key: bytes) -> bytes:
    """The group_key: the Ed25519 verify key whose seed is the Authentication Key."""
    return bytes(SigningKey(authentication_key).verify_key)


def _signed(handshake_hash: bytes, group_id: bytes) -> bytes:
    return domains.GROUP_PROOF + handshake_hash + group_id
