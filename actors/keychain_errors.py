"""What a key store says when it cannot be used.

| code                 | what was found                                     | what to do                             |
|----------------------|----------------------------------------------------|----------------------------------------|
| KEYCHAIN_MISSING     | no OS keychain and no passphrase                   | give a passphrase, or allow plain keys |
| KEYCHAIN_LOCKED      | a sealed store, and no or a wrong passphrase       | give the right one                     |
| KEYCHAIN_UNAVAILABLE | the OS keychain holds the keys and does not answer | unlock it, or start in that session    |
| KEYCHAIN_DAMAGED     | an entry, or store.json, cannot be read            | restore the directory from a backup    |
| DEVICE_IN_USE        | another process is this device                     | end that process                       |
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


class DeviceInUse(KeychainError):
    code = "DEVICE_IN_USE"
