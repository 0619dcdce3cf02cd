"""The keys of a device and of a group, and how each follows from one secret (wire.md §7).

    seed 32 --+-- Ed25519 pair: signs
              +-- its X25519 form: the Noise static pair; the public half is the device ID

    secret 32, or a passphrase                       salt = SHA-256("ferryman/group-salt/1" || group_id[:16])[:16]
      -- Argon2id --> Group Key --+-- HKDF --> Encryption Key        seals blobs
                                  +-- HKDF --> Authentication Key -- Ed25519 --> group_key, certified by the group ID

Argon2id blocks for some 20 ms and releases the GIL: callers run the `derive_` functions through the threads port.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.signing import SigningKey

from ferryman.protocol.crypto import domains
from ferryman.protocol.crypto.group_proof import SALT_BYTES, certified_id, sign_proof, verify_key
from ferryman.protocol.errors import BadInput, LocalProtocolError

SEED_BYTES: Final = 32
SECRET_BYTES: Final = 32
# S4 §4.1. The group ID lets anyone test passphrases offline, so each test has to cost something.
ARGON2_MEMORY_KIB: Final = 19_456
ARGON2_PASSES: Final = 2
ARGON2_LANES: Final = 1
PASSPHRASE_MIN_WORDS: Final = 6
PASSPHRASE_MIN_CHARACTERS: Final = 20
KNOWN_KEYS: Final = 1_024  # answers kept: a conversion costs as much as a signature, and devices are few


@dataclass(frozen=True, slots=True)
class DeviceKeys:
    """One device. `device_id` is public; the seed and the private key stay out of every repr."""

    device_id: bytes  # X25519 public key, 32 bytes
    sign_pub: bytes  # Ed25519 public key, 32 bytes
    noise_private: bytes = field(repr=False)  # X25519 private key, 32 bytes
    seed: bytes = field(repr=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> DeviceKeys:
        """`seed`: 32 random bytes, the only thing of a device that is stored."""
        if len(seed) != SEED_BYTES:
            raise LocalProtocolError(f"a device seed is {SEED_BYTES} bytes")
        sign_pub, secret_key = bindings.crypto_sign_seed_keypair(seed)
        noise_private = bindings.crypto_sign_ed25519_sk_to_curve25519(secret_key)
        return cls(bindings.crypto_scalarmult_base(noise_private), sign_pub, noise_private, seed)

    def sign(self, message: bytes) -> bytes:
        """64 bytes. Only messages that begin with a string of the domain table are ever signed."""
        if not message.startswith(domains.SIGNED_BY_DEVICES):
            raise LocalProtocolError("a device signs only what begins with its own domain string")
        return SigningKey(self.seed).sign(message).signature


@dataclass(frozen=True, slots=True)
class GroupKeys:
    """What a member knows. `group_key` is None in a bare group, whose ID certifies no key: it gets no proof."""

    group_id: bytes
    group_key: bytes | None
    encryption_key: bytes = field(repr=False)
    authentication_key: bytes = field(repr=False)

    def prove(self, handshake_hash: bytes) -> bytes | None:
        """The group_proof of HELLO for one connection, None in a bare group."""
        if self.group_key is None:
            return None
        return sign_proof(self.authentication_key, handshake_hash, self.group_id)


@lru_cache(maxsize=KNOWN_KEYS)
def sign_pub_belongs(sign_pub: bytes, device_id: bytes) -> bool:
    """Whether `sign_pub` is that device's: its X25519 form is the ID. A key of small order belongs to nobody."""
    try:
        return bindings.crypto_sign_ed25519_pk_to_curve25519(sign_pub) == device_id
    except (CryptoError, ValueError):
        return False


def signature_holds(sign_pub: bytes, message: bytes, signature: bytes) -> bool:
    try:
        bindings.crypto_sign_open(signature + message, sign_pub)
    except (CryptoError, ValueError):
        return False
    return True


def passphrase_input(passphrase: str) -> bytes:
    """The Argon2id input of a passphrase: UTF-8 of its NFKC form, nothing trimmed. Raises BadInput if too short."""
    normal = unicodedata.normalize("NFKC", passphrase)
    if len(normal.split()) < PASSPHRASE_MIN_WORDS or len(normal) < PASSPHRASE_MIN_CHARACTERS:
        raise BadInput(
            f"a passphrase needs at least {PASSPHRASE_MIN_WORDS} words and {PASSPHRASE_MIN_CHARACTERS} characters; "
            "better: let Ferryman draw a random secret"
        )
    return normal.encode()


def derive_group(secret: bytes, group_salt: bytes) -> GroupKeys:
    """A new group, certified by its ID. `secret`: 32 bytes or a passphrase_input; `group_salt`: 16 random bytes."""
    if len(group_salt) != SALT_BYTES:
        raise LocalProtocolError(f"a group salt is {SALT_BYTES} bytes")
    encryption, authentication = _derive(secret, group_salt)
    group_key = verify_key(authentication)
    return GroupKeys(certified_id(group_salt, group_key), group_key, encryption, authentication)


def derive_joined_group(secret: bytes, group_id: bytes, *, allow_bare: bool = False) -> GroupKeys:
    """The keys of the group that an invite names. Raises BadInput when the secret does not fit the ID.

    allow_bare: take such a group for a bare one of S4, whose ID is 32 random bytes, and send it no proof.
    """
    keys = derive_group(secret, group_id[:SALT_BYTES])
    if keys.group_id == group_id:
        return keys
    if not allow_bare:
        raise BadInput("the invite's secret does not fit its group: ask for a new invite")
    return GroupKeys(group_id, None, keys.encryption_key, keys.authentication_key)


def _derive(secret: bytes, group_salt: bytes) -> tuple[bytes, bytes]:
    group_secret = hash_secret_raw(
        secret,
        hashlib.sha256(domains.GROUP_SALT + group_salt).digest()[:16],
        time_cost=ARGON2_PASSES,
        memory_cost=ARGON2_MEMORY_KIB,
        parallelism=ARGON2_LANES,
        hash_len=32,
        type=Type.ID,
    )
    encryption, authentication = domains.ENCRYPTION, domains.AUTHENTICATION
    return _expand(group_secret, group_salt, encryption), _expand(group_secret, group_salt, authentication)


def _expand(group_secret: bytes, group_salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=group_salt, info=info).derive(group_secret)
