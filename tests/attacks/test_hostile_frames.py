"""Bytes from a stranger who means harm: bounded in memory and time, one family of exceptions, never a wrong reading."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import msgpack
import pytest

from ferryman.protocol.relay import messages as m
from ferryman.protocol.relay.envelope import decode_frame
from ferryman.protocol.relay.errors import InvalidMessage
from ferryman.protocol.relay.liberal import MAX_IGNORED_BYTES
from ferryman.protocol.relay.limits import websocket_limit
from tests.fakes.wire import frame

LONGEST = websocket_limit(welcomed=True, bytes_as_integers=False)
PUSH = msgpack.unpackb(frame(m.Push(bytes(16), b"x", 0)))


def with_ignored(value: bytes) -> bytes:
    """A good frame with one unknown key whose value is chosen by the attacker."""
    return b"\x89" + frame(m.Push(bytes(16), b"x", 0))[1:] + b"\xa1x" + value


def flood(element: bytes) -> bytes:
    count = (LONGEST - 1_000) // len(element)
    return b"\xdd" + count.to_bytes(4, "big") + element * count


FLOODS = {
    "empty arrays": flood(b"\x90"),
    "arrays of one": flood(b"\x91\xc0"),
    "empty maps": flood(b"\x80"),
    "nils": flood(b"\xc0"),
    "small strings": flood(b"\xa1a"),
    "maps of one": flood(b"\x81\xa1a\x00"),
    "doubles": flood(b"\xcb" + bytes(8)),
}


@pytest.mark.parametrize("value", FLOODS.values(), ids=FLOODS)
def test_a_flood_of_ignored_values_is_refused_before_it_is_looked_at(value):
    data = with_ignored(value)
    assert len(data) <= LONGEST
    tracemalloc.start()
    with pytest.raises(InvalidMessage, match="does not know"):
        decode_frame(data, from_client=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * LONGEST  # the value's own bytes, cut out; as objects it would be sixty times as much


@pytest.mark.parametrize("extra", [0, 1])
def test_unknown_fields_may_have_sixteen_kibibytes_together_and_not_one_more(extra):
    value = b"\xc5" + (MAX_IGNORED_BYTES - 3 + extra).to_bytes(2, "big") + bytes(MAX_IGNORED_BYTES - 3 + extra)
    if extra:
        with pytest.raises(InvalidMessage, match="does not know"):
            decode_frame(with_ignored(value), from_client=True)
    else:
        assert decode_frame(with_ignored(value), from_client=True).message == m.Push(bytes(16), b"x", 0)


def test_what_a_relay_says_for_people_is_a_clean_short_line():
    words = m.Error(2000, "\x1b]0;owned\x07" + "A" * 10_000)
    read = decode_frame(frame(words), from_client=False).message
    assert read.message.startswith("\ufffd]0;owned\ufffdAAA")
    assert len(read.message.encode()) <= 256


@pytest.mark.parametrize(
    "data",
    [
        flood(b"\x90"),
        flood(b"\xc0"),
        b"\xdf" + (250_000).to_bytes(4, "big") + b"".join(b"\xa3%03x\x00" % (n % 4096) for n in range(250_000)),
    ],
    ids=["an array for an envelope", "nils for an envelope", "a map of 250,000 keys for an envelope"],
)
def test_an_envelope_of_a_million_entries_is_refused_before_it_is_cut(data):
    tracemalloc.start()
    with pytest.raises(InvalidMessage):
        decode_frame(data, from_client=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


def test_a_mebibyte_written_as_integers_is_read():
    blob = bytes(range(256)) * 4_096
    message = msgpack.packb([list(bytes(16)), list(blob), 0])
    envelope = [list(value) if isinstance(value, bytes) else value for value in {**PUSH, "payload": message}.values()]
    data = msgpack.packb(envelope)
    assert LONGEST < len(data) <= websocket_limit(welcomed=True, bytes_as_integers=True)
    read = decode_frame(data, from_client=True)
    assert read.bytes_as_integers
    assert read.message == m.Push(bytes(16), blob, 0)


@pytest.mark.req("W3-18")
def test_integers_of_every_width_that_are_no_bytes_are_refused():
    for element in (
        b"\xcd\x01\x00",
        b"\xff",
        b"\xd0\x80",
        b"\xcf" + b"\xff" * 8,
        b"\xc2",
        b"\xca\x3f\x80\x00\x00",
        b"\xc0",
    ):
        value = b"\xdc\x00\x18" + bytes(23) + element
        nonce = msgpack.packb("nonce") + msgpack.packb(PUSH["nonce"])
        data = frame(m.Push(bytes(16), b"x", 0))
        assert nonce in data
        with pytest.raises(InvalidMessage):
            decode_frame(data.replace(nonce, msgpack.packb("nonce") + value), from_client=True)


@pytest.mark.req("W2-21")
def test_no_piece_of_a_frame_is_a_frame():
    """The rule that makes WebSocket boundaries harmless: whoever cuts a message anew gets nothing read of it."""
    data = frame(m.Push(bytes(16), b"\x80\x90\xc0" * 20, 7))
    for at in range(len(data)):
        with pytest.raises(Exception, match="not exactly one MessagePack value"):
            decode_frame(data[:at], from_client=True)


@pytest.mark.req("S4-101")
def test_what_a_relay_imports_of_the_protocol_never_loads_the_sealing_code():
    code = (
        "import sys; from ferryman.protocol.relay import group, limits, errors, envelope; "
        "from ferryman.protocol.crypto import noise, group_proof; from ferryman.protocol.sync import short_code; "
        "print([name for name in ('sealing', 'keys') if f'ferryman.protocol.crypto.{name}' in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
