"""Noise_XX_25519_ChaChaPoly_BLAKE2s by the Noise specification (revision 34), on OpenSSL's primitives.

initiator                     responder
-> e                          32 bytes
                <- e, ee, s, es      96
-> s, se                      64            then one Transport each: frames cut into pieces of 65,519 bytes
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

NAME = b"Noise_XX_25519_ChaChaPoly_BLAKE2s"
TAG = 16
SEALED_PIECE = 65_535
PIECE = SEALED_PIECE - TAG
PRIME = 2**255 - 19


class NoiseError(Exception):
    """The peer's bytes are not what the pattern asks for."""


def public_of(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private: bytes, public: bytes) -> bytes:
    """The shared secret. OpenSSL refuses an all-zero one by itself."""
    if int.from_bytes(public, "little") >= PRIME:
        raise NoiseError("a key in a second form")
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise NoiseError("a key of small order") from error


def two_keys(chaining: bytes, material: bytes) -> tuple[bytes, bytes]:
    """Noise's HKDF with two outputs."""
    root = hmac.digest(chaining, material, "blake2s")
    first = hmac.digest(root, b"\x01", "blake2s")
    return first, hmac.digest(root, first + b"\x02", "blake2s")


class Direction:
    """One key, one counter."""

    def __init__(self, key: bytes) -> None:
        self.cipher = ChaCha20Poly1305(key)
        self.count = 0

    def _nonce(self) -> bytes:
        nonce = bytes(4) + self.count.to_bytes(8, "little")
        self.count += 1
        return nonce

    def seal(self, plain: bytes, associated: bytes = b"") -> bytes:
        return self.cipher.encrypt(self._nonce(), plain, associated)

    def open(self, sealed: bytes, associated: bytes = b"") -> bytes:
        return self.cipher.decrypt(self._nonce(), sealed, associated)


class Handshake:
    """Call `write` and `read` in turn, the initiator first; after the third message there is `split()`."""

    PATTERN = (("e",), ("e", "ee", "s", "es"), ("s", "se"))

    def __init__(self, *, initiator: bool, static: bytes, ephemeral: bytes, prologue: bytes = b"") -> None:
        self.initiator = initiator
        self.mine = {"s": static, "e": ephemeral}
        self.theirs: dict[str, bytes] = {}
        self.hash = hashlib.blake2s(NAME).digest()  # the name is 33 bytes long: longer than a hash
        self.chaining = self.hash
        self.direction: Direction | None = None
        self.turn = 0
        self._mix_hash(prologue)

    def write(self, payload: bytes = b"") -> bytes:
        message = b""
        for token in self._next_pattern():
            if token == "e":
                public = public_of(self.mine["e"])
                self._mix_hash(public)
                message += public
            elif token == "s":
                message += self._seal(public_of(self.mine["s"]))
            else:
                self._mix_key(token)
        return message + self._seal(payload)

    def read(self, message: bytes) -> bytes:
        """The payload."""
        for token in self._next_pattern():
            if token == "e":
                self.theirs["e"], message = message[:32], message[32:]
                self._mix_hash(self.theirs["e"])
            elif token == "s":
                sealed, message = message[: 32 + TAG], message[32 + TAG :]
                self.theirs["s"] = self._open(sealed)
            else:
                self._mix_key(token)
        return self._open(message)

    def split(self) -> Transport:
        first, second = (Direction(key) for key in two_keys(self.chaining, b""))
        sending, receiving = (first, second) if self.initiator else (second, first)
        return Transport(sending, receiving, self.hash, self.theirs["s"])

    def _next_pattern(self) -> tuple[str, ...]:
        pattern = self.PATTERN[self.turn]
        self.turn += 1
        return pattern

    def _mix_hash(self, data: bytes) -> None:
        self.hash = hashlib.blake2s(self.hash + data).digest()

    def _mix_key(self, token: str) -> None:
        """ "es" is the initiator's ephemeral key with the responder's static one."""
        mine, theirs = token if self.initiator else token[::-1]
        self.chaining, key = two_keys(self.chaining, agree(self.mine[mine], self.theirs[theirs]))
        self.direction = Direction(key)

    def _seal(self, plain: bytes) -> bytes:
        sealed = plain if self.direction is None else self.direction.seal(plain, self.hash)
        self._mix_hash(sealed)
        return sealed

    def _open(self, sealed: bytes) -> bytes:
        plain = sealed if self.direction is None else self.direction.open(sealed, self.hash)
        self._mix_hash(sealed)
        return plain


class Transport:
    """Frames after the handshake. One frame is one WebSocket message, whatever its size."""

    def __init__(self, sending: Direction, receiving: Direction, handshake_hash: bytes, peer: bytes) -> None:
        self.sending = sending
        self.receiving = receiving
        self.handshake_hash = handshake_hash
        self.peer = peer

    def seal(self, frame: bytes) -> bytes:
        return b"".join(self.sending.seal(frame[at : at + PIECE]) for at in range(0, len(frame), PIECE))

    def open(self, message: bytes) -> bytes:
        pieces = [message[at : at + SEALED_PIECE] for at in range(0, len(message), SEALED_PIECE)]
        if not pieces or len(pieces[-1]) <= TAG:
            raise NoiseError("an empty piece")
        return b"".join(self.receiving.open(piece) for piece in pieces)
