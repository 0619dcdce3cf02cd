"""The outbox machine, a row a transition."""

from dataclasses import replace

import pytest

from ferryman.protocol.crypto.sealing import open_blob
from ferryman.protocol.ledger.codec import check_recorded, decode, encode, recorded_types
from ferryman.protocol.machine import Decision, Refused
from ferryman.protocol.sync import outbox
from ferryman.protocol.sync.outbox import (
    Acknowledge,
    AnnounceBlobs,
    BlobAcknowledged,
    BlobQueued,
    BlobRejected,
    ChainStarted,
    Outbox,
    OutboxState,
    Reject,
    SealingRules,
)
from tests.fakes.sync_values import OURS, enqueue, group_keys, hash_of, number

machine = Outbox()
GROUP = group_keys().group_id


def carry(state, *commands):
    """The state after these commands, with all that was written to and deleted from the table."""
    table = {}
    for command in commands:
        decision = machine.decide(state, command)
        assert isinstance(decision, Decision), decision
        for event in decision.events:
            state = machine.evolve(state, event)
        for row in decision.rows:
            if row.sql == outbox.INSERT:
                table[row.parameters[:2]] = row.parameters[2]
            else:
                assert row.sql == outbox.DELETE
                table.pop(row.parameters, None)  # None: of an earlier call
    return state, table


@pytest.mark.req("W6-17")
def test_the_first_blob_of_a_group_starts_its_chain():
    decision = machine.decide(OutboxState(), enqueue(1))
    assert decision.events[0] == ChainStarted(GROUP, b"chain id")
    assert (decision.events[1].blob_id, decision.events[1].seq) == (number(1), 1)


@pytest.mark.req("W6-14", "W6-15")
def test_a_blob_is_sealed_at_its_place_in_the_chain_and_names_the_one_before():
    _, table = carry(OutboxState(), enqueue(1, b"one"), enqueue(2, b"two"))
    first, second = table[GROUP, 1], table[GROUP, 2]
    opened = open_blob(second, keys=group_keys(), sender_id=OURS.device_id, blob_id=number(2))
    assert (opened.content, opened.chain.seq, opened.chain.prev) == (b"two", 2, hash_of(first))


def test_what_is_queued_is_known_by_its_hash_and_stands_in_the_table():
    decision = machine.decide(OutboxState(), enqueue(1))
    [row] = decision.rows
    queued = decision.events[-1]
    assert (queued.sealed_hash, queued.size) == (hash_of(row.parameters[2]), len(row.parameters[2]))


def test_an_acknowledged_blob_leaves_the_queue_and_the_table_but_not_the_chain():
    state, table = carry(OutboxState(), enqueue(1), Acknowledge(GROUP, 1, number(1), 7), enqueue(2))
    lane = state.lanes[GROUP]
    assert [each.seq for each in lane.shelf.after(0, blobs=9, size=9**9)] == [2]
    assert list(table) == [(GROUP, 2)]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(Acknowledge(GROUP, 1, number(9), 7), id="another blob in that place"),
        pytest.param(Acknowledge(GROUP, 9, number(1), 7), id="another place for that blob"),
        pytest.param(Acknowledge(b"?" * 32, 1, number(1), 7), id="another group"),
    ],
)
def test_an_acknowledgement_of_something_else_forgets_nothing(command):
    state, _ = carry(OutboxState(), enqueue(1))
    decision = machine.decide(state, command)
    assert (decision.events, decision.rows) == ((), ())


def test_an_acknowledgement_that_comes_again_is_no_news():
    state, _ = carry(OutboxState(), enqueue(1), Acknowledge(GROUP, 1, number(1), 7))
    assert machine.decide(state, Acknowledge(GROUP, 1, number(1), 7)).events == ()


def test_a_rejected_blob_is_set_aside_under_its_error():
    state, table = carry(OutboxState(), enqueue(1), Reject(GROUP, 1, number(1), 2001))
    lane = state.lanes[GROUP]
    assert (lane.rejected, lane.shelf.count, table) == (((number(1), 2001),), 0, {})


def test_a_blob_that_its_own_user_drops_leaves_the_queue_and_is_nothing_that_a_relay_refused():
    state, table = carry(OutboxState(), enqueue(1), enqueue(2), Reject(GROUP, 1, number(1), outbox.DROPPED))
    lane = state.lanes[GROUP]
    assert (lane.rejected, lane.shelf.count, list(table)) == ((), 1, [(GROUP, 2)])


@pytest.mark.req("W1-24")
def test_data_for_a_blob_that_no_relay_would_take_is_refused():
    limit = 2048
    rules = SealingRules(max_blob_size=limit, sign=True)
    assert isinstance(machine.decide(OutboxState(), enqueue(1, bytes(limit - 256), rules=rules)), Decision)
    refused = machine.decide(OutboxState(), enqueue(1, bytes(limit - 255), rules=rules))
    assert isinstance(refused, Refused)
    assert refused.code == "BLOB_TOO_LARGE"


@pytest.mark.parametrize(("blobs", "size"), [(1, 10**9), (10**9, 400)])
def test_a_full_outbox_refuses_more(monkeypatch, blobs, size):
    monkeypatch.setattr(outbox, "MAX_WAITING_BLOBS", blobs)
    monkeypatch.setattr(outbox, "MAX_WAITING_BYTES", size)
    state, _ = carry(OutboxState(), enqueue(1, bytes(300)))
    refused = machine.decide(state, enqueue(2, bytes(300)))
    assert isinstance(refused, Refused)
    assert refused.code == "OUTBOX_FULL"


def test_it_owes_one_announcement_a_group_as_long_as_something_waits():
    state, _ = carry(OutboxState(), enqueue(1), enqueue(2))
    assert list(machine.owed(state).values()) == [AnnounceBlobs(GROUP, 2)]
    state, _ = carry(state, Acknowledge(GROUP, 1, number(1), 7), Acknowledge(GROUP, 2, number(2), 8))
    assert machine.owed(state) == {}


def test_a_blob_more_is_another_debt_so_that_it_is_announced_again():
    one, _ = carry(OutboxState(), enqueue(1))
    two, _ = carry(one, enqueue(2))
    assert machine.owed(one).keys().isdisjoint(machine.owed(two))


@pytest.mark.req("W6-10")
def test_a_control_blob_is_always_signed():
    _, table = carry(OutboxState(), enqueue(1, control=True))
    opened = open_blob(table[GROUP, 1], keys=group_keys(), sender_id=OURS.device_id, blob_id=number(1))
    assert (opened.control, opened.sign_pub) == (True, OURS.sign_pub)


def test_the_totals_that_are_answered_are_those_of_the_state():
    state = OutboxState()
    for command in (enqueue(1), enqueue(2), Acknowledge(GROUP, 1, number(1), 3), Reject(GROUP, 2, number(2), 1000)):
        decision = machine.decide(state, command)
        for event in decision.events:
            state = machine.evolve(state, event)
        totals = getattr(decision.reply, "totals", decision.reply)
        shelf = state.lanes[GROUP].shelf
        assert (totals.steps, totals.count, totals.size) == (state.steps, shelf.count, shelf.size)


def test_its_state_comes_back_from_a_snapshot():
    state, _ = carry(OutboxState(), enqueue(1), enqueue(2), Reject(GROUP, 1, number(1), 2001))
    assert decode(encode(state)) == state


OURS_IN_THE_LEDGER = [name for name in recorded_types() if name.startswith(("outbox.", "inbox.", "group."))]


@pytest.mark.parametrize("name", OURS_IN_THE_LEDGER)
def test_what_is_recorded_can_be_read_back(name):
    check_recorded(recorded_types()[name])


def test_old_events_are_read_as_they_were_written():
    events = [
        ChainStarted(GROUP, b"chain id"),
        BlobQueued(GROUP, number(1), 1, b"hash", 10),
        BlobQueued(GROUP, number(2), 2, b"hash", 10),
        BlobAcknowledged(GROUP, number(1), 1, 5),
        BlobRejected(GROUP, number(2), 2, 1000),
    ]
    state = OutboxState()
    for event in events:
        assert decode(encode(event)) == event
        state = machine.evolve(state, event)
    lane = state.lanes[GROUP]
    assert (lane.shelf.count, lane.shelf.size, state.steps) == (0, 0, 5)
    assert replace(lane.chain, prev=b"") == replace(lane.chain, chain_id=b"chain id", seq=2, prev=b"")
