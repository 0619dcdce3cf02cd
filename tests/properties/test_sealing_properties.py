"""Laws of sealed blobs, sessions, short codes and invites."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from ferryman.protocol.crypto.sealing import Chain, UndecryptableBlob, open_blob, padded_size, seal
from ferryman.protocol.errors import BadInput, RemoteProtocolError
from ferryman.protocol.identity import read_base64
from ferryman.protocol.relay.code_letters import canonical
from ferryman.protocol.sync.control import decode_control
from ferryman.protocol.sync.invite import GroupInvite, read_link, read_payload
from ferryman.protocol.sync.short_code import new_code, read_code
from tests.fakes.wire import ANNA, BERT, BLOB_ID, group, handshake
from tests.properties.effort import examples


def exactly(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


CHAIN = st.builds(Chain, exactly(8), st.integers(2, 2**63 - 1), exactly(16))
KIND = st.fixed_dictionaries(
    {"control": st.booleans(), "sign": st.booleans(), "pad": st.booleans(), "compress": st.booleans()}
)


@given(st.binary(max_size=300), exactly(16), exactly(24), CHAIN, KIND)
def test_what_one_member_seals_another_opens(content, blob_id, nonce, chain, kind):
    sealed = seal(content, keys=group(), device=ANNA, blob_id=blob_id, nonce=nonce, chain=chain, **kind)
    opened = open_blob(sealed, keys=group(), sender_id=ANNA.device_id, blob_id=blob_id)
    assert (opened.content, opened.chain, opened.control) == (content, chain, kind["control"])
    assert (opened.sign_pub is not None) == (kind["sign"] or kind["control"])
    assert len(sealed) <= len(content) * 1.12 + 256


SEALED = seal(
    b"content", keys=group(), device=ANNA, blob_id=BLOB_ID, nonce=bytes(24), chain=Chain(bytes(8), 1, bytes(16))
)


@given(
    st.binary(max_size=300)
    | st.tuples(st.integers(0, len(SEALED)), st.binary(max_size=8)).map(
        lambda change: SEALED[: change[0]] + change[1] + SEALED[change[0] + len(change[1]) :]
    )
)
def test_whatever_bytes_come_they_open_as_what_was_sealed_or_not_at_all(data):
    try:
        assert open_blob(data, keys=group(), sender_id=ANNA.device_id, blob_id=BLOB_ID).content == b"content"
    except UndecryptableBlob:
        assert data != SEALED


@given(st.integers(2, 2**40))
def test_padding_grows_by_at_most_12_percent_and_padding_twice_is_padding_once(size):
    assert size <= padded_size(size) <= size * 1.12 + 1
    assert padded_size(padded_size(size)) == padded_size(size)


@settings(max_examples=examples(30))
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 200_000)), max_size=6))
def test_a_conversation_arrives_as_it_was_said(frames):
    client, relay = handshake()
    for upward, size in frames:
        speaker, listener = (client, relay) if upward else (relay, client)
        frame = size.to_bytes(4, "big") * (size // 4 + 1)
        assert listener.open_frame(speaker.seal_frame(frame[:size])) == frame[:size]


@given(st.binary(max_size=200))
def test_a_session_opens_nothing_that_was_not_sealed_for_it(data):
    _, relay = handshake()
    with contextlib.suppress(RemoteProtocolError):
        relay.open_frame(data)
        raise AssertionError("it opened")


@given(exactly(10))
def test_a_short_code_is_read_from_what_is_shown(entropy):
    code = new_code(entropy)
    assert read_code(code.shown) == read_code(code.shown.lower()) == code
    assert canonical(code.lookup_key) == code.lookup_key


@given(st.text(max_size=24))
def test_a_lookup_key_in_canonical_form_stays_as_it_is(text):
    found = canonical(text)
    assert found is None or canonical(found) == found


INVITE = st.builds(
    GroupInvite,
    st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()),
    exactly(32),
    exactly(32),
    exactly(32),
    st.integers(0, 2**63 - 1),
    st.none() | exactly(32),
    st.none() | st.binary(max_size=16),
    st.booleans(),
)


@given(INVITE)
def test_an_invite_is_read_from_its_link_and_its_payload(invite):
    assert read_link(invite.link()) == read_payload(invite.payload()) == invite


@given(st.text(max_size=60), st.binary(max_size=60))
def test_whatever_is_pasted_or_fetched_is_an_invite_or_bad_input(text, data):
    for read, given_ in ((read_link, text), (read_link, "ferryman://sync?invite=" + text), (read_payload, data)):
        with contextlib.suppress(BadInput):
            read(given_)


@given(st.binary(max_size=60))
def test_whatever_a_control_blob_holds_only_a_remote_protocol_error_leaves(content):
    with contextlib.suppress(RemoteProtocolError):
        decode_control(content)


@given(st.text(max_size=20))
def test_base64_reads_or_says_value_error(text):
    with contextlib.suppress(ValueError):
        read_base64(text)


def test_a_blob_of_one_sender_is_none_of_another():
    for sender, opens in ((ANNA, True), (BERT, False)):
        try:
            open_blob(SEALED, keys=group(), sender_id=sender.device_id, blob_id=BLOB_ID)
        except UndecryptableBlob:
            assert not opens
        else:
            assert opens
