"""Reading is liberal: each form of the same frame that must be read. And each that must not, with what follows."""

from __future__ import annotations

import msgpack
import msgspec
import pytest

from ferryman.protocol.errors import LocalProtocolError, RemoteProtocolError
from ferryman.protocol.relay import messages as m
from ferryman.protocol.relay.envelope import decode_frame, encode_frame
from ferryman.protocol.relay.errors import InvalidMessage
from tests.fakes.wire import ANNA, BLOB_ID, NONCE, NOW, frame
from tests.fakes.wire_samples import BY_NAME, GROUP_ID, SAMPLES

PUSH = {"blob_id": BLOB_ID, "payload": b"\x00\x7f\x80\xff", "ttl": 60}
PUSHED = m.Push(BLOB_ID, b"\x00\x7f\x80\xff", 60)


def envelope(payload: dict | bytes = PUSH, **changed) -> dict:
    packed = payload if isinstance(payload, bytes) else msgpack.packb(payload)
    fields = {
        "version": 1,
        "msg_type": 0x10,
        "sender_id": ANNA.device_id,
        "group_id": GROUP_ID,
        "cursor": 0,
        "timestamp": NOW,
        "nonce": NONCE,
        "payload": packed,
    }
    return {**fields, **changed}


def read(value: object, *, from_client: bool = True):
    packed = value if isinstance(value, bytes) else msgpack.packb(value)
    assert isinstance(packed, bytes)
    return decode_frame(packed, from_client=from_client)


def complaint(value: object) -> str | None:
    """What is said against it, None when it is read."""
    try:
        read(value)
    except InvalidMessage as invalid:
        return invalid.message
    return None


def as_integers(value: object) -> object:
    """The default of other writers: bytes as arrays of integers, structs as arrays of their fields."""
    if isinstance(value, dict):
        return [as_integers(entry) for entry in value.values()]
    return list(value) if isinstance(value, bytes) else value


def wide(number: int) -> bytes:
    return b"\xcf" + number.to_bytes(8, "big")


READ_AS_THE_SAME = {
    "in another order": msgpack.packb(dict(reversed(envelope(dict(reversed(PUSH.items()))).items()))),
    "as an array": pytest.param(
        msgpack.packb(list(envelope(msgpack.packb(list(PUSH.values()))).values())), marks=pytest.mark.req("W3-16")
    ),
    "message as an array, envelope as a map": msgpack.packb(envelope(msgpack.packb(list(PUSH.values())))),
    "more elements than are known": pytest.param(
        msgpack.packb([*envelope(msgpack.packb([*PUSH.values(), 7])).values(), [], {"a": 1}]),
        marks=pytest.mark.req("W3-22"),
    ),
    "unknown keys": pytest.param(
        msgpack.packb({**envelope({**PUSH, "later": [1, {"x": b""}]}), "extra": None}), marks=pytest.mark.req("W3-23")
    ),
    "unknown keys with all there is": msgpack.packb({**envelope(), "x": [0.5, "s" * 99, b"b" * 300, {}, [], -7, True]}),
    "an unknown wide array and map": b"\x8a"
    + msgpack.packb(envelope())[1:]
    + b"\xa1x\xdd\0\0\0\1\7\xa1y\xde\0\1\xa1z\7",
    "under a wide map header": b"\xde\x00\x08" + msgpack.packb(envelope())[1:],
    "bin with a wide length": msgpack.packb(envelope()).replace(b"\xc4\x20", b"\xc6\x00\x00\x00\x20"),
    "integers of any width": pytest.param(
        msgpack.packb(envelope(msgpack.packb(PUSH)[:-1] + wide(60))), marks=pytest.mark.req("W3-24")
    ),
    "a signed form of a number": pytest.param(
        msgpack.packb(envelope(msgpack.packb(PUSH)[:-1] + b"\xd0\x3c")), marks=pytest.mark.req("W3-24")
    ),
    "bytes as integers in the message": pytest.param(
        msgpack.packb(envelope({**PUSH, "blob_id": list(BLOB_ID)})), marks=pytest.mark.req("W3-17")
    ),
}


@pytest.mark.parametrize("data", READ_AS_THE_SAME.values(), ids=READ_AS_THE_SAME)
def test_another_form_of_the_same_frame_is_read_as_the_same(data):
    got = read(data)
    assert got.message == PUSHED
    assert (got.sender_id, got.group_id, got.nonce, got.timestamp) == (ANNA.device_id, GROUP_ID, NONCE, NOW)
    assert not got.bytes_as_integers


@pytest.mark.req("W3-23")
@pytest.mark.req("S4-20")
def test_unknown_keys_are_ignored_in_envelope_and_message():
    assert read({**envelope({**PUSH, "later": "x"}), "extra": 1}).message == PUSHED


@pytest.mark.req("W3-16", "W3-17")
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_every_message_is_read_from_arrays_of_integers_too_and_says_so(sample):
    canonical = msgpack.unpackb(frame(sample.message))
    message = msgpack.packb(as_integers(_with_nils(sample.message)))
    got = read(as_integers({**canonical, "payload": message}), from_client=sample.from_client)
    assert got.message == sample.message
    assert got.bytes_as_integers


def _with_nils(message) -> dict:
    """All fields in their order, absent ones as nil: an array has no other way to leave out one in the middle."""
    values = {name: getattr(message, name) for name in message.__struct_fields__}
    return {
        name: [_with_nils(entry) for entry in value] if isinstance(value, tuple) else value
        for name, value in values.items()
    }


def test_only_the_envelope_decides_whether_bytes_came_as_integers():
    assert read(envelope(sender_id=list(ANNA.device_id))).bytes_as_integers
    assert not read(envelope({**PUSH, "payload": [1, 2]})).bytes_as_integers


@pytest.mark.req("W3-19", "W3-21")
def test_nil_and_a_shorter_array_leave_optional_fields_absent():
    hello = {"version": 1, "device_name": "a", "group_id": GROUP_ID, "last_cursor": 0}
    bare = m.Hello(1, "a", GROUP_ID, 0)
    assert read(envelope({**hello, "group_key": None, "inline": None}, msg_type=1)).message == bare
    assert read(envelope(msgpack.packb(list(hello.values())), msg_type=1)).message == bare
    assert read(envelope(msgpack.packb([*hello.values(), None]), msg_type=1)).message == bare


@pytest.mark.req("W3-40")
@pytest.mark.req("S4-45", "S4-46")
def test_a_clients_cursor_and_timestamp_are_taken_as_they_come():
    got = read(envelope(cursor=2**63 - 1, timestamp=0))
    assert got.message == PUSHED


@pytest.mark.req("W3-43")
def test_version_1_is_written():
    assert {msgpack.unpackb(frame(sample.message))["version"] for sample in SAMPLES} == {1}


NESTED_8 = [[[[[[[]]]]]]]  # seven arrays, in the envelope's map
NESTED_9 = [NESTED_8]

NOT_AN_ENVELOPE = {
    "a missing field": pytest.param(
        {name: value for name, value in envelope().items() if name != "nonce"}, marks=pytest.mark.req("W3-29")
    ),
    "a short array": list(envelope().values())[:7],
    "nil for a field": pytest.param(envelope(cursor=None), marks=pytest.mark.req("W3-20")),
    "version 2": pytest.param(envelope(version=2), marks=pytest.mark.req("W3-36")),
    "version 0": envelope(version=0),
    "version as true": pytest.param(envelope(version=True), marks=pytest.mark.req("W3-25")),
    "version as 1.0": pytest.param(envelope(version=1.0), marks=pytest.mark.req("W3-25")),
    "a negative cursor": pytest.param(envelope(cursor=-1), marks=pytest.mark.req("W3-25")),
    "a cursor of 2^63": pytest.param(envelope(cursor=2**63), marks=pytest.mark.req("W3-26")),
    "sender_id of 31 bytes": pytest.param(envelope(sender_id=bytes(31)), marks=pytest.mark.req("W3-30")),
    "sender_id as str": pytest.param(envelope(sender_id="s" * 32), marks=pytest.mark.req("W3-28")),
    "group_id of 33 bytes": pytest.param(envelope(group_id=bytes(33)), marks=pytest.mark.req("W3-30")),
    "nonce of 23 integers": envelope(nonce=list(bytes(23))),
    "nonce of integers with 256": pytest.param(envelope(nonce=[256] * 24), marks=pytest.mark.req("W3-18")),
    "nonce of integers with -1": envelope(nonce=[-1] * 24),
    "nonce of integers with true": pytest.param(envelope(nonce=[True] * 24), marks=pytest.mark.req("W3-18")),
    "nonce of floats": pytest.param(envelope(nonce=[1.0] * 24), marks=pytest.mark.req("W3-18")),
    "payload as str": {**envelope(), "payload": "x"},
    "an integer": 5,
    "a str": "hello",
    "nil": None,
    "a bin key": pytest.param({**envelope(), b"bin": 1}, marks=pytest.mark.req("W3-33")),
    "an integer key": pytest.param({**envelope(), 7: 1}, marks=pytest.mark.req("W3-33")),
    "a key that is not UTF-8": b"\x89" + msgpack.packb(envelope())[1:] + b"\xa1\xff\x01",
    "a duplicate of a known key": pytest.param(
        b"\x89" + msgpack.packb(envelope())[1:] + b"\xa6cursor\x00", marks=pytest.mark.req("W3-32")
    ),
    "a duplicate of an unknown key": pytest.param(
        b"\x8a" + msgpack.packb(envelope())[1:] + b"\xa1x\x00\xa1x\x00", marks=pytest.mark.req("W3-32")
    ),
    "a duplicate key in what is ignored": pytest.param(
        b"\x89" + msgpack.packb(envelope())[1:] + b"\xa1x\x82\xa1y\x00\xa1y\x00", marks=pytest.mark.req("W3-32")
    ),
    "an integer key in what is ignored": pytest.param({**envelope(), "x": {1: 2}}, marks=pytest.mark.req("W3-33")),
    "an ext value in what is ignored": pytest.param(
        {**envelope(), "x": msgpack.ExtType(4, b"12")}, marks=pytest.mark.req("W3-34")
    ),
    "a timestamp in what is ignored": {**envelope(), "x": msgpack.Timestamp(1)},
    "a str that is not UTF-8 in what is ignored": pytest.param(
        b"\x89" + msgpack.packb(envelope())[1:] + b"\xa1x\xa1\xff", marks=pytest.mark.req("W3-27")
    ),
    "nested deeper than 8": pytest.param({**envelope(), "x": NESTED_9}, marks=pytest.mark.req("W3-35")),
    "nested deeper than the stack": b"\x89" + msgpack.packb(envelope())[1:] + b"\xa1x" + b"\x91" * 100_000 + b"\xc0",
    "an ext value beyond the known elements": pytest.param(
        [*envelope().values(), msgpack.ExtType(4, b"12")], marks=pytest.mark.req("W3-34")
    ),
}


@pytest.mark.parametrize("value", NOT_AN_ENVELOPE.values(), ids=NOT_AN_ENVELOPE)
@pytest.mark.req("W5-97")
def test_what_is_not_a_valid_envelope_closes(value):
    with pytest.raises(InvalidMessage) as caught:
        read(value)
    assert caught.value.closing


@pytest.mark.req("W3-36")
@pytest.mark.req("S4-41")
def test_only_version_1_is_read():
    with pytest.raises(InvalidMessage, match="version 2"):
        read(envelope(version=2))


@pytest.mark.req("S4-44")
def test_a_group_id_of_31_bytes_is_not_read():
    with pytest.raises(InvalidMessage, match=r"group_id: .* length"):
        read(envelope(group_id=bytes(31)))


@pytest.mark.req("W3-35")
def test_eight_deep_is_still_read():
    assert complaint({**envelope(), "x": NESTED_8}) is None


def pushed(**changed) -> dict:
    return envelope({**PUSH, **changed})


ENTRY = {"blob_id": BLOB_ID, "cursor": 1, "sender_id": ANNA.device_id, "payload": b"", "timestamp": 1}
MALFORMED_FROM_A_RELAY = {
    "blobs as a map": envelope({"blobs": {"a": ENTRY}, "has_more": False, "max_cursor": 0}, msg_type=0x21),
    "blobs as nil": envelope({"blobs": None, "has_more": False, "max_cursor": 0}, msg_type=0x21),
    "an entry that is an integer": envelope({"blobs": [5], "has_more": False, "max_cursor": 0}, msg_type=0x21),
    "has_more as 0": envelope({"blobs": [], "has_more": 0, "max_cursor": 0}, msg_type=0x21),
    "1,025 blobs": envelope({"blobs": [ENTRY] * 1_025, "has_more": False, "max_cursor": 0}, msg_type=0x21),
    "a peer's status that is unknown": envelope({"devices": [[ANNA.device_id, "", "asleep", 0, 0]]}, msg_type=0x32),
    "WELCOME of version 2": envelope(
        {"version": 2, "relay_id": "", "max_cursor": 0, "pending_count": 0}, msg_type=0x02
    ),
}


@pytest.mark.parametrize("value", MALFORMED_FROM_A_RELAY.values(), ids=MALFORMED_FROM_A_RELAY)
def test_a_relay_that_writes_malformed_messages_is_not_read_either(value):
    with pytest.raises(InvalidMessage):
        read(value, from_client=False)


MALFORMED = {
    "an unknown type": pytest.param(envelope(msg_type=0x12), marks=pytest.mark.req("W3-37")),
    "a relay's message from a client": pytest.param(
        envelope({"blob_id": BLOB_ID, "cursor": 1, "timestamp": 1}, msg_type=0x11), marks=pytest.mark.req("W3-39")
    ),
    "blob_id of 15 bytes": pytest.param(pushed(blob_id=bytes(15)), marks=pytest.mark.req("W3-30")),
    "ttl of 2^32": pytest.param(pushed(ttl=2**32), marks=pytest.mark.req("W3-30")),
    "ttl as true": pytest.param(pushed(ttl=True), marks=pytest.mark.req("W3-25")),
    "ttl as 60.0": pytest.param(pushed(ttl=60.0), marks=pytest.mark.req("W3-25")),
    "ttl of -1": pytest.param(pushed(ttl=-1), marks=pytest.mark.req("W3-25")),
    "ttl as nil": pytest.param(pushed(ttl=None), marks=pytest.mark.req("W3-20")),
    "payload as str": pytest.param(pushed(payload="blob"), marks=pytest.mark.req("W3-28")),
    "a missing field": pytest.param(envelope({"blob_id": BLOB_ID, "ttl": 0}), marks=pytest.mark.req("W3-29")),
    "a payload that is two values": pytest.param(
        envelope(msgpack.packb(PUSH) + b"\xc0"), marks=pytest.mark.req("W3-31")
    ),
    "a payload that is cut": pytest.param(envelope(msgpack.packb(PUSH)[:-1]), marks=pytest.mark.req("W3-31")),
    "an empty payload": pytest.param(envelope(b""), marks=pytest.mark.req("W3-31")),
    "a payload that is an integer": envelope(b"\x05"),
    "a payload with a duplicate key": pytest.param(
        envelope(b"\x84" + msgpack.packb(PUSH)[1:] + b"\xa3ttl\x05"), marks=pytest.mark.req("W3-32")
    ),
    "a payload with an ext value": pytest.param(pushed(x=msgpack.ExtType(1, b"1")), marks=pytest.mark.req("W3-34")),
    "a payload nested deeper than 8": pytest.param(pushed(x=NESTED_9), marks=pytest.mark.req("W3-35")),
    "an unknown status": pytest.param(envelope({"status": "asleep"}, msg_type=0x30), marks=pytest.mark.req("W3-38")),
    "a status as bin": pytest.param(envelope({"status": b"online"}, msg_type=0x30), marks=pytest.mark.req("W3-28")),
    "ack as 0": envelope({"after_cursor": 0, "limit": 0, "ack": 0}, msg_type=0x20),
    "HELLO of version 2": pytest.param(
        envelope({"version": 2, "device_name": "a", "group_id": GROUP_ID, "last_cursor": 0}, msg_type=1),
        marks=pytest.mark.req("W3-36"),
    ),
    "device_name as bin": pytest.param(
        envelope({"version": 1, "device_name": b"a", "group_id": GROUP_ID, "last_cursor": 0}, msg_type=1),
        marks=pytest.mark.req("W3-28"),
    ),
    "device_name not UTF-8": pytest.param(
        envelope(
            b"\x84\xa7version\x01\xabdevice_name\xa1\xff\xa8group_id\xc4\x20" + GROUP_ID + b"\xablast_cursor\x00",
            msg_type=1,
        ),
        marks=pytest.mark.req("W3-27"),
    ),
}


@pytest.mark.req("S4-183")
@pytest.mark.parametrize("value", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.req("W5-96")
def test_a_malformed_message_in_a_valid_envelope_does_not_close_by_itself(value):
    with pytest.raises(InvalidMessage) as caught:
        read(value)
    assert not caught.value.closing
    assert caught.value.code == "INVALID_MESSAGE"


@pytest.mark.req("W3-37")
@pytest.mark.req("W4-08")
@pytest.mark.parametrize("status", ["online", "away", "offline"])
def test_there_are_three_statuses(status):
    assert read(envelope({"status": status}, msg_type=0x30)).message == m.Presence(status)
    assert complaint(envelope({"status": status.upper()}, msg_type=0x30)) is not None


@pytest.mark.req("S4-42")
def test_an_unknown_message_type_is_invalid():
    with pytest.raises(InvalidMessage, match="unknown"):
        read(envelope(msg_type=0x12))


def test_a_message_of_the_widest_type_is_unknown_and_not_another():
    with pytest.raises(InvalidMessage, match="unknown"):
        read(envelope(msg_type=0x110))


@pytest.mark.req("W3-39")
@pytest.mark.req("S4-59")
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
@pytest.mark.req("W5-96")
def test_a_message_is_read_in_its_own_direction_only(sample):
    data = frame(sample.message)
    assert read(data, from_client=sample.from_client).message == sample.message
    if isinstance(sample.message, m.Error):
        assert read(data, from_client=not sample.from_client).message == sample.message
    else:
        with pytest.raises(InvalidMessage):
            read(data, from_client=not sample.from_client)


@pytest.mark.req("W3-32")
def test_a_duplicate_inside_a_blob_entry_is_found():
    entry = (
        b"\x86"
        + msgpack.packb({"blob_id": BLOB_ID, "cursor": 1, "sender_id": ANNA.device_id, "payload": b"", "timestamp": 1})[
            1:
        ]
        + b"\xa6cursor\x02"
    )
    payload = b"\x83\xa5blobs\x91" + entry + b"\xa8has_more\xc2\xaamax_cursor\x05"
    with pytest.raises(InvalidMessage, match="duplicate"):
        read(envelope(payload, msg_type=0x21), from_client=False)


NOT_ONE_VALUE = {
    "nothing": b"",
    "a cut frame": frame(PUSHED)[:-1],
    "a frame and a byte": frame(PUSHED) + b"\x00",
    "two frames": frame(PUSHED) * 2,
    "the byte that MessagePack never uses": b"\xc1",
    "an array that announces four billion elements": b"\xdd\xff\xff\xff\xff",
    "a map that announces four billion pairs": b"\xdf\xff\xff\xff\xff",
}


@pytest.mark.req("W2-16")
@pytest.mark.parametrize("data", NOT_ONE_VALUE.values(), ids=NOT_ONE_VALUE)
def test_what_is_not_exactly_one_value_is_hung_up_on_without_an_answer(data):
    with pytest.raises(RemoteProtocolError) as caught:
        read(data)
    assert not isinstance(caught.value, InvalidMessage)


def test_a_struct_of_more_entries_than_anyone_needs_is_refused():
    extra = {f"k{n}": n for n in range(1_024 - 8)}
    assert read({**envelope(), **extra}).message == PUSHED
    with pytest.raises(InvalidMessage, match="entries"):
        read({**envelope(), **extra, "one more": 1})
    with pytest.raises(InvalidMessage, match="entries"):
        read([*envelope().values(), *range(1_017)])


DEVICE_NAMES = [
    ("Anna", "Anna"),
    ("a" * 64, "a" * 64),
    ("a" * 65, "a" * 64),
    ("ä" * 33, "ä" * 32),
    ("a" + "ä" * 32, "a" + "ä" * 31),
    ("😀" * 17, "😀" * 16),
    ("bell\x07 and\nline", "bell\ufffd and\ufffdline"),
    ("\x7f\x85", "\ufffd\ufffd"),
    ("\x00" * 64, "\ufffd" * 21),
    ("", ""),
]


@pytest.mark.req("W3-41", "W3-42")
@pytest.mark.parametrize(("sent", "shown"), DEVICE_NAMES)
def test_a_device_name_is_cut_at_a_character_and_holds_no_control_characters(sent, shown):
    assert m.clean_device_name(sent) == shown
    assert read(frame(m.Hello(1, sent, GROUP_ID, 0))).message.device_name == shown
    peers = m.Peers((m.PeerDevice(ANNA.device_id, sent, "online", NOW, 0),))
    assert read(frame(peers), from_client=False).message.devices[0].device_name == shown


UNWRITABLE = {
    "a short blob_id": m.Delete(bytes(15)),
    "a ttl of 2^32": m.Push(BLOB_ID, b"", 2**32),
    "a negative cursor": m.Ack(-1),
    "a cursor of 2^63": m.Ack(2**63),
    "a lone surrogate": m.Error(1000, "\ud800"),
    "a str for bytes": m.Delete("0123456789abcdef"),  # type: ignore[arg-type] - that is what is refused
    "a status of our own": m.Presence("asleep"),  # type: ignore[arg-type] - that is what is refused
}


@pytest.mark.req("W3-15")
@pytest.mark.parametrize("message", UNWRITABLE.values(), ids=UNWRITABLE)
def test_what_a_reader_would_refuse_is_never_written(message):
    with pytest.raises(LocalProtocolError):
        frame(message)


@pytest.mark.req("W3-15")
@pytest.mark.parametrize(
    "envelope",
    [{"sender_id": bytes(31)}, {"group_id": bytes(33)}, {"nonce": bytes(12)}, {"timestamp": -1}, {"cursor": 2**63}],
    ids=lambda envelope: next(iter(envelope)),
)
def test_an_envelope_that_a_reader_would_refuse_is_never_written(envelope):
    right = {"sender_id": bytes(32), "group_id": bytes(32), "nonce": bytes(24), "timestamp": 0, "cursor": 0}
    encode_frame(m.Ack(1), **right)
    with pytest.raises(LocalProtocolError):
        encode_frame(m.Ack(1), **{**right, **envelope})


FIELD_ROWS = [
    pytest.param("hello, with proof", "version device_name group_id last_cursor", marks=pytest.mark.req("S4-60")),
    pytest.param("welcome, full", "version relay_id max_cursor pending_count", marks=pytest.mark.req("S4-61")),
    pytest.param("push", "blob_id payload ttl", marks=pytest.mark.req("S4-62")),
    pytest.param("push_ack", "blob_id cursor timestamp", marks=pytest.mark.req("S4-63")),
    pytest.param("pull, ack false", "after_cursor limit", marks=pytest.mark.req("S4-64")),
    pytest.param("pull_response, two blobs", "blobs has_more max_cursor", marks=pytest.mark.req("S4-65")),
    pytest.param("notify", "blob_id cursor sender_id timestamp size", marks=pytest.mark.req("S4-67")),
    pytest.param("error, full", "code message", marks=pytest.mark.req("S4-68")),
]


@pytest.mark.parametrize(("name", "fields"), FIELD_ROWS)
def test_a_message_without_one_of_its_source_fields_is_refused(name, fields):
    sample = BY_NAME[name]
    canonical = msgpack.unpackb(frame(sample.message))
    message = msgpack.unpackb(canonical["payload"])
    assert list(message)[: len(fields.split())] == fields.split()
    for field in fields.split():
        rest = {key: value for key, value in message.items() if key != field}
        with pytest.raises(InvalidMessage, match=field):
            read({**canonical, "payload": msgpack.packb(rest)}, from_client=sample.from_client)


@pytest.mark.req("S4-66")
@pytest.mark.parametrize("field", ["blob_id", "cursor", "sender_id", "payload", "timestamp"])
def test_a_blob_entry_without_one_of_its_fields_is_refused(field):
    sample = BY_NAME["pull_response, two blobs"]
    canonical = msgpack.unpackb(frame(sample.message))
    message = msgpack.unpackb(canonical["payload"])
    del message["blobs"][1][field]
    with pytest.raises(InvalidMessage, match=field):
        read({**canonical, "payload": msgpack.packb(message)}, from_client=False)


@pytest.mark.req("W3-29")
@pytest.mark.req("S4-43", "S4-47", "S4-48")
@pytest.mark.parametrize("field", ["sender_id", "nonce", "payload"])
def test_an_envelope_without_one_of_its_byte_fields_is_refused(field):
    with pytest.raises(InvalidMessage, match=field):
        read({name: value for name, value in envelope().items() if name != field})


@pytest.mark.parametrize(("entries", "fits"), [(1_024, True), (1_025, False)])
def test_a_page_has_1024_entries_at_most_however_it_is_written(entries, fits):
    row = m.BlobEntry(bytes(16), 1, bytes(32), b"", 0)
    whole = msgspec.msgpack.encode(m.PullResponse((row,) * entries, has_more=False, max_cursor=1))
    page = envelope(whole, msg_type=0x21)
    if fits:
        assert len(read(page, from_client=False).message.blobs) == entries
    else:
        with pytest.raises(InvalidMessage, match="more than 1024 entries"):
            read(page, from_client=False)
