"""Sealed blobs by the page's section 6: what devices say to each other, and no relay can open.

01 | key epoch 4 | nonce 24 | XChaCha20-Poly1305( flags 1 | chain 32 | sign_pub 32, signature 64 | body )
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.integration.stranger import xchacha
from tests.integration.stranger.keys import Device, Group, sha256, x25519_form

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_BLOB_SIZE = 1_048_576
MAX_PLAINTEXT = MAX_BLOB_SIZE - 29 - 16
PADDED, COMPRESSED, CONTROL, CHAINED, SIGNED = 1, 2, 4, 8, 16
EPOCH = bytes(4)
ZEROS = bytes(16)


class BlobError(Exception):
    """Opened, and not what the page describes."""


@dataclass(frozen=True)
class Link:
    """A place in a sender's chain."""

    chain_id: bytes
    seq: int = 1
    prev: bytes = ZEROS

    def to_bytes(self) -> bytes:
        return self.chain_id + self.seq.to_bytes(8, "big") + self.prev

    def after(self, sealed: bytes) -> Link:
        return Link(self.chain_id, self.seq + 1, sha256(sealed)[:16])


@dataclass(frozen=True)
class Opened:
    content: bytes
    flags: int
    link: Link | None
    sign_pub: bytes | None


def associated(group_id: bytes, sender_id: bytes, blob_id: bytes) -> bytes:
    return b"ferryman/blob/1" + b"\x01" + EPOCH + group_id + sender_id + blob_id


def padme(size: int) -> int:
    exponent = size.bit_length() - 1
    step = 2 ** (exponent - exponent.bit_length())
    return (size + step - 1) // step * step


def seal_blob(
    content: bytes,
    *,
    group: Group,
    device: Device,
    blob_id: bytes,
    nonce: bytes,
    link: Link | None = None,
    flags: int = CHAINED | SIGNED | PADDED,
    packed: bytes | None = None,
) -> bytes:
    """packed: what the content is with COMPRESSED, where a certain zstd frame is wanted."""
    aad = associated(group.group_id, device.device_id, blob_id)
    chain = link.to_bytes() if link is not None else b""
    plain = bytes([flags]) + chain
    if flags & SIGNED:
        signed = b"ferryman/blob-sig/1" + aad + bytes([flags]) + chain + sha256(content)
        plain += device.sign_pub + device.sign(signed)
    body = (packed or zstd.compress(content)) if flags & COMPRESSED else content
    if flags & PADDED:
        plain += len(body).to_bytes(4, "big") + body
        plain += bytes(max(0, min(padme(len(plain)), MAX_PLAINTEXT) - len(plain)))
    else:
        plain += body
    return b"\x01" + EPOCH + nonce + xchacha.seal(group.encryption_key, nonce, plain, aad)


def open_plaintext(sealed: bytes, *, group: Group, sender_id: bytes, blob_id: bytes) -> bytes:
    """`flags..body` with its padding."""
    if sealed[:5] != b"\x01" + EPOCH:
        raise BlobError("another format or key")
    aad = associated(group.group_id, sender_id, blob_id)
    return xchacha.open_sealed(group.encryption_key, sealed[5:29], sealed[29:], aad)


def open_blob(sealed: bytes, *, group: Group, sender_id: bytes, blob_id: bytes) -> Opened:
    plain = open_plaintext(sealed, group=group, sender_id=sender_id, blob_id=blob_id)
    flags, rest = plain[0], plain[1:]
    link, sign_pub, chain, signature = None, None, b"", b""
    if flags & CHAINED:
        chain, rest = rest[:32], rest[32:]
        link = Link(chain[:8], int.from_bytes(chain[8:16], "big"), chain[16:])
    if flags & SIGNED:
        sign_pub, signature, rest = rest[:32], rest[32:96], rest[96:]
    if flags & PADDED:
        length = int.from_bytes(rest[:4], "big")
        if any(rest[4 + length :]):
            raise BlobError("padding that says something")
        rest = rest[4 : 4 + length]
    content = zstd.decompress(rest) if flags & COMPRESSED else rest
    if sign_pub is not None:
        aad = associated(group.group_id, sender_id, blob_id)
        signed = b"ferryman/blob-sig/1" + aad + bytes([flags]) + chain + sha256(content)
        try:
            Ed25519PublicKey.from_public_bytes(sign_pub).verify(signature, signed)
        except InvalidSignature as error:
            raise BlobError("a wrong signature") from error
        if x25519_form(sign_pub) != sender_id:
            raise BlobError("signed by another device")
    return Opened(content, flags, link, sign_pub)


class Outbox:
    """Seals one device's blobs in a row, as its chain wants them."""

    def __init__(self, group: Group, device: Device, chain_id: bytes) -> None:
        self.group = group
        self.device = device
        self.link = Link(chain_id)

    def seal(self, content: bytes, blob_id: bytes, nonce: bytes, **how: Any) -> bytes:
        sealed = seal_blob(
            content, group=self.group, device=self.device, blob_id=blob_id, nonce=nonce, link=self.link, **how
        )
        self.link = self.link.after(sealed)
        return sealed
