"""What a key store says when it cannot be used.

| code                 | what was found                                     | what to do                             |
|----------------------|----------------------------------------------------|----------------------------------------|
| KEYCHAIN_MISSING     | no OS keychain and no passphrase                   | give a passphrase, or allow plain keys |
| KEYCHAIN_LOCKED      | a sealed store, and no or a wrong passphrase       | give the right one                     |
| KEYCHAIN_UNAVAILABLE | the OS keychain holds the keys and does not answer | unlock it, or start in that session    |
| KEYCHAIN_DAMAGED     | an entry, or store.json, cannot be read            | restore the directory from a backup    |
| DEVICE_IN_USE        | this device runs already, in whatever process      | end that one                           |
| HOME_UNUSABLE        | the device's directory cannot be made or written   | name another, or make it writable      |
"""

from __future__ import annotations

from ferryman.protocol.errors import AppError


class KeychainError(AppError):
    code = "KEYCHAIN_DAMAGED"


class KeychainMissing(KeychainError):
    code = "KEYCHAIN_MISSING"


class KeychainLocked(KeychainError):
    code = "KEYCHAIN_LOCKED"


class KeychainUnavailable(KeychainError):
    code = "KEYCHAIN_UNAVAILABLE"


class KeychainDamaged(KeychainError):
    code = "KEYCHAIN_DAMAGED"


class HomeUnusable(KeychainError):
    code = "HOME_UNUSABLE"


class DeviceInUse(KeychainError):
    code = "DEVICE_IN_USE"
