"""Everything that reads bytes of others: what may come out of it besides a value, and inputs to begin at.

DECODERS[name].try_on(bytes)      returns the value, or None for a refusal of the kinds that the decoder names

| used by                                    | to                                                         |
|--------------------------------------------|------------------------------------------------------------|
| `tests/properties/test_any_bytes.py`       | try a few hundred inputs on each, in every run of the tests |
| `python -m tests.tools.fuzz DECODER`       | search for hours, guided by what code an input reaches      |

Some decoders also promise something about the value that they return; that is checked here, by an assertion.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ferryman.actors.http_client import Offline
from ferryman.actors.transport import read_relay_url
from ferryman.protocol.crypto import sealing
from ferryman.protocol.crypto.code_seal import open_under_code, seal_under_code
from ferryman.protocol.crypto.noise import initiate, respond
from ferryman.protocol.crypto.sealing import UndecryptableBlob, open_blob, seal
from ferryman.protocol.errors import BadInput, RemoteProtocolError
from ferryman.protocol.identity import read_id
from ferryman.protocol.ledger import payload
from ferryman.protocol.ledger.codec import BodyCodec, Secret, decode, encode
from ferryman.protocol.ledger.errors import RecordUnreadable, UnknownRecordType
from ferryman.protocol.ledger.snapshot import Snapshot
from ferryman.protocol.relay.code_letters import canonical
from ferryman.protocol.relay.envelope import decode_frame, encode_frame
from ferryman.protocol.sync.control import Member, decode_control, encode_control
from ferryman.protocol.sync.group import GroupJoined, SyncSwitched
from ferryman.protocol.sync.invite import GroupInvite, read_link, read_payload
from ferryman.protocol.sync.short_code import read_code
from ferryman.supervisors.config import RuntimeConfig
from ferryman.supervisors.relay_config import load_relay_config
from tests.fakes.raw_wire import BINARY, CLOSE, CONT, GET, PING, TEXT, UPGRADE, ws
from tests.fakes.wire import ANNA, BLOB_ID, FIRST, NONCE, NOW, RELAY_ID, RELAY_PRIVATE, group, handshake
from tests.fakes.wire_samples import SAMPLES
from tests.tools.stream_readers import answer, forwarded, heads, websocket

MAX_BLOB = 64 * 1024
CODE_KEY = b"c" * 32


@dataclass(frozen=True)
class Decoder:
    """`read`: takes any bytes. `refusals`: what it may raise. `seeds`: inputs that lead deep into it."""

    name: str
    read: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...]
    seeds: Callable[[], Iterable[bytes]]

    def try_on(self, data: bytes) -> object:
        try:
            return self.read(data)
        except self.refusals:
            return None


# frames


def frame_of(*, from_client: bool) -> Callable[[bytes], object]:
    """What is read can be written, and is read as the same again."""

    def read(data: bytes) -> object:
        frame = decode_frame(data, from_client=from_client)
        around = {name: getattr(frame, name) for name in ("sender_id", "group_id", "timestamp", "nonce", "cursor")}
        again = decode_frame(encode_frame(frame.message, **around), from_client=from_client)
        assert again.message == frame.message
        return frame

    return read


def frames(*, from_client: bool) -> Callable[[], list[bytes]]:
    around = {"sender_id": ANNA.device_id, "group_id": RELAY_ID, "timestamp": NOW, "nonce": NONCE}
    return lambda: [
        encode_frame(sample.message, **around)  # type: ignore[arg-type] - a dict of mixed values
        for sample in SAMPLES
        if sample.from_client is from_client
    ]


# Noise


def first_message(data: bytes) -> object:
    return respond(RELAY_PRIVATE, b"b" * 32, data)


def second_message(data: bytes) -> object:
    return initiate(ANNA.noise_private, b"a" * 32)[0].read_reply(data)


def third_message(data: bytes) -> object:
    return respond(RELAY_PRIVATE, b"b" * 32, started()[0])[0].finish(data)


def started() -> list[bytes]:
    return [initiate(ANNA.noise_private, b"a" * 32)[1]]


def replied() -> list[bytes]:
    return [respond(RELAY_PRIVATE, b"b" * 32, started()[0])[1]]


def proven() -> list[bytes]:
    return [initiate(ANNA.noise_private, b"a" * 32)[0].read_reply(replied()[0]).finish()[1]]


def noise_frame(data: bytes) -> object:
    return handshake()[1].open_frame(data)


def noise_frames() -> list[bytes]:
    return [handshake()[0].seal_frame(plain) for plain in (b"x", bytes(65_520))]


# blobs


def blob(data: bytes) -> object:
    return open_blob(data, keys=group(), sender_id=ANNA.device_id, blob_id=BLOB_ID, max_blob_size=MAX_BLOB)


def blobs() -> list[bytes]:
    return [
        seal(b"content", keys=group(), device=ANNA, blob_id=BLOB_ID, nonce=NONCE, chain=FIRST, compress=compress)
        for compress in (False, True)
    ]


def opened_blob(data: bytes) -> object:
    """What is under the seal: whoever has the group's key chose it."""
    opened = sealing._read_plaintext(data or b"\0", associated(), ANNA.device_id, MAX_BLOB)
    assert len(opened.content) <= max(len(data), sealing.MAX_EXPANSION * MAX_BLOB)
    return opened


def opened_blobs() -> list[bytes]:
    decrypt = sealing.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt
    key = group().encryption_key
    return [decrypt(b[sealing.HEADER_BYTES :], associated(), sealing.nonce_of(b), key) for b in blobs()]


def associated() -> bytes:
    return sealing._associated(sealing.KEY_EPOCH, group().group_id, ANNA.device_id, BLOB_ID)


def control(data: bytes) -> object:
    read = decode_control(data)
    assert not isinstance(read, Member) or decode_control(encode_control(read)) == read
    return read


# invites


def invite() -> GroupInvite:
    return GroupInvite("wss://sync.example.com", RELAY_ID, b"s" * 32, ANNA.device_id, NOW, RELAY_ID, b"label", True)


def link(data: bytes) -> object:
    read = read_link(data.decode("utf-8", "surrogateescape"))
    assert read_link(read.link()) == read
    return read


def code_payload(data: bytes) -> object:
    return open_under_code(data.decode("utf-8", "surrogateescape"), lookup_key="ABCD1234", key=CODE_KEY)


def code_payloads() -> list[bytes]:
    return [seal_under_code(b"payload", lookup_key="ABCD1234", key=CODE_KEY, nonce=NONCE).encode()]


def short_code(data: bytes) -> object:
    text = data.decode("utf-8", "surrogateescape")
    assert canonical(text) is None or len(cast("str", canonical(text))) == 8
    return read_code(text)


# ledger


def record(data: bytes) -> object:
    return decode(data)


def body(data: bytes) -> object:
    return codec().decode(data)


def large(data: bytes) -> object:
    """Three ways to look into a body."""
    small, lifted = payload.lift(data)
    payload.hashes(small)

    def fetch(digest: bytes) -> bytes:
        if digest not in lifted:
            raise RecordUnreadable("no such value")
        return lifted[digest]

    return payload.lower(small, fetch)


def codec() -> BodyCodec:
    return BodyCodec(bytes, bytes)


def bodies() -> list[bytes]:
    joined = GroupJoined(RELAY_ID, Secret(b"s" * 32), "wss://sync.example.com", ANNA.device_id, None)
    snapshot = Snapshot(codec().encode_one(joined), [], [])
    big = GroupJoined(RELAY_ID, Secret(b"s" * 32), "x" * 10, bytes(5000), b"k" * 32)
    return [codec().encode((joined,), 1.5), codec().encode((snapshot,), None), codec().encode((big,), "reply")]


# configuration


class Page:
    """A file that is not on a disk."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __str__(self) -> str:
        return "page.toml"

    def open(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)

    def read_text(self, encoding: str) -> str:
        return self._data.decode(encoding)


def relay_toml(data: bytes) -> object:
    return load_relay_config(cast("Path", Page(data))).settings()


def device_toml(data: bytes) -> object:
    return RuntimeConfig.load(cast("Path", Page(data)), environment={})


def text(reader: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: reader(data.decode("utf-8", "surrogateescape"))


POST = b"POST /invite HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
ALL = [
    Decoder("frame-of-client", frame_of(from_client=True), (RemoteProtocolError,), frames(from_client=True)),
    Decoder("frame-of-relay", frame_of(from_client=False), (RemoteProtocolError,), frames(from_client=False)),
    Decoder("noise-1", first_message, (RemoteProtocolError,), started),
    Decoder("noise-2", second_message, (RemoteProtocolError,), replied),
    Decoder("noise-3", third_message, (RemoteProtocolError,), proven),
    Decoder("noise-frame", noise_frame, (RemoteProtocolError,), noise_frames),
    Decoder("blob", blob, (UndecryptableBlob,), blobs),
    Decoder("opened-blob", opened_blob, (UndecryptableBlob,), opened_blobs),
    Decoder("control-blob", control, (RemoteProtocolError,), lambda: [encode_control(Member("Anna's laptop"))]),
    Decoder("invite-link", link, (BadInput,), lambda: [invite().link().encode()]),
    Decoder("invite-payload", read_payload, (BadInput,), lambda: [invite().payload()]),
    Decoder("code-payload", code_payload, (BadInput,), code_payloads),
    Decoder("short-code", short_code, (BadInput,), lambda: [b"K7QD-29XM-F4TB-8VHN", b"k7qd 29xm f4tb 8vhn"]),
    Decoder("device-id", text(read_id), (BadInput,), lambda: [b"A" * 43 + b"="]),
    Decoder(
        "relay-url", text(read_relay_url), (BadInput,), lambda: [b"wss://sync.example.com", b"ws://[::1]:8080/sync"]
    ),
    Decoder(
        "record", record, (RecordUnreadable, UnknownRecordType), lambda: [b"\x92\xa0\x01", encode(SyncSwitched(True))]
    ),
    Decoder("record-body", body, (RecordUnreadable, UnknownRecordType), bodies),
    Decoder("record-payload", large, (RecordUnreadable,), bodies),
    Decoder("http-request", heads, (), lambda: [GET + b"\r\n", UPGRADE, POST, POST + GET + b"\r\n"]),
    Decoder(
        "http-answer", answer, (Offline,), lambda: [b"HTTP/1.1 429 No\r\nRetry-After: 5\r\nContent-Length: 2\r\n\r\n{}"]
    ),
    Decoder(
        "websocket",
        websocket,
        (),
        lambda: [
            ws(BINARY, b"message") + ws(PING, b"p") + ws(CLOSE, b"\x03\xe8"),
            ws(BINARY, b"a", fin=False) + ws(CONT, b"b", fin=False) + ws(CONT, b"c"),
            ws(TEXT, b"text") + ws(BINARY, bytes(130)),
        ],
    ),
    Decoder("forwarded-for", forwarded, (), lambda: [b"198.51.100.1:80, [2001:db8::1]:443, 10.0.0.1", b"unknown"]),
    Decoder(
        "relay-toml", relay_toml, (BadInput,), lambda: [b'[server]\nbind = "127.0.0.1:0"\n[limits]\nmax_invites = 5\n']
    ),
    Decoder("device-toml", device_toml, (BadInput,), lambda: [b'home = "/home/anna"\n[sync]\nsign_blobs = true\n']),
]
DECODERS = {decoder.name: decoder for decoder in ALL}
