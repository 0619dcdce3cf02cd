"""The inbox machine, a row a transition."""

import pytest

from ferryman.protocol.crypto.sealing import Chain
from ferryman.protocol.ledger.codec import decode, encode
from ferryman.protocol.sync import inbox
from ferryman.protocol.sync.chain import Replayed, receive
from ferryman.protocol.sync.inbox import START, Advance, Inbox, InboxState, Restart, Take
from ferryman.protocol.sync.strands import Link, strands

machine = Inbox()
GROUP = b"g" * 32
ERA = b"incarnation-one."
LATER = b"incarnation-two."
SENDER = b"s" * 32


def link(seq):
    return Link(SENDER, Chain(b"chain-00", seq, bytes(16)), b"hash".ljust(16))


def take(cursor, *, run=1, through=0, seq=None):
    return Take(GROUP, run, (cursor,), strands([link(seq or cursor)]), through)


def carry(*commands, state=None):
    """The state after these commands, and the last reply."""
    state = state or machine.evolve(InboxState(), inbox.CursorsRestarted(GROUP, ERA, 0, 1))
    reply = None
    for command in commands:
        decision = machine.decide(state, command)
        reply = decision.reply
        for event in decision.events:
            state = machine.evolve(state, event)
    return state, reply


@pytest.mark.parametrize(
    ("commands", "through", "above"),
    [
        pytest.param([take(1, through=1)], 1, (), id="the next one"),
        pytest.param([take(3)], 0, (3,), id="one behind a hole"),
        pytest.param([take(3), take(2)], 0, (2, 3), id="two behind a hole"),
        pytest.param([take(3), take(1, through=3)], 3, (), id="the hole is filled"),
        pytest.param([take(3), Advance(GROUP, 1, 2)], 2, (3,), id="the frontier moves, not that far"),
        pytest.param([Advance(GROUP, 1, 5)], 5, (), id="nothing to take"),
        pytest.param([Advance(GROUP, 1, 5), Advance(GROUP, 1, 4)], 5, (), id="it never goes back"),
        pytest.param([Advance(GROUP, 2, 5)], 0, (), id="of another run"),
        pytest.param([take(1, through=1), Restart(GROUP, 2, LATER)], 0, (), id="the relay counts anew"),
        pytest.param([take(3), Restart(GROUP, 2, LATER)], 0, (), id="it counts anew behind a hole"),
        pytest.param([Advance(GROUP, 1, 5), Restart(GROUP, 1, LATER)], 5, (), id="it names what it had not"),
        pytest.param([Restart(GROUP, 2, LATER), take(4)], 0, (), id="a blob of before"),
    ],
)
def test_where_the_host_stands(commands, through, above):
    state, reply = carry(*commands)
    position = state.positions[GROUP]
    assert (position.through, position.above, reply) == (through, above, through)


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(take(3), id="taken behind a hole"),
        pytest.param(Advance(GROUP, 1, 0), id="no further"),
    ],
)
def test_what_says_nothing_new_is_not_recorded(again):
    state, _ = carry(take(3))
    assert machine.decide(state, again).events == ()


def test_to_count_anew_from_where_it_stands_is_not_recorded():
    assert machine.decide(carry()[0], Restart(GROUP, 1, ERA)).events == ()


def test_a_blob_taken_again_still_carries_the_frontier_along():
    state, reply = carry(take(3), take(3, through=3))
    assert (state.positions[GROUP].through, reply) == (3, 3)


def test_a_taken_blob_is_seen_in_its_chain_and_comes_back_as_a_replay():
    state, _ = carry(take(1, through=1))
    view = state.positions[GROUP].chains.get((SENDER, b"chain-00"))
    assert receive(view, link(1).chain, link(1).sealed_hash)[1] == (Replayed(),)


@pytest.mark.req("S4-36")
def test_the_chains_stay_when_the_relay_counts_anew_so_that_it_cannot_replay():
    state, _ = carry(take(1, through=1), Restart(GROUP, 2, LATER))
    assert list(state.positions[GROUP].chains) == [(SENDER, b"chain-00")]


def test_a_blob_of_an_earlier_incarnation_moves_its_chain_and_no_cursor():
    state, _ = carry(Restart(GROUP, 2, LATER), take(4, seq=1))
    position = state.positions[GROUP]
    assert (position.through, position.above, list(position.chains)) == (0, (), [(SENDER, b"chain-00")])


def test_a_blob_without_a_chain_can_be_taken():
    state, _ = carry(Take(GROUP, 1, (1,), (), 1))
    assert (state.positions[GROUP].through, dict(state.positions[GROUP].chains)) == (1, {})


def test_too_many_blobs_behind_a_hole_are_given_again_rather_than_remembered(monkeypatch):
    monkeypatch.setattr(inbox, "MAX_ABOVE", 2)
    state, _ = carry(take(3), take(4), take(5))
    assert state.positions[GROUP].above == (4, 5)


def test_groups_stand_apart():
    other = b"h" * 32
    state, _ = carry(take(1, through=1), Restart(other, 1, ERA), Advance(other, 1, 9))
    assert (state.positions[GROUP].through, state.positions[other].through) == (1, 9)


def test_its_state_comes_back_from_a_snapshot():
    state, _ = carry(take(1, through=1), take(3))
    assert decode(encode(state)) == state
    assert machine.owed(state) == {}
    assert InboxState().positions.get(GROUP, START) == START


def test_a_relay_that_names_its_run_late_moves_nothing():
    state, reply = carry(take(1, through=1), take(3), Restart(GROUP, 1, LATER))
    position = state.positions[GROUP]
    assert (position.incarnation, position.through, position.above, reply) == (LATER, 1, (3,), 1)


def test_a_run_is_on_record_though_the_relay_names_none():
    state, _ = carry(Restart(GROUP, 2, b""), take(4))
    assert decode(encode(state)) == state
    position = state.positions[GROUP]
    assert (position.run, position.through, position.above) == (2, 0, ()), "a cursor of the run before is none"


def test_what_older_versions_recorded_is_still_read():
    state = machine.initial
    place = link(1)
    for event in (inbox.CursorsRestarted(GROUP, ERA, 0), inbox.BlobTaken(GROUP, 1, place, 1)):
        state = machine.evolve(state, decode(encode(event)))
    position = state.positions[GROUP]
    assert (position.through, [view.last for view in position.chains.values()]) == (1, [1])


def test_a_restart_that_is_said_again_after_a_later_one_changes_nothing():
    state, _ = carry(Restart(GROUP, 2, LATER), take(4, run=2))
    assert machine.decide(state, Restart(GROUP, 1, ERA)).events == ()


def test_a_take_that_is_repeated_after_a_later_one_still_has_its_place():
    """The inbox crashed between the two: the later one, which knows that nothing is left, was recorded first."""

    def row(seq):
        chain = Chain(b"chain-00", seq, b"hash".ljust(16) if seq > 1 else bytes(16))
        return Take(GROUP, 1, (seq,), strands([Link(SENDER, chain, b"hash".ljust(16))]), seq)

    state, _ = carry(row(1), row(3), row(2))
    view = state.positions[GROUP].chains[SENDER, b"chain-00"]
    assert [each.seq for each in view.window] == [1, 2, 3]
    assert (view.missing, state.positions[GROUP].through) == ((), 3)


def test_a_place_that_is_seen_is_not_recorded_again():
    state, _ = carry(take(1, through=1))
    assert machine.decide(state, take(1, through=1)).events == ()
