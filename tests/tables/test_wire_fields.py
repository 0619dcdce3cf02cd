"""Each field of each message as the page types it: the widest value is read, the next one and other types are not."""

from __future__ import annotations

import msgpack
import pytest

from ferryman.protocol.relay.envelope import decode_frame
from ferryman.protocol.relay.errors import InvalidMessage
from tests.fakes.wire import frame, group
from tests.fakes.wire_samples import BY_NAME, SAMPLES

ENVELOPE = "version msg_type sender_id group_id cursor timestamp nonce payload"

# sample: its fields in the words of the page
FIELDS = {
    "hello, with proof": "version=one device_name=str group_id=bin32 last_cursor=uint64 group_key=bin32"
    " group_proof=bin64 inline=uint32 incarnation=bin16",
    "welcome, full": "version=one relay_id=str max_cursor=uint64 pending_count=uint32 min_cursor=uint64"
    " heartbeat=uint64 incarnation=bin16 max_blob_size=uint32",
    "push": "blob_id=bin16 payload=bin ttl=uint32",
    "push_ack": "blob_id=bin16 cursor=uint64 timestamp=uint64",
    "pull, ack false": "after_cursor=uint64 limit=uint32 ack=bool",
    "pull_response, two blobs": "has_more=bool max_cursor=uint64 min_cursor=uint64",
    "presence": "status=status",
    "ack": "up_to_cursor=uint64",
    "notify, inline": "blob_id=bin16 cursor=uint64 sender_id=bin32 timestamp=uint64 size=uint32 payload=bin",
    "delete": "blob_id=bin16",
    "error, full": "code=uint32 message=str ref=bin16 retry_after_ms=uint32",
}
INSIDE = {  # sample: the array, and the fields of its elements
    "pull_response, two blobs": ("blobs", "blob_id=bin16 cursor=uint64 sender_id=bin32 payload=bin timestamp=uint64"),
    "peers": ("devices", "device_id=bin32 device_name=str status=status last_seen=uint64 acked_cursor=uint64"),
}
NO_NUMBER = (-1, True, 1.0, "1", b"1", [1])
READ = {
    "one": (1,),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**63 - 1),
    "bool": (False, True),
    "str": ("", "ä"),
    "status": ("online", "away", "offline"),
    "bin": (b"", bytes(300)),
    "bin16": (bytes(16),),
    "bin32": (bytes(32),),
    "bin64": (bytes(64),),
}
REFUSED = {
    "one": (0, 2, *NO_NUMBER),
    "uint32": (2**32, *NO_NUMBER),
    "uint64": (2**63, *NO_NUMBER),
    "bool": (0, 1, "true", b""),
    "str": (1, b"bytes", ["s"]),
    "status": ("asleep", "", 0, b"away"),
    "bin": ("str", 0, {"a": 1}),
    "bin16": (bytes(15), bytes(17), "s" * 16, [0] * 15),
    "bin32": (bytes(31), bytes(33), "s" * 32, [0] * 33),
    "bin64": (bytes(63), bytes(65), "s" * 64),
}


def rows():
    for name, fields in FIELDS.items():
        for field in fields.split():
            yield (name, None, *field.split("="))
    for name, (array, fields) in INSIDE.items():
        for field in fields.split():
            yield (name, array, *field.split("="))


def complaint(name: str, array: str | None, field: str, value: object) -> str | None:
    """What is said against a message whose field has this value, None when it is read."""
    sample = BY_NAME[name]
    envelope = msgpack.unpackb(frame(sample.message))
    message = msgpack.unpackb(envelope["payload"])
    (message if array is None else message[array][0])[field] = value
    try:
        decode_frame(
            msgpack.packb({**envelope, "payload": msgpack.packb(message)}),  # type: ignore[arg-type] - msgpack may return None
            from_client=sample.from_client,
        )
    except InvalidMessage as invalid:
        return invalid.message
    return None


@pytest.mark.req("W3-01", "W3-02")
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_an_envelope_is_written_as_a_map_in_the_order_of_the_page(sample):
    envelope = msgpack.unpackb(frame(sample.message))
    assert list(envelope) == ENVELOPE.split()
    assert (envelope["group_id"], envelope["cursor"]) == (group().group_id, 0)
    sizes = [(type(envelope[name]), len(envelope[name])) for name in ("sender_id", "group_id", "nonce")]
    assert sizes == [(bytes, 32), (bytes, 32), (bytes, 24)]


@pytest.mark.req("W3-13", "W3-14")
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_message_is_written_strictly(sample):
    """Maps with string keys, bytes as bin, in the order of the page, and nothing where a field is absent."""
    message = msgpack.unpackb(msgpack.unpackb(frame(sample.message))["payload"])
    values = {name: getattr(sample.message, name) for name in sample.message.__struct_fields__}
    present = {name: plain(value) for name, value in values.items() if value is not None}
    assert list(message.items()) == list(present.items())


def plain(value: object) -> object:
    """A field's value as MessagePack has it."""
    if isinstance(value, tuple):
        return [{name: getattr(entry, name) for name in entry.__struct_fields__} for entry in value]
    return value


@pytest.mark.req("W4-31")
@pytest.mark.parametrize(("name", "array", "field", "kind"), list(rows()))
def test_a_field_takes_what_its_type_allows_and_nothing_else(name, array, field, kind):
    assert [value for value in READ[kind] if complaint(name, array, field, value) is not None] == []
    assert [value for value in REFUSED[kind] if complaint(name, array, field, value) is None] == []


@pytest.mark.req("W4-31")
def test_no_field_is_left_out_here():
    listed = {name: {field.partition("=")[0] for field in fields.split()} for name, fields in FIELDS.items()}
    for name, fields in listed.items():
        declared = set(BY_NAME[name].message.__struct_fields__)
        assert fields == declared - {array for array, _ in INSIDE.values()}, name
    types = {type(BY_NAME[name].message).__name__ for name in (*FIELDS, *INSIDE)}
    assert types == {type(sample.message).__name__ for sample in BY_NAME.values()}
