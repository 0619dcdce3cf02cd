"""What tests/vectors/wire.json holds: bytes made from fixed keys, that every later version must make too.

python -m tests.vectors.wire_cases > tests/vectors/wire.json      only when the wire itself changes
"""

from __future__ import annotations

import json
import sys

from ferryman.protocol.crypto.noise import initiate, respond
from ferryman.protocol.crypto.sealing import Chain, blob_hash, seal
from ferryman.protocol.sync.control import Checkpoint, Head, Member, encode_control
from ferryman.protocol.sync.invite import GroupInvite
from ferryman.protocol.sync.short_code import derive_key, new_code, seal_payload
from tests.fakes.wire import ANNA, BERT, BLOB_ID, FIRST, NONCE, NOW, RELAY_ID, RELAY_PRIVATE, frame, group
from tests.fakes.wire_samples import SAMPLES

CONTENT = b"what the host pushed; the relay never reads it"
CODE_ENTROPY = bytes(range(0x31, 0x3B))
INVITE = GroupInvite("wss://relay.example", group().group_id, bytes(range(32)), ANNA.device_id, NOW + 600, RELAY_ID)


def cases() -> dict[str, dict[str, str]]:
    return {
        "keys": _keys(),
        "handshake": _handshake(),
        "frames": {sample.name: _frame(sample).hex() for sample in SAMPLES},
        "blobs": _blobs(),
        "invites": _invites(),
    }


def _keys() -> dict[str, str]:
    keys = group()
    assert keys.group_key is not None
    proof = keys.prove(bytes(range(32)))
    assert proof is not None
    return {
        "device_id": ANNA.device_id.hex(),
        "sign_pub": ANNA.sign_pub.hex(),
        "group_id": keys.group_id.hex(),
        "group_key": keys.group_key.hex(),
        "encryption_key": keys.encryption_key.hex(),
        "group_proof of handshake hash 00..1f": proof.hex(),
    }


def _handshake() -> dict[str, str]:
    awaiting_reply, message1 = initiate(ANNA.noise_private, b"a" * 32)
    awaiting_proof, message2 = respond(RELAY_PRIVATE, b"b" * 32, message1)
    client, message3 = awaiting_reply.read_reply(message2).finish()
    relay = awaiting_proof.finish(message3)
    return {
        "message1": message1.hex(),
        "message2": message2.hex(),
        "message3": message3.hex(),
        "handshake_hash": client.handshake_hash.hex(),
        "client's first frame": client.seal_frame(b"\x80").hex(),
        "client's second frame": client.seal_frame(b"\x90").hex(),
        "relay's first frame": relay.seal_frame(b"\x80").hex(),
    }


def _frame(sample) -> bytes:
    if sample.from_client:
        return frame(sample.message)
    return frame(sample.message, sender_id=RELAY_ID, cursor=42)


def _blobs() -> dict[str, str]:
    common = {"keys": group(), "device": ANNA, "blob_id": BLOB_ID, "nonce": NONCE}
    first = seal(CONTENT, **common, chain=FIRST)
    second = Chain(FIRST.chain_id, 2, blob_hash(first))
    return {
        "padded and signed": first.hex(),
        "second of the chain": seal(CONTENT, **common, chain=second).hex(),
        "bare chain": seal(CONTENT, **common, chain=FIRST, sign=False, pad=False).hex(),
        "member": seal(encode_control(Member("Anna's laptop")), **common, chain=FIRST, control=True).hex(),
        "checkpoint": seal(encode_control(_checkpoint(first)), **common, chain=second, control=True).hex(),
    }


def _checkpoint(first: bytes) -> Checkpoint:
    """Anna's own first blob, and one of a chain of Bert's."""
    own = Head(ANNA.device_id, FIRST.chain_id, 1, blob_hash(first))
    return Checkpoint((own, Head(BERT.device_id, b"the Bert", 2**40, bytes(range(16)))))


def _invites() -> dict[str, str]:
    code = new_code(CODE_ENTROPY)
    return {
        "link": INVITE.link(),
        "short code": code.shown,
        "encrypted_payload": seal_payload(INVITE.payload(), code=code, key=derive_key(code), nonce=NONCE),
    }


if __name__ == "__main__":
    json.dump(cases(), sys.stdout, indent=1)
    sys.stdout.write("\n")
