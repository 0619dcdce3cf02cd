"""The sealed blob: what the relay carries and can never open (wire.md §6).

    0x01 || key_epoch u32 || nonce 24 || XChaCha20-Poly1305(Encryption Key, nonce, plaintext, aad)
    aad       = "ferryman/blob/1" || 0x01 || key_epoch || group_id || sender_id || blob_id
    plaintext = flags 1 || [chain 32] || [sign_pub 32 || signature 64] || body
    body      = content', or length u32 || content' || zeros when padded; content' = content, or zstd(content)

| flag | bit | ours                                                              |
|------|-----|-------------------------------------------------------------------|
| 0x01 | 0   | padded (PADME): on by default, never past max_blob_size           |
| 0x02 | 1   | zstd: off by default, never for a control blob, always padded     |
| 0x04 | 2   | control blob: the content is a MessagePack map with `kind`        |
| 0x08 | 3   | chain: always                                                     |
| 0x10 | 4   | signed by the device: always for a control blob, by default else  |

The chain is inside: a relay cannot drop, repeat or swap blobs of a sender without the receivers seeing it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

import zstandard
from nacl import bindings
from nacl.exceptions import CryptoError

from ferryman.protocol.crypto import domains
from ferryman.protocol.crypto.keys import DeviceKeys, GroupKeys, sign_pub_belongs, signature_holds
from ferryman.protocol.errors import AppError, LocalProtocolError, RemoteProtocolError

FORMAT: Final = b"\x01"
KEY_EPOCH: Final = bytes(4)  # version 1 has one epoch: a group whose key must change moves
NONCE_BYTES: Final = 24
TAG_BYTES: Final = 16
HEADER_BYTES: Final = len(FORMAT) + len(KEY_EPOCH) + NONCE_BYTES
CHAIN_BYTES: Final = 32
SIGNATURE_BYTES: Final = 32 + 64
LENGTH_BYTES: Final = 4
DEFAULT_MAX_BLOB_SIZE: Final = 1_048_576
# What all the fields above can add to a content, rounded up: a client refuses longer content itself (wire.md §1).
CONTENT_MARGIN: Final = 256
# A frame of zstd may expand so far and no further: more is a bomb.
MAX_EXPANSION: Final = 8
EMPTY_FRAME_BYTES: Final = 25  # the longest frame of nothing: header 18, one block 3, checksum 4
MAX_SEQ: Final = 2**63 - 1
NO_PREV: Final = bytes(16)  # before seq 1 there is nothing


class Flag(IntFlag):
    PADDED = 1
    ZSTD = 2
    CONTROL = 4
    CHAINED = 8
    SIGNED = 16


_KNOWN: Final = 0x1F
_PADDED, _ZSTD, _CONTROL, _CHAINED, _SIGNED = map(int, Flag)


class UndecryptableBlob(RemoteProtocolError):
    """A blob that does not open: reported and skipped; it never stops the stream."""

    code = "UNDECRYPTABLE_BLOB"


class BlobTooLarge(AppError):
    """The content does not fit into one blob: the caller cuts it into parts."""

    code = "BLOB_TOO_LARGE"


@dataclass(frozen=True, slots=True)
class Chain:
    """A blob's place in its sender's history: `seq` counts from 1, `prev` is the hash of the blob before it."""

    chain_id: bytes  # 8 bytes, new whenever the sender's outbox store is new
    seq: int
    prev: bytes  # 16 bytes, zeros for seq 1

    def encode(self) -> bytes:
        return self.chain_id + self.seq.to_bytes(8, "big") + self.prev


@dataclass(frozen=True, slots=True)
class Opened:
    """What was inside. `sign_pub` is the sender's verified key, None for a blob without a signature."""

    content: bytes
    control: bool
    chain: Chain | None
    sign_pub: bytes | None


def blob_hash(sealed: bytes) -> bytes:
    """16 bytes: what the sender's next blob names as `prev`."""
    return hashlib.sha256(sealed).digest()[:16]


def nonce_of(sealed: bytes) -> bytes:
    """The 24 bytes that the PUSH envelope repeats."""
    return sealed[len(FORMAT) + len(KEY_EPOCH) : HEADER_BYTES]


def seal(
    content: bytes,
    *,
    keys: GroupKeys,
    device: DeviceKeys,
    blob_id: bytes,
    nonce: bytes,
    chain: Chain,
    control: bool = False,
    sign: bool = True,
    pad: bool = True,
    compress: bool = False,
    max_blob_size: int = DEFAULT_MAX_BLOB_SIZE,
) -> bytes:
    """One sealed blob. `nonce`: 24 fresh random bytes; `blob_id`: 16 bytes. Raises BlobTooLarge."""
    if len(nonce) != NONCE_BYTES or len(blob_id) != 16 or len(chain.encode()) != CHAIN_BYTES or chain.seq < 1:
        raise LocalProtocolError("a blob needs a 24-byte nonce, a 16-byte ID and a chain that counts from 1")
    compress = compress and not control
    flags = Flag.CHAINED
    flags |= Flag.CONTROL if control else Flag(0)
    flags |= Flag.SIGNED if sign or control else Flag(0)
    flags |= Flag.PADDED if pad or compress else Flag(0)
    flags |= Flag.ZSTD if compress else Flag(0)
    aad = _associated(KEY_EPOCH, keys.group_id, device.device_id, blob_id)
    plain = bytes((flags,)) + chain.encode()
    if Flag.SIGNED in flags:
        plain += device.sign_pub + device.sign(_signed(aad, flags, chain.encode(), content))
    packed = zstandard.ZstdCompressor(write_content_size=True).compress(content) if compress else content
    if Flag.PADDED in flags:
        plain += len(packed).to_bytes(LENGTH_BYTES, "big")
    plain += packed
    room = max_blob_size - HEADER_BYTES - TAG_BYTES
    if len(plain) > room:
        raise BlobTooLarge(f"sealed it would be {len(plain) - room} bytes over the limit of {max_blob_size}")
    if Flag.PADDED in flags:
        plain = plain.ljust(min(padded_size(len(plain)), room), b"\0")
    sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, aad, nonce, keys.encryption_key)
    return FORMAT + KEY_EPOCH + nonce + sealed


def open_blob(
    sealed: bytes, *, keys: GroupKeys, sender_id: bytes, blob_id: bytes, max_blob_size: int = DEFAULT_MAX_BLOB_SIZE
) -> Opened:
    """The blob that `sender_id` sealed under `blob_id` in this group. Raises UndecryptableBlob."""
    if len(sealed) < HEADER_BYTES + TAG_BYTES + 1 or sealed[:1] != FORMAT:
        raise UndecryptableBlob("not a sealed blob of version 1")
    epoch = sealed[1:5]
    if epoch != KEY_EPOCH:
        raise UndecryptableBlob("sealed under a key epoch that version 1 does not have")
    aad = _associated(epoch, keys.group_id, sender_id, blob_id)
    try:
        plain = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed[HEADER_BYTES:], aad, nonce_of(sealed), keys.encryption_key
        )
    except CryptoError:
        raise UndecryptableBlob("the blob does not decrypt: another key, sender, ID or changed bytes") from None
    return _read_plaintext(plain, aad, sender_id, max_blob_size)


def padded_size(size: int) -> int:
    """PADME: at most 12 % more, and only O(log log size) bits of the length stay visible. `size` is at least 2."""
    exponent = size.bit_length() - 1
    kept_bits = exponent.bit_length()
    step = 1 << (exponent - kept_bits)
    return -(-size // step) * step


def _read_plaintext(plain: bytes, aad: bytes, sender_id: bytes, max_blob_size: int) -> Opened:
    flags, at = plain[0], 1  # a plain number: an IntFlag costs as much as half a decryption
    if flags & ~_KNOWN:
        raise UndecryptableBlob("an unknown flag")
    chain, chain_bytes, sign_pub, signature = None, b"", None, b""
    if flags & _CHAINED:
        chain_bytes, at = _cut(plain, at, CHAIN_BYTES)
        chain = Chain(chain_bytes[:8], int.from_bytes(chain_bytes[8:16], "big"), chain_bytes[16:])
        if not 1 <= chain.seq <= MAX_SEQ or (chain.seq == 1 and chain.prev != NO_PREV):
            raise UndecryptableBlob("a chain counts from 1, where nothing comes before, to 2^63 - 1")
    if flags & _SIGNED:
        both, at = _cut(plain, at, SIGNATURE_BYTES)
        sign_pub, signature = both[:32], both[32:]
    packed = _unpadded(plain, at) if flags & _PADDED else plain[at:]
    content = _expanded(packed, max_blob_size) if flags & _ZSTD else packed
    if sign_pub is not None and not (
        sign_pub_belongs(sign_pub, sender_id)
        and signature_holds(sign_pub, _signed(aad, flags, chain_bytes, content), signature)
    ):
        raise UndecryptableBlob("the signature is not the sender's")
    return Opened(content, bool(flags & _CONTROL), chain, sign_pub)


def _cut(plain: bytes, at: int, size: int) -> tuple[bytes, int]:
    if len(plain) < at + size:
        raise UndecryptableBlob("the plaintext ends too early")
    return plain[at : at + size], at + size


def _unpadded(plain: bytes, at: int) -> bytes:
    length, at = _cut(plain, at, LENGTH_BYTES)
    packed, at = _cut(plain, at, int.from_bytes(length, "big"))
    if plain.count(0, at) != len(plain) - at:
        raise UndecryptableBlob("the padding is not zeros")
    return packed


def _expanded(packed: bytes, max_blob_size: int) -> bytes:
    try:
        size = zstandard.frame_content_size(packed)
        if not packed.startswith(zstandard.FRAME_HEADER) or not 0 <= size <= MAX_EXPANSION * max_blob_size:
            raise UndecryptableBlob("a zstd frame must declare its size, at most 8 times max_blob_size")
        if size:
            return zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
        # Where the size says "empty", the library's one call returns without a look at the rest.
        frame = zstandard.ZstdDecompressor().decompressobj()
        if len(packed) > EMPTY_FRAME_BYTES or frame.decompress(packed) or not frame.eof or frame.unused_data:
            raise UndecryptableBlob("a zstd frame that declares to be empty and is not")
    except zstandard.ZstdError:
        raise UndecryptableBlob("the zstd frame is damaged") from None
    return b""


def _associated(epoch: bytes, group_id: bytes, sender_id: bytes, blob_id: bytes) -> bytes:
    return domains.BLOB + FORMAT + epoch + group_id + sender_id + blob_id


def _signed(aad: bytes, flags: int, chain: bytes, content: bytes) -> bytes:
    return domains.BLOB_SIGNATURE + aad + bytes((flags,)) + chain + hashlib.sha256(content).digest()
