"""The key store as files: one entry a file, replaced whole, mode 0600, in a directory of mode 0700.

    keys/store.json        which kind of store this is; of a sealed one salt and check
    keys/<name>.key        0x01 || sealed entry, or 0x00 || the bare secret in a plain store

An entry a file, because the ledger writes its anchor while others write their keys: they never touch the same file. A
sealed store takes no bare entry, or whoever can write the directory could slip in keys of his own.
"""

from __future__ import annotations

import re
from pathlib import Path

from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.keychain_errors import KeychainDamaged
from ferryman.actors.ports import Disk, Entropy
from ferryman.protocol.crypto.key_seal import NONCE_BYTES, open_entry, seal_entry
from ferryman.protocol.errors import LocalProtocolError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_PLAIN = b"\x00"
_SEALED = b"\x01"


class FileKeychain:
    """The Keychain port over files. `key`: what entries are sealed under; None leaves them bare."""

    def __init__(self, disk: Disk, folder: Path, entropy: Entropy, key: bytes | None) -> None:
        self._disk = disk
        self._folder = folder
        self._entropy = entropy
        self._key = key
        self._tag = _PLAIN if key is None else _SEALED

    def get(self, name: str) -> bytes | None:
        """Raises KeychainDamaged, OSError."""
        path = self._path(name)
        try:
            entry = self._disk.read(path)
        except FileNotFoundError:
            return None
        secret = None
        if entry[:1] == self._tag:
            secret = entry[1:] if self._key is None else open_entry(self._key, name, entry[1:])
        if secret is None:
            raise KeychainDamaged(f"{path}: this key cannot be opened; restore the directory from a backup")
        return secret

    def set(self, name: str, secret: bytes) -> None:
        """Durable when it returns. Raises OSError."""
        if self._key is not None:
            secret = seal_entry(self._key, name, secret, self._entropy.random_bytes(NONCE_BYTES))
        crash_point("keychain.write")
        self._disk.write(self._path(name), self._tag + secret, mode=0o600)

    def delete(self, name: str) -> None:
        self._disk.remove(self._path(name))

    def _path(self, name: str) -> Path:
        if _NAME.fullmatch(name) is None:
            raise LocalProtocolError(f"{name!r} is no name for a key: small letters, digits, dot, dash, underscore")
        return self._folder / f"{name}.key"
