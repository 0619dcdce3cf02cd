"""What a reader gets over resets of the relay and restarts of the client: everything once, and no false gap."""

from dataclasses import dataclass

import pytest

from ferryman.actors.reader_desk import ReaderDesk
from ferryman.protocol.crypto.keys import DeviceKeys, GroupKeys
from ferryman.protocol.relay.messages import PullResponse, Welcome
from ferryman.protocol.sync import client
from ferryman.protocol.sync.happenings import Begin, Lost, Received, Recorded, Secured, Upgraded
from ferryman.protocol.sync.inbox import START, Inbox, Restart, Take
from ferryman.protocol.sync.intake import resume
from ferryman.protocol.sync.opening import Given
from ferryman.protocol.sync.session import Session
from ferryman.protocol.sync.strands import strands
from tests.fakes.sync_values import OURS, Sender, group_keys

GROUP = group_keys().group_id


@dataclass
class Keys:
    keys: GroupKeys
    device: DeviceKeys


def desk(chains=None):
    made = ReaderDesk(Keys(group_keys(), OURS), 1 << 20)
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
    desk_.see(strands([first.link]), late=True)
    assert opened(desk_, entry)[0] == [None]


def test_a_control_blob_has_its_place_after_a_restart_of_the_client_too():
    sender, machine = Sender(), Inbox()
    desk_, state = desk(), Inbox.initial
    entries = [sender.entry(1, b"1"), sender.entry(2, b"\x80", control=True), sender.entry(3, b"3")]
    for entry, outcome in zip(entries, opened(desk_, *entries[:2])[2], strict=False):
        for event in machine.decide(
            state, Take(GROUP, 0, (entry.cursor,), strands([outcome.link]), entry.cursor)
        ).events:
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
