"""Cheap frames and heads that cost the relay dear, and what stays of a claimed invite."""

import struct

import pytest

from ferryman.actors.relay.websocket import MAX_CONTROLS, accept

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
PING = b"\x89\x80\x00\x00\x00\x00"
PONG = b"\x8a\x80\x00\x00\x00\x00"
CLOSE = b"\x88\x80\x00\x00\x00\x00"
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


VIOLATIONS = {"pings": PING * (MAX_CONTROLS + 1), "text": b"\x81" + MESSAGE[1:], "no mask": b"\x82\x01x"}


@pytest.mark.parametrize("violation", VIOLATIONS.values(), ids=VIOLATIONS)
@pytest.mark.parametrize("in_one", [True, False], ids=["at once", "later"])
def test_who_broke_a_rule_is_not_read_any_more(violation, in_one):
    alone = open_websocket()
    alone.feed(violation)
    socket = open_websocket()
    for data in [violation + PING * 3 + CLOSE] if in_one else [violation, PING * 3, CLOSE]:
        assert socket.feed(data) == []
    assert socket.closing
    assert not socket.closed_by_peer
    assert socket.output() == alone.output()


def test_after_our_own_close_only_the_peers_is_waited_for():
    socket = open_websocket()
    socket.close(1000, "")
    assert socket.output() == b"\x88\x02\x03\xe8"
    assert socket.feed(PING * 10 + MESSAGE) == []
    assert socket.output() == b""
    assert not socket.closed_by_peer
    assert socket.feed(PING + CLOSE) == []
    assert socket.closed_by_peer
    assert socket.output() == b""


@pytest.mark.parametrize(("count", "heard"), [(MAX_CONTROLS - 1, True), (MAX_CONTROLS + 1, False)])
def test_after_our_own_close_a_flood_makes_us_deaf(count, heard):
    socket = open_websocket()
    socket.close(1000, "")
    assert socket.feed((PING + MESSAGE) * count) == []
    assert socket.feed(CLOSE) == []
    assert socket.closed_by_peer is heard
