"""The key store in the operating system: macOS Keychain, Secret Service, KWallet.

The `keyring` package picks whatever is installed, a file in clear or a store that forgets included. Only the backends
named here count, and only if they answer.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Protocol, cast

from ferryman.actors.keychain_errors import KeychainDamaged, KeychainUnavailable

SERVICE = "ferryman"
REAL_BACKENDS = (
    "keyring.backends.macOS",
    "keyring.backends.SecretService",
    "keyring.backends.libsecret",
    "keyring.backends.kwallet",
)
_PROBE = "probe"


class Backend(Protocol):
    """What of a keyring backend is used."""

    def get_password(self, service: str, username: str) -> str | None: ...
    def set_password(self, service: str, username: str, password: str) -> None: ...
    def delete_password(self, service: str, username: str) -> None: ...


def find_os_backend() -> Backend | None:
    """The first real backend that answers, best first; None without one. Blocks, and may make the OS ask the user."""
    import keyring.backend  # only here: looking for backends costs 0.1 s

    found = keyring.backend.get_all_keyring()  # pyright: ignore[reportUnknownMemberType] - its decorator has no types
    viable = cast("list[Any]", list(found))
    for backend in sorted(viable, key=lambda one: (-float(one.priority), type(one).__module__)):
        if is_real(backend) and answers(backend):
            return cast("Backend", backend)
    return None


def is_real(backend: object) -> bool:
    """Never a plaintext store, never the one that forgets, never a chain that may hold either."""
    return type(backend).__module__ in REAL_BACKENDS


def answers(backend: Backend) -> bool:
    try:
        backend.get_password(SERVICE, _PROBE)
    except Exception:  # noqa: BLE001 - dbus, jeepney and the OS each have errors of their own, all of them a no
        return False
    return True


class OsKeychain:
    """The Keychain port over a backend. `device` tells the devices of one user apart."""

    def __init__(self, backend: Backend, device: str) -> None:
        self._backend = backend
        self._device = device

    def get(self, name: str) -> bytes | None:
        """Raises KeychainUnavailable, KeychainDamaged."""
        try:
            text = self._backend.get_password(SERVICE, self._user(name))
        except Exception as error:  # each backend has errors of its own; all of them mean that it does not answer
            raise _unavailable(error) from error
        if text is None:
            return None
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            raise KeychainDamaged(f"the OS keychain's entry {self._user(name)} of {SERVICE} is not ours") from None

    def set(self, name: str, secret: bytes) -> None:
        try:
            self._backend.set_password(SERVICE, self._user(name), base64.b64encode(secret).decode())
        except Exception as error:  # as in get: whatever a backend raises, it does not answer
            raise _unavailable(error) from error

    def delete(self, name: str) -> None:
        if self.get(name) is None:
            return
        try:
            self._backend.delete_password(SERVICE, self._user(name))
        except Exception as error:  # as in get: whatever a backend raises, it does not answer
            raise _unavailable(error) from error

    def _user(self, name: str) -> str:
        return f"{self._device}/{name}"


def _unavailable(error: Exception) -> KeychainUnavailable:
    return KeychainUnavailable(
        f"the OS keychain holds this device's keys and does not answer ({type(error).__name__}); unlock it",
        retryable=True,
    )
