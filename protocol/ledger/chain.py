"""The chain that ties each record to all before it, under a key that whoever edits the file does not have.

    chain(0) = MAC("ferryman/ledger-genesis/1" || ledger id 16)
    chain(n) = MAC("ferryman/ledger/1" || chain(n-1) || header(n) || body hash(n))
    header   = seq u64 || version u64 || recorded at i64 || command hash 32, then stream, command id, principal, class,
               each after its length u16
    body hash = SHA-256("ferryman/ledger-body/1" || body)

MAC is HMAC-SHA256 under the chain key. The body comes in only by its hash, so that a body can be blanked and the chain
still holds. A segment that does not begin at record 1 stands on a base: (seq, chain) of the record before it, with
MAC("ferryman/ledger-base/1" || ledger id 16 || seq u64 || chain), so that nobody cuts records off its beginning.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from ferryman.protocol.crypto.domains import LEDGER, LEDGER_BASE, LEDGER_BODY, LEDGER_GENESIS

_NUMBERS = struct.Struct(">QQq")
_LENGTH = struct.Struct(">H")


class Chain:
    """Computes the links of one ledger."""

    __slots__ = ("_mac",)

    def __init__(self, key: bytes) -> None:
        self._mac = hmac.new(key, digestmod="sha256")

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
        body_hash: bytes,
    ) -> bytes:
        """32 bytes. The parameters stand in the columns' order."""
        name, who, kind = stream.encode(), principal.encode(), record_class.encode()
        return self._sign(
            b"".join(
                (
                    LEDGER,
                    previous,
                    _NUMBERS.pack(seq, version, recorded_at),
                    command_hash,
                    _LENGTH.pack(len(name)),
                    name,
                    _LENGTH.pack(len(command_id)),
                    command_id,
                    _LENGTH.pack(len(who)),
                    who,
                    _LENGTH.pack(len(kind)),
                    kind,
                    body_hash,
                )
            )
        )

    def _sign(self, message: bytes) -> bytes:
        mac = self._mac.copy()
        mac.update(message)
        return mac.digest()


def body_hash(body: bytes) -> bytes:
    """32 bytes."""
    return hashlib.sha256(LEDGER_BODY + body).digest()
