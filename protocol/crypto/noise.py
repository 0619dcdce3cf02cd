"""Noise XX over one connection, and the frames after it (wire.md §2).

    initiator                                      responder
    initiate() -> AwaitingReply    --- 32 bytes -->  respond() -> AwaitingProof
    read_reply() -> RelayKnown     <-- 96 bytes ---
      (compare .remote_static with the pin)
    finish() -> NoiseSession       --- 64 bytes -->  finish() -> NoiseSession

A finished handshake is another type: no frame can be sealed before there are keys. A frame travels as pieces of
65,519 bytes, each with its own 16-byte tag; only the last piece may be shorter, and none is empty.
Everything that a peer can do wrong is one exception, RemoteProtocolError. Ephemeral keys come in as arguments, so that
a simulation can repeat itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final, Protocol, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from noise import connection as library
from noise import exceptions as library_errors

from ferryman.protocol.errors import LocalProtocolError, RemoteProtocolError

NAME: Final = b"Noise_XX_25519_ChaChaPoly_BLAKE2s"
MESSAGE_SIZES: Final = (32, 96, 64)  # the three handshake messages with empty payloads
TAG_BYTES: Final = 16
SEALED_PIECE_BYTES: Final = 65_535  # Noise §3: the largest message
# The library seals 16 bytes more without a word, and the peer cannot open the result: the cap is ours to keep.
PIECE_BYTES: Final = SEALED_PIECE_BYTES - TAG_BYTES
FIELD_PRIME: Final = 2**255 - 19  # a key at or above it has a twin: one device would have two IDs

_NONCE: Final = Struct("<IQ").pack

# What the library and its backend raise for bytes that a peer chose: four unrelated families.
_BAD_INPUT: Final = (InvalidTag, ValueError, library_errors.NoiseValueError, library_errors.NoiseInvalidMessage)


class _KeyPair(Protocol):
    public_bytes: bytes


class _HandshakeState(Protocol):
    e: object
    rs: _KeyPair
    re: _KeyPair


class _CipherState(Protocol):
    k: bytes


class _Handshake(Protocol):
    """What is used of the library's NoiseConnection, typed."""

    noise_protocol: Any

    def set_as_initiator(self) -> None: ...
    def set_as_responder(self) -> None: ...
    def set_keypair_from_private_bytes(self, keypair: object, private_bytes: bytes) -> None: ...
    def start_handshake(self) -> None: ...
    def write_message(self) -> bytearray: ...
    def read_message(self, data: bytes) -> bytearray: ...
    def get_handshake_hash(self) -> bytes: ...


def static_public(private: bytes) -> bytes:
    """The X25519 public key of 32 private bytes."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def initiate(static_private: bytes, ephemeral_private: bytes) -> tuple[AwaitingReply, bytes]:
    """The client's start: the state and message 1. Both keys are 32 bytes; the ephemeral is used for nothing else."""
    handshake = _begin(static_private, ephemeral_private, initiator=True)
    return AwaitingReply(handshake), bytes(handshake.write_message())


def respond(static_private: bytes, ephemeral_private: bytes, message1: bytes) -> tuple[AwaitingProof, bytes]:
    """The relay's start: reads message 1, returns the state and message 2. Raises RemoteProtocolError."""
    handshake = _begin(static_private, ephemeral_private, initiator=False)
    _read(handshake, message1, MESSAGE_SIZES[0], ephemeral_comes_first=True)
    return AwaitingProof(handshake), _write(handshake)


@dataclass(frozen=True, slots=True)
class AwaitingReply:
    """Message 1 is out; the relay's ephemeral and static keys are to come."""

    handshake: _Handshake

    def read_reply(self, message2: bytes) -> RelayKnown:
        """Raises RemoteProtocolError."""
        state = _state(self.handshake)
        _read(self.handshake, message2, MESSAGE_SIZES[1], ephemeral_comes_first=True)
        return RelayKnown(self.handshake, _canonical(state.rs.public_bytes))


@dataclass(frozen=True, slots=True)
class RelayKnown:
    """The relay's static key is proven. The caller compares it with its pin before it shows its own."""

    handshake: _Handshake
    remote_static: bytes

    def finish(self) -> tuple[NoiseSession, bytes]:
        """The session and message 3."""
        message3 = _write(self.handshake)
        return _session(self.handshake, self.remote_static), message3


@dataclass(frozen=True, slots=True)
class AwaitingProof:
    """Message 2 is out; the client's static key, its device ID, is to come."""

    handshake: _Handshake

    def finish(self, message3: bytes) -> NoiseSession:
        """Raises RemoteProtocolError."""
        state = _state(self.handshake)  # the library drops it with the last message, the peer's key with it
        _read(self.handshake, message3, MESSAGE_SIZES[2], ephemeral_comes_first=False)
        return _session(self.handshake, _canonical(state.rs.public_bytes))


class NoiseSession:
    """Two ciphers and two counters. Frames are sealed and opened in the order in which they travel."""

    __slots__ = ("_opened", "_opener", "_sealed", "_sealer", "handshake_hash", "remote_static")

    def __init__(
        self, sealer: ChaCha20Poly1305, opener: ChaCha20Poly1305, remote: bytes, handshake_hash: bytes
    ) -> None:
        self.remote_static = remote
        self.handshake_hash = handshake_hash
        self._sealer = sealer
        self._opener: ChaCha20Poly1305 | None = opener
        self._sealed = 0
        self._opened = 0

    def seal_frames(self, frames: Iterable[bytes]) -> list[bytes]:
        """A WebSocket message each. No frame is empty."""
        sealed: list[bytes] = []
        encrypt = self._sealer.encrypt
        for frame in frames:
            if 0 < len(frame) <= PIECE_BYTES:  # nearly all
                sealed.append(encrypt(_NONCE(0, self._sealed), frame, None))
                self._sealed += 1
            else:
                sealed.append(self.seal_frame(frame))
        return sealed

    def seal_frame(self, frame: bytes) -> bytes:
        """One WebSocket message. The frame is not empty."""
        if not frame:
            raise LocalProtocolError("a frame is never empty")
        return b"".join(self._seal_piece(frame[at : at + PIECE_BYTES]) for at in range(0, len(frame), PIECE_BYTES))

    def open_frame(self, message: bytes) -> bytes:
        """The frame in one WebSocket message. After a failure nothing more is opened. Raises RemoteProtocolError."""
        opener, self._opener = self._opener, None
        if opener is None:
            raise RemoteProtocolError("nothing is read after a piece that did not open")
        if len(message) <= SEALED_PIECE_BYTES:
            frame = self._open_piece(opener, message)
        else:
            cuts = range(0, len(message), SEALED_PIECE_BYTES)
            frame = b"".join([self._open_piece(opener, message[at : at + SEALED_PIECE_BYTES]) for at in cuts])
        self._opener = opener
        return frame

    def _seal_piece(self, piece: bytes) -> bytes:
        sealed = self._sealer.encrypt(_nonce(self._sealed), piece, None)
        self._sealed += 1
        return sealed

    def _open_piece(self, opener: ChaCha20Poly1305, piece: bytes) -> bytes:
        if len(piece) <= TAG_BYTES:
            raise RemoteProtocolError("an empty piece")
        try:
            plain = opener.decrypt(_nonce(self._opened), piece, None)
        except InvalidTag:
            raise RemoteProtocolError("a piece does not decrypt") from None
        self._opened += 1
        return plain


def _nonce(count: int) -> bytes:
    """Noise §12.3: four zero bytes, then the counter, little-endian."""
    return _NONCE(0, count)


def _begin(static_private: bytes, ephemeral_private: bytes, *, initiator: bool) -> _Handshake:
    handshake = cast("_Handshake", library.NoiseConnection.from_name(NAME))
    if initiator:
        handshake.set_as_initiator()
    else:
        handshake.set_as_responder()
    handshake.set_keypair_from_private_bytes(library.Keypair.STATIC, static_private)
    handshake.start_handshake()
    # Set on the state and not through the library's own door, which warns about every ephemeral from outside.
    key_pair = handshake.noise_protocol.keypair_class
    _state(handshake).e = key_pair.from_private_bytes(ephemeral_private)
    return handshake


def _state(handshake: _Handshake) -> _HandshakeState:
    return cast("_HandshakeState", handshake.noise_protocol.handshake_state)


def _read(handshake: _Handshake, message: bytes, size: int, *, ephemeral_comes_first: bool) -> None:
    if len(message) != size:
        raise RemoteProtocolError(f"a handshake message of {len(message)} bytes instead of {size}")
    if ephemeral_comes_first:
        _canonical(message[:32])
    try:
        handshake.read_message(message)
    except _BAD_INPUT as error:
        raise RemoteProtocolError(f"the handshake failed: {type(error).__name__}") from None


def _write(handshake: _Handshake) -> bytes:
    """Also mixes in the peer's keys: an all-zero Diffie-Hellman result shows here, or in `_read` (Noise §9.1)."""
    try:
        return bytes(handshake.write_message())
    except _BAD_INPUT as error:
        raise RemoteProtocolError(f"the handshake failed: {type(error).__name__}") from None


def _canonical(public: bytes) -> bytes:
    if int.from_bytes(public, "little") >= FIELD_PRIME:
        raise RemoteProtocolError("a public key that is not canonical")
    return public


def _session(handshake: _Handshake, remote_static: bytes) -> NoiseSession:
    protocol = handshake.noise_protocol
    sealing = cast("_CipherState", protocol.cipher_state_encrypt)
    opening = cast("_CipherState", protocol.cipher_state_decrypt)
    return NoiseSession(
        ChaCha20Poly1305(sealing.k), ChaCha20Poly1305(opening.k), remote_static, bytes(handshake.get_handshake_hash())
    )
