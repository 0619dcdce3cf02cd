"""The relay's reading of WebSocket frames: however the bytes are cut, the same messages come out, in their order."""

import gc
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame

from ferryman.actors.relay.websocket import accept
from tests.benchmarks.wire_line import UPGRADE

MAX_MESSAGE = 70_000
CONT, BINARY, PING = 0, 2, 9
LENGTHS = st.sampled_from([0, 1, 125, 126, 127, 65_535, 65_536, MAX_MESSAGE]) | st.integers(0, 300)


def frame(opcode, payload, mask, *, fin=True):
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65_536:
        length = b"\xfe" + struct.pack(">H", size)
    else:
        length = b"\xff" + struct.pack(">Q", size)
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return bytes([(0x80 if fin else 0) | opcode]) + length + mask + masked


@st.composite
def conversations(draw):
    """What was said, as messages and as bytes: whole messages, messages in pieces, pings between."""
    messages, data = [], b""
    for number in range(draw(st.integers(1, 5))):
        mask = draw(st.binary(min_size=4, max_size=4))
        payload = bytes([number]) * draw(LENGTHS)
        kind = draw(st.sampled_from(["whole", "pieces", "ping"]))
        if kind == "whole":
            data += frame(BINARY, payload, mask)
        elif kind == "pieces":
            at = draw(st.integers(0, len(payload)))
            data += frame(BINARY, payload[:at], mask, fin=False)
            data += frame(PING, b"?", mask) if draw(st.booleans()) else b""
            data += frame(CONT, payload[at:], mask)
        else:
            data += frame(PING, payload[:125], mask)
        if kind != "ping":
            messages.append(payload)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return messages, [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(conversations())
def test_however_the_bytes_are_cut_the_same_messages_come_out(conversation):
    messages, pieces = conversation
    websocket, _ = accept(UPGRADE, max_message=MAX_MESSAGE)
    assert [message for piece in pieces if piece for message in websocket.feed(piece)] == messages
    assert not websocket.closing


@pytest.mark.req("W1-20")
@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(MAX_MESSAGE + 1, 2**40))
def test_a_message_over_the_limit_ends_it_when_its_length_is_known(cuts, announced):
    """Not one byte of it has to come, and what was whole before it still counts."""
    websocket, _ = accept(UPGRADE, max_message=MAX_MESSAGE)
    data = frame(BINARY, b"before", b"mask") + b"\x82\xff" + struct.pack(">Q", announced)
    heard, at = [], 0
    for cut in [*cuts, len(data)]:
        heard += websocket.feed(data[at : at + cut]) if data[at : at + cut] else []
        at += cut
    assert heard == [b"before"]
    assert websocket.closing
    assert websocket.output()[2:4] == struct.pack(">H", 1009)


def test_a_frame_without_a_mask_is_no_clients():
    websocket, _ = accept(UPGRADE, max_message=MAX_MESSAGE)
    assert websocket.feed(b"\x82\x05hello") == []
    assert websocket.closing


def test_a_whole_message_between_the_pieces_of_another_ends_it():
    websocket, _ = accept(UPGRADE, max_message=MAX_MESSAGE)
    assert websocket.feed(frame(BINARY, b"a", b"mask", fin=False) + frame(BINARY, b"b", b"mask")) == []
    assert websocket.closing


def test_a_message_in_pieces_does_not_stay_in_memory_after_it_was_read():
    websocket, _ = accept(UPGRADE, max_message=MAX_MESSAGE)
    payload, mask = bytes([77]) * 60_000, bytes(4)
    pieces = frame(BINARY, payload, mask, fin=False) + frame(CONT, payload[:10_000], mask)
    assert [len(message) for message in websocket.feed(pieces)] == [70_000]
    kept = [one for one in gc.get_objects() if isinstance(one, Frame) and len(one.data) > 1_000]
    assert kept == []
