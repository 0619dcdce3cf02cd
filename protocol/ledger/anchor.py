"""The anchor: the last record that the key store has seen. A ledger that ends before it has been rolled back.

anchor = ledger id 16 || seq u64 || chain 32        56 bytes, written every 1,000 records and at a clean stop
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_ANCHOR = struct.Struct(">16sQ32s")

ANCHOR_RECORDS = 1_000
"""So many records at most go back unseen; a smaller number writes to the key store more often."""


@dataclass(frozen=True, slots=True)
class Anchor:
    ledger_id: bytes
    seq: int
    chain: bytes

    def to_bytes(self) -> bytes:
        return _ANCHOR.pack(self.ledger_id, self.seq, self.chain)


def parse_anchor(data: bytes) -> Anchor:
    """Raises ValueError."""
    if len(data) != _ANCHOR.size:
        raise ValueError(f"an anchor has {_ANCHOR.size} bytes")
    return Anchor(*_ANCHOR.unpack(data))
