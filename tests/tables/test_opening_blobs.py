"""From a sealed blob to what the host gets, and how unreadable ones are counted."""

import pytest
from nacl import bindings

from ferryman.protocol.crypto import domains
from ferryman.protocol.crypto.sealing import Chain
from ferryman.protocol.sync import events
from ferryman.protocol.sync.opening import Given, PassedOver, Tally, open_entry, place
from ferryman.protocol.sync.strands import MAX_CHAINS, Link
from tests.fakes.sync_values import Sender, entry, group_keys

SENDER = Sender().device.device_id


def open_all(*entries):
    """The outcome of each, and everything that was told."""
    chains, outcomes, heard = {}, [], []
    for each in entries:
        outcome, chains, told = open_entry(each, keys=group_keys(), chains=chains, max_blob_size=1 << 20)
        outcomes.append(outcome)
        heard += told
    return outcomes, heard


def contents(outcomes):
    return [outcome.content if isinstance(outcome, Given) else None for outcome in outcomes]


def test_blobs_in_a_row_are_given():
    sender = Sender()
    outcomes, told = open_all(sender.entry(1, b"one"), sender.entry(2, b"two"))
    assert (contents(outcomes), told) == ([b"one", b"two"], [])


def unsigned(cursor, content):
    """A control blob as another program may write it: without a chain and without a signature."""
    keys, nonce = group_keys(), bytes(24)
    aad = domains.BLOB + b"\x01" + bytes(4) + keys.group_id + SENDER + cursor.to_bytes(16)
    sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(b"\x04" + content, aad, nonce, keys.encryption_key)
    return entry(cursor, sender=SENDER, payload=b"\x01" + bytes(4) + nonce + sealed)


@pytest.mark.req("W9-17")
def test_in_a_room_what_is_given_are_signed_control_blobs():
    sender = Sender()
    blobs = [sender.entry(1, b"signed", control=True), unsigned(2, b"unsigned"), sender.entry(3, b"data")]
    given = []
    for each in blobs:
        outcome, _, told = open_entry(each, keys=group_keys(), chains={}, max_blob_size=1 << 20, in_room=True)
        assert told == ()
        assert not getattr(outcome, "unreadable", False)
        given += [outcome.content] if isinstance(outcome, Given) else []
    assert given == [b"signed"]


@pytest.mark.req("S4-36")
@pytest.mark.req("W6-20")
def test_the_same_blob_under_another_cursor_is_a_replay_and_not_given():
    first = Sender().entry(1)
    again = type(first)(first.blob_id, 9, first.sender_id, first.payload, 0)
    outcomes, told = open_all(first, again)
    assert (contents(outcomes), told) == ([b"content", None], [])


@pytest.mark.req("W6-22", "W6-23")
def test_a_missing_blob_is_told_and_what_comes_after_it_given():
    sender = Sender()
    first, second, third = sender.entry(1, b"1"), sender.entry(2, b"2"), sender.entry(3, b"3")
    outcomes, told = open_all(first, third, second)
    gap, closed = events.HistoryGap(SENDER, 2, 2), events.HistoryGapClosed(SENDER, 2, 2)
    assert (contents(outcomes), told) == ([b"1", b"3", b"2"], [gap, closed])


@pytest.mark.req("W6-21")
def test_another_blob_in_a_place_that_is_taken_is_a_fork_and_not_given():
    sender = Sender()
    first = sender.entry(1, b"1")
    other = sender.entry(2, b"another", chain=Chain(b"chain-00", 1, bytes(16)))
    outcomes, told = open_all(first, other)
    assert (contents(outcomes), told) == ([b"1", None], [events.HistoryFork(SENDER, 1)])


def test_a_control_blob_is_not_the_hosts_but_has_its_place():
    sender = Sender()
    outcomes, told = open_all(sender.entry(1, b"\x80", control=True), sender.entry(2, b"two"))
    assert (contents(outcomes), told) == ([None, b"two"], [])


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x01" + bytes(60), b"\x02" + bytes(60)])
@pytest.mark.req("W6-47")
def test_what_does_not_open_is_passed_over(payload):
    outcomes, told = open_all(entry(1, payload=payload))
    assert (outcomes, told) == ([PassedOver(unreadable=True)], [])


def test_a_blob_under_another_senders_name_does_not_open():
    mine = Sender().entry(1)
    stolen = type(mine)(mine.blob_id, 1, b"\x05" * 32, mine.payload, 0)
    assert open_all(stolen)[0] == [PassedOver(unreadable=True)]


@pytest.mark.req("W6-46")
def test_unreadable_blobs_are_one_event_a_sender_and_minute():
    tally, told = Tally().count(b"a", 0.0)
    assert told == (events.UndecryptableBlobs(b"a", 1),)
    for moment in (1.0, 2.0):
        tally, told = tally.count(b"a", moment)
        assert told == ()
    tally, told = tally.count(b"b", 3.0)
    assert told == (events.UndecryptableBlobs(b"b", 1),)
    tally, told = tally.flush(59.9)
    assert told == ()
    tally, told = tally.flush(60.0)
    assert told == (events.UndecryptableBlobs(b"a", 2),)
    assert tally.flush(1000.0) == (Tally(), ())


def test_senders_that_a_relay_makes_up_are_counted_together():
    tally, heard = Tally(), []
    for sender in range(1, 1_001):
        tally, told = tally.count(sender.to_bytes(32, "big"), 0.0)
        heard += told
    _, told = tally.flush(61.0)
    assert (len(heard), told) == (65, (events.UndecryptableBlobs(bytes(32), 935),))


def test_of_one_device_few_chains_are_remembered_of_what_the_host_took_ahead_too():
    chains = {}
    for each in range(MAX_CHAINS + 3):
        link = Link(b"s" * 32, Chain(each.to_bytes(8, "big"), 1, bytes(16)), b"hash".ljust(16))
        chains, _ = place(chains, link)
    assert [int.from_bytes(chain_id, "big") for _, chain_id in chains] == list(range(3, MAX_CHAINS + 3))
