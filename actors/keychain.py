"""Which key store a device has, decided at its first start and kept: the keys are where they were put.

| first start finds               | kind   | later it needs                                    |
|---------------------------------|--------|---------------------------------------------------|
| an OS keychain that answers     | os     | that keychain, answering                          |
| none, but a passphrase          | sealed | the same passphrase                               |
| neither, but `keys.allow_plain` | plain  | `keys.allow_plain` again; it warns at every start |
| none of these                   |        | refused: KEYCHAIN_MISSING                         |

The device's home directory is locked as long as its key store is open: one device is one process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from ferryman.actors.keychain_errors import (
    DeviceInUse,
    HomeUnusable,
    KeychainDamaged,
    KeychainLocked,
    KeychainMissing,
    KeychainUnavailable,
)
from ferryman.actors.keychain_file import FileKeychain
from ferryman.actors.keychain_os import Backend, OsKeychain, find_os_backend
from ferryman.actors.ports import Disk, Entropy, Keychain
from ferryman.protocol.crypto.key_seal import NONCE_BYTES, SALT_BYTES, derive_store_key, is_right_key, seal_check

Kind = Literal["os", "sealed", "plain"]
FindBackend = Callable[[], Backend | None]

FORMAT = "ferryman.keys/1"
DEVICE_BYTES = 8
PLAIN_WARNING = "this device's keys lie unsealed in {folder}: whoever reads that directory is this device"


class StoreFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """keys/store.json. device: hex, this device's name in an OS keychain. salt, check: hex, of a sealed store."""

    format: str
    kind: Kind
    device: str = ""
    salt: str = ""
    check: str = ""


@dataclass(frozen=True, slots=True)
class OpenKeychain:
    """A key store and the lock on its device. warning: one line for the log and the status, "" if there is none."""

    keychain: Keychain
    kind: Kind
    warning: str
    close: Callable[[], None]


@dataclass(frozen=True, slots=True)
class KeychainChoice:
    """What a device brings to its key store.

    home: the device's directory. create: False opens only what is there. find_backend: None never looks for an OS
    keychain. derive: Argon2id, 0.1 s and 64 MiB; a simulation may remember its results.
    """

    home: Path
    disk: Disk
    entropy: Entropy
    passphrase: str | None = field(default=None, repr=False)
    allow_plain: bool = False
    create: bool = True
    find_backend: FindBackend | None = find_os_backend
    derive: Callable[[str, bytes], bytes] = derive_store_key

    @property
    def folder(self) -> Path:
        return self.home / "keys"


def open_keychain(choice: KeychainChoice) -> OpenKeychain:
    """The device's key store, made if there is none. Blocks: call it through `threads`.

    Raises KeychainError: missing, locked, unavailable, damaged, or the device is in use.
    """
    home, disk = choice.home, choice.disk
    try:
        if choice.create:
            disk.make_directory(choice.folder, mode=0o700)
        elif not disk.exists(choice.folder / "store.json"):
            raise KeychainMissing(f"{choice.folder}: there is no key store; name the device's directory with --home")
        unlock = disk.lock(home / "device.lock")
    except OSError as error:
        raise HomeUnusable(f"{home}: {error.strerror or error}; name a directory that can be written") from error
    if unlock is None:
        raise DeviceInUse(f"{home}: this device runs already, in this process or in another; end that one first")
    try:
        store = _read(choice) or _make(choice)
        keychain = _keychain(choice, store)
    except BaseException:  # Ctrl-C at a prompt too: the lock is given back, whatever it was
        unlock()
        raise
    warning = PLAIN_WARNING.format(folder=choice.folder) if store.kind == "plain" else ""
    return OpenKeychain(keychain, store.kind, warning, unlock)


def _read(choice: KeychainChoice) -> StoreFile | None:
    path = choice.folder / "store.json"
    try:
        store = msgspec.json.decode(choice.disk.read(path), type=StoreFile)
        if store.format != FORMAT:
            raise KeychainDamaged(f"{path}: written by another Ferryman ({store.format}); start the one that wrote it")
        bytes.fromhex(store.salt + store.check)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, ValueError):
        raise KeychainDamaged(f"{path}: cannot be read; restore the directory from a backup") from None
    return store


def _make(choice: KeychainChoice) -> StoreFile:
    """Decide, and write the decision down."""
    entropy = choice.entropy
    if choice.find_backend is not None and choice.find_backend() is not None:
        store = StoreFile(FORMAT, "os", device=entropy.random_bytes(DEVICE_BYTES).hex())
    elif choice.passphrase:
        salt = entropy.random_bytes(SALT_BYTES)
        check = seal_check(choice.derive(choice.passphrase, salt), entropy.random_bytes(NONCE_BYTES))
        store = StoreFile(FORMAT, "sealed", salt=salt.hex(), check=check.hex())
    elif choice.allow_plain:
        store = StoreFile(FORMAT, "plain")
    else:
        raise KeychainMissing(
            f"{choice.folder}: no OS keychain answers and there is no passphrase to seal keys with; set"
            " FERRYMAN_PASSPHRASE, or keys.allow_plain = true to keep them unsealed"
        )
    try:
        choice.disk.write(choice.folder / "store.json", msgspec.json.encode(store), mode=0o600)
    except OSError as error:
        raise HomeUnusable(f"{choice.folder}: {error.strerror or error}; make the directory writable") from error
    return store


def _keychain(choice: KeychainChoice, store: StoreFile) -> Keychain:
    folder = choice.folder
    match store.kind:
        case "os":
            backend = choice.find_backend() if choice.find_backend is not None else None
            if backend is None:
                raise KeychainUnavailable(
                    f"{folder}: this device's keys are in the OS keychain, which does not answer; unlock it, or start"
                    " in the session that it belongs to",
                    retryable=True,
                )
            return OsKeychain(backend, store.device)
        case "sealed":
            if not choice.passphrase:
                raise KeychainLocked(f"{folder}: these keys are sealed; set FERRYMAN_PASSPHRASE to their passphrase")
            key = choice.derive(choice.passphrase, bytes.fromhex(store.salt))
            if not is_right_key(key, bytes.fromhex(store.check)):
                raise KeychainLocked(f"{folder}: this is not the passphrase that these keys are sealed with")
            return FileKeychain(choice.disk, folder, choice.entropy, key)
        case "plain":
            if not choice.allow_plain:
                raise KeychainLocked(
                    f"{folder}: these keys lie unsealed; to use them set keys.allow_plain = true, or say --allow-plain"
                )
            return FileKeychain(choice.disk, folder, choice.entropy, None)
