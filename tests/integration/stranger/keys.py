"""Devices and groups by the page: one seed makes a device, one secret makes a group. On OpenSSL alone."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tests.integration.stranger.noise import PRIME, public_of


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def argon2id(
    material: bytes, *, salt: bytes, kib: int, passes: int, lanes: int = 1, secret: bytes = b"", associated: bytes = b""
) -> bytes:
    cost = {"iterations": passes, "lanes": lanes, "memory_cost": kib}
    return Argon2id(salt=salt, length=32, secret=secret, ad=associated, **cost).derive(material)


def hkdf(material: bytes, *, salt: bytes, info: bytes, length: int = 32) -> bytes:
    """RFC 5869 §2: extract, then expand."""
    root = hmac.digest(salt, material, "sha256")
    block = made = b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.digest(root, block + info + bytes([number]), "sha256")
        made += block
    return made[:length]


@dataclass(frozen=True)
class Device:
    """One seed: an Ed25519 pair to sign with, and its X25519 form to shake hands with."""

    seed: bytes

    @property
    def noise_private(self) -> bytes:
        """RFC 8032 §5.1.5: the scalar is the first half of the seed's SHA-512, clamped."""
        scalar = bytearray(hashlib.sha512(self.seed).digest()[:32])
        scalar[0] &= 248
        scalar[31] = scalar[31] & 127 | 64
        return bytes(scalar)

    @property
    def device_id(self) -> bytes:
        return public_of(self.noise_private)

    @property
    def sign_pub(self) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)


def x25519_form(sign_pub: bytes) -> bytes:
    """RFC 7748 §4.1: u = (1 + y) / (1 - y)."""
    y = int.from_bytes(sign_pub, "little") & (2**255 - 1)
    return ((1 + y) * pow(1 - y, -1, PRIME) % PRIME).to_bytes(32, "little")


@dataclass(frozen=True)
class Group:
    group_id: bytes
    encryption_key: bytes
    authentication_key: bytes

    @property
    def group_key(self) -> bytes:
        return Device(self.authentication_key).sign_pub

    @property
    def proper(self) -> bool:
        """Whether the ID certifies the key; a bare group's does not."""
        return self.group_id == certified_id(self.group_id[:16], self.group_key)

    def prove(self, handshake_hash: bytes) -> bytes:
        return Device(self.authentication_key).sign(b"ferryman/group-proof/1" + handshake_hash + self.group_id)


def certified_id(group_salt: bytes, group_key: bytes) -> bytes:
    return group_salt + sha256(b"ferryman/group-id/1", group_salt, group_key)[:16]


def join_group(secret: bytes, group_id: bytes) -> Group:
    """Works for a proper group and for a bare one: the first half of either ID is the salt."""
    salt = sha256(b"ferryman/group-salt/1", group_id[:16])[:16]
    group_secret = argon2id(secret, salt=salt, kib=19_456, passes=2)
    encryption, authentication = (
        hkdf(group_secret, salt=group_id[:16], info=info)
        for info in (b"ferryman/encryption/1", b"ferryman/authentication/1")
    )
    return Group(group_id, encryption, authentication)


def new_group(secret: bytes, group_salt: bytes) -> Group:
    group = join_group(secret, group_salt + bytes(16))
    return Group(certified_id(group_salt, group.group_key), group.encryption_key, group.authentication_key)
