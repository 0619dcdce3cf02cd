"""The chain that ties each record to all before it, under a key that whoever edits the file does not have.

    chain(0)  = MAC("ferryman/ledger-genesis/1" || ledger id 16)
    chain(n)  = MAC("ferryman/ledger/1" || chain(n-1) || header(n) || body hash(n))
    header    = seq u64 || version u64 || recorded at i64 || length u16 of command id || length u16 of command hash
                || command id || command hash, then stream, principal, class, each after its length u16
    body hash = SHA-256("ferryman/ledger-body/1" || body)

MAC is HMAC-SHA256 under the chain key. The body comes in only by its hash, so that a body can be blanked and the chain
still holds. A segment that does not begin at record 1 stands on a base: (seq, chain) of the record before it, with
MAC("ferryman/ledger-base/1" || ledger id 16 || seq u64 || chain), so that nobody cuts records off its beginning.
"""

from __future__ import annotations

import hashlib
import struct

from ferryman.protocol.crypto.domains import LEDGER, LEDGER_BASE, LEDGER_BODY, LEDGER_GENESIS

_NUMBERS = struct.Struct(">QQqHH")
_LENGTH = struct.Struct(">H")
_NAMES_KEPT = 10_000  # streams come and go; packing names again costs half a microsecond
_BLOCK = 64  # of SHA-256, RFC 2104 §2


class Chain:
    """Computes the links of one ledger. HMAC with both pads hashed once: a start computes a link for every record."""

    __slots__ = ("_inner", "_names", "_outer")

    def __init__(self, key: bytes) -> None:
        padded = key.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))
        self._names: dict[tuple[str, str, str], bytes] = {}

    def genesis(self, ledger_id: bytes) -> bytes:
        return self._sign(LEDGER_GENESIS + ledger_id)

    def base(self, ledger_id: bytes, seq: int, chain: bytes) -> bytes:
        return self._sign(LEDGER_BASE + ledger_id + seq.to_bytes(8, "big") + chain)

    def link(
        self,
        previous: bytes,
        seq: int,
        stream: str,
        version: int,
        command_id: bytes,
        command_hash: bytes,
        principal: str,
        record_class: str,
        recorded_at: int,
        digest: bytes,
    ) -> bytes:
        """32 bytes. The parameters stand in the columns' order."""
        names = self._names.get((stream, principal, record_class))
        if names is None:
            names = self._pack_names(stream, principal, record_class)
        numbers = _NUMBERS.pack(seq, version, recorded_at, len(command_id), len(command_hash))
        return self._sign(LEDGER + previous + numbers + command_id + command_hash + names + digest)

    def _pack_names(self, *names: str) -> bytes:
        if len(self._names) >= _NAMES_KEPT:
            self._names.clear()
        encoded = [name.encode() for name in names]
        packed = b"".join(_LENGTH.pack(len(name)) + name for name in encoded)
        self._names[names[0], names[1], names[2]] = packed
        return packed

    def _sign(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


def body_hash(body: bytes) -> bytes:
    """32 bytes."""
    return hashlib.sha256(LEDGER_BODY + body).digest()
