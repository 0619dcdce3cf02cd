"""Two devices, a group and a relay with fixed keys, for every test of the wire: the same bytes in every run.

ANNA, BERT   devices from seeds 0xA0.. and 0xB0..        RELAY_PRIVATE   the relay's static key
GROUP        the group of wire.md §7's vector            frame()         one encoded frame from ANNA
"""

from __future__ import annotations

from functools import cache

from ferryman.protocol.crypto.keys import DeviceKeys, GroupKeys, derive_group
from ferryman.protocol.crypto.noise import NoiseSession, initiate, respond, static_public
from ferryman.protocol.crypto.sealing import Chain
from ferryman.protocol.relay.envelope import encode_frame
from ferryman.protocol.relay.messages import Message

SECRET = bytes(range(32))
GROUP_SALT = bytes(range(0x64, 0x74))
ANNA = DeviceKeys.from_seed(bytes(range(0xA0, 0xC0)))
BERT = DeviceKeys.from_seed(bytes(range(0xB0, 0xD0)))
RELAY_PRIVATE = bytes(range(0x40, 0x60))
RELAY_ID = static_public(RELAY_PRIVATE)
BLOB_ID = bytes(range(0x10, 0x20))
NONCE = bytes(range(0xE0, 0xF8))
FIRST = Chain(b"chain-id", 1, bytes(16))
NOW = 1_700_000_000


@cache
def group() -> GroupKeys:
    """Derived once a run: Argon2id takes its time."""
    return derive_group(SECRET, GROUP_SALT)


def handshake(*, client: bytes = ANNA.noise_private, ephemerals: bytes = b"ab") -> tuple[NoiseSession, NoiseSession]:
    """A finished handshake: the client's session and the relay's."""
    awaiting_reply, message1 = initiate(client, ephemerals[:1] * 32)
    awaiting_proof, message2 = respond(RELAY_PRIVATE, ephemerals[1:] * 32, message1)
    client_session, message3 = awaiting_reply.read_reply(message2).finish()
    return client_session, awaiting_proof.finish(message3)


def frame(message: Message, *, sender_id: bytes = ANNA.device_id, cursor: int = 0) -> bytes:
    return encode_frame(
        message, sender_id=sender_id, group_id=group().group_id, timestamp=NOW, nonce=NONCE, cursor=cursor
    )
