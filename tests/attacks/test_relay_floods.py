"""Cheap frames and heads that cost the relay dear, and what stays of a claimed invite."""

import struct

import pytest

from ferryman.actors.relay.websocket import MAX_CONTROLS, accept

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
PONG = b"\x8a\x80\x00\x00\x00\x00"
MESSAGE = b"\x82\x81\x00\x00\x00\x00x"


def open_websocket():
    socket, _ = accept(UPGRADE, max_message=1000)
    assert socket is not None
    return socket


@pytest.mark.parametrize(("count", "closes"), [(MAX_CONTROLS, False), (MAX_CONTROLS + 1, True)])
def test_a_connection_has_so_many_control_frames_between_two_messages(count, closes):
    socket = open_websocket()
    assert socket.feed(PONG * count) == []
    assert socket.closing is closes
    assert (struct.pack(">H", 1008) in socket.output()) is closes


def test_a_message_gives_room_for_control_frames_again():
    socket = open_websocket()
    for _ in range(3):
        assert socket.feed(PONG * MAX_CONTROLS + MESSAGE) == [b"x"]
    assert not socket.closing
