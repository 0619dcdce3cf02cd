"""Values that tests of sync are made of: keys of a group and a device, sealed entries, sessions in a phase."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from ferryman.protocol.crypto.keys import DeviceKeys, GroupKeys, derive_group
from ferryman.protocol.crypto.sealing import Chain, blob_hash, seal
from ferryman.protocol.relay.limits import Bucket
from ferryman.protocol.relay.messages import BlobEntry, PullResponse
from ferryman.protocol.sync.chain import SenderChain
from ferryman.protocol.sync.events import ConnectionInfo
from ferryman.protocol.sync.intake import resume
from ferryman.protocol.sync.outbox import Enqueue, SealingRules, Writer
from ferryman.protocol.sync.session import Online, Session
from ferryman.protocol.sync.shelf import Shelf, Waiting

OURS = DeviceKeys.from_seed(bytes(32))
THEIRS = DeviceKeys.from_seed(b"\x01" * 32)
INFO = ConnectionInfo("relay", 0, 0)


@cache
def group_keys() -> GroupKeys:
    return derive_group(b"secret".ljust(32, b"."), b"salt".ljust(16, b"."))


def number(value: int, size: int = 16) -> bytes:
    return value.to_bytes(size, "big")


def enqueue(value: int, content: bytes = b"content", **changes: object) -> Enqueue:
    """The command for blob `value`, sealed by our device."""
    keys = group_keys()
    plain = SealingRules(sign=False)
    command = Enqueue(keys.group_id, number(value), number(value, 24), b"chain id", content, Writer(keys, OURS), plain)
    return replace(command, **changes)


def entry(cursor: int, *, sender: bytes = THEIRS.device_id, payload: bytes = b"sealed") -> BlobEntry:
    return BlobEntry(number(cursor), cursor, sender, payload, 0)


def page(*cursors: int, more: bool = False, top: int | None = None, least: int | None = None) -> PullResponse:
    """A PULL_RESPONSE with other devices' blobs at these cursors."""
    top = max(cursors, default=0) if top is None else top
    return PullResponse(tuple(entry(cursor) for cursor in cursors), more, top, least)


def waiting(*seqs: int, size: int = 10) -> Shelf:
    shelf = Shelf()
    for seq in seqs:
        shelf = shelf.put(Waiting(seq, number(seq), b"hash", size))
    return shelf


class Sender:
    """A device that seals blobs in a row, as an outbox does."""

    def __init__(self, device: DeviceKeys = THEIRS, chain_id: bytes = b"chain-00") -> None:
        self.device = device
        self.chain = SenderChain(chain_id)

    def seal(self, blob_id: bytes, content: bytes, *, control: bool = False, chain: Chain | None = None) -> bytes:
        """The next sealed blob, or one at a place of your choice."""
        sealed = seal(
            content,
            keys=group_keys(),
            device=self.device,
            blob_id=blob_id,
            nonce=blob_id.ljust(24, b"\0"),
            chain=chain or self.chain.next(),
            control=control,
            sign=control,
        )
        if chain is None:
            self.chain = self.chain.sent(sealed)
        return sealed

    def entry(self, cursor: int, content: bytes = b"content", **how: object) -> BlobEntry:
        blob_id = number(cursor)
        return BlobEntry(blob_id, cursor, self.device.device_id, self.seal(blob_id, content, **how), 0)


def hash_of(sealed: bytes) -> bytes:
    return blob_hash(sealed)


def online(*, covered: int = 0, caught_up: bool = True, **changes: object) -> Session:
    """A session that was welcomed and has nothing to do."""
    phase = Online(
        INFO, 30.0, None, heard_at=0.0, pace=Bucket.full(30, 60, 0.0), catching_up=not caught_up, chained=False,
        acknowledged=covered,
    )  # fmt: skip
    session = Session(resume(OURS.device_id, covered, ()), recorded=covered, phase=phase)
    return replace(session, **changes)
