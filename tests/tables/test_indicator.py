"""The word beside an application's "sync": every row of its table, and which error is the last."""

from dataclasses import replace

import pytest
import trio
import trio.testing

from ferryman.actors.board import Board
from ferryman.actors.event_hub import EventHub
from ferryman.actors.indicator import IndicatorLight
from ferryman.protocol.sync import events
from ferryman.protocol.sync.chain import SenderChain
from ferryman.protocol.sync.events import Connected, Connecting, Disconnected, Reconnecting, SyncStatus
from ferryman.protocol.sync.indicator import NO_ERROR, Backlog, heed, indicate
from ferryman.protocol.sync.outbox import MAX_REJECTED, Lane, Totals
from ferryman.protocol.sync.standing import SyncStanding, stands_in

WELCOMED = Connected(events.ConnectionInfo("relay", 0, 0))
NONE, SOME = Backlog(), Backlog(1)
PARKED = Backlog(1, parked=True)
ERROR = "the group's quota is used up"
PUSHED = events.BlobPushed(b"1", 1)


@pytest.mark.parametrize(
    ("connection", "backlog", "last_error", "word"),
    [
        pytest.param(WELCOMED, NONE, NO_ERROR, "synced", marks=pytest.mark.req("S4-160")),
        pytest.param(WELCOMED, SOME, NO_ERROR, "pending", marks=pytest.mark.req("S4-161")),
        pytest.param(WELCOMED, PARKED, NO_ERROR, "pending", marks=pytest.mark.req("S4-161")),
        pytest.param(WELCOMED, NONE, ERROR, "failed", marks=pytest.mark.req("S4-162")),
        pytest.param(WELCOMED, SOME, ERROR, "failed", marks=pytest.mark.req("S4-162")),
        (Connecting(), NONE, NO_ERROR, "pending"),
        pytest.param(Connecting(), SOME, NO_ERROR, "pending", marks=pytest.mark.req("S4-161")),
        (Connecting(), NONE, ERROR, "pending"),
        (Connecting(), SOME, ERROR, "pending"),
        pytest.param(Reconnecting(1), SOME, NO_ERROR, "failed", marks=pytest.mark.req("S4-162")),
        pytest.param(Reconnecting(1), SOME, ERROR, "failed", marks=pytest.mark.req("S4-162")),
        pytest.param(Reconnecting(1), PARKED, NO_ERROR, "pending", marks=pytest.mark.req("S4-161")),
        pytest.param(Reconnecting(1), PARKED, ERROR, "pending", marks=pytest.mark.req("S4-161")),
        pytest.param(Reconnecting(1), NONE, ERROR, "failed", marks=pytest.mark.req("S4-162")),
        pytest.param(Reconnecting(1), NONE, NO_ERROR, "offline", marks=pytest.mark.req("S4-163")),
        (Disconnected(), SOME, NO_ERROR, "failed"),
        pytest.param(Disconnected(), PARKED, NO_ERROR, "pending", marks=pytest.mark.req("S4-161")),
        (Disconnected("it said no"), NONE, ERROR, "failed"),
        pytest.param(Disconnected(), NONE, NO_ERROR, "offline", marks=pytest.mark.req("S4-163")),
    ],
)
def test_the_indicator_is_one_of_four_words(connection, backlog, last_error, word):
    assert indicate(connection, backlog, last_error) == word


def test_nothing_that_waits_or_failed_is_called_synced():
    for connection in (WELCOMED, Connecting(), Reconnecting(1), Disconnected()):
        for backlog in (NONE, SOME, PARKED):
            for last_error in (NO_ERROR, ERROR):
                good = connection == WELCOMED and backlog == NONE and not last_error
                assert (indicate(connection, backlog, last_error) == "synced") is good


@pytest.mark.parametrize(
    ("before", "event", "after"),
    [
        (NO_ERROR, events.Error(2002, ERROR), ERROR),
        ("an older one", events.Error(2002, ERROR), ERROR),
        (ERROR, PUSHED, ERROR),
        (ERROR, WELCOMED, NO_ERROR),
        (ERROR, Disconnected("it went away"), ERROR),
        (ERROR, events.StatusChanged(Reconnecting(2)), ERROR),
        (ERROR, events.BlobAvailable(b"2", 2, b"b"), ERROR),
    ],
)
def test_an_error_is_the_last_one_until_a_success_follows(before, event, after):
    assert heed(before, event) == after


class Panel:
    """A board, its light, and what a listener was told."""

    def __init__(self):
        self.board, self.hub = Board(), EventHub()
        self.light = IndicatorLight(self.board, self.hub)
        self.subscription = self.hub.subscribe()

    def status(self, status):
        self.board.status = status
        self.hub.publish(events.StatusChanged(status))

    async def words(self):
        """The indicators that were told, with how many blobs waited."""
        self.subscription.close()
        return [(event.indicator, event.waiting) async for event in self.subscription if isinstance(event, SyncStatus)]


async def test_it_tells_each_new_word_once():
    panel = Panel()
    assert panel.light.word == "offline"
    panel.status(Connecting())
    panel.status(WELCOMED)
    panel.board.show_totals(Totals(1, 1, 40))
    panel.board.show_totals(Totals(2, 2, 80))
    panel.board.show_totals(Totals(3, 0, 0))
    panel.status(Reconnecting(1))
    panel.status(Reconnecting(2))
    told = await panel.words()
    assert told == [("pending", 0), ("synced", 0), ("pending", 1), ("synced", 0), ("offline", 0)]


async def test_what_the_relay_refused_shows_until_it_takes_something():
    panel = Panel()
    panel.status(WELCOMED)
    panel.board.show_totals(Totals(1, 1, 40))
    panel.hub.publish(events.Error(2002, ERROR))
    panel.hub.publish(PUSHED)  # of one before
    assert panel.board.last_error == ERROR
    panel.board.show_success()
    panel.board.show_totals(Totals(2, 0, 0))
    assert [word for word, _ in await panel.words()] == ["synced", "pending", "failed", "pending", "synced"]
    assert panel.board.settled == 1


async def test_parked_changes_wait_for_the_next_launch():
    panel = Panel()
    panel.board.show_totals(Totals(1, 1, 40))
    panel.light.park(True)
    panel.light.park(False)
    assert [word for word, _ in await panel.words()] == ["failed", "pending", "failed"]


# --- am I synced?


def test_a_blob_that_may_have_been_refused_long_ago_is_not_called_pushed():
    lane = Lane(SenderChain(bytes(8)))
    assert stands_in(lane, b"1", recorded=True) == "pushed"
    assert stands_in(lane, b"1", recorded=False) == "unknown"
    full = replace(lane, rejected=tuple((b"%d" % number, 2001) for number in range(2, MAX_REJECTED + 2)))
    assert stands_in(full, b"1", recorded=True) == "unknown"
    assert stands_in(full, b"2", recorded=True) == "refused"


def test_a_device_is_synced_when_it_is_connected_and_nothing_is_to_come_or_to_go():
    whole = SyncStanding(waiting=0, refused=0, behind=0, connected=True)
    assert whole.synced
    for worse in ({"waiting": 1}, {"behind": 1}, {"connected": False}):
        assert not replace(whole, **worse).synced


async def test_who_stops_waiting_for_news_leaves_nothing_on_the_board(autojump_clock):
    board = Board()
    for _ in range(3):
        with trio.move_on_after(1):
            await board.stirred()
    assert board.watchers == []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(board.stirred)
        await trio.testing.wait_all_tasks_blocked()
        board.stir()
