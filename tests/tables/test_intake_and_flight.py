"""What is known, held and missing on one device; what is in flight; what waits: the values under a session."""

from dataclasses import replace

import pytest

from ferryman.protocol.errors import RemoteProtocolError
from ferryman.protocol.relay.messages import BlobEntry, Notify, PullResponse
from ferryman.protocol.sync import flight as outflow
from ferryman.protocol.sync import intake as inflow
from ferryman.protocol.sync import shelf as shelves
from ferryman.protocol.sync.flight import Flight
from tests.fakes.sync_values import OURS, THEIRS, entry, number, page, waiting


def notice(cursor, *, inline=True):
    return Notify(number(cursor), cursor, THEIRS.device_id, 0, 6, b"sealed" if inline else None)


def after(*happened, through=0, above=()):
    """The intake after these: ints are PUSH_ACKs, Notify, or (after, PullResponse)."""
    intake = inflow.resume(OURS.device_id, through, above)
    for each in happened:
        match each:
            case int():
                intake = inflow.acknowledged(intake, each)
            case Notify():
                intake = inflow.notified(intake, each)
            case (start, response):
                intake = inflow.answered(intake, start, response)
    return intake


def standing(intake):
    return intake.covered, intake.frontier, list(intake.held), intake.missing


@pytest.mark.parametrize(
    ("happened", "covered", "frontier", "held", "missing"),
    [
        pytest.param([], 0, 0, [], 0, id="nothing yet"),
        pytest.param([notice(1)], 1, 0, [1], 0, id="a notice with its bytes"),
        pytest.param([notice(1, inline=False)], 0, 0, [], 1, id="a notice without"),
        pytest.param([notice(2), notice(1)], 2, 0, [1, 2], 0, id="notices out of order"),
        pytest.param([notice(3)], 0, 0, [3], 2, id="one behind a hole: the hole is asked for, not what we have"),
        pytest.param([1], 1, 1, [], 0, id="our own blob"),
        pytest.param([3], 0, 0, [], 2, id="our own behind a hole"),
        pytest.param([3, (0, page(1, 2))], 3, 0, [1, 2], 0, id="a pull fills the hole"),
        pytest.param([(0, page(1, 2, more=True, top=9))], 2, 0, [1, 2], 7, id="a pull with more to come"),
        pytest.param([(0, page(1, 4, top=9))], 9, 0, [1, 4], 0, id="what a pull does not show is gone"),
        pytest.param([(0, page(top=9))], 9, 9, [], 0, id="all gone"),
        pytest.param([notice(2), (0, page(1, 2))], 2, 0, [1, 2], 0, id="a pull brings what a notice brought"),
        pytest.param([notice(1), notice(1)], 1, 0, [1], 0, id="a notice twice"),
        pytest.param([(5, page(7, 8))], 0, 0, [], 8, id="a look ahead covers nothing"),
        pytest.param([(0, page(1, 2)), (0, page(1, 2))], 2, 0, [1, 2], 0, id="a page twice"),
    ],
)  # fmt: skip
def test_what_is_known_after(happened, covered, frontier, held, missing):
    assert standing(after(*happened)) == (covered, frontier, held, missing)


def test_our_own_blobs_are_covered_and_not_held():
    own = PullResponse((entry(1, sender=OURS.device_id), entry(2)), False, 2)
    assert standing(after((0, own))) == (2, 1, [2], 0)


def test_what_was_taken_before_a_restart_is_not_held_again():
    intake = after((1, page(2, 3, 4)), through=1, above=(3,))
    assert standing(intake) == (4, 1, [2, 4], 0)


@pytest.mark.parametrize(
    ("taken", "frontier"), [([1], 1), ([2], 0), ([2, 1], 2), ([1, 2, 3], 3), ([3], 0)], ids=str
)  # fmt: skip
@pytest.mark.req("W5-60")
def test_the_frontier_stops_at_the_first_blob_not_taken(taken, frontier):
    intake = after((0, page(1, 2, 3)))
    for cursor in taken:
        intake = inflow.took(intake, cursor)
    assert intake.frontier == frontier


def test_the_frontier_never_passes_what_is_not_covered():
    intake = inflow.took(after(notice(3)), 3)
    assert intake.frontier == 0


def test_the_host_gets_held_blobs_in_cursor_order_and_none_behind_a_hole():
    intake = after(notice(3), notice(1))
    assert (intake.to_open(1)[0].cursor, intake.to_hand(1)) == (1, ()), "not before it is opened"
    intake = inflow.opened(intake, 1)
    assert (intake.to_open(1), intake.to_hand(1)[0].cursor) == ((), 1)
    intake = inflow.handed(intake, 1)
    assert intake.to_hand(1) == ()
    intake = inflow.opened(inflow.answered(intake, 1, page(2)), 2)
    assert (intake.to_open(1)[0].cursor, intake.to_hand(1)[0].cursor) == (3, 2)


def test_a_new_reader_begins_with_the_first_blob_not_taken():
    intake = inflow.took(inflow.handed(inflow.opened(after((0, page(1, 2, 3))), 3), 2), 1)
    assert intake.to_hand(1)[0].cursor == 3
    assert inflow.rewound(intake).to_hand(1)[0].cursor == 2


@pytest.mark.parametrize("limit", ["HELD_BLOBS", "HELD_BYTES"])
def test_nothing_more_is_asked_for_while_the_host_does_not_take(monkeypatch, limit):
    monkeypatch.setattr(inflow, limit, 2)
    intake = after((0, page(1, 2, more=True, top=9)))
    assert (intake.missing, intake.has_room) == (0, False)
    assert standing(inflow.notified(intake, notice(3)))[2] == [1, 2]


def test_taking_makes_room():
    intake = inflow.took(after((0, page(1, 2))), 1)
    assert intake.held_bytes == len(b"sealed")


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(page(2, 2), id="twice the same"),
        pytest.param(page(3, 2), id="descending"),
        pytest.param(page(1, 2), id="not above what was asked"),
        pytest.param(page(2, 7, top=5), id="above its own maximum"),
        pytest.param(page(more=True, top=5), id="more, and nothing"),
    ],
)
def test_an_answer_that_cannot_be_true_is_refused(response):
    with pytest.raises(RemoteProtocolError):
        inflow.answered(after((0, page(1))), 1, response)


def test_a_hole_of_expired_blobs_is_skipped():
    assert standing(inflow.skip_to(after(notice(9)), 8))[:2] == (9, 8)


# --- flight


@pytest.mark.req("W6-18")
def test_pushes_leave_in_the_order_of_their_seq_and_only_once():
    flight, first = outflow.pick(Flight(), waiting(1, 2, 3))
    assert [each.seq for each in first] == [1, 2, 3]
    assert outflow.pick(flight, waiting(1, 2, 3, 4))[1] == (shelves.Waiting(4, number(4), b"hash", 10),)


def test_no_more_is_in_flight_than_a_relay_queues(monkeypatch):
    monkeypatch.setattr(outflow, "FLIGHT_BLOBS", 2)
    flight, first = outflow.pick(Flight(), waiting(1, 2, 3))
    assert len(first) == 2
    assert outflow.pick(flight, waiting(1, 2, 3))[1] == ()
    flight, _ = outflow.landed(flight, number(1))
    assert [each.seq for each in outflow.pick(flight, waiting(2, 3))[1]] == [3]


def test_no_more_bytes_are_in_flight_than_allowed_but_always_one_blob(monkeypatch):
    monkeypatch.setattr(outflow, "FLIGHT_BYTES", 25)
    flight, first = outflow.pick(Flight(), waiting(1, 2, 3))
    assert [each.seq for each in first] == [1, 2]
    assert outflow.pick(flight, waiting(1, 2, 3))[1] == ()
    assert len(outflow.pick(Flight(), waiting(1, 2, size=100))[1]) == 1


@pytest.mark.req("W6-18")
def test_a_refusal_holds_all_back_and_begins_again_with_the_lowest():
    flight, _ = outflow.pick(Flight(), waiting(1, 2, 3))
    flight, sent = outflow.landed(flight, number(3))
    flight = outflow.refused(flight, sent.seq)
    flight, sent = outflow.landed(flight, number(2))
    flight = outflow.refused(flight, sent.seq)
    assert outflow.pick(flight, waiting(1, 2, 3, 4))[1] == ()
    flight, again = outflow.pick(outflow.release(flight), waiting(1, 2, 3, 4))
    assert again == (), "one at a time now, and one is in flight"
    flight, again = outflow.pick(outflow.landed(flight, number(1))[0], waiting(2, 3, 4))
    assert [each.seq for each in again] == [2]


def test_nothing_is_sent_between_a_refusal_and_its_release():
    flight, _ = outflow.pick(Flight(), waiting(1))
    flight = outflow.refused(outflow.landed(flight, number(1))[0], 1)
    assert outflow.pick(flight, waiting(1, 2))[1] == ()
    assert [each.seq for each in outflow.pick(outflow.release(flight), waiting(1, 2))[1]] == [1]


def test_what_is_still_in_flight_is_not_sent_twice():
    flight, _ = outflow.pick(Flight(), waiting(1, 2, 3))
    flight = outflow.release(replace(outflow.refused(outflow.landed(flight, number(1))[0], 1), window=0))
    assert [each.seq for each in outflow.pick(replace(flight, window=0), waiting(1, 2, 3, 4))[1]] == [1, 4]


def test_four_windows_without_a_refusal_double_the_window():
    flight = outflow.refused(Flight(), 1)
    widths = []
    for _ in range(4 + 8 + 16):
        flight = outflow.acknowledged(flight)
        widths.append(flight.window)
    assert (widths[3], widths[4], widths[11], widths[27]) == (2, 2, 4, 8)
    for _ in range(2000):
        flight = outflow.acknowledged(flight)
    assert flight.window == 0, "as wide as at first"


def test_an_answer_for_nothing_in_flight_is_known_as_such():
    assert outflow.landed(Flight(), number(1)) == (Flight(), None)


# --- shelf


def test_a_shelf_keeps_order_over_its_compartments():
    shelf = waiting(*range(1, 700)).remove(255).remove(256)
    assert [each.seq for each in shelf.after(253, blobs=3, size=10**9)] == [254, 257, 258]
    assert (shelf.count, shelf.size) == (697, 6970)


def test_removing_the_last_of_a_compartment_removes_the_compartment():
    shelf = waiting(1, 300).remove(1)
    assert list(shelf.compartments) == [300 // shelves.COMPARTMENT]
    assert shelf.remove(1) is shelf


def test_a_shelf_is_a_value():
    before = waiting(1, 2)
    before.remove(1)
    before.put(shelves.Waiting(3, number(3), b"hash", 10))
    assert before == waiting(1, 2)


def test_a_page_of_the_shelf_is_bounded_by_bytes():
    assert len(waiting(1, 2, 3).after(0, blobs=9, size=20)) == 2


def test_entries_are_the_wires_own():
    assert isinstance(entry(1), BlobEntry)


def test_a_page_is_asked_for_when_there_is_room_for_all_of_it(monkeypatch):
    monkeypatch.setattr(inflow, "HELD_BLOBS", 4)
    monkeypatch.setattr(inflow, "PULL_BLOBS", 2)
    full = after((0, page(1, 2, 3, more=True, top=9)))
    assert (full.missing, inflow.took(full, 1).missing) == (0, 2), "not one blob for every blob that is taken"
