"""Every error that a host can meet. All are AppErrors: `code` for machines, `message` for people, `retryable`."""

from __future__ import annotations

from ferryman.actors.core.errors import RecoveryFailed, TooManyRestarts
from ferryman.actors.keychain_errors import (
    DeviceInUse,
    HomeUnusable,
    KeychainDamaged,
    KeychainError,
    KeychainLocked,
    KeychainMissing,
    KeychainUnavailable,
)
from ferryman.protocol.crypto.sealing import BlobTooLarge
from ferryman.protocol.errors import AppError, BadInput
from ferryman.protocol.sync.errors import (
    AlreadyJoined,
    BackendUnavailable,
    Closed,
    InviteRefused,
    NotEnabled,
    Offline,
    OutboxFull,
    Pending,
    RelayRefused,
    RelayUntrusted,
    Superseded,
)

__all__ = [
    "AlreadyJoined",
    "AppError",
    "BackendUnavailable",
    "BadInput",
    "BlobTooLarge",
    "Closed",
    "DeviceInUse",
    "HomeUnusable",
    "InviteRefused",
    "KeychainDamaged",
    "KeychainError",
    "KeychainLocked",
    "KeychainMissing",
    "KeychainUnavailable",
    "NotEnabled",
    "Offline",
    "OutboxFull",
    "Pending",
    "RecoveryFailed",
    "RelayRefused",
    "RelayUntrusted",
    "Superseded",
    "TooManyRestarts",
]
