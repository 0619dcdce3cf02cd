"""Whatever fits a record's fields comes back as it went in, with large values beside it or not."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from ferryman.protocol.ledger.codec import BodyCodec, Secret, command_hash, recorded
from ferryman.protocol.ledger.payload import PAYLOAD_BYTES, hashes, lift, lower


@recorded("property.anything/1")
@dataclass(frozen=True, slots=True)
class Anything:
    text: str
    number: int
    ratio: float
    small: bytes
    many: tuple[bytes, ...]
    by_id: dict[bytes, str]
    secret: Secret | None


data = st.binary(max_size=40) | st.integers(PAYLOAD_BYTES - 2, PAYLOAD_BYTES + 2).map(bytes)
values = st.builds(
    Anything,
    text=st.text(),
    number=st.integers(-(2**63), 2**64 - 1),
    ratio=st.floats(allow_nan=False),
    small=data,
    many=st.lists(data, max_size=4).map(tuple),
    by_id=st.dictionaries(st.binary(max_size=4), st.text(max_size=9), max_size=4),
    secret=st.none() | data.map(Secret),
)
replies = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | data | values


def seal(secret):
    return bytes(byte ^ 0x5A for byte in secret)


@given(st.lists(values, max_size=4).map(tuple), replies)
def test_a_body_comes_back_whatever_is_lifted_out_of_it(events, reply):
    codec = BodyCodec(seal, seal)
    body = codec.encode(events, reply)
    small, lifted = lift(body)
    assert set(hashes(small)) == set(lifted)
    assert lower(small, lifted.__getitem__) == body
    assert codec.decode(lower(small, lifted.__getitem__)) == (events, reply)


@given(values, values)
def test_two_commands_have_one_hash_only_if_they_are_equal(one, other):
    assert (command_hash(one) == command_hash(other)) == (one == other)
