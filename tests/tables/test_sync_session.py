"""The session machine: connecting, greeting, pulling, pushing, and every way it ends. A row a transition."""

from dataclasses import replace

import pytest

from ferryman.protocol.relay.messages import (
    Ack,
    Error,
    Hello,
    Notify,
    Peers,
    Presence,
    Pull,
    PullResponse,
    PushAck,
    Welcome,
)
from ferryman.protocol.sync import events
from ferryman.protocol.sync.client import Step, status, step
from ferryman.protocol.sync.effects import (
    AnswerPull,
    BackOff,
    Dial,
    FailPull,
    HangUp,
    LookAtOutbox,
    Ping,
    PinRelay,
    PushBlobs,
    RecordAcknowledged,
    RecordAdvance,
    RecordRejected,
    RecordRestart,
    SayHello,
    Send,
    SetTimer,
    Tell,
)
from ferryman.protocol.sync.happenings import (
    Begin,
    BlobsOpened,
    End,
    HostBegan,
    HostGot,
    HostPulled,
    HostTook,
    Lost,
    OutboxGrew,
    OutboxSeen,
    PushGone,
    Received,
    Recorded,
    Secured,
    TimerDue,
    Upgraded,
)
from ferryman.protocol.sync.intake import resume
from ferryman.protocol.sync.session import (
    AwaitingWelcome,
    BackingOff,
    Connecting,
    Handshaking,
    Offline,
    Online,
    Rules,
    Session,
)
from tests.fakes.sync_values import INFO, OURS, THEIRS, entry, number, online, page, waiting

ERA, LATER = b"incarnation-one.", b"incarnation-two."


OFFLINE = Offline()


def fresh(phase=OFFLINE, **changes):
    return Session(resume(OURS.device_id, changes.get("recorded", 0), ()), phase=phase, **changes)


def run(session, *happened, now=0.0) -> Step:
    """The session after these, and all that it wanted."""
    wanted = ()
    for each in happened:
        session, more = step(session, each, now)
        wanted += more
    return session, wanted


def only(kind, wanted):
    return [effect for effect in wanted if isinstance(effect, kind)]


def sent(wanted):
    return [effect.message for effect in wanted if isinstance(effect, Send)]


def told(wanted):
    return [effect.event for effect in wanted if isinstance(effect, Tell)]


def welcome(top=0, **fields):
    return Received(Welcome(1, "relay", top, fields.pop("pending", 0), **fields))


def notice(cursor, payload=b"sealed"):
    return Received(Notify(number(cursor), cursor, THEIRS.device_id, 0, 6, payload))


# --- connecting

SILENT, EARLY = "the relay did not answer our HELLO", "the relay spoke before its WELCOME"


@pytest.mark.parametrize(
    ("phase", "happened", "then", "wants"),
    [
        (Offline(), Begin(), Connecting(0), [Dial()]),
        (Offline("why"), Lost("late mail"), Offline("why"), []),
        (Offline("why"), End(), Offline("why"), []),
        (BackingOff(3), TimerDue("retry"), Connecting(3), [Dial()]),
        (BackingOff(3), Begin(), Connecting(3), [Dial()]),
        (BackingOff(3), End(), Offline(), []),
        (BackingOff(3), Lost("late mail"), BackingOff(3), []),
        (Connecting(2), Begin(), Connecting(2), []),
        (Connecting(2), Upgraded(), Handshaking(2), []),
        (Connecting(2), Lost("refused"), BackingOff(3), [BackOff(3)]),
        (Connecting(2), End(), Offline(), [HangUp(1000, "sync was ended")]),
        (Handshaking(2), Secured(), AwaitingWelcome(2), [SayHello(0, b"")]),
        (Handshaking(2), Lost("gone"), BackingOff(3), [BackOff(3)]),
        (Handshaking(2), End(), Offline(), [HangUp(1000, "sync was ended")]),
        (AwaitingWelcome(2), Lost("gone"), BackingOff(3), [BackOff(3)]),
        (AwaitingWelcome(2), Lost("another", 4001), Offline("another connection of this device took over"), []),
        (AwaitingWelcome(2), TimerDue("welcome"), BackingOff(3), [HangUp(1000, SILENT), BackOff(3)]),
        (AwaitingWelcome(2), Received(PushAck(number(1), 1, 0)), BackingOff(3), [HangUp(1008, EARLY), BackOff(3)]),
        (AwaitingWelcome(2), End(), Offline(), [HangUp(1000, "sync was ended")]),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_the_way_to_a_relay(phase, happened, then, wants):
    session, wanted = run(fresh(phase), happened)
    assert session.phase == then
    assert [effect for effect in wanted if isinstance(effect, Dial | SayHello | HangUp | BackOff)] == wants


@pytest.mark.req("S4-97")
@pytest.mark.parametrize(
    ("phase", "shown"),
    [
        (Offline("why"), events.Disconnected("why")),
        (Connecting(0), events.Connecting()),
        (Handshaking(0), events.Connecting()),
        (AwaitingWelcome(0), events.Connecting()),
        (BackingOff(1), events.Reconnecting(1)),
        (Connecting(2), events.Reconnecting(2)),
        (Handshaking(3), events.Reconnecting(3)),
        (AwaitingWelcome(2**32 - 1), events.Reconnecting(2**32 - 1)),
        (online().phase, events.Connected(INFO)),
    ],
)
def test_what_a_host_is_shown_of_each_phase(phase, shown):
    assert status(fresh(phase)) == shown


@pytest.mark.req("S4-97")
def test_every_change_of_the_status_is_told_once_and_in_order():
    connect = (Upgraded(), Secured(), welcome())
    again = (Lost("gone"), TimerDue("retry"), Lost("refused"), TimerDue("retry"))
    _, wanted = run(fresh(), Begin(), *connect, *again, *connect, End())
    assert [event.status for event in told(wanted) if isinstance(event, events.StatusChanged)] == [
        events.Connecting(),
        events.Connected(INFO),
        events.Reconnecting(1),
        events.Reconnecting(2),
        events.Connected(INFO),
        events.Disconnected(),
    ]


def test_hello_says_what_is_recorded_and_of_which_incarnation():
    _, wanted = run(fresh(Handshaking(0), recorded=7, incarnation=ERA), Secured())
    assert only(SayHello, wanted) == [SayHello(7, ERA)]


@pytest.mark.req("S4-84")
def test_without_auto_reconnect_a_lost_connection_stays_lost():
    session, wanted = run(fresh(Connecting(0), rules=Rules(auto_reconnect=False)), Lost("refused"))
    assert (session.phase, only(BackOff, wanted)) == (Offline("refused"), [])


def test_what_a_person_should_know_of_a_failure_is_told():
    _, wanted = run(fresh(Connecting(0)), Lost("another key", notable=True))
    assert events.Error(0, "another key") in told(wanted)


# --- greeting


@pytest.mark.req("S4-91", "S4-96")
def test_a_welcome_brings_it_online():
    session, wanted = run(fresh(AwaitingWelcome(4)), welcome(0, heartbeat=10, max_blob_size=99))
    assert (session.phase.heartbeat_seconds, session.phase.max_blob_size) == (10.0, 99)
    assert told(wanted) == [events.Connected(INFO), events.StatusChanged(events.Connected(INFO))]
    assert only(PinRelay, wanted)
    assert only(LookAtOutbox, wanted)
    assert SetTimer("heartbeat", 10.0) in wanted


@pytest.mark.req("S4-193")
def test_a_welcome_forgets_the_failed_attempts():
    session, _ = run(fresh(AwaitingWelcome(4)), welcome(), Lost("gone"))
    assert session.phase == BackingOff(1)


@pytest.mark.req("W5-10", "W5-12")
def test_a_relay_that_does_not_know_our_history_is_greeted_again_from_zero():
    session, wanted = run(fresh(AwaitingWelcome(0), recorded=7, incarnation=ERA), Received(Error(1001, "unknown")))
    assert only(SayHello, wanted) == [SayHello(0, b"")]
    session, wanted = run(session, welcome(2, incarnation=LATER))
    assert RecordRestart(1, LATER) in wanted
    assert any(isinstance(event, events.ResyncRequired) for event in told(wanted))
    assert (session.recorded, session.incarnation) == (0, LATER)
    assert sent(wanted) == [Pull(0, 2, ack=False)]


@pytest.mark.req("W5-11")
def test_after_the_third_hello_it_gives_up_for_now():
    unknown = Received(Error(1001, "unknown"))
    session, wanted = run(fresh(AwaitingWelcome(0), recorded=7), unknown, unknown, unknown)
    assert len(only(SayHello, wanted)) == 2, "the first was sent before"
    assert (session.phase, len(only(HangUp, wanted))) == (BackingOff(1), 1)


@pytest.mark.parametrize("code", [1000, 1002, 2000, 2002, 3000, 3001])
def test_another_error_before_the_welcome_is_told_and_tried_again_later(code):
    session, wanted = run(fresh(AwaitingWelcome(0)), Received(Error(code, "no")))
    assert (session.phase, told(wanted)[0]) == (BackingOff(1), events.Error(code, "no"))


@pytest.mark.parametrize(
    ("known", "fields", "restart", "resync"),
    [
        pytest.param(ERA, {"incarnation": ERA}, None, False, id="the same incarnation"),
        pytest.param(b"", {"incarnation": ERA}, RecordRestart(0, ERA), False, id="named for the first time"),
        pytest.param(ERA, {"incarnation": LATER}, RecordRestart(1, LATER), True, id="another incarnation"),
        pytest.param(ERA, {}, None, False, id="a relay that does not say"),
        pytest.param(ERA, {"incarnation": ERA, "top": 5}, RecordRestart(1, ERA), True, id="it went back"),
        pytest.param(ERA, {"incarnation": ERA, "min_cursor": 9}, None, True, id="what we missed has expired"),
        pytest.param(ERA, {"incarnation": ERA, "min_cursor": 8}, None, False, id="nothing that we missed"),
    ],
)
@pytest.mark.req("W5-13", "W5-62")
def test_the_relays_history_is_compared_with_ours(known, fields, restart, resync):
    fields = {"top": 9, **fields}
    session, wanted = run(fresh(AwaitingWelcome(0), recorded=7, incarnation=known), welcome(**fields))
    assert only(RecordRestart, wanted) == ([] if restart is None else [restart])
    assert any(isinstance(event, events.ResyncRequired) for event in told(wanted)) is resync
    assert isinstance(session.phase, Online)


# --- pulling


@pytest.mark.req("W7-27")
def test_it_pulls_to_the_relays_end_before_it_pushes():
    session, wanted = run(fresh(AwaitingWelcome(0)), welcome(2), OutboxSeen(waiting(1)))
    assert sent(wanted) == [Pull(0, 2, ack=False)]
    assert only(PushBlobs, wanted) == []
    _, wanted = run(session, Received(page(1, 2)))
    assert only(PushBlobs, wanted) == [PushBlobs(waiting(1).after(0, blobs=1, size=10))]


def test_a_host_that_takes_nothing_does_not_hold_up_pushes(monkeypatch):
    monkeypatch.setattr("ferryman.protocol.sync.intake.HELD_BLOBS", 2)
    session, _ = run(fresh(AwaitingWelcome(0)), welcome(9), OutboxSeen(waiting(1)))
    _, wanted = run(session, Received(page(1, 2, more=True, top=9)))
    assert only(PushBlobs, wanted)


@pytest.mark.req("S4-93")
@pytest.mark.req("W5-59")
def test_every_notice_is_told_and_at_most_one_pull_is_under_way():
    session, wanted = run(online(), notice(1, None), notice(2, None), notice(3, None))
    assert [event.cursor for event in told(wanted)] == [1, 2, 3]
    assert sent(wanted) == [Pull(0, 1, ack=False)]
    _, wanted = run(session, Received(page(1, top=3)))
    assert sent(wanted) == []
    _, wanted = run(session, Received(page(1, more=True, top=3)))
    assert sent(wanted) == [Pull(1, 2, ack=False)], "one for all that came meanwhile"


def test_a_notice_with_its_bytes_needs_no_pull():
    session, wanted = run(online(), notice(1), notice(2))
    assert (sent(wanted), list(session.intake.held)) == ([], [1, 2])


def test_pulls_that_follow_notices_are_paced_and_those_that_follow_more_are_not():
    session = online()
    for cursor in range(1, 40):
        session, _ = run(session, notice(cursor, None))
        if session.phase.pulls_held:
            break
        session, _ = run(session, Received(page(cursor)))
    assert cursor == 31
    assert session.phase.pulls_held
    session, wanted = run(session, TimerDue("pull"), now=2.0)
    assert sent(wanted) == [Pull(30, 1, ack=False)]
    _, wanted = run(session, Received(page(31, more=True, top=33)), now=2.0)
    assert sent(wanted) == [Pull(31, 2, ack=False)]


def test_a_pull_that_may_have_been_refused_is_waited_for_and_tried_again_on_another_connection():
    session, _ = run(online(), notice(1, None))
    session, wanted = run(session, Received(Error(2000, "slow down", retry_after_ms=7000)))
    assert (sent(wanted), only(SetTimer, wanted)) == ([], [SetTimer("pull", 7.0)])
    session, wanted = run(session, TimerDue("pull"))
    assert (session.phase, len(only(HangUp, wanted))) == (BackingOff(1), 1)


def test_a_page_that_comes_after_an_error_is_never_taken_for_another_pulls():
    session, _ = run(online(), notice(600, None), HostPulled(1, 500, 10))
    session, _ = run(session, Received(page(*range(1, 101), more=True, top=600)))
    session, _ = run(session, Received(Error(2000, "of an ACK", retry_after_ms=600)))
    session, wanted = run(session, Received(page(*range(501, 511), top=600)))
    assert ([each.ticket for each in only(AnswerPull, wanted)], session.intake.covered) == ([1], 100)
    session, wanted = run(session, TimerDue("pull"))
    assert not only(HangUp, wanted), "it was answered: nothing is in doubt any more"


def test_an_answer_that_cannot_be_true_ends_the_connection():
    session, _ = run(online(), notice(1, None))
    session, wanted = run(session, Received(page(2, 1, top=2)))
    assert (session.phase, only(HangUp, wanted)[0].close_code) == (BackingOff(1), 1008)


@pytest.mark.req("W5-62")
def test_blobs_that_expired_while_we_were_online_are_told():
    session, _ = run(online(), notice(5, None))
    session, wanted = run(session, Received(page(5, least=5)))
    assert any(isinstance(event, events.ResyncRequired) for event in told(wanted))
    assert session.intake.covered == 5


# --- the host


def test_the_host_gets_takes_and_begins_anew():
    session, _ = run(online(), notice(1), notice(2), BlobsOpened(1), BlobsOpened(2), HostGot(1))
    assert session.intake.to_hand(1)[0].cursor == 2
    session, _ = run(session, HostBegan())
    assert session.intake.to_hand(1)[0].cursor == 1
    session, wanted = run(session, HostTook((1,)))
    assert session.intake.frontier == 1
    assert only(SetTimer, wanted) == [SetTimer("advance", 1.0)]


def test_a_blob_with_nothing_for_the_host_is_taken_when_it_is_opened():
    session, _ = run(online(), notice(1), notice(2), BlobsOpened(1, (1,)))
    assert (session.intake.frontier, session.intake.to_hand(1)) == (1, ())


def test_the_frontier_is_recorded_once_a_second_when_no_take_records_it():
    session, _ = run(online(), Received(PushAck(number(1), 1, 0)))
    assert session.advance_armed
    session, wanted = run(session, TimerDue("advance"))
    assert only(RecordAdvance, wanted) == [RecordAdvance(1)]
    session, wanted = run(session, Recorded(1), TimerDue("advance"))
    assert only(RecordAdvance, wanted) == []


@pytest.mark.req("W5-51", "W5-60")
def test_nothing_is_acknowledged_before_it_is_recorded():
    session, wanted = run(online(), notice(1), HostGot(1), HostTook((1,)), TimerDue("advance"), TimerDue("ack"))
    assert sent(wanted) == []
    _, wanted = run(session, Recorded(1))
    assert sent(wanted) == [Ack(1)]


def test_nothing_is_acknowledged_that_this_history_does_not_account_for():
    _, wanted = run(online(), notice(1), Recorded(9))
    assert sent(wanted) == []


def test_one_ack_a_second_with_the_newest():
    ours = [Received(PushAck(number(cursor), cursor, 0)) for cursor in (1, 2, 3)]
    session, wanted = run(online(), *ours, Recorded(1), Recorded(2), Recorded(3))
    assert sent(wanted) == [Ack(1)]
    session, wanted = run(session, TimerDue("ack"))
    assert sent(wanted) == [Ack(3)]
    _, wanted = run(session, TimerDue("ack"))
    assert sent(wanted) == []


@pytest.mark.parametrize(("after", "asked"), [(None, 4), (0, 0), (9, 9)])
def test_a_host_pulls_after_what_it_names_or_what_it_took(after, asked):
    session, wanted = run(online(covered=4), HostPulled(1, after, 50))
    assert sent(wanted) == [Pull(asked, 50, ack=False)]
    response = page(asked + 1)
    session, wanted = run(session, Received(response))
    assert only(AnswerPull, wanted) == [AnswerPull(1, response)]
    assert session.intake.held == {}


def test_what_a_host_pull_showed_to_be_there_is_pulled_though_no_notice_told_of_it():
    asked = run(online(covered=4), HostPulled(1, 4, 1))[0]
    session, wanted = run(asked, Received(PullResponse((), has_more=False, max_cursor=9)))
    assert sent(wanted) == [Pull(4, 5, ack=False)]
    assert session.intake.wanted == 9


def test_host_pulls_wait_for_each_other():
    session, wanted = run(online(), HostPulled(1, 0, 1), HostPulled(2, 0, 2))
    assert sent(wanted) == [Pull(0, 1, ack=False)]
    _, wanted = run(session, Received(page()))
    assert sent(wanted) == [Pull(0, 2, ack=False)]


def test_a_host_pull_that_may_have_been_refused_fails_with_its_connection():
    session, _ = run(online(), HostPulled(1, 0, 1), Received(Error(2000, "slow down")))
    _, wanted = run(session, TimerDue("pull"))
    assert [effect.ticket for effect in only(FailPull, wanted)] == [1]


def test_a_host_pull_without_a_connection_fails_at_once_and_with_one_when_it_is_lost():
    _, wanted = run(fresh(BackingOff(1)), HostPulled(1, None, 1))
    assert [effect.ticket for effect in only(FailPull, wanted)] == [1]
    _, wanted = run(online(), HostPulled(1, 0, 1), HostPulled(2, 0, 1), Lost("gone"))
    assert [effect.ticket for effect in only(FailPull, wanted)] == [1, 2]


def test_an_answer_that_comes_late_is_not_taken_for_another():
    session, wanted = run(online(), Received(page(1)))
    assert (only(AnswerPull, wanted), session.intake.covered) == ([], 0)


# --- pushing


def pushed(*seqs):
    return run(online(), OutboxSeen(waiting(*seqs)))[0]


@pytest.mark.req("S4-94")
def test_an_acknowledged_push_is_recorded_and_its_cursor_known_to_be_ours():
    session, wanted = run(pushed(1), Received(PushAck(number(1), 1, 0)))
    assert only(RecordAcknowledged, wanted) == [RecordAcknowledged(1, number(1), 1)]
    assert session.intake.covered == 1
    assert not told(wanted), "the host hears of it when the outbox has recorded it"


def test_an_acknowledgement_of_something_we_did_not_send_is_not_recorded():
    _, wanted = run(pushed(1), Received(PushAck(number(9), 1, 0)))
    assert only(RecordAcknowledged, wanted) == []


@pytest.mark.parametrize("code", [1000, 2001])
def test_a_blob_that_will_never_be_taken_leaves_the_queue(code):
    session, wanted = run(pushed(1, 2), Received(Error(code, "no", ref=number(1))))
    assert only(RecordRejected, wanted) == [RecordRejected(1, number(1), code)]
    assert list(session.flight.sent) == [number(2)]
    assert told(wanted) == [events.Error(code, "no")]


@pytest.mark.parametrize("code", [2000, 2001, 2002, 3000])
def test_a_relay_that_does_not_say_which_push_it_refused_gets_them_again_one_by_one(code):
    session, wanted = run(pushed(1, 2, 3), Received(Error(code, "one of them", retry_after_ms=700)))
    assert (only(RecordRejected, wanted), only(SetTimer, wanted)) == ([], [SetTimer("push", 0.7)])
    _, wanted = run(session, TimerDue("push"), OutboxSeen(waiting(1, 2, 3)))
    assert [[each.seq for each in push.blobs] for push in only(PushBlobs, wanted)] == [[1]]


def test_the_only_push_in_flight_is_the_one_that_a_refusal_without_a_name_means():
    session, wanted = run(pushed(1), Received(Error(2001, "too large")))
    assert only(RecordRejected, wanted) == [RecordRejected(1, number(1), 2001)]
    assert session.flight.sent == {}


def test_a_pull_that_is_answered_after_all_shows_that_a_push_was_refused():
    session, _ = run(pushed(1, 2), notice(9, None), Received(Error(2000, "one of the three")))
    session, wanted = run(session, Received(page(1, 2)))
    assert only(SetTimer, wanted) == [SetTimer("push", 5.0)]
    _, wanted = run(session, TimerDue("push"), OutboxSeen(waiting(1, 2)))
    assert [[each.seq for each in push.blobs] for push in only(PushBlobs, wanted)] == [[1]]


def test_an_error_without_a_name_that_may_mean_anything_drops_no_push():
    session, wanted = run(pushed(1), Received(Error(1000, "something was wrong")))
    assert (only(RecordRejected, wanted), list(session.flight.sent)) == ([], [number(1)])


@pytest.mark.parametrize("code", [2000, 2002, 3000])
def test_a_push_refused_for_now_is_sent_again_in_order(code):
    session, wanted = run(
        pushed(1, 2, 3),
        Received(Error(code, "later", ref=number(2), retry_after_ms=1500)),
        Received(Error(code, "later", ref=number(3), retry_after_ms=1500)),
        Received(PushAck(number(1), 1, 0)),
        OutboxSeen(waiting(1, 2, 3, 4)),
    )
    assert [timer for timer in only(SetTimer, wanted) if timer.name == "push"] == [SetTimer("push", 1.5)]
    assert told(wanted) == [events.Error(code, "later")], "once, not for each"
    assert only(PushBlobs, wanted) == []
    session, wanted = run(session, TimerDue("push"))
    assert only(LookAtOutbox, wanted)
    _, wanted = run(session, OutboxSeen(waiting(1, 2, 3, 4)))
    [push] = only(PushBlobs, wanted)
    assert [each.seq for each in push.blobs] == [2], "one at a time, until it goes smoothly"


def test_what_the_outbox_forgot_meanwhile_is_not_waited_for():
    session, _ = run(pushed(1, 2), PushGone(number(1)))
    assert list(session.flight.sent) == [number(2)]


def test_after_a_lost_connection_everything_unacknowledged_is_looked_up_again():
    session, _ = run(pushed(1, 2), Lost("gone"))
    assert (session.flight.sent, session.shelf.count) == ({}, 0)
    session, wanted = run(replace(session, phase=AwaitingWelcome(1)), welcome(), OutboxSeen(waiting(2)))
    assert [each.seq for push in only(PushBlobs, wanted) for each in push.blobs] == [2]


def test_more_in_the_outbox_is_looked_at():
    assert run(online(), OutboxGrew())[1] == (LookAtOutbox(),)


# --- ending


@pytest.mark.req("S4-74")
@pytest.mark.req("W5-88")
def test_ending_says_goodbye():
    session, wanted = run(online(), End())
    assert (sent(wanted), only(HangUp, wanted)) == ([Presence("offline")], [HangUp(1000, "sync was ended")])
    assert (session.phase, status(session)) == (Offline(), events.Disconnected())


@pytest.mark.req("S4-92")
def test_a_lost_connection_is_told_and_tried_again():
    session, wanted = run(online(), Lost("gone"))
    assert told(wanted) == [events.Disconnected("gone"), events.StatusChanged(events.Reconnecting(1))]
    assert (session.phase, only(BackOff, wanted)) == (BackingOff(1), [BackOff(1)])


def test_while_it_is_tried_again_the_status_says_why():
    session, _ = run(online(), Lost("the relay refused the connection: HTTP 404"))
    for happened in (TimerDue("retry"), Upgraded()):
        assert status(session).reason == "the relay refused the connection: HTTP 404"
        session, _ = run(session, happened)


@pytest.mark.req("W5-20")
def test_another_connection_of_this_device_wins_and_we_stay_away():
    session, wanted = run(online(), Lost("replaced", 4001))
    assert (isinstance(session.phase, Offline), only(BackOff, wanted)) == (True, [])
    assert run(session, Begin())[0].phase == Connecting(0)


@pytest.mark.parametrize("code", [1002, 3001])
def test_an_error_that_closes_hangs_up(code):
    session, wanted = run(online(), Received(Error(code, "closing")))
    assert (session.phase, told(wanted)[0]) == (BackingOff(1), events.Error(code, "closing"))
    assert only(HangUp, wanted)


@pytest.mark.parametrize("message", [Welcome(1, "relay", 0, 0), Hello(1, "x", bytes(32), 0)])
def test_a_message_that_has_no_place_ends_the_connection(message):
    session, wanted = run(online(), Received(message))
    assert (session.phase, only(HangUp, wanted)[0].close_code) == (BackingOff(1), 1008)


def test_an_error_about_nothing_is_told():
    assert told(run(online(), Received(Error(2000, "slow down")))[1]) == [events.Error(2000, "slow down")]


def test_peers_are_nothing_yet():
    assert run(online(), Received(Peers(())))[1] == ()


@pytest.mark.req("W5-76")
def test_it_shows_that_it_is_there_and_looks_whether_the_relay_is():
    _, wanted = run(online(), TimerDue("heartbeat"))
    assert wanted == (Send(Presence("online")), Ping(), SetTimer("heartbeat", 30.0))


@pytest.mark.parametrize(
    ("session", "now", "ends"),
    [
        pytest.param(pushed(1), 31.0, True, id="a push without an answer"),
        pytest.param(run(online(), notice(1, None))[0], 31.0, True, id="a pull without an answer"),
        pytest.param(online(), 31.0, False, id="nothing is owed"),
        pytest.param(pushed(1), 29.0, False, id="it spoke a while ago"),
    ],
)
def test_a_relay_that_owes_an_answer_and_is_silent_is_given_up(session, now, ends):
    session, wanted = run(session, TimerDue("stall"), now=now)
    assert bool(only(HangUp, wanted)) is ends
    assert isinstance(session.phase, BackingOff) is ends


@pytest.mark.parametrize("name", ["heartbeat", "stall", "pull", "push", "ack", "welcome"])
def test_a_timer_of_a_connection_that_is_gone_does_nothing(name):
    session = fresh(BackingOff(2))
    assert run(session, TimerDue(name)) == (session, ())


def test_the_host_takes_blobs_while_offline_too():
    session, _ = run(online(), notice(1), Lost("gone"), HostGot(1), HostTook((1,)))
    assert session.intake.frontier == 1
    _, wanted = run(session, TimerDue("advance"))
    assert only(RecordAdvance, wanted) == [RecordAdvance(1)]


def test_what_was_pulled_before_a_lost_connection_is_not_pulled_again():
    session, _ = run(online(), notice(1), Lost("gone"))
    session, wanted = run(replace(session, phase=AwaitingWelcome(1)), welcome(3))
    assert sent(wanted) == [Pull(1, 2, ack=False)]


def test_the_pull_response_of_the_wire_is_what_it_reads():
    assert isinstance(page(1), PullResponse)
    assert entry(1).cursor == 1


def test_a_blob_with_the_host_can_be_taken_after_the_relay_has_named_its_run():
    session, _ = run(online(), notice(1), BlobsOpened(1), HostGot(1), Lost("gone"))
    before = session.run
    session, _ = run(replace(session, phase=AwaitingWelcome(1)), welcome(1, incarnation=ERA), HostTook((1,)))
    assert (session.incarnation, session.run, session.intake.frontier) == (ERA, before, 1)


def test_a_pull_that_waited_for_room_still_follows_has_more_and_is_not_paced(monkeypatch):
    monkeypatch.setattr("ferryman.protocol.sync.intake.HELD_BLOBS", 2)
    session, _ = run(fresh(AwaitingWelcome(0)), welcome(9), Received(page(1, 2, more=True, top=9)))
    assert session.phase.chained
    before = session.phase.pace
    session, wanted = run(session, BlobsOpened(2), HostGot(2), HostTook((1, 2)))
    assert (only(Send, wanted), session.phase.pace) == ([Send(Pull(2, 2, ack=False))], before)
