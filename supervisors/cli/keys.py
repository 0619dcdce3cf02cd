"""The keys of a device at the command line: what the key store lacks is asked for, or said in one line.

| the key store says    | at a terminal                        | otherwise, one line                       |
|-----------------------|--------------------------------------|-------------------------------------------|
| no keychain           | a new passphrase is asked for, twice | set FERRYMAN_PASSPHRASE, or --allow-plain |
| sealed                | its passphrase is asked for, 3 times | set FERRYMAN_PASSPHRASE                   |
| unsealed, not allowed | one line                             | --allow-plain                             |

FERRYMAN_PASSPHRASE comes before any question.
"""

from __future__ import annotations

import getpass
import sys
import termios
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import trio
from pydantic import SecretStr

from ferryman.actors.keychain import StoreFile
from ferryman.actors.keychain_errors import KeychainLocked, KeychainMissing
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.config import RuntimeConfig

TRIES = 3

T = TypeVar("T")


class KeyRing:
    """Asks for a passphrase at most once for each answer, however often the device is opened."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._passphrase: SecretStr | None = None
        self._tries = 0

    async def unlock(
        self, config: RuntimeConfig, start: Callable[[RuntimeConfig], Awaitable[T]]
    ) -> tuple[T, RuntimeConfig]:
        """What `start` gives, with the configuration it was given for. Raises KeychainError, BadInput."""
        while True:
            attempt = self._with_passphrase(config)
            try:
                return await start(attempt), attempt
            except KeychainMissing:
                if not is_terminal():
                    raise KeychainMissing(
                        f"{self._home}: no keychain of this system answers; set FERRYMAN_PASSPHRASE to seal the keys"
                        " with, or add --allow-plain to keep them unsealed in that directory"
                    ) from None
                self._passphrase = SecretStr(await self._ask_new())
            except KeychainLocked:
                if lies_unsealed(self._home):
                    raise KeychainLocked(
                        f"{self._home}: the keys of this device lie unsealed; add --allow-plain to use them"
                    ) from None
                if config.keys.passphrase is not None or not is_terminal() or self._tries == TRIES:
                    raise
                self._tries += 1
                again = "" if self._passphrase is None else "That is not it. "
                self._passphrase = SecretStr(await _ask(f"{again}Passphrase of {self._home}: "))

    def _with_passphrase(self, config: RuntimeConfig) -> RuntimeConfig:
        if self._passphrase is None:
            return config
        return config.model_copy(update={"keys": config.keys.model_copy(update={"passphrase": self._passphrase})})

    async def _ask_new(self) -> str:
        print(
            "No keychain of this system answers: the keys of this device will be sealed with a passphrase.",
            file=sys.stderr,
        )
        first = await _ask("New passphrase: ")
        if not first:
            raise BadInput("an empty passphrase seals nothing; --allow-plain keeps the keys unsealed if you mean that")
        if await _ask("The same again: ") != first:
            raise BadInput("these are two different passphrases; nothing was made")
        return first


def lies_unsealed(home: Path) -> bool:
    store = msgspec.json.decode((home / "keys" / "store.json").read_bytes(), type=StoreFile)
    return store.kind == "plain"


def is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


async def _ask(prompt: str) -> str:
    """Without echo. Ctrl-C leaves the terminal as it was."""
    before = termios.tcgetattr(sys.stdin)
    try:
        return await trio.to_thread.run_sync(getpass.getpass, prompt, abandon_on_cancel=True)
    except EOFError:
        raise BadInput("no passphrase was given") from None
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
