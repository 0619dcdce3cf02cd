"""Checkpoints (wire.md §6): when a device says how far it has seen the others, and what others make of its word."""

import msgpack
import pytest

from ferryman.protocol.crypto.keys import DeviceKeys
from ferryman.protocol.crypto.sealing import Chain
from ferryman.protocol.errors import RemoteProtocolError
from ferryman.protocol.ledger.codec import decode, encode
from ferryman.protocol.sync import chain as chains
from ferryman.protocol.sync import events
from ferryman.protocol.sync.control import MAX_HEADS, Checkpoint, Head, decode_control, encode_control
from ferryman.protocol.sync.inbox import (
    CHECKPOINT_BLOBS,
    CHECKPOINT_SECONDS,
    ConfirmCheckpoint,
    Inbox,
    MakeCheckpoint,
    Position,
    Take,
    heads,
)
from ferryman.protocol.sync.opening import Given, judge, open_entry
from ferryman.protocol.sync.strands import MAX_CHAINS, Link, seen, strands
from tests.fakes.sync_values import THEIRS, Sender, group_keys, hash_of, number

GROUP = group_keys().group_id
THIRD = DeviceKeys.from_seed(b"\x02" * 32)
machine = Inbox()


# --- when


def taken(*times, state=None, data=1):
    """The inbox after blobs taken at these times, one by one, of one chain."""
    state = state or machine.initial
    start = len(state.positions[GROUP].chains[(THEIRS.device_id, b"chain-00")].window) if state.positions else 0
    for seq, at in enumerate(times, start + 1):
        link = Link(THEIRS.device_id, Chain(b"chain-00", seq, number(seq - 1)), number(seq))
        take = Take(GROUP, 0, (seq,), strands([link]), seq, data, at)
        for event in machine.decide(state, take).events:
            state = machine.evolve(state, event)
    return state


def owed(state):
    return list(machine.owed(state).values())


@pytest.mark.parametrize(
    ("times", "due"),
    [
        pytest.param([5] * (CHECKPOINT_BLOBS - 1), False, id="one blob too few"),
        pytest.param([5] * CHECKPOINT_BLOBS, True, id="256 blobs"),
        pytest.param([5, 4 + CHECKPOINT_SECONDS], False, id="a second before a day is over"),
        pytest.param([5, 5 + CHECKPOINT_SECONDS], True, id="a day"),
        pytest.param([5 + CHECKPOINT_SECONDS], False, id="a first blob, whenever it comes"),
    ],
)
@pytest.mark.req("W6-28", "W6-29")
def test_a_checkpoint_is_due_after_256_blobs_or_a_day(times, due):
    assert (CHECKPOINT_BLOBS, CHECKPOINT_SECONDS) == (256, 24 * 3600)
    assert owed(taken(*times)) == ([MakeCheckpoint(GROUP)] if due else [])


def test_control_blobs_call_for_no_checkpoint_or_two_devices_would_call_each_other_for_ever():
    assert owed(taken(*[5] * 300, data=0)) == []


def test_a_checkpoint_that_is_made_is_owed_no_more_and_the_next_one_is_another_debt():
    state = taken(*[5] * 300)
    first = set(machine.owed(state))
    for event in machine.decide(state, ConfirmCheckpoint(GROUP, 300)).events:
        state = machine.evolve(state, event)
    assert owed(state) == []
    again = taken(*[6] * CHECKPOINT_BLOBS, state=state)
    assert len(set(machine.owed(again)) - first) == 1


def test_what_came_while_it_was_made_counts_for_the_next_one():
    state = taken(*[5] * 300)
    for event in machine.decide(state, ConfirmCheckpoint(GROUP, 256)).events:
        state = machine.evolve(state, event)
    assert state.positions[GROUP].unmarked == 44
    assert decode(encode(state)) == state


def test_its_heads_are_the_last_blobs_that_were_taken():
    assert heads(taken(5, 5, 5).positions[GROUP]) == (Head(THEIRS.device_id, b"chain-00", 3, number(3)),)


def heard_in(*chains, checkpoints=0):
    """The heads of a device that heard one blob in each of these chains, in this order: (device, chain number)."""
    links = [Link(device, Chain(b"chain%3d" % chain, 1, bytes(16)), number(1)) for device, chain in chains]
    position = Position(chains=seen({}, strands(links)), checkpoints=checkpoints)
    return [(head.device_id, int(head.chain_id[5:])) for head in heads(position)]


LOUD, QUIET, SHY = b"l" * 32, b"q" * 32, b"s" * 32


def test_a_device_with_many_chains_pushes_nobody_out_of_a_checkpoint():
    said = heard_in((QUIET, 1), *[(LOUD, chain) for chain in range(500)], (QUIET, 2))
    assert said[:4] == [(LOUD, 499), (QUIET, 2), (LOUD, 498), (QUIET, 1)], "the one heard of last is the first"


def test_a_checkpoint_names_so_many_chains_and_no_more():
    devices = [bytes([device]) * 32 for device in range(64)]
    assert len(heard_in(*[(device, chain) for device in devices for chain in range(5)])) == MAX_HEADS


def test_of_a_device_with_too_many_chains_the_one_not_heard_of_for_longest_is_forgotten():
    known = heard_in((QUIET, 1), *[(LOUD, chain) for chain in range(MAX_CHAINS)], (LOUD, 0), (LOUD, 99))
    assert [chain for device, chain in known if device == LOUD] == [99, 0, *range(MAX_CHAINS - 1, 1, -1)]
    assert (QUIET, 1) in known


def test_blobs_of_too_many_chains_are_given_and_their_chains_forgotten():
    known = {}
    for chain in range(2 * MAX_CHAINS):
        entry = Sender(THEIRS, b"chain%3d" % chain).entry(chain + 1)
        outcome, known, _ = open_entry(entry, keys=group_keys(), chains=known, max_blob_size=1 << 20)
        assert isinstance(outcome, Given)
    assert len(known) == MAX_CHAINS


def test_a_chain_that_is_heard_of_again_is_the_last_one_heard_of():
    assert heard_in((LOUD, 1), (LOUD, 2), (LOUD, 1)) == [(LOUD, 1), (LOUD, 2)]


def test_where_not_all_devices_fit_each_has_its_turn():
    devices = [bytes([low, high]) * 16 for high in range(2) for low in range(200)]
    chains = [(device, 1) for device in devices]
    turns = {device for turn in range(len(devices)) for device, _ in heard_in(*chains, checkpoints=turn)}
    assert turns == set(devices)
    assert [heard_in((QUIET, 1), (SHY, 1), checkpoints=turn)[0][0] for turn in range(3)] == [QUIET, SHY, QUIET]


# --- how it is written


FARTHEST = Head(b"d" * 32, b"chain-00", 2**63 - 1, b"h" * 16)


@pytest.mark.parametrize("count", [MAX_HEADS, 1_024], ids=["as many as we write", "as many as are read"])
def test_a_checkpoint_with_many_heads_is_readable(count):
    control = Checkpoint((FARTHEST,) * count)
    assert read(encode_control(control)) == control


def test_a_checkpoint_with_more_heads_than_any_list_may_have_is_not_readable():
    assert read(encode_control(Checkpoint((FARTHEST,) * 1_025))) is None


@pytest.mark.parametrize(("more", "readable"), [(6, True), (16, False)])
def test_a_checkpoint_larger_than_one_can_be_is_not_looked_at(more, readable):
    row = [FARTHEST.device_id, FARTHEST.chain_id, FARTHEST.seq, FARTHEST.sealed_hash, *[1] * more]
    content = msgpack.packb({"kind": "checkpoint", "heads": [row] * 1_024})
    assert (read(content) is not None) == readable


def read(content):
    try:
        return decode_control(content)
    except RemoteProtocolError:
        return None


@pytest.mark.parametrize(("size", "heads"), [(0, 0), (95, 0), (96, 1), (768, 10), (1 << 20, MAX_HEADS)])
def test_a_checkpoint_names_no_more_heads_than_fit_a_blob(size, heads):
    within = Checkpoint((FARTHEST,) * MAX_HEADS).within(size)
    assert len(within.heads) == heads
    assert len(encode_control(within)) <= max(size, 24)


@pytest.mark.req("W6-31")
def test_a_checkpoint_is_a_map_with_a_list_of_lists():
    control = Checkpoint((Head(THEIRS.device_id, b"chain-00", 7, number(9)),))
    assert msgpack.unpackb(encode_control(control)) == {
        "kind": "checkpoint",
        "heads": [[THEIRS.device_id, b"chain-00", 7, number(9)]],
    }
    assert decode_control(encode_control(control)) == control


@pytest.mark.parametrize(
    "head",
    [
        [b"short", b"chain-00", 7, bytes(16)],
        [bytes(32), b"chain", 7, bytes(16)],
        [bytes(32), b"chain-00", -1, bytes(16)],
    ],
)
def test_a_head_of_another_shape_is_not_readable(head):
    with pytest.raises(RemoteProtocolError):
        decode_control(msgpack.packb({"kind": "checkpoint", "heads": [head]}))


# --- what others make of it


def hear(known, head, *, signer=THIRD):
    """What a device that has seen `known` blobs of Theirs hears of a checkpoint with this head: the chains, events.

    head None: there is no checkpoint."""
    sender, word = Sender(), Sender(signer, b"chain-99")
    entries = [sender.entry(cursor) for cursor in range(1, known + 1)]
    if head is not None:
        entries.append(word.entry(99, encode_control(Checkpoint((head,))), control=True))
    seen, told = {}, ()
    for each in entries:
        _, seen, said = open_entry(each, keys=group_keys(), chains=seen, max_blob_size=1 << 20)
        told += said
    return seen, told, sender


def head(seq, sealed_hash=None, chain_id=b"chain-00"):
    sender = Sender()
    sealed = [sender.entry(cursor).payload for cursor in range(1, seq + 1)]
    return Head(THEIRS.device_id, chain_id, seq, sealed_hash or hash_of(sealed[-1]))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param(head(3), (), id="the same"),
        pytest.param(head(2), (), id="behind us"),
        pytest.param(head(2, b"another".ljust(16)), (events.HistoryFork(THEIRS.device_id, 2),), id="another past"),
        pytest.param(head(3, b"another".ljust(16)), (events.HistoryFork(THEIRS.device_id, 3),), id="another present"),
        pytest.param(head(5), (events.HistoryGap(THEIRS.device_id, 4, 5),), id="ahead of us"),
        pytest.param(head(5, chain_id=b"chain-77"), (), id="a chain that we never saw"),
    ],
)
@pytest.mark.req("W6-32", "W6-33", "W6-34")
def test_a_relay_that_shows_two_histories_is_found_out(said, told):
    assert hear(3, said)[1] == told


def heads_of(told):
    return [type(event).__name__ for event in told]


def test_a_false_word_about_a_chain_changes_nothing_that_is_believed_of_it():
    honest, told, _ = hear(3, None)
    lied_to, accused, _ = hear(3, Head(THEIRS.device_id, b"chain-00", 2**63 - 1, bytes(16)))
    key = (THEIRS.device_id, b"chain-00")
    assert (told, heads_of(accused)) == ((), ["HistoryGap"])
    assert lied_to[key] == honest[key]


def test_blobs_that_come_after_a_false_word_are_new_ones_and_a_hole_among_them_is_told():
    seen, _, sender = hear(3, Head(THEIRS.device_id, b"chain-00", 2**63 - 1, bytes(16)))
    told = []
    fourth, _hidden, sixth = [sender.entry(cursor) for cursor in (4, 5, 6)]
    for entry in (fourth, sixth):
        _, seen, said = open_entry(entry, keys=group_keys(), chains=seen, max_blob_size=1 << 20)
        told += said
    assert told == [events.HistoryGap(THEIRS.device_id, 5, 5)]


def test_what_other_devices_have_seen_more_of_is_told_at_each_word():
    view, _ = chains.receive(None, Chain(b"chain-00", 1, bytes(16)), number(1))
    said = [chains.compare(view, seq, bytes(16)) for seq in (2**63 - 1, 5, 5)]
    assert said == [(chains.HistoryGap(2, 2**63 - 1),), (chains.HistoryGap(2, 5),), (chains.HistoryGap(2, 5),)]


def test_a_checkpoint_says_one_thing_of_a_chain_however_often_it_names_it():
    named = Checkpoint((head(5),) * 100)
    seen, _, _ = hear(3, head(3))
    assert judge(encode_control(named), seen) == (events.HistoryGap(THEIRS.device_id, 4, 5),)


# --- rows: the same as one by one


@pytest.mark.parametrize("before", [0, 1, 40, 2_000])
def test_a_row_of_blobs_leads_where_they_lead_one_by_one(before):
    row = [(Chain(b"chain-00", seq, number(seq - 1)), number(seq)) for seq in range(1, before + 101)]
    one_by_one = None
    for link, sealed_hash in row:
        one_by_one, _ = chains.receive(one_by_one, link, sealed_hash)
    start = None
    for link, sealed_hash in row[:before]:
        start, _ = chains.receive(start, link, sealed_hash)
    at_once = chains.receive_row(start, row[before][0], [sealed_hash for _, sealed_hash in row[before:]])
    assert (at_once.window, at_once.last, at_once.baseline) == (one_by_one.window, one_by_one.last, one_by_one.baseline)


def test_strands_hold_what_follows_and_begin_anew_where_it_does_not():
    def link(seq, prev, mine, sender=b"s" * 32):
        return Link(sender, Chain(b"chain-00", seq, number(prev)), number(mine))

    rows = strands([link(1, 0, 1), link(2, 1, 2), link(4, 2, 4), link(5, 99, 5), link(6, 5, 6, b"t" * 32)])
    assert [(row.sender[:1], row.first.seq, len(row.row)) for row in rows] == [
        (b"s", 1, 2), (b"s", 4, 1), (b"s", 5, 1), (b"t", 6, 1),
    ]  # fmt: skip
