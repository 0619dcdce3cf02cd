"""The words of the local socket: what is taken, what is refused, and that a refusal repeats nothing of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman.protocol.control.lines import MAX_REPLY_BYTES, Lines, encode
from ferryman.protocol.control.replies import PAGE_BYTES, Failed, Given, Page, one_page, read_reply
from ferryman.protocol.control.requests import PushBlob, TakeBlobs, read_request, request_bytes
from ferryman.protocol.control.standing import is_settled
from ferryman.protocol.errors import BadInput, RemoteProtocolError
from ferryman.protocol.sync.events import Connected, Connecting, ConnectionInfo, Disconnected, Reconnecting

WELCOMED = Connected(ConnectionInfo("", 0, 0))


@given(st.binary(max_size=2_000))
def test_data_survives_its_line(data):
    assert read_request(encode(PushBlob(data=data))[:-1]).data == data


@given(st.binary(max_size=5_000), st.floats(0, 86_400))
def test_the_longest_request_fits_the_line_that_is_allowed_for_it(data, seconds):
    assert len(encode(PushBlob(data=data, wait_seconds=seconds, patient=True))) <= request_bytes(len(data))


def blob(data, cursor=2**63 - 1):
    return Given(cursor=cursor, id="f" * 32, sender="/" * 43 + "=", timestamp=2**63 - 1, data=data)


@given(st.lists(st.binary(max_size=900), max_size=20), st.integers(0, 8_000))
def test_a_page_ends_where_its_line_would_be_too_long_and_has_at_least_one_blob(contents, room):
    blobs = [blob(content) for content in contents]
    page = one_page(blobs, has_more=False, max_cursor=2**63 - 1, room=room)
    assert page.blobs == blobs[: len(page.blobs)]
    assert page.has_more == (len(page.blobs) < len(blobs))
    assert len(encode(page)) <= room or len(page.blobs) == min(1, len(blobs))


def test_a_page_that_was_compressed_fits_the_readers_limit_and_so_does_the_largest_blob():
    page = one_page([blob(bytes(1_048_320))] * 50, has_more=False, max_cursor=50)
    assert len(encode(page)) <= PAGE_BYTES < MAX_REPLY_BYTES
    largest = one_page([blob(bytes(20_000_000)), blob(b"ahoy")], has_more=False, max_cursor=2)
    assert (len(largest.blobs), largest.has_more) == (1, True)
    around = len(encode(largest)) - len(largest.blobs[0].data) * 4 // 3
    assert 8 * 16 * 1_048_576 * 4 // 3 + around <= MAX_REPLY_BYTES


@given(st.lists(st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b"")), max_size=8), st.data())
def test_lines_are_the_same_however_the_stream_is_cut(lines, data):
    stream, found, reader = b"".join(line + b"\n" for line in lines), [], Lines(20)
    while stream:
        count = data.draw(st.integers(1, len(stream)))
        found += reader.feed(stream[:count])
        stream = stream[count:]
    assert found == lines


@pytest.mark.parametrize("stream", [b"12345", b"12345\n", b"1\n12345", b"1\n12345\n2\n"])
def test_a_line_over_the_limit_is_refused_ended_or_not(stream):
    assert Lines(5).feed(stream) is not None
    with pytest.raises(RemoteProtocolError):
        Lines(4).feed(stream)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"5",
        b"\xff",
        b"[" * 10_000,
        b'{"do":"sesame"}',
        b'{"do":"status","more":"sesame"}',
        b'{"do":"push","data":"ses ame"}',
        b'{"do":"push","data":[1,2]}',
        b'{"do":"push","data":"YQ==","wait_seconds":NaN}',
        b'{"do":"push","data":"YQ==","wait_seconds":-1}',
        b'{"do":"push","data":"YQ==","patient":"sesame"}',
        b'{"do":"pull","limit":0}',
        b'{"do":"pull","after":-1}',
        b'{"do":"pull","after":"1"}',
        b'{"do":"take","cursors":["sesame"]}',
        b'{"do":"join","invite":""}',
        b'{"do":"join","invite":"' + b"x" * 8_193 + b'"}',
    ],
)
def test_what_is_no_request_is_refused_without_repeating_it(line):
    with pytest.raises(BadInput) as caught:
        read_request(line)
    assert "sesame" not in caught.value.message
    assert len(caught.value.message) < 120


def test_a_request_shows_no_data_and_no_invite():
    assert "ahoy" not in repr(PushBlob(data=b"ahoy"))
    given_blob = Given(cursor=1, id="00", sender="", timestamp=0, data=b"ahoy")
    assert "ahoy" not in repr(Page(blobs=[given_blob], has_more=False, max_cursor=1))


def test_what_is_no_reply_is_a_stranger():
    assert read_reply(encode(Failed(code="X", message="y"))[:-1]) == Failed(code="X", message="y")
    for line in (b"", b"{}", b'{"type":"sesame"}', encode(TakeBlobs(cursors=[]))):
        with pytest.raises(RemoteProtocolError):
            read_reply(line)


@pytest.mark.parametrize(
    ("status", "enabled", "settled"),
    [
        (Connecting(), True, False),
        (Disconnected(), True, False),
        (Disconnected(), False, True),
        (Disconnected("it said no"), True, True),
        (Reconnecting(1), True, True),
        (WELCOMED, True, True),
    ],
)
def test_it_is_settled_once_the_first_attempt_has_an_outcome(status, enabled, settled):
    assert is_settled(status, enabled) is settled
