"""Makes the vectors of the wire in tests/vectors/ from our code, for other implementations to be checked against.

    python -m tests.tools.make_vectors          only when the wire itself changes

| file                          | holds                                                                      |
|-------------------------------|----------------------------------------------------------------------------|
| transcripts/first-sync.json   | every byte of a first sync, both ways                                      |
| transcripts/large-push.json   | a push of the largest blob, in 17 pieces                                   |
| transcripts/pull-of-100.json  | a page of a hundred blobs                                                  |
| transcripts/errors.json       | a conversation for each error, and what becomes of the connection          |
| groups.json                   | from a secret to a group's ID and proof                                    |
| blobs.json                    | sealed blobs with every flag                                               |

Keys, ephemeral keys, nonces and times are given, so the same program makes the same bytes. README.md explains fields.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from ferryman.protocol.crypto.keys import DeviceKeys, GroupKeys, derive_group, passphrase_input
from ferryman.protocol.crypto.noise import SEALED_PIECE_BYTES, NoiseSession, initiate, respond, static_public
from ferryman.protocol.crypto.sealing import Chain, blob_hash, seal
from ferryman.protocol.identity import show_id
from ferryman.protocol.relay import messages as m
from ferryman.protocol.relay.envelope import encode_frame
from ferryman.protocol.sync.control import Member, encode_control
from tests.integration.stranger.blob import (
    CHAINED,
    COMPRESSED,
    CONTROL,
    PADDED,
    SIGNED,
    Link,
    open_plaintext,
    seal_blob,
)
from tests.integration.stranger.keys import Device, Group

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
MIB = 1_048_576
SECRET = bytes(range(32))
SALT = bytes(range(0x64, 0x74))
ANNA_SEED = bytes(range(0xA0, 0xC0))
BERT_SEED = bytes(range(0xB0, 0xD0))
RELAY_PRIVATE = bytes(range(0x40, 0x60))
RELAY_ID = static_public(RELAY_PRIVATE)
INCARNATION = bytes(range(0x80, 0x90))
NOW = 1_790_000_000
SHOWN_BYTES = 64  # of what is too long to show
TOO_LONG = 100_000

Json = dict[str, Any]


def pattern(seed: str, size: int) -> bytes:
    """SHA-256(seed || 00000000), SHA-256(seed || 00000001), ..., cut at `size`."""
    blocks = (hashlib.sha256(seed.encode() + n.to_bytes(4, "big")).digest() for n in range(-(-size // 32)))
    return b"".join(blocks)[:size]


def number(value: int, size: int) -> bytes:
    return hashlib.sha256(b"vector %d" % value).digest()[:size]


def shown(value: object) -> object:
    """What stands in the file: bytes in hex, long ones by their length, their ends and their hash."""
    match value:
        case bytes() if len(value) > TOO_LONG:
            ends = {"begins": value[:SHOWN_BYTES].hex(), "ends": value[-SHOWN_BYTES:].hex()}
            return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest(), **ends}
        case bytes():
            return value.hex()
        case dict():
            return {key: shown(each) for key, each in value.items()}
        case list() | tuple():
            return [shown(each) for each in value]
        case _:
            return value


class Conversation:
    """One connection, its bytes noted as they are said."""

    def __init__(self, name: str, *, group_id: bytes, ephemerals: bytes = b"ab") -> None:
        client = DeviceKeys.from_seed(ANNA_SEED)
        awaiting_reply, message1 = initiate(client.noise_private, ephemerals[:1] * 32)
        awaiting_proof, message2 = respond(RELAY_PRIVATE, ephemerals[1:] * 32, message1)
        known = awaiting_reply.read_reply(message2)
        session, message3 = known.finish()
        self.handshake_hash = session.handshake_hash
        self.group_id = group_id
        self._sessions: dict[str, NoiseSession] = {"client": session, "relay": awaiting_proof.finish(message3)}
        self._ids = {"client": client.device_id, "relay": RELAY_ID}
        self._steps: list[Json] = []
        self._document: Json = {
            "name": name,
            "client": {"seed": ANNA_SEED, "noise_private": client.noise_private, "device_id": client.device_id},
            "relay": {"noise_private": RELAY_PRIVATE, "relay_id": RELAY_ID},
            "ephemerals": {"client": ephemerals[:1] * 32, "relay": ephemerals[1:] * 32},
            "handshake": [message1, message2, message3],
            "handshake_hash": session.handshake_hash,
            "group_id": group_id,
            "steps": self._steps,
        }

    def client(self, message: m.Message, **envelope: Any) -> None:
        self._say("client", message, **envelope)

    def relay(self, message: m.Message, **envelope: Any) -> None:
        self._say("relay", message, **envelope)

    def _say(self, who: str, message: m.Message, **envelope: Any) -> None:
        place = len(self._steps)
        head = {
            "sender_id": self._ids[who],
            "group_id": self.group_id,
            "cursor": 0,
            "timestamp": NOW + place,
            "nonce": number(place, 24),
            **envelope,
        }
        frame = encode_frame(message, **head)
        fields = {key: value for key, value in msgspec.structs.asdict(message).items() if value is not None}
        for nested in ("blobs", "devices"):
            if nested in fields:
                fields[nested] = [msgspec.structs.asdict(each) for each in fields[nested]]
        step = {"from": who, "message": m.CODES[type(message)].name, "envelope": head, "fields": fields}
        sealed = self._sessions[who].seal_frame(frame)
        self._steps.append({**step, "frame": frame, "sealed": sealed})
        if len(sealed) > TOO_LONG:
            pieces = [sealed[at : at + SEALED_PIECE_BYTES] for at in range(0, len(sealed), SEALED_PIECE_BYTES)]
            hashes = [hashlib.sha256(piece).hexdigest() for piece in pieces]
            self._steps[-1]["pieces"] = [{"bytes": len(p), "sha256": h} for p, h in zip(pieces, hashes, strict=True)]

    def document(self, *, closed_with: int | None = None) -> Json:
        return {**self._document, "closed_with": closed_with}


def transcript(about: str, *conversations: Json, **more: object) -> Json:
    return {"about": about, **more, "conversations": conversations}


# --- transcripts


def first_sync() -> Json:
    keys, anna, bert = derive_group(SECRET, SALT), DeviceKeys.from_seed(ANNA_SEED), DeviceKeys.from_seed(BERT_SEED)
    ours, theirs = number(1, 16), number(2, 16)
    nonces = {ours: number(11, 24), theirs: number(12, 24)}
    blobs = {
        blob_id: seal(
            content,
            keys=keys,
            device=device,
            blob_id=blob_id,
            nonce=nonces[blob_id],
            chain=Chain(number(21, 8), 1, bytes(16)),
        )
        for blob_id, device, content in ((ours, anna, b"the ferry leaves at nine"), (theirs, bert, b"and I am aboard"))
    }
    said = Conversation("a first sync", group_id=keys.group_id)
    proof = keys.prove(said.handshake_hash)
    said.client(m.Hello(1, "Anna's laptop", keys.group_id, 0, keys.group_key, proof, 4096))
    said.relay(m.Welcome(1, show_id(RELAY_ID), 0, 0, 1, 30, INCARNATION, MIB))
    said.client(m.Push(ours, blobs[ours], 0), nonce=nonces[ours])
    said.relay(m.PushAck(ours, 1, NOW + 3), cursor=1)
    size = len(blobs[theirs])
    said.relay(m.Notify(theirs, 2, bert.device_id, NOW + 4, size), cursor=2)
    said.client(m.Pull(1, 100, False))
    entry = m.BlobEntry(theirs, 2, bert.device_id, blobs[theirs], NOW + 4)
    said.relay(m.PullResponse((entry,), False, 2, 1))
    said.client(m.Ack(2))
    return transcript(
        "The first sync of a device: it proves the group's key, pushes a blob, is told of another, pulls it and "
        "acknowledges it. Both payloads are sealed blobs; their senders' seeds are given.",
        said.document(),
        secret=SECRET,
        senders=[ANNA_SEED, BERT_SEED],
    )


def large_push() -> Json:
    seed = "the largest blob"
    payload = pattern(seed, MIB)
    said = Conversation("a push of 1,048,576 bytes", group_id=bytes(range(32)))
    said.client(m.Hello(1, "Anna's laptop", said.group_id, 0))
    said.relay(m.Welcome(1, show_id(RELAY_ID), 0, 0, 1, 30, INCARNATION, MIB))
    said.client(m.Push(number(1, 16), payload, 604_800))
    said.relay(m.PushAck(number(1, 16), 1, NOW + 3), cursor=1)
    return transcript(
        "A frame larger than one Noise message: cut into pieces of 65,519 bytes, each sealed by itself, all in one "
        "WebSocket message. The payload is the pattern of README.md with this seed.",
        said.document(),
        pattern_seed=seed,
    )


def pull_of_a_hundred() -> Json:
    said = Conversation("a page of a hundred", group_id=bytes(range(32)))
    said.client(m.Hello(1, "Anna's laptop", said.group_id, 7, None, None, None, INCARNATION))
    said.relay(m.Welcome(1, show_id(RELAY_ID), 120, 113, 8, 30, INCARNATION, MIB))
    said.client(m.Pull(7, 0))
    bert = DeviceKeys.from_seed(BERT_SEED).device_id
    entries = [m.BlobEntry(number(n, 16), n, bert, pattern(f"blob {n}", n), NOW - 200 + n) for n in range(8, 108)]
    said.relay(m.PullResponse(tuple(entries), True, 120, 8))
    return transcript("A PULL with limit 0, which is 100, answered by a full page.", said.document())


def errors() -> Json:
    group_id, blob_id = bytes(range(32)), number(1, 16)
    hello, welcome = m.Hello(1, "Anna's laptop", group_id, 0), m.Welcome(1, show_id(RELAY_ID), 0, 0)
    push = m.Push(blob_id, b"", 0)
    rows: list[tuple[str, tuple[m.Message, ...], m.Error, int | None]] = [
        ("a PULL before HELLO", (m.Pull(0, 0),), m.Error(1000, "say HELLO first"), 1008),
        (
            "a cursor that the relay never gave",
            (m.Hello(1, "Anna's laptop", group_id, 41),),
            m.Error(1001, "begin again from 0"),
            None,
        ),
        ("a HELLO without a proof to a closed group", (hello,), m.Error(1002, "prove that you are a member"), 1008),
        ("over a rate", (hello, welcome, push), m.Error(2000, "too many messages", blob_id, 600), None),
        ("a blob too large", (hello, welcome, push), m.Error(2001, "too large", blob_id), None),
        ("over the group's quota", (hello, welcome, push), m.Error(2002, "the group is full", blob_id), None),
        ("a full relay", (hello, welcome, push), m.Error(3000, "try again later", blob_id, 5000), None),
        ("a relay that ends", (hello, welcome), m.Error(3001, "the relay is shutting down"), 1001),
    ]
    conversations: list[Json] = []
    for place, (name, before, error, closed_with) in enumerate(rows):
        said = Conversation(name, group_id=group_id, ephemerals=bytes([0x61 + place, 0x71 + place]))
        for message in before:
            (said.relay if isinstance(message, m.Welcome) else said.client)(message)
        # before WELCOME a relay has no group to name
        said.relay(error, group_id=group_id if welcome in before else bytes(32))
        conversations.append(said.document(closed_with=closed_with))
    return transcript("Each ERROR of the page, what it answers, and the close code where it ends.", *conversations)


# --- groups and blobs


def groups() -> Json:
    passphrase = "  seven ferries cross the o\ufb03cial r\u0131ver at night "
    cases = []
    for name, secret, salt in (
        ("a random secret", SECRET, SALT),
        ("a passphrase, in NFKC and untrimmed", passphrase_input(passphrase), number(3, 16)),
    ):
        keys = derive_group(secret, salt)
        cases.append(
            {
                "name": name,
                "secret": secret,
                "group_salt": salt,
                "encryption_key": keys.encryption_key,
                "authentication_key": keys.authentication_key,
                "group_key": keys.group_key,
                "group_id": keys.group_id,
                "handshake_hash": number(4, 32),
                "group_proof": keys.prove(number(4, 32)),
            }
        )
    return {"about": "From a secret to a group's keys, its ID and a proof.", "passphrase": passphrase, "cases": cases}


CONTENT = b"to be carried, not to be read; " * 5
DATA = CHAINED | SIGNED


def blobs() -> Json:
    keys, device = derive_group(SECRET, SALT), DeviceKeys.from_seed(ANNA_SEED)
    plain = ((CHAINED, CONTENT), (CHAINED | PADDED, CONTENT), (DATA, CONTENT), (DATA | PADDED, CONTENT))
    introduction = encode_control(Member("Anna's laptop"))
    control = ((DATA | CONTROL, introduction), (DATA | CONTROL | PADDED, introduction), (DATA | PADDED, b""))
    small = ((CHAINED | COMPRESSED | PADDED, CONTENT), (DATA | COMPRESSED | PADDED, CONTENT))
    cases = [
        *_sealed_by_us(keys, device, number(31, 8), (*plain, *control)),
        *_sealed_by_us(keys, device, number(32, 8), small),
        *_sealed_by_others(keys),
    ]
    return {
        "about": "Sealed blobs with every flag. Those of one chain_id follow each other; `ours` says whether Ferryman "
        "writes such a blob, every reader takes them all.",
        "secret": SECRET,
        "group_salt": SALT,
        "seed": ANNA_SEED,
        "group_id": keys.group_id,
        "encryption_key": keys.encryption_key,
        "sender_id": device.device_id,
        "cases": cases,
    }


def _sealed_by_us(keys: GroupKeys, device: DeviceKeys, chain_id: bytes, wanted: Any) -> list[Json]:
    cases, prev = [], bytes(16)
    for place, (flags, content) in enumerate(wanted, start=1):
        blob_id, nonce = number(place, 16), number(place, 24)
        chain = Chain(chain_id, place, prev)
        sealed = seal(
            content,
            keys=keys,
            device=device,
            blob_id=blob_id,
            nonce=nonce,
            chain=chain,
            control=bool(flags & CONTROL),
            sign=bool(flags & SIGNED),
            pad=bool(flags & PADDED),
            compress=bool(flags & COMPRESSED),
        )
        prev = blob_hash(sealed)
        cases.append({"ours": True, **_case(flags, content, blob_id, nonce, sealed, Link(chain_id, place, chain.prev))})
    return cases


def _sealed_by_others(keys: GroupKeys) -> list[Json]:
    """What the page allows and our client never writes: no chain, zstd without padding, a bare body."""
    cases, group = [], Group(keys.group_id, keys.encryption_key, keys.authentication_key)
    for place, flags in enumerate((0, PADDED, COMPRESSED, SIGNED, SIGNED | COMPRESSED, DATA | COMPRESSED), start=41):
        blob_id, nonce = number(place, 16), number(place, 24)
        link = Link(number(33, 8)) if flags & CHAINED else None
        sealed = seal_blob(
            CONTENT, group=group, device=Device(ANNA_SEED), blob_id=blob_id, nonce=nonce, link=link, flags=flags
        )
        cases.append({"ours": False, **_case(flags, CONTENT, blob_id, nonce, sealed, link)})
    return cases


def _case(flags: int, content: bytes, blob_id: bytes, nonce: bytes, sealed: bytes, link: Link | None) -> Json:
    keys = derive_group(SECRET, SALT)
    group = Group(keys.group_id, keys.encryption_key, keys.authentication_key)
    sender_id = Device(ANNA_SEED).device_id
    names = {1: "PADME", 2: "zstd", 4: "control", 8: "chain", 16: "signature"}
    return {
        "name": ", ".join(name for bit, name in names.items() if flags & bit) or "bare",
        "flags": flags,
        "content": content,
        "chain": None if link is None else {"chain_id": link.chain_id, "seq": link.seq, "prev": link.prev},
        "blob_id": blob_id,
        "nonce": nonce,
        "plaintext": open_plaintext(sealed, group=group, sender_id=sender_id, blob_id=blob_id),
        "sealed": sealed,
    }


def documents() -> dict[str, Json]:
    """By their path in tests/vectors/."""
    made = {
        "transcripts/first-sync.json": first_sync(),
        "transcripts/large-push.json": large_push(),
        "transcripts/pull-of-100.json": pull_of_a_hundred(),
        "transcripts/errors.json": errors(),
        "groups.json": groups(),
        "blobs.json": blobs(),
    }
    return {name: json.loads(json.dumps(shown(document))) for name, document in made.items()}


def main() -> None:
    for name, document in documents().items():
        path = VECTORS / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
