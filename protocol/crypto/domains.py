"""Every string that starts a hash, a signature or a derivation (wire.md §10): a new use gets a new string.

| string                        | starts                                                          |
|-------------------------------|-----------------------------------------------------------------|
| ferryman/group-id/1           | the hash that ties a group's ID to its verify key               |
| ferryman/group-salt/1         | the salt of the group key's Argon2id                            |
| ferryman/group-proof/1        | the signature that shows a relay membership of a group          |
| ferryman/encryption/1         | the derivation of the Encryption Key                            |
| ferryman/authentication/1     | the derivation of the Authentication Key                        |
| ferryman/blob/1               | the associated data of a sealed blob                            |
| ferryman/blob-sig/1           | a device's signature of what it sealed                          |
| ferryman/short-code/1         | salt and associated data of a short code                        |
| ferryman/join/1               | the hash by which a joiner commits to its nonce                 |
| ferryman/join-sas/1           | the hash whose digits two people compare                        |
| ferryman/admit/1              | the hash that ties an admission to its room and its joiner      |
| ferryman/ledger/1             | the MAC that chains a record to the one before it               |
| ferryman/ledger-genesis/1     | the MAC that the first record follows                           |
| ferryman/ledger-base/1        | the MAC over the record that a segment follows                  |
| ferryman/ledger-body/1        | the hash of a record's body                                     |
| ferryman/ledger-payload/1     | the hash of a large value that stands beside its record         |
| ferryman/ledger-command/1     | the hash that tells commands under one id apart                 |
| ferryman/ledger-own/1         | the command id of a record that nobody commanded                |
| ferryman/ledger-chain-key/1   | the derivation of the key that chains a ledger's records        |
| ferryman/ledger-seal-key/1    | the derivation of the key that seals its secret fields          |
| ferryman/ledger-mask-key/1    | the derivation of the key that masks its command hashes         |
| ferryman/ledger-seal/1        | the associated data of a sealed field                           |
| ferryman/ledger-mask/1        | the mask of one command hash                                    |
| ferryman/key-store/1          | the associated data of an entry of the key store                |
| ferryman/key-store-check/1    | the same of what it knows its passphrase by                     |
| ferryman/api-key/1            | the hash by which a relay knows an API key                      |

ASCII, without NUL, and followed by fields of fixed or prefixed length, so no two uses can produce the same bytes.
"""

from __future__ import annotations

from typing import Final

GROUP_ID: Final = b"ferryman/group-id/1"
GROUP_SALT: Final = b"ferryman/group-salt/1"
GROUP_PROOF: Final = b"ferryman/group-proof/1"
ENCRYPTION: Final = b"ferryman/encryption/1"
AUTHENTICATION: Final = b"ferryman/authentication/1"
BLOB: Final = b"ferryman/blob/1"
BLOB_SIGNATURE: Final = b"ferryman/blob-sig/1"
SHORT_CODE: Final = b"ferryman/short-code/1"
JOIN: Final = b"ferryman/join/1"
JOIN_SAS: Final = b"ferryman/join-sas/1"
ADMIT: Final = b"ferryman/admit/1"
LEDGER: Final = b"ferryman/ledger/1"
LEDGER_GENESIS: Final = b"ferryman/ledger-genesis/1"
LEDGER_BASE: Final = b"ferryman/ledger-base/1"
LEDGER_BODY: Final = b"ferryman/ledger-body/1"
LEDGER_PAYLOAD: Final = b"ferryman/ledger-payload/1"
LEDGER_COMMAND: Final = b"ferryman/ledger-command/1"
LEDGER_OWN: Final = b"ferryman/ledger-own/1"
LEDGER_CHAIN_KEY: Final = b"ferryman/ledger-chain-key/1"
LEDGER_SEAL_KEY: Final = b"ferryman/ledger-seal-key/1"
LEDGER_MASK_KEY: Final = b"ferryman/ledger-mask-key/1"
LEDGER_SEAL: Final = b"ferryman/ledger-seal/1"
LEDGER_MASK: Final = b"ferryman/ledger-mask/1"
KEY_STORE: Final = b"ferryman/key-store/1"
KEY_STORE_CHECK: Final = b"ferryman/key-store-check/1"
API_KEY: Final = b"ferryman/api-key/1"

# A device's seed signs nothing that does not begin with one of these. The group proof is made by the group's key.
SIGNED_BY_DEVICES: Final = (BLOB_SIGNATURE,)
