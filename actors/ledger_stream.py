"""What belongs to one stream of a ledger: how its secrets are sealed and its command hashes masked."""

from __future__ import annotations

from dataclasses import dataclass

from ferryman.actors.ports import Entropy
from ferryman.protocol.crypto.ledger_seal import NONCE_BYTES, HashMask, LedgerKeys, open_secret, seal_secret
from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.ledger.codec import BodyCodec


@dataclass(frozen=True, slots=True)
class StreamSeal:
    """codec: bodies to bytes and back. mask(command id, hash): the hash as it stands in the file, or back."""

    codec: BodyCodec
    mask: HashMask


def make_stream_seal(keys: LedgerKeys, stream: str, entropy: Entropy | None) -> StreamSeal:
    """Without entropy it only reads."""

    def seal(secret: bytes) -> bytes:
        if entropy is None:
            raise LocalProtocolError("a reader seals nothing")
        return seal_secret(keys, stream, secret, entropy.random_bytes(NONCE_BYTES))

    return StreamSeal(BodyCodec(seal, lambda sealed: open_secret(keys, stream, sealed)), HashMask(keys, stream))
