"""The seal of the key store's file form: one key from the passphrase, each entry sealed by itself.

store key = Argon2id(NFKC passphrase, salt 16; m = 65536 KiB, t = 3, p = 1, 32 bytes)
entry     = nonce 24 || XChaCha20-Poly1305(store key, nonce, secret, aad)
aad       = "ferryman/key-store/1" || length of name u16 || name      an entry under another name does not open
check     = the same over nothing, aad "ferryman/key-store-check/1"   a wrong passphrase is no damaged entry
"""

from __future__ import annotations

import unicodedata

from argon2 import low_level
from nacl import bindings
from nacl.exceptions import CryptoError

from ferryman.protocol.crypto.domains import KEY_STORE, KEY_STORE_CHECK

SALT_BYTES = 16
NONCE_BYTES = bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
MEMORY_KIB = 65_536
PASSES = 3
LANES = 1


def derive_store_key(passphrase: str, salt: bytes) -> bytes:
    """32 bytes. Takes some 0.1 s and 64 MiB: run it in a thread. salt: 16 random bytes, one a store."""
    return low_level.hash_secret_raw(
        unicodedata.normalize("NFKC", passphrase).encode(),
        salt,
        time_cost=PASSES,
        memory_cost=MEMORY_KIB,
        parallelism=LANES,
        hash_len=32,
        type=low_level.Type.ID,
    )


def seal_entry(key: bytes, name: str, secret: bytes, nonce: bytes) -> bytes:
    """nonce: 24 fresh random bytes."""
    return _seal(key, _entry_aad(name), secret, nonce)


def open_entry(key: bytes, name: str, sealed: bytes) -> bytes | None:
    """The secret; None when it is damaged, or was sealed under another key or name."""
    return _open(key, _entry_aad(name), sealed)


def seal_check(key: bytes, nonce: bytes) -> bytes:
    """What the store keeps to know its passphrase by."""
    return _seal(key, KEY_STORE_CHECK, b"", nonce)


def is_right_key(key: bytes, check: bytes) -> bool:
    return _open(key, KEY_STORE_CHECK, check) == b""


def _entry_aad(name: str) -> bytes:
    encoded = name.encode()
    return KEY_STORE + len(encoded).to_bytes(2, "big") + encoded


def _seal(key: bytes, aad: bytes, secret: bytes, nonce: bytes) -> bytes:
    return nonce + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(secret, aad, nonce, key)


def _open(key: bytes, aad: bytes, sealed: bytes) -> bytes | None:
    nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, aad, nonce, key)
    except (CryptoError, ValueError):
        return None
