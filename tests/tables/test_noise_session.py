"""Noise between a client and a relay: who learns what, how long pieces are, and that a broken session stays so."""

from __future__ import annotations

import pytest

from ferryman.protocol.crypto.noise import PIECE_BYTES, initiate, respond
from ferryman.protocol.errors import LocalProtocolError, RemoteProtocolError
from tests.fakes.wire import ANNA, BERT, RELAY_ID, handshake


@pytest.mark.req("S4-29")
def test_each_side_learns_the_others_static_key():
    client, relay = handshake()
    assert client.remote_static == RELAY_ID
    assert relay.remote_static == ANNA.device_id
    assert client.handshake_hash == relay.handshake_hash


def test_the_client_knows_the_relays_key_before_it_shows_its_own():
    awaiting_reply, message1 = initiate(ANNA.noise_private, b"a" * 32)
    _, message2 = respond(BERT.noise_private, b"b" * 32, message1)  # a man in the middle, with a key of his own
    known = awaiting_reply.read_reply(message2)
    assert known.remote_static == BERT.device_id != RELAY_ID


@pytest.mark.req("S4-30")
def test_two_sessions_of_the_same_devices_share_no_bytes():
    first, _ = handshake(ephemerals=b"ab")
    second, _ = handshake(ephemerals=b"cd")
    assert first.seal_frame(b"the same frame") != second.seal_frame(b"the same frame")
    assert first.handshake_hash != second.handshake_hash


PIECES = [
    (1, [17]),
    (65_518, [65_534]),
    pytest.param(65_519, [65_535], marks=pytest.mark.req("W2-12")),
    pytest.param(65_520, [65_535, 17], marks=pytest.mark.req("W2-12")),
    (131_038, [65_535, 65_535]),
    (200_000, [65_535, 65_535, 65_535, 3_459]),
]


@pytest.mark.req("W2-09", "W2-10", "W2-11")
@pytest.mark.parametrize(("size", "pieces"), PIECES)
def test_a_frame_is_cut_into_pieces_of_65519_bytes(size, pieces):
    client, relay = handshake()
    frame = bytes(range(256)) * (size // 256 + 1)
    sealed = client.seal_frame(frame[:size])
    assert len(sealed) == sum(pieces)
    assert relay.open_frame(sealed) == frame[:size]


def test_the_pieces_of_a_frame_are_messages_of_their_own():
    client, relay = handshake()
    sealed = client.seal_frame(bytes(2 * PIECE_BYTES))
    assert relay.open_frame(sealed[:65_535]) == relay.open_frame(sealed[65_535:]) == bytes(PIECE_BYTES)


def test_frames_travel_in_both_directions_in_their_order():
    client, relay = handshake()
    for count in range(3):
        assert relay.open_frame(client.seal_frame(b"up %d" % count)) == b"up %d" % count
        assert client.open_frame(relay.seal_frame(b"down %d" % count)) == b"down %d" % count


def test_the_same_frame_is_never_the_same_bytes_again():
    client, _ = handshake()
    for frame in (b"a", bytes(PIECE_BYTES + 1)):
        assert client.seal_frame(frame) != client.seal_frame(frame)
        assert len({*client.seal_frames([frame, frame]), client.seal_frame(frame)}) == 3


def test_an_empty_frame_is_our_bug():
    with pytest.raises(LocalProtocolError):
        handshake()[0].seal_frame(b"")


def sealed_frames() -> tuple[bytes, bytes]:
    client, _ = handshake()
    return client.seal_frame(b"first"), client.seal_frame(b"second")


FIRST, SECOND = sealed_frames()
LONG = handshake()[0].seal_frame(bytes(70_000))
BROKEN = {
    "an empty message": pytest.param(b"", marks=pytest.mark.req("W2-15")),
    "a tag and nothing else": pytest.param(FIRST[-16:], marks=pytest.mark.req("W2-14")),
    "less than a tag": b"x",
    "a changed byte": pytest.param(bytes([FIRST[0] ^ 1]) + FIRST[1:], marks=pytest.mark.req("W2-13")),
    "a cut message": FIRST[:-1],
    "a message and a byte": FIRST + b"x",
    "the second before the first": pytest.param(SECOND, marks=pytest.mark.req("W2-13")),
    "two frames in one message": pytest.param(FIRST + SECOND, marks=pytest.mark.req("W2-08")),
    "a last piece of 16 bytes": pytest.param(LONG[:65_535] + LONG[-16:], marks=pytest.mark.req("W2-14")),
    "a last piece that is cut": LONG[:-1],
    "the pieces in another order": LONG[65_535:] + LONG[:65_535],
}


@pytest.mark.req("W2-19")
@pytest.mark.parametrize("message", BROKEN.values(), ids=BROKEN)
def test_after_what_does_not_open_nothing_is_read(message):
    _, relay = handshake()
    with pytest.raises(RemoteProtocolError):
        relay.open_frame(message)
    with pytest.raises(RemoteProtocolError, match="nothing is read after"):
        relay.open_frame(FIRST)


@pytest.mark.req("W2-14")
def test_an_empty_piece_is_refused_though_it_decrypts():
    client, relay = handshake()
    empty = client._sealer.encrypt(bytes(12), b"", None)
    with pytest.raises(RemoteProtocolError, match="an empty piece"):
        relay.open_frame(empty)


def test_a_replayed_frame_does_not_open():
    _, relay = handshake()
    assert relay.open_frame(FIRST) == b"first"
    with pytest.raises(RemoteProtocolError):
        relay.open_frame(FIRST)


def test_a_relay_does_not_take_its_own_frame_for_the_clients():
    _, relay = handshake()
    with pytest.raises(RemoteProtocolError):
        relay.open_frame(relay.seal_frame(b"mine"))


def test_no_warning_about_ephemeral_keys_reaches_anybody(recwarn):
    handshake()
    assert not recwarn.list
