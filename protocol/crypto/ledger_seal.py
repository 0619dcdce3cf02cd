"""The keys of one ledger, and the seal on its secret fields.

    master key 32 (key store) --HKDF-SHA256, salt = ledger id--> chain   "ferryman/ledger-chain-key/1"  record MACs
                                                             --> seal    "ferryman/ledger-seal-key/1"   secret fields
                                                             --> mask    "ferryman/ledger-mask-key/1"   command hashes

    sealed field = nonce 24 || XChaCha20-Poly1305(seal, nonce, secret, aad)
    aad          = "ferryman/ledger-seal/1" || ledger id 16 || stream

A command's hash covers its secrets; bare, it would let whoever has the file try short ones. So it stands masked.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl import bindings
from nacl.exceptions import CryptoError

from ferryman.protocol.crypto.domains import (
    LEDGER_CHAIN_KEY,
    LEDGER_MASK,
    LEDGER_MASK_KEY,
    LEDGER_SEAL,
    LEDGER_SEAL_KEY,
)
from ferryman.protocol.ledger.errors import RecordUnreadable

MASTER_KEY_BYTES = 32
LEDGER_ID_BYTES = 16
NONCE_BYTES = bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES


@dataclass(frozen=True, slots=True)
class LedgerKeys:
    """Derived once when the ledger is opened. No key shows in a repr."""

    ledger_id: bytes
    chain: bytes = field(repr=False)
    seal: bytes = field(repr=False)
    mask: bytes = field(repr=False)


def derive_ledger_keys(master: bytes, ledger_id: bytes) -> LedgerKeys:
    """master: 32 bytes of the key store; ledger_id: 16 bytes of the file. Raises ValueError on other sizes."""
    if len(master) != MASTER_KEY_BYTES or len(ledger_id) != LEDGER_ID_BYTES:
        raise ValueError("a ledger key has 32 bytes and a ledger id 16")

    def derive(purpose: bytes) -> bytes:
        return HKDF(algorithm=SHA256(), length=32, salt=ledger_id, info=purpose).derive(master)

    return LedgerKeys(ledger_id, derive(LEDGER_CHAIN_KEY), derive(LEDGER_SEAL_KEY), derive(LEDGER_MASK_KEY))


def seal_secret(keys: LedgerKeys, stream: str, secret: bytes, nonce: bytes) -> bytes:
    """nonce: 24 fresh random bytes. Returns nonce || ciphertext, 40 bytes longer than the secret."""
    sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(secret, _aad(keys, stream), nonce, keys.seal)
    return nonce + sealed


def open_secret(keys: LedgerKeys, stream: str, sealed: bytes) -> bytes:
    """Raises RecordUnreadable when it was sealed for another stream or ledger, or is damaged."""
    nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, _aad(keys, stream), nonce, keys.seal)
    except (CryptoError, ValueError):
        raise RecordUnreadable("a sealed field does not open") from None


class HashMask:
    """Masks the command hashes of one stream; masking twice gives the hash back.

    (stream, command id) is unique in a ledger, so no mask serves twice.
    """

    __slots__ = ("_prefix",)

    def __init__(self, keys: LedgerKeys, stream: str) -> None:
        name = stream.encode()
        prefix = LEDGER_MASK + len(name).to_bytes(2, "big") + name
        self._prefix = hashlib.blake2b(prefix, key=keys.mask, digest_size=32)

    def __call__(self, command_id: bytes, command_hash: bytes) -> bytes:
        """32 bytes for 32."""
        mask = self._prefix.copy()
        mask.update(command_id)
        masked = int.from_bytes(mask.digest(), "big") ^ int.from_bytes(command_hash, "big")
        return masked.to_bytes(32, "big")


def _aad(keys: LedgerKeys, stream: str) -> bytes:
    return LEDGER_SEAL + keys.ledger_id + stream.encode()
