"""Two small laws: how long to wait before a reconnection, and what a control blob says."""

from __future__ import annotations

import random

import msgpack
import pytest

from ferryman.protocol.errors import RemoteProtocolError
from ferryman.protocol.sync.backoff import delay_seconds
from ferryman.protocol.sync.control import Member, UnknownControl, decode_control, encode_control


class Middle:
    """A chance that is always in the middle: no jitter."""

    def random(self) -> float:
        return 0.5


@pytest.mark.req("S4-191")
def test_the_wait_doubles_to_16_seconds_and_then_stays_at_30():
    waits = [delay_seconds(attempt, Middle()) for attempt in (1, 2, 3, 4, 5, 6, 7, 100, 10**9)]
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30, 30]


def test_the_first_and_the_longest_wait_are_configured():
    assert [delay_seconds(attempt, Middle(), first=0.5, most=3) for attempt in (1, 2, 3, 4)] == [0.5, 1, 2, 3]


@pytest.mark.req("S4-192")
def test_jitter_is_a_fifth_up_or_down_and_uses_all_of_it():
    rng = random.Random(4)
    waits = [delay_seconds(4, rng) for _ in range(1_000)]
    assert all(6.4 <= wait <= 9.6 for wait in waits)
    assert min(waits) < 6.5
    assert max(waits) > 9.5


@pytest.mark.req("W6-08")
def test_a_member_blob_is_a_map_with_its_kind():
    assert msgpack.unpackb(encode_control(Member("Anna"))) == {"kind": "member", "device_name": "Anna"}
    assert decode_control(encode_control(Member("Anna"))) == Member("Anna")


def test_a_kind_of_a_later_version_is_left_to_it():
    assert decode_control(msgpack.packb({"kind": "hologram", "heads": [[1]]})) == UnknownControl("hologram")


def test_a_members_name_is_cleaned_by_writer_and_reader():
    assert decode_control(encode_control(Member("a\x07" + "b" * 100))) == Member("a\ufffd" + "b" * 60)
    assert decode_control(msgpack.packb({"kind": "member", "device_name": "\x07"})) == Member("\ufffd")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1",
        b"\x05",
        b"\x80",
        b"\x81\xa4kind\x05",
        b"\x91" * 5_000,
        msgpack.packb({"kind": "member"}),
        msgpack.packb({"kind": "member", "device_name": b"bin"}),
        encode_control(Member("a")) + b"\x00",
    ],
    ids=range(9),
)
def test_a_control_blob_that_breaks_the_form_is_the_peers_fault(content):
    with pytest.raises(RemoteProtocolError):
        decode_control(content)
