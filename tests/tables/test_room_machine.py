"""The rooms of a device, row by row: who is challenged, who is admitted, and how a room ends (wire §9)."""

import msgpack
import pytest

from ferryman.protocol.crypto.admission import SEALED_BYTES, open_admission, seal_admission, short_string
from ferryman.protocol.errors import RemoteProtocolError
from ferryman.protocol.machine import Refused
from ferryman.protocol.sync import room_commands as told
from ferryman.protocol.sync import room_state as it
from ferryman.protocol.sync.control import UnknownControl, decode_control, encode_control
from ferryman.protocol.sync.invite import LATE_SECONDS
from ferryman.protocol.sync.room import FAREWELL_SECONDS, MAX_ENDED, MAX_ROOMS
from ferryman.protocol.sync.room_words import Admit, Challenge, Close, Join, Open
from tests.fakes.room_values import (
    ENTER,
    GROUP_ID,
    GROUP_SECRET,
    OPEN,
    ROOM,
    ROOM_ID,
    STRANGER,
    Rig,
    at_comparing,
    at_entering,
    closing,
    creator,
    gone,
    joiner,
    the_rooms,
)
from tests.fakes.sync_values import OURS, THEIRS, number


def kinds(rig: Rig) -> set[str]:
    return {type(effect).__name__ for effect in the_rooms.owed(rig.state).values()}


def deadline(rig: Rig):
    return the_rooms.owed(rig.state)[f"end/{ROOM_ID.hex()}"]


@pytest.mark.req("W9-17", "W9-19", "W9-20")
def test_two_people_see_one_number_and_the_joiner_gets_the_group():
    ours, theirs = at_comparing()
    assert (type(ours.phase), type(theirs.phase)) == (it.Comparing, it.Showing)
    assert ours.phase.sas == theirs.phase.sas
    assert ours.phase.guest.device_name == "phone"
    ours.approve(ours.phase.sas)
    theirs.hear(OURS, ours.said[-1])
    assert theirs.phase == it.Entering(GROUP_ID, GROUP_SECRET)
    assert [type(word) for word in ours.said] == [Challenge, Admit]
    assert [type(word) for word in theirs.said] == [Join, Open]
    for rig in (ours, theirs):
        gone(closing(rig))
    assert (ours.outcome, theirs.outcome) == (it.JOINED, it.JOINED)
    assert kinds(ours) == {"TellPhase"}, "nothing is left to do"


@pytest.mark.req("W9-19")
def test_the_number_is_what_the_wire_page_says():
    parts = [bytes([value]) * 32 for value in range(6)]
    named = dict(zip(("commit", "nonce_c", "nonce_j"), parts[3:], strict=True))
    assert short_string(*parts[:3], **named) == "227-517"


@pytest.mark.req("W9-18", "W9-22")
@pytest.mark.parametrize("after_open", [False, True])
def test_a_second_one_who_asks_ends_the_invite_and_gets_no_challenge(after_open):
    ours, theirs = creator(), joiner()
    ours.hear(THEIRS, theirs.said[0])
    if after_open:
        theirs.hear(OURS, ours.said[0])
        ours.hear(THEIRS, theirs.said[1])
    ours.hear(STRANGER, Join("tablet", b"x" * 32))
    assert ours.ending == it.CONTESTED
    assert [type(word) for word in ours.said] == [Challenge, Close]
    assert isinstance(ours.approve("000-000"), Refused)


def test_the_same_device_with_another_commitment_is_a_second_one_too():
    ours = creator()
    ours.hear(THEIRS, Join("phone", b"x" * 32))
    ours.hear(THEIRS, Join("phone", b"y" * 32))
    assert ours.ending == it.CONTESTED


def test_the_same_words_again_change_nothing():
    ours, theirs = at_comparing()
    before = (ours.state, theirs.state)
    for word in theirs.said:
        ours.hear(THEIRS, word)
    theirs.hear(OURS, ours.said[0])
    theirs.do(ENTER)
    assert (ours.state, theirs.state) == before


def test_who_opens_something_else_than_it_chose_is_let_in_by_nobody():
    ours, theirs = creator(), joiner()
    ours.hear(THEIRS, theirs.said[0])
    ours.hear(THEIRS, Open(b"x" * 32))
    assert ours.ending == it.BROKEN


def test_an_open_of_somebody_else_is_passed_over():
    ours, theirs = creator(), joiner()
    ours.hear(THEIRS, theirs.said[0])
    theirs.hear(OURS, ours.said[0])
    before = ours.state
    ours.hear(STRANGER, theirs.said[1])
    assert ours.state == before


@pytest.mark.req("W9-21")
@pytest.mark.parametrize("word", ["challenge", "admit", "close"])
def test_a_joiner_hears_nobody_but_the_one_who_invites(word):
    ours, theirs = at_comparing()
    ours.approve(ours.phase.sas)
    if word == "challenge":
        theirs = joiner()
    before = theirs.state
    said = {"challenge": ours.said[0], "admit": ours.said[-1], "close": Close()}[word]
    theirs.hear(STRANGER, said)
    assert theirs.state == before
    theirs.hear(OURS, said)
    assert theirs.state != before, "from the creator it counts"


def test_who_is_admitted_before_a_number_was_shown_does_not_enter():
    ours, _ = at_entering()
    early = joiner()
    early.hear(OURS, ours.said[-1])
    assert isinstance(early.phase, it.Knocking)


@pytest.mark.parametrize("sas", ["000-000", ""])
def test_an_answer_to_another_number_lets_nobody_in_and_refuses_nobody(sas):
    ours, _ = at_comparing()
    before = ours.state
    assert ours.phase.sas != sas
    assert isinstance(ours.approve(sas), Refused)
    assert isinstance(ours.do(told.Refuse(ROOM_ID, sas, number(60))), Refused)
    assert ours.state == before


@pytest.mark.req("W9-22")
def test_who_is_refused_is_told_and_the_invite_is_over():
    ours, theirs = at_comparing()
    ours.do(told.Refuse(ROOM_ID, ours.phase.sas, number(60)))
    assert isinstance(ours.approve(theirs.phase.sas), Refused), "there is no way back"
    theirs.hear(OURS, ours.said[-1])
    assert theirs.phase == it.Closing(it.CLOSED)
    assert deadline(ours) == it.EndSoon(ROOM_ID, FAREWELL_SECONDS), "a relay that is away holds nobody up"
    gone(closing(ours))
    assert ours.outcome == it.REFUSED


def test_a_word_that_is_not_said_yet_keeps_the_room():
    ours, _ = at_comparing()
    ours.approve(ours.phase.sas)
    ours.do(told.ConfirmSent(ROOM_ID))
    assert isinstance(ours.phase, it.Parting)
    assert "AwaitSent" not in kinds(ours)


def test_an_approval_that_the_relay_never_took_is_not_called_a_success():
    ours, _ = at_comparing()
    ours.approve(ours.phase.sas)
    ours.do(told.Expire(ROOM_ID))
    gone(ours)
    assert ours.outcome == it.UNSENT


@pytest.mark.req("W9-06", "W9-16")
def test_the_creator_waits_ten_minutes_and_the_joiner_ten_more_for_clocks_differ():
    assert deadline(creator()) == it.EndAt(ROOM_ID, ROOM.expires_at)
    assert deadline(joiner()) == it.EndAt(ROOM_ID, ROOM.expires_at + LATE_SECONDS)
    for rig in (creator(), joiner(), *at_comparing()):
        rig.do(told.Expire(ROOM_ID))
        assert rig.phase == it.Closing(it.EXPIRED)
        assert kinds(rig) == {"GiveUpRoom", "TellPhase"}


def test_who_is_in_is_put_out_by_no_deadline():
    _, theirs = at_entering()
    theirs.do(told.Expire(ROOM_ID))
    assert isinstance(theirs.phase, it.Entering)


def test_an_invite_can_be_taken_back_until_somebody_was_let_in():
    for rig in (creator(), joiner()):
        assert rig.do(told.Cancel(ROOM_ID, number(70))).reply is True
        assert rig.phase == it.Closing(it.CANCELLED)
    ours, theirs = at_comparing()
    assert ours.do(told.Cancel(ROOM_ID, number(70))).reply is True
    theirs.hear(OURS, ours.said[-1])
    assert theirs.phase == it.Closing(it.CLOSED), "who waits is told"
    ours, theirs = at_entering()
    assert (ours.do(told.Cancel(ROOM_ID, number(70))).reply, theirs.do(told.Cancel(ROOM_ID, number(71))).reply) == (
        False,
        False,
    )
    gone(closing(ours))
    assert ours.do(told.Cancel(ROOM_ID, number(72))).reply is False


def test_another_invite_is_instead_of_the_one_before_on_the_device_that_joins():
    theirs = joiner()
    other = it.Room(b"q" * 32, ROOM.secret, "ws://relay", OURS.device_id, 1_000)
    theirs.do(told.EnterRoom(other, THEIRS.device_id, "phone", ENTER.nonce_j, number(2)))
    assert theirs.phase == it.Closing(it.CANCELLED)
    assert isinstance(theirs.state.stays[b"q" * 32].phase, it.Knocking)


def test_so_many_rooms_are_open_at_once_and_so_many_ends_are_remembered():
    rig = Rig(OURS)

    def a_room(value: int) -> it.Room:
        return it.Room(number(value, 32), ROOM.secret, "ws://relay", OURS.device_id, 1_000)

    for value in range(MAX_ROOMS):
        rig.do(told.OpenRoom(a_room(value)))
    refused = rig.do(told.OpenRoom(a_room(99)))
    assert isinstance(refused, Refused)
    assert refused.code == "TOO_MANY_ROOMS"
    rig = Rig(OURS)
    for value in range(MAX_ENDED + 3):
        rig.do(told.OpenRoom(a_room(value)))
        rig.do(told.Expire(number(value, 32)))
        rig.do(told.ConfirmGone(number(value, 32)))
    assert list(rig.state.ended) == [number(value, 32) for value in range(3, MAX_ENDED + 3)]


def test_a_person_who_answers_too_late_hears_how_it_ended():
    ours, _ = at_comparing()
    sas = ours.phase.sas
    ours.hear(STRANGER, Join("tablet", b"x" * 32))
    gone(closing(ours))
    late = ours.approve(sas)
    assert isinstance(late, Refused)
    assert "two devices" in late.message


@pytest.mark.req("W9-20")
def test_an_admission_opens_for_its_joiner_in_its_room_and_nowhere_else():
    sealed = seal_admission(b"g" * 32, b"s" * 32, room_id=ROOM_ID, joiner_id=THEIRS.device_id, seed=b"e" * 32)
    assert open_admission(sealed, room_id=ROOM_ID, device=THEIRS) == (b"g" * 32, b"s" * 32)
    for room_id, device in ((ROOM_ID, OURS), (b"q" * 32, THEIRS)):
        with pytest.raises(RemoteProtocolError):
            open_admission(sealed, room_id=room_id, device=device)
    for damaged in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), b""):
        with pytest.raises(RemoteProtocolError):
            open_admission(damaged, room_id=ROOM_ID, device=THEIRS)


def test_a_joiner_whose_id_is_no_key_is_let_in_by_nobody():
    ours, _ = at_comparing()
    guest = it.Guest(bytes(32), "phone", b"c" * 32)
    ours.state = the_rooms.evolve(ours.state, it.RoomMoved(ROOM_ID, it.Comparing(guest, "000-001")))
    ours.approve("000-001")
    assert ours.ending == it.BROKEN


@pytest.mark.req("W9-17")
@pytest.mark.parametrize(
    "word",
    [Join("phone", b"c" * 32), Challenge(b"c" * 32), Open(b"j" * 32), Admit(b"a" * SEALED_BYTES), Close()],
    ids=lambda word: type(word).__name__.lower(),
)
def test_what_is_said_comes_back_as_it_was(word):
    assert decode_control(encode_control(word)) == word


@pytest.mark.parametrize("kind", ["join", "challenge", "open", "admit"])
def test_a_word_without_what_belongs_to_it_is_no_word(kind):
    with pytest.raises(RemoteProtocolError):
        decode_control(msgpack.packb({"kind": kind}))
    assert decode_control(msgpack.packb({"kind": kind + "s"})) == UnknownControl(kind + "s")


def test_no_secret_of_a_room_is_shown():
    ours, theirs = at_entering()
    shown = repr((OPEN, ENTER, ours.state, theirs.state, ours.said, theirs.said))
    for secret in (b"j" * 32, b"s" * 32):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown
