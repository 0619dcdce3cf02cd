"""The sealed blob: which flags we set, what opens, and what never does."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from math import floor, log2

import pytest
import zstandard
from nacl import bindings

from ferryman.protocol.crypto import sealing
from ferryman.protocol.crypto.keys import DeviceKeys
from ferryman.protocol.crypto.sealing import (
    BlobTooLarge,
    Chain,
    Opened,
    UndecryptableBlob,
    blob_hash,
    nonce_of,
    open_blob,
    padded_size,
    seal,
)
from ferryman.protocol.errors import LocalProtocolError
from tests.fakes.wire import ANNA, BERT, BLOB_ID, FIRST, NONCE, group

TEXT = b"a line of text, again and again. " * 50
AAD = b"ferryman/blob/1\x01" + bytes(4) + group().group_id + ANNA.device_id + BLOB_ID


def sealed(
    content: bytes = TEXT, *, device: DeviceKeys = ANNA, chain: Chain = FIRST, nonce: bytes = NONCE, **kind
) -> bytes:
    return seal(content, keys=group(), device=device, blob_id=BLOB_ID, nonce=nonce, chain=chain, **kind)


def opened(blob: bytes, *, sender_id: bytes = ANNA.device_id, blob_id: bytes = BLOB_ID, **kind) -> Opened:
    return open_blob(blob, keys=group(), sender_id=sender_id, blob_id=blob_id, **kind)


def inside(blob: bytes) -> bytes:
    return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(blob[29:], AAD, NONCE, group().encryption_key)


def hand_made(plain: bytes) -> bytes:
    """A blob from a member of the group who does not keep to the page."""
    return (
        b"\x01"
        + bytes(4)
        + NONCE
        + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, AAD, NONCE, group().encryption_key)
    )


KINDS = [
    ("by default: padded, chained, signed", {}, 0b11001),
    ("not padded", {"pad": False}, 0b11000),
    ("compressed is always padded", {"compress": True, "pad": False}, 0b11011),
    ("not signed", {"sign": False}, 0b01001),
    ("control is always signed", {"control": True, "sign": False}, 0b11101),
    ("control is never compressed", {"control": True, "compress": True}, 0b11101),
    ("control is chained", {"control": True, "pad": False}, 0b11100),
]


@pytest.mark.parametrize(("name", "kind", "flags"), KINDS, ids=[row[0] for row in KINDS])
@pytest.mark.req("W6-09", "W6-38", "W6-39")
def test_the_flags_of_what_we_seal(name, kind, flags):
    blob = sealed(**kind)
    assert inside(blob)[0] == flags
    read = opened(blob)
    assert (read.content, read.chain, read.control) == (TEXT, FIRST, bool(flags & 4))
    assert read.sign_pub == (ANNA.sign_pub if flags & 16 else None)


@pytest.mark.req("S4-15")
@pytest.mark.parametrize("content", [b"", b"x", bytes(100_000), TEXT], ids=["empty", "one", "zeros", "text"])
@pytest.mark.req("W6-36")
def test_what_was_sealed_opens_as_what_it_was(content):
    for kind in ({}, {"compress": True}, {"pad": False}):
        assert opened(sealed(content, **kind)).content == content


@pytest.mark.req("S4-99")
def test_no_changed_byte_opens():
    blob = sealed(b"short", pad=False, sign=False)
    for at in range(len(blob)):
        with pytest.raises(UndecryptableBlob):
            opened(blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :])


def test_no_cut_blob_opens():
    blob = sealed(b"short")
    for size in range(len(blob)):
        with pytest.raises(UndecryptableBlob):
            opened(blob[:size])


@pytest.mark.req("W6-02")
def test_a_blob_opens_for_its_own_sender_id_and_group_alone():
    bare = sealed(sign=False)  # a signature would bind the same once more
    assert opened(bare).content == TEXT
    with pytest.raises(UndecryptableBlob):
        opened(bare, sender_id=BERT.device_id)
    with pytest.raises(UndecryptableBlob):
        opened(bare, blob_id=bytes(16))
    for keys in (replace(group(), group_id=bytes(32)), replace(group(), encryption_key=bytes(32))):
        with pytest.raises(UndecryptableBlob):
            open_blob(bare, keys=keys, sender_id=ANNA.device_id, blob_id=BLOB_ID)


@pytest.mark.req("S4-98")
def test_the_nonce_is_the_callers_and_stands_in_the_blob():
    assert nonce_of(sealed()) == NONCE
    other = sealed(nonce=bytes(24))
    assert nonce_of(other) == bytes(24)
    assert other[29:] != sealed()[29:]


@pytest.mark.req("S4-39")
@pytest.mark.parametrize("size", [2, 3, 7, 8, 9, 15, 16, 17, 100, 1_000, 4_095, 4_097, 65_535, 1_000_001])
@pytest.mark.req("W6-42")
def test_padding_follows_padme(size):
    exponent = floor(log2(size))
    step = 2 ** (exponent - floor(log2(exponent)) - 1)
    assert padded_size(size) == -(-size // step) * step
    assert size <= padded_size(size) <= size * 1.12 + 1


@pytest.mark.req("S4-39")
def test_padding_hides_the_length_and_can_be_left_out():
    lengths = {len(sealed(bytes(size))) for size in range(10_000, 10_100)}
    assert len(lengths) == 1
    assert len({len(sealed(bytes(size), pad=False)) for size in range(10_000, 10_100)}) == 100


@pytest.mark.req("W6-44")
def test_padding_never_passes_the_largest_blob():
    for size in (950, 1_000, 1_024 - 178):
        assert len(sealed(bytes(size)[: 1_024 - 178], max_blob_size=1_024)) <= 1_024


def test_what_does_not_fit_is_refused_before_it_is_sealed():
    largest = 1_024 - 178  # header 29, tag 16, flags 1, chain 32, signature 96, length 4
    assert len(sealed(bytes(largest), max_blob_size=1_024)) == 1_024
    with pytest.raises(BlobTooLarge):
        sealed(bytes(largest + 1), max_blob_size=1_024)
    assert sealing.CONTENT_MARGIN >= 178


@pytest.mark.parametrize(
    "wrong",
    [{"nonce": bytes(12)}, {"chain": Chain(b"short", 1, bytes(16))}, {"chain": replace(FIRST, seq=0)}],
    ids=["nonce", "chain_id", "seq"],
)
def test_a_blob_of_wrong_parts_is_our_bug(wrong):
    with pytest.raises(LocalProtocolError):
        sealed(**wrong)


def chain_bytes(seq: int = 1, prev: bytes = bytes(16)) -> bytes:
    return b"chain-id" + seq.to_bytes(8, "big") + prev


def signed(flags: int, content: bytes, *, device: DeviceKeys = ANNA, aad: bytes = AAD) -> bytes:
    return device.sign_pub + device.sign(
        b"ferryman/blob-sig/1" + aad + bytes([flags]) + chain_bytes() + hashlib.sha256(content).digest()
    )


def frame_of(content: bytes, **options) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(content)


def raw_frame(declared: int, content: bytes) -> bytes:
    """RFC 8878: a frame of one raw block under whatever declared size."""
    block = (len(content) << 3 | 1).to_bytes(3, "little") + content
    return b"\x28\xb5\x2f\xfd\x20" + bytes([declared]) + block


def padded(content: bytes, tail: bytes = b"") -> bytes:
    return len(content).to_bytes(4, "big") + content + tail


READ = {
    "without a chain": (b"\x00" + b"x", b"x"),
    "empty": (b"\x00", b""),
    "zstd of nothing": (b"\x02" + frame_of(b"", write_checksum=True), b""),
    "zstd without padding": (b"\x02" + frame_of(TEXT), TEXT),
    "padded by more than PADME": (b"\x01" + padded(b"x", bytes(1_000)), b"x"),
    "padded by nothing": (b"\x01" + padded(b"x"), b"x"),
    "a control blob without a signature": (b"\x04" + b"x", b"x"),
}


@pytest.mark.parametrize(("plain", "content"), READ.values(), ids=READ)
@pytest.mark.req("W6-06")
def test_what_another_writer_may_leave_out_is_read(plain, content):
    read = opened(hand_made(plain))
    assert (read.content, read.sign_pub) == (content, None)


REFUSED = {
    "an unknown flag": b"\x20" + b"x",
    "all flags": b"\xff" + bytes(300),
    "a cut chain": b"\x08" + chain_bytes()[:-1],
    "seq 0": b"\x08" + chain_bytes(0),
    "seq 2^63": b"\x08" + chain_bytes(2**63),
    "something before seq 1": b"\x08" + chain_bytes(1, b"p" * 16),
    "a cut signature": b"\x18" + chain_bytes() + bytes(95),
    "a signature of zeros": b"\x18" + chain_bytes() + ANNA.sign_pub + bytes(64) + b"x",
    "somebody else's signature": b"\x18" + chain_bytes() + signed(0x18, b"x", device=BERT) + b"x",
    "a signature of other content": b"\x18" + chain_bytes() + signed(0x18, b"y") + b"x",
    "a signature of other flags": b"\x1c" + chain_bytes() + signed(0x18, b"x") + b"x",
    "a signature of another chain place": b"\x18" + chain_bytes(2) + signed(0x18, b"x") + b"x",
    "a signature for another blob": b"\x18" + chain_bytes() + signed(0x18, b"x", aad=AAD[:-1] + b"!") + b"x",
    "no room for the length": b"\x01" + bytes(3),
    "a length past the end": b"\x01" + padded(b"x")[:-1],
    "a length of four gigabytes": b"\x01" + b"\xff" * 4 + b"x",
    "padding that is not zeros": b"\x01" + padded(b"x", b"\x00\x01"),
    "no zstd at all": b"\x02" + b"not a frame",
    "nothing to expand": b"\x02",
    "a cut zstd frame": b"\x02" + frame_of(TEXT)[:-1],
    "bytes after the zstd frame": b"\x02" + frame_of(TEXT) + b"x",
    "two zstd frames": b"\x02" + frame_of(b"a") + frame_of(b"b"),
    "a zstd frame that hides its size": b"\x02" + frame_of(TEXT, write_content_size=False),
    "a skippable zstd frame": b"\x02" + b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"skip",
    "a zstd frame that says it is empty and is not": b"\x02" + raw_frame(0, b"abc"),
    "a zstd frame that says less than it holds": b"\x02" + raw_frame(2, b"abc"),
    "a zstd frame that says more than it holds": b"\x02" + raw_frame(5, b"abc"),
    "bytes after an empty zstd frame": b"\x02" + frame_of(b"") + b"x",
    "many bytes after an empty zstd frame": b"\x02" + frame_of(b"") + bytes(100),
    "a cut empty zstd frame": b"\x02" + frame_of(b"")[:-1],
    "a bomb": b"\x02" + frame_of(bytes(8 * 1_048_576 + 1)),
}


@pytest.mark.parametrize("plain", REFUSED.values(), ids=REFUSED)
@pytest.mark.req("W6-07", "W6-27")
def test_a_member_who_breaks_the_rules_is_not_read(plain):
    with pytest.raises(UndecryptableBlob):
        opened(hand_made(plain))


@pytest.mark.req("W6-26")
def test_another_member_cannot_put_other_content_under_a_signature():
    plain = inside(sealed(TEXT, pad=False))
    assert opened(hand_made(plain)).content == TEXT
    with pytest.raises(UndecryptableBlob, match="signature"):
        opened(hand_made(plain[: -len(TEXT)] + TEXT.swapcase()))


def test_a_good_hand_made_blob_shows_that_the_bad_ones_were_refused_for_their_fault():
    assert opened(hand_made(b"\x18" + chain_bytes() + signed(0x18, b"x") + b"x")).sign_pub == ANNA.sign_pub
    assert opened(hand_made(b"\x02" + frame_of(bytes(8 * 1_048_576)))).content == bytes(8 * 1_048_576)
    assert opened(hand_made(b"\x02" + raw_frame(3, b"abc"))).content == b"abc"


@pytest.mark.parametrize("head", [b"\x00", b"\x02", b"\x01\x00\x00\x00\x01"])
@pytest.mark.req("W6-03")
def test_another_format_or_key_epoch_is_not_opened(head):
    blob = sealed()
    with pytest.raises(UndecryptableBlob):
        opened(head + blob[len(head) :])


def test_the_hash_of_a_blob_is_16_bytes_of_sha256():
    assert blob_hash(b"") == bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb924")
