"""What a stranger's relay knows of a group, who is in it, and whether somebody knows its key."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.integration.stranger.keys import certified_id
from tests.integration.stranger.wire import Fields

if TYPE_CHECKING:
    from tests.integration.stranger.relay import Line


class Refused(Exception):
    def __init__(self, code: int, *, closes: bool = False, **more: object) -> None:
        super().__init__(code)
        self.fields = {"code": code, "message": "refused by a stranger", **more}
        self.closes = closes


@dataclass(eq=False)
class Group:
    group_id: bytes
    incarnation: bytes = field(default_factory=lambda: os.urandom(16))
    blobs: dict[int, Fields] = field(default_factory=dict)
    cursors: dict[bytes, int] = field(default_factory=dict)
    max_cursor: int = 0
    acked: dict[bytes, int] = field(default_factory=dict)
    lines: dict[bytes, Line] = field(default_factory=dict)
    proven: bool = False

    def others_have(self, blob: Fields) -> bool:
        others = [acked for device, acked in self.acked.items() if device != blob["sender_id"]]
        return bool(others) and min(others) >= blob["cursor"]


def proof_holds(hello: Fields, handshake_hash: bytes) -> bool:
    """False: none was shown. A wrong one is refused."""
    key, proof, group_id = hello.get("group_key"), hello.get("group_proof"), hello["group_id"]
    if key is None and proof is None:
        return False
    if key is None or proof is None or certified_id(group_id[:16], key) != group_id:
        raise Refused(1002, closes=True)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(proof, b"ferryman/group-proof/1" + handshake_hash + group_id)
    except InvalidSignature as error:
        raise Refused(1002, closes=True) from error
    return True
