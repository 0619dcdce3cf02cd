"""A keychain that is a dict. It outlives every process of its test."""

from __future__ import annotations


class MemoryKeychain:
    def __init__(self) -> None:
        self.secrets: dict[str, bytes] = {}
        self.writes = 0
        self.refused = 0
        self.fails: Exception | None = None  # what `set` raises

    def get(self, name: str) -> bytes | None:
        return self.secrets.get(name)

    def set(self, name: str, secret: bytes) -> None:
        if self.fails is not None:
            self.refused += 1
            raise self.fails
        self.writes += 1
        self.secrets[name] = secret

    def delete(self, name: str) -> None:
        self.secrets.pop(name, None)
