"""XChaCha20-Poly1305 of draft-irtf-cfrg-xchacha: HChaCha20 written out here, over ChaCha20-Poly1305 of OpenSSL."""

from __future__ import annotations

import struct

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

SIGMA = struct.unpack("<4I", b"expand 32-byte k")
WORD = 0xFFFFFFFF
COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """The subkey of a key and the first 16 bytes of a nonce: twenty rounds, and no addition at the end."""
    state = [*SIGMA, *struct.unpack("<8I", key), *struct.unpack("<4I", nonce)]
    for _ in range(10):
        for places in (*COLUMNS, *DIAGONALS):
            _quarter_round(state, *places)
    return struct.pack("<8I", *state[:4], *state[12:])


def _quarter_round(state: list[int], a: int, b: int, c: int, d: int) -> None:
    for to, other, turned, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[to] = (state[to] + state[other]) & WORD
        mixed = state[turned] ^ state[to]
        state[turned] = (mixed << by | mixed >> (32 - by)) & WORD


def _cipher(key: bytes, nonce: bytes) -> tuple[ChaCha20Poly1305, bytes]:
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])), bytes(4) + nonce[16:]


def seal(key: bytes, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
    cipher, rest = _cipher(key, nonce)
    return cipher.encrypt(rest, plain, associated)


def open_sealed(key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    """Raises InvalidTag."""
    cipher, rest = _cipher(key, nonce)
    return cipher.decrypt(rest, sealed, associated)
