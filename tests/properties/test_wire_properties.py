"""Laws of the relay wire that hold for all messages and for all bytes."""

from __future__ import annotations

import contextlib
import struct

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryman.protocol.errors import RemoteProtocolError
from ferryman.protocol.relay import messages as m
from ferryman.protocol.relay.envelope import decode_frame, encode_frame
from ferryman.protocol.relay.limits import Bucket, take
from tests.fakes.wire_samples import SAMPLES
from tests.properties.effort import examples

UINT = st.integers(0, 2**63 - 1)
UINT32 = st.integers(0, 2**32 - 1)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=16)
STATUS = st.sampled_from(["online", "away", "offline"])


def exactly(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def maybe(strategy):
    return st.none() | strategy


ID16, ID32 = exactly(16), exactly(32)
ENTRY = st.builds(m.BlobEntry, ID16, UINT, ID32, st.binary(max_size=40), UINT)
PEER = st.builds(m.PeerDevice, ID32, TEXT, STATUS, UINT, UINT)
BY_CLIENT = st.one_of(
    st.builds(m.Hello, st.just(1), TEXT, ID32, UINT, maybe(ID32), maybe(exactly(64)), maybe(UINT32), maybe(ID16)),
    st.builds(m.Push, ID16, st.binary(max_size=80), UINT32),
    st.builds(m.Pull, UINT, UINT32, maybe(st.booleans())),
    st.builds(m.Ack, UINT),
    st.builds(m.Presence, STATUS),
    st.builds(m.Delete, ID16),
    st.builds(m.Error, UINT32, TEXT, maybe(ID16), maybe(UINT32)),
)
BY_RELAY = st.one_of(
    st.builds(m.Welcome, st.just(1), TEXT, UINT, UINT32, maybe(UINT), maybe(UINT), maybe(ID16), maybe(UINT32)),
    st.builds(m.PushAck, ID16, UINT, UINT),
    st.builds(m.PullResponse, st.lists(ENTRY, max_size=4).map(tuple), st.booleans(), UINT, maybe(UINT)),
    st.builds(m.Notify, ID16, UINT, ID32, UINT, UINT32, maybe(st.binary(max_size=40))),
    st.builds(m.Peers, st.lists(PEER, max_size=4).map(tuple)),
)
MESSAGE = BY_CLIENT.map(lambda message: (message, True)) | BY_RELAY.map(lambda message: (message, False))
AROUND = st.fixed_dictionaries(
    {"sender_id": ID32, "group_id": ID32, "timestamp": UINT, "nonce": exactly(24), "cursor": UINT}
)


@given(MESSAGE, AROUND)
def test_what_is_written_is_read_as_what_it_was(case, around):
    message, from_client = case
    read = decode_frame(encode_frame(message, **around), from_client=from_client)
    assert read.message == message
    assert {name: getattr(read, name) for name in around} == around
    assert not read.bytes_as_integers


def scrambled(draw, value: object) -> bytes:
    """Any form of the same value that the page lets others write."""
    if isinstance(value, dict):
        return scrambled_struct(draw, value)
    if isinstance(value, list):
        return array(draw, [scrambled(draw, entry) for entry in value])
    if isinstance(value, bytes):
        if draw(st.booleans()):
            return array(draw, [integer(draw, byte) for byte in value])
        return wide(draw, len(value), {0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}) + value
    if isinstance(value, bool) or value is None:
        return msgpack.packb(value)
    if isinstance(value, int):
        return integer(draw, value)
    assert isinstance(value, str)
    raw = value.encode()
    return wide(draw, len(raw), {0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}) + raw


def scrambled_struct(draw, fields: dict) -> bytes:
    written = {name: scrambled(draw, value) for name, value in fields.items()}
    if draw(st.booleans()):
        extra = [b"\xc0"] * draw(st.integers(0, 2))
        return array(draw, [*written.values(), *extra])
    present = [name for name, value in fields.items() if value is not None or draw(st.booleans())]
    pairs = [msgpack.packb(name) + written[name] for name in draw(st.permutations(present))]
    pairs += [msgpack.packb(f"x-{n}") + msgpack.packb(draw(IGNORED)) for n in range(draw(st.integers(0, 2)))]
    return wide(draw, len(pairs), {0xDE: ">H", 0xDF: ">I"}) + b"".join(pairs)


IGNORED = st.recursive(
    st.none() | st.booleans() | UINT | st.floats() | TEXT | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)


def array(draw, elements: list[bytes]) -> bytes:
    return wide(draw, len(elements), {0xDC: ">H", 0xDD: ">I"}) + b"".join(elements)


def integer(draw, value: int) -> bytes:
    return wide(draw, value, {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}, 0)


def wide(draw, value: int, forms: dict[int, str], least: int = 1) -> bytes:
    fits = []
    for head, form in forms.items():
        with contextlib.suppress(struct.error):
            fits.append(bytes([head]) + struct.pack(form, value))
    if least == 0 and value < 128:
        fits.append(bytes([value]))
    return draw(st.sampled_from(fits))


@settings(max_examples=examples(150))
@given(st.data(), MESSAGE, AROUND)
def test_every_form_that_others_may_write_is_read_as_the_canonical_one(data, case, around):
    message, from_client = case
    canonical = encode_frame(message, **around)
    envelope = msgpack.unpackb(canonical)
    envelope["payload"] = scrambled(data.draw, all_fields(message))
    read = decode_frame(scrambled(data.draw, envelope), from_client=from_client)
    expected = decode_frame(canonical, from_client=from_client)
    assert read.message == expected.message
    assert (read.sender_id, read.group_id, read.cursor) == (expected.sender_id, expected.group_id, expected.cursor)


def all_fields(message) -> dict:
    values = {name: getattr(message, name) for name in message.__struct_fields__}
    return {
        name: [all_fields(entry) for entry in value] if isinstance(value, tuple) else value
        for name, value in values.items()
    }


CANONICAL = [
    encode_frame(s.message, sender_id=bytes(32), group_id=bytes(32), timestamp=0, nonce=bytes(24)) for s in SAMPLES
]


@st.composite
def damaged(draw) -> bytes:
    """A good frame with some of its bytes changed, cut out or doubled."""
    data = bytearray(draw(st.sampled_from(CANONICAL)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.sampled_from(["change", "cut", "double", "end"])):
            case "change":
                data[at : at + 1] = draw(exactly(1))
            case "cut":
                del data[at : at + draw(st.integers(1, 8))]
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 8))]
            case _:
                del data[at:]
    return bytes(data)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXT | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=10) | st.dictionaries(TEXT | st.integers(0, 9), inner, max_size=10),
    max_leaves=12,
).map(msgpack.packb)


@settings(max_examples=examples(300))
@given(st.binary(max_size=64) | damaged() | ANYTHING, st.booleans())
def test_whatever_bytes_come_only_a_remote_protocol_error_leaves(data, from_client):
    with contextlib.suppress(RemoteProtocolError):
        decode_frame(data, from_client=from_client)


@settings(max_examples=examples(300))
@given(damaged())
def test_what_is_read_from_damaged_bytes_could_have_been_written(data):
    """The fast way accepts nothing that the patient one would refuse: what it reads, we can write and read again."""
    with contextlib.suppress(RemoteProtocolError):
        read = decode_frame(data, from_client=True)
        around = {name: getattr(read, name) for name in ("sender_id", "group_id", "timestamp", "nonce", "cursor")}
        assert decode_frame(encode_frame(read.message, **around), from_client=True).message == read.message


@given(st.text(max_size=80))
def test_a_cleaned_device_name_is_short_clean_and_stays_as_it_is(name):
    name = name.encode(errors="ignore").decode()
    cleaned = m.clean_device_name(name)
    assert len(cleaned.encode()) <= 64
    assert m.clean_device_name(cleaned) == cleaned


COSTS = st.lists(st.tuples(st.floats(0, 30), st.integers(1, 20)), max_size=30)


@given(COSTS)
def test_no_bucket_gives_more_than_its_capacity_and_what_flowed_in(steps):
    bucket, now, given_away = Bucket.full(20, 10, now=0.0), 0.0, 0
    for wait, cost in steps:
        now += wait
        bucket, allowed, retry_after_ms = take(bucket, now, cost)
        given_away += cost if allowed else 0
        assert given_away <= 20 + now * 2 + 1e-6
        assert allowed == (retry_after_ms == 0)
        if not allowed:
            assert take(bucket, now + retry_after_ms / 1000 + 1e-9, cost)[1]
