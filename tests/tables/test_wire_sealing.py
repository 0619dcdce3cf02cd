"""What a member may not put into a sealed blob, where the wire's page gives a figure (§6)."""

import pytest

from ferryman.protocol.crypto.sealing import UndecryptableBlob
from tests.tables.test_sealed_blob import TEXT, chain_bytes, frame_of, hand_made, opened, padded

LARGEST = 4096


def opens(plain):
    try:
        return opened(hand_made(plain), max_blob_size=LARGEST).content
    except UndecryptableBlob:
        return None


@pytest.mark.req("W6-40")
def test_a_zstd_frame_declares_its_size():
    assert opens(b"\x02" + frame_of(TEXT)) == TEXT
    assert opens(b"\x02" + frame_of(TEXT, write_content_size=False)) is None


@pytest.mark.req("W6-41")
def test_a_zstd_frame_holds_eight_times_the_largest_blob_and_no_byte_more():
    assert opens(b"\x02" + frame_of(bytes(8 * LARGEST))) == bytes(8 * LARGEST)
    assert opens(b"\x02" + frame_of(bytes(8 * LARGEST + 1))) is None


@pytest.mark.parametrize("tail", [b"\x01", bytes(99) + b"\x01", b"\x01" + bytes(99)])
@pytest.mark.req("W6-45")
def test_padding_is_zeros_to_its_end(tail):
    assert opens(b"\x01" + padded(TEXT, bytes(len(tail)))) == TEXT
    assert opens(b"\x01" + padded(TEXT, tail)) is None


@pytest.mark.req("W6-16")
def test_nothing_comes_before_the_first_blob_of_a_chain():
    assert opens(b"\x08" + chain_bytes(1) + TEXT) == TEXT
    assert opens(b"\x08" + chain_bytes(1, b"p" * 16) + TEXT) is None


@pytest.mark.req("W6-36")
def test_compressing_comes_before_padding():
    """The length inside the padding is that of the frame, and the padding hides it."""
    frame = frame_of(TEXT)
    assert opens(b"\x03" + padded(frame, bytes(40))) == TEXT
    assert opens(b"\x03" + frame_of(padded(TEXT, bytes(40)))) is None
