"""The chain's bytes, computed by hand from the description of the format."""

import hashlib
import hmac
import struct

import pytest

from ferryman.protocol.ledger.chain import Chain, body_hash

KEY = bytes(range(32))


def mac(message):
    return hmac.digest(KEY, message, "sha256")


def test_a_link_is_the_mac_that_the_format_says():
    previous, command_id, command_hash, digest = b"p" * 32, b"i" * 16, b"h" * 32, b"d" * 32
    header = struct.pack(">QQqHH", 7, 3, -5, 16, 32) + command_id + command_hash
    for name in ("strëam", "principal", ""):
        header += len(name.encode()).to_bytes(2, "big") + name.encode()
    assert Chain(KEY).link(previous, 7, "strëam", 3, command_id, command_hash, "principal", "", -5, digest) == mac(
        b"ferryman/ledger/1" + previous + header + digest
    )


def test_the_beginning_and_the_base_are_the_macs_that_the_format_says():
    assert Chain(KEY).genesis(b"l" * 16) == mac(b"ferryman/ledger-genesis/1" + b"l" * 16)
    assert Chain(KEY).base(b"l" * 16, 9, b"c" * 32) == mac(
        b"ferryman/ledger-base/1" + b"l" * 16 + (9).to_bytes(8, "big") + b"c" * 32
    )


@pytest.mark.req("W10-05")
def test_no_two_headers_run_together():
    def link(stream, principal, kind):
        return Chain(KEY).link(bytes(32), 1, stream, 1, bytes(16), bytes(32), principal, kind, 0, bytes(32))

    names = [("ab", "c", "d"), ("a", "bc", "d"), ("a", "b", "cd"), ("abc", "", "d"), ("", "abc", "d")]
    assert len({link(*each) for each in names}) == len(names)


def test_a_body_is_hashed_with_its_purpose():
    assert body_hash(b"body") == hashlib.sha256(b"ferryman/ledger-body/1body").digest()
