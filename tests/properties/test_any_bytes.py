"""Whatever bytes come: every decoder returns a value or refuses in the way that it names; nothing else comes out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.decoders import DECODERS

PIECES = [b"\x00", b"\xff", b"\r\n", b":", b",", b"[", b"\xc1", b"\x80", b"\xdf\xff\xff\xff\xff", b"\xd9", b"9" * 30]


@st.composite
def damaged(draw, seeds):
    """A good input, changed in up to four places: a byte flipped, a stretch cut out, doubled or replaced."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.sampled_from([0, 1, 1, 2, 4, 16, 256]))
        middle = draw(st.sampled_from(PIECES) | st.binary(max_size=8) | st.just(bytes(data[at : at + size])))
        data[at : at + draw(st.sampled_from([0, size]))] = middle
    return bytes(data)


@pytest.mark.parametrize("name", DECODERS)
def test_any_bytes_are_read_or_refused(name):
    decoder = DECODERS[name]
    seeds = [*decoder.seeds()]
    for seed in seeds:
        decoder.read(seed)

    @given(st.binary(max_size=200) | damaged(seeds))
    def holds(data):
        decoder.try_on(data)

    holds()
