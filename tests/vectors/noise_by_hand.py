"""Noise_XX_25519_ChaChaPoly_BLAKE2s written out from the Noise specification, revision 34, with no Noise library.

-> e          <- e, ee, s, es          -> s, se
"""

from __future__ import annotations

import hashlib
import hmac

from nacl import bindings


class Symmetric:
    """Noise §5.2, with the cipher of §5.1 inside."""

    def __init__(self) -> None:
        name = b"Noise_XX_25519_ChaChaPoly_BLAKE2s"
        self.h = hashlib.blake2s(name).digest()
        self.ck = self.h
        self.key = b""
        self.count = 0
        self.mix_hash(b"")  # the empty prologue

    def mix_hash(self, data: bytes) -> None:
        self.h = hashlib.blake2s(self.h + data).digest()

    def mix_key(self, private: bytes, public: bytes) -> None:
        self.ck, self.key = self.expand(bindings.crypto_scalarmult(private, public))
        self.count = 0

    def expand(self, material: bytes) -> tuple[bytes, bytes]:
        temporary = hmac.digest(self.ck, material, "blake2s")
        first = hmac.digest(temporary, b"\x01", "blake2s")
        return first, hmac.digest(temporary, first + b"\x02", "blake2s")

    def seal(self, plain: bytes) -> bytes:
        sealed = plain
        if self.key:
            sealed = transport(self.key, self.count, plain, self.h)
            self.count += 1
        self.mix_hash(sealed)
        return sealed


def transport(key: bytes, count: int, plain: bytes, associated: bytes = b"") -> bytes:
    nonce = bytes(4) + count.to_bytes(8, "little")
    return bindings.crypto_aead_chacha20poly1305_ietf_encrypt(plain, associated, nonce, key)


def conversation(s_i: bytes, e_i: bytes, s_r: bytes, e_r: bytes) -> tuple[bytes, bytes, bytes, bytes, bytes, bytes]:
    """The three messages with empty payloads, the handshake hash, and the two transport keys, initiator's first."""
    public = bindings.crypto_scalarmult_base
    state = Symmetric()
    state.mix_hash(public(e_i))
    message1 = public(e_i) + state.seal(b"")
    state.mix_hash(public(e_r))
    state.mix_key(e_r, public(e_i))
    static = state.seal(public(s_r))
    state.mix_key(s_r, public(e_i))
    message2 = public(e_r) + static + state.seal(b"")
    static = state.seal(public(s_i))
    state.mix_key(s_i, public(e_r))
    message3 = static + state.seal(b"")
    return message1, message2, message3, state.h, *state.expand(b"")


def third_message(e_i: bytes, message2: bytes, relay_static: bytes, *, private: bytes, shown: bytes) -> bytes:
    """Message 3 of a client that may show another static key than the one that it computes with."""
    state = Symmetric()
    state.mix_hash(bindings.crypto_scalarmult_base(e_i))
    state.seal(b"")
    state.mix_hash(message2[:32])
    state.mix_key(e_i, message2[:32])
    state.mix_hash(message2[32:80])
    state.mix_key(e_i, relay_static)
    state.mix_hash(message2[80:])
    state.count = 1  # the empty payload of message 2 was sealed under this key
    static = state.seal(shown)
    state.mix_key(private, message2[:32])
    return static + state.seal(b"")
