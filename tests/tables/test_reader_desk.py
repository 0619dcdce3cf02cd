"""What a reader gets over resets of the relay and restarts of the client: everything once, and no false gap."""

from dataclasses import dataclass

import pytest

from ferryman.actors.reader_desk import OPEN_SLICE_BYTES, OPENED_BYTES, ReaderDesk
from ferryman.actors.sync_messages import Taken
from ferryman.protocol.crypto.keys import DeviceKeys, GroupKeys
from ferryman.protocol.crypto.sealing import seal
from ferryman.protocol.relay.messages import BlobEntry, PullResponse, Welcome
from ferryman.protocol.sync import client
from ferryman.protocol.sync.chain import WINDOW
from ferryman.protocol.sync.events import HistoryGap, HistoryGapClosed
from ferryman.protocol.sync.happenings import Begin, Lost, Received, Recorded, Secured, Upgraded
from ferryman.protocol.sync.inbox import START, Inbox, Restart, Take
from ferryman.protocol.sync.intake import resume
from ferryman.protocol.sync.opening import Given
from ferryman.protocol.sync.session import Session
from ferryman.protocol.sync.strands import strands
from tests.fakes.sync_values import OURS, THEIRS, Sender, group_keys, number

GROUP = group_keys().group_id


@dataclass
class Keys:
    keys: GroupKeys
    device: DeviceKeys


class Waiting:
    """The question of a reader."""

    wants_reply = True
    answer = ()

    def reply(self, value):
        self.answer = value


def desk(chains=None, max_blob_size=1 << 20):
    made = ReaderDesk(Keys(group_keys(), OURS), max_blob_size)
    made.remember(chains or {})
    return made


def opened(desk, *entries):
    """What each holds for the host, and what was told."""
    outcomes, heard = [], []
    for entry in entries:
        outcome, told = desk.open(entry, 0, 0.0)
        outcomes.append(outcome)
        heard += told
    return [one.content if isinstance(one, Given) else None for one in outcomes], heard, outcomes


def test_what_was_opened_and_not_taken_is_given_again_after_a_reset():
    sender, desk_ = Sender(), desk()
    entries = [sender.entry(cursor, b"%d" % cursor) for cursor in (1, 2, 3)]
    _, _, (first, *_) = opened(desk_, *entries)
    desk_.see(strands([first.link]))
    desk_.restart()
    assert opened(desk_, *entries)[0] == [None, b"2", b"3"]


def test_what_is_taken_late_is_not_given_again_after_a_reset():
    sender, desk_ = Sender(), desk()
    entry = sender.entry(1, b"1")
    _, _, (first,) = opened(desk_, entry)
    desk_.restart()
    desk_.see_late([first.link])
    assert opened(desk_, entry)[0] == [None]


def test_a_gap_told_after_a_reset_is_closed_when_the_host_takes_what_it_held():
    """The relay lost blobs that it had given: as long as the host has not taken them, they may be lost for good."""
    sender, desk_ = Sender(), desk()
    entries = [sender.entry(cursor) for cursor in (1, 2, 3, 4)]
    _, _, (first, second, third) = opened(desk_, *entries[:3])
    desk_.see(strands([first.link]))
    desk_.restart()
    assert opened(desk_, entries[3])[1] == [HistoryGap(THEIRS.device_id, 2, 3)]
    assert desk_.see_late([second.link]) == []
    assert desk_.see_late([third.link]) == [HistoryGapClosed(THEIRS.device_id, 3, 3)], "what was still missing of it"


# --- what the host took before its turn


def taken(entry, outcome):
    return Taken(entry.cursor, 0, outcome.link)


def far_ahead(count):
    """So many blobs, and as another desk has opened them, which crashed then."""
    sender = Sender()
    entries = [sender.entry(cursor) for cursor in range(1, count + 1)]
    return entries, [taken(*pair) for pair in zip(entries, opened(desk(), *entries)[2], strict=True)]


@pytest.mark.parametrize("ahead", [[2, 3, 4], [4, 2, 3], [3, 4, 2]])
def test_places_taken_ahead_are_no_gap_in_whatever_order_they_were_taken(ahead):
    entries, all_taken = far_ahead(6)
    desk_ = desk()
    opened(desk_, entries[0])
    desk_.taken([all_taken[number - 1] for number in ahead])
    assert opened(desk_, entries[4], entries[5])[:2] == ([b"content"] * 2, [])


def test_more_than_a_chain_remembers_taken_ahead_is_no_gap():
    entries, all_taken = far_ahead(WINDOW + 300)
    desk_ = desk()
    desk_.taken(all_taken[:-1])
    assert opened(desk_, entries[-1])[:2] == ([b"content"], [])


def test_what_lies_before_a_place_taken_ahead_is_given_in_its_turn():
    entries, all_taken = far_ahead(5)
    desk_ = desk()
    opened(desk_, entries[0])
    desk_.taken([all_taken[3]])
    assert opened(desk_, *entries[1:3], entries[4])[:2] == ([b"content"] * 3, [])


def test_a_blob_that_never_came_before_one_taken_ahead_is_a_gap():
    entries, all_taken = far_ahead(5)
    desk_ = desk()
    opened(desk_, entries[0])
    desk_.taken([all_taken[3]])
    assert opened(desk_, entries[4])[1] == [HistoryGap(THEIRS.device_id, 2, 3)]


def test_more_taken_ahead_than_is_kept_is_no_gap_either(monkeypatch):
    monkeypatch.setattr("ferryman.actors.reader_desk.MAX_ABOVE", 2)
    entries, all_taken = far_ahead(6)
    desk_ = desk()
    opened(desk_, entries[0])
    desk_.taken(all_taken[1:5])
    assert opened(desk_, entries[5])[:2] == ([b"content"], [])


def test_a_blob_given_to_a_pull_under_the_cursor_of_another_does_not_take_that_one():
    """The relay would hide it: its place is seen, so that no gap would ever be told."""
    entries, all_taken = far_ahead(2)
    desk_ = desk()
    opened(desk_, *entries)
    assert desk_.taken([all_taken[0], Taken(2, 0, all_taken[0].link)]) == (1,)
    desk_.seat(waiting := Waiting(), 1)
    desk_.hand((entries[1],))
    assert [handed.cursor for handed in waiting.answer] == [2]


def test_what_was_taken_ahead_of_a_history_that_is_gone_has_no_turn():
    entries, all_taken = far_ahead(2)
    desk_ = desk()
    desk_.taken([all_taken[1]])
    desk_.restart()
    counted_anew = [BlobEntry(e.blob_id, e.cursor + 10, e.sender_id, e.payload, 0) for e in entries]
    assert opened(desk_, *counted_anew)[:2] == ([b"content"] * 2, [])


# --- what is held


def compressed(sender, cursor, size):
    content = bytes(size)
    sealed = seal(
        content, keys=group_keys(), device=THEIRS, blob_id=number(cursor), nonce=number(cursor, 24),
        chain=sender.chain.next(), sign=False, compress=True, max_blob_size=OPENED_BYTES,
    )  # fmt: skip
    sender.chain = sender.chain.sent(sealed)
    return BlobEntry(number(cursor), cursor, THEIRS.device_id, sealed, 0)


def test_a_blob_larger_than_the_bound_is_opened_alone_and_makes_room_when_it_is_taken():
    sender, desk_ = Sender(), desk(max_blob_size=OPENED_BYTES)
    entries = tuple(compressed(sender, cursor, OPENED_BYTES + 1) for cursor in (1, 2))
    outcomes = opened(desk(max_blob_size=OPENED_BYTES), *entries)[2]
    assert sum(len(entry.payload) for entry in entries) < 100_000
    for rest, outcome in ((entries, outcomes[0]), (entries[1:], outcomes[1])):
        assert desk_.has_room
        assert desk_.open_slice(rest, 0, 0.0).through == rest[0].cursor
        assert not desk_.has_room
        desk_.taken([taken(rest[0], outcome)])


def test_a_slice_ends_where_enough_is_opened_however_little_came():
    sender, desk_ = Sender(), desk()
    entries = tuple(compressed(sender, cursor, OPEN_SLICE_BYTES // 4) for cursor in range(1, 10))
    assert desk_.open_slice(entries, 0, 0.0).through in (3, 4)


def test_a_reset_forgets_what_was_held():
    desk_ = desk(max_blob_size=OPENED_BYTES)
    desk_.open_slice((compressed(Sender(), 1, OPENED_BYTES + 1),), 0, 0.0)
    desk_.restart()
    assert desk_.has_room


# --- over restarts


def test_a_control_blob_has_its_place_after_a_restart_of_the_client_too():
    sender, machine = Sender(), Inbox()
    desk_, state = desk(), Inbox.initial
    entries = [sender.entry(1, b"1"), sender.entry(2, b"\x80", control=True), sender.entry(3, b"3")]
    for entry, outcome in zip(entries, opened(desk_, *entries[:2])[2], strict=False):
        places = strands([outcome.link] if outcome.link else [])
        for event in machine.decide(state, Take(GROUP, 0, (entry.cursor,), places, entry.cursor)).events:
            state = machine.evolve(state, event)
    contents, told, _ = opened(desk(state.positions[GROUP].chains), entries[2])
    assert (contents, told) == ([b"3"], [])


def reset():
    """A session with 500 blobs, whose relay, which names no run of its cursors, lost them all."""
    session = Session(resume(OURS.device_id, 500, ()), recorded=500)
    for happened in (Begin(), Upgraded(), Secured(), Received(Welcome(1, "r", 3, 3))):
        session, _ = client.step(session, happened, 0.0)
    return session


def test_a_late_record_of_a_history_that_is_gone_counts_for_nothing():
    session, effects = client.step(reset(), Recorded(501), 0.0)
    assert (session.recorded, effects) == (0, ())


def test_a_reset_begins_another_run_though_the_relay_names_none():
    assert reset().run == 1


@pytest.mark.parametrize("name", [b"", b"incarnation-two."])
def test_a_connection_that_goes_on_is_of_the_same_run(name):
    session = Session(resume(OURS.device_id, 3, ()), incarnation=name, recorded=3)
    run = session.run
    entries = Received(PullResponse((), has_more=False, max_cursor=3, min_cursor=1))
    for happened in (Begin(), Upgraded(), Secured(), Received(Welcome(1, "r", 3, 3, 1, 30, name)), entries, Lost("x")):
        session, _ = client.step(session, happened, 0.0)
    assert session.run == run


def test_a_blob_of_another_run_moves_its_chain_and_no_cursor():
    machine, state = Inbox(), Inbox.initial
    _, _, (first,) = opened(desk(), Sender().entry(7, b"7"))
    for event in machine.decide(state, Take(GROUP, 7, (7,), strands([first.link]))).events:
        state = machine.evolve(state, event)
    position = state.positions.get(GROUP, START)
    assert (position.through, position.above, len(position.chains)) == (0, (), 1)


def test_what_stood_behind_a_hole_is_forgotten_when_the_relay_counts_anew_under_the_same_name():
    machine, state = Inbox(), Inbox.initial
    for command in (Take(GROUP, 0, (3,), ()), Restart(GROUP, 1, b"")):
        for event in machine.decide(state, command).events:
            state = machine.evolve(state, event)
    assert state.positions[GROUP].above == ()
