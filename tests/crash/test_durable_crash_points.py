"""A durable actor crashes at every point there is, once and twice, replay included; the story ends the same.

A story is told once without a crash, to count the points; then once for each point, and once for each pair. A point is
one of `DURABLE_POINTS`, or the ledger failing under an append, before or after it is recorded. The callers repeat what
they have no answer to, with the same id. Afterwards:

    each command is recorded once, and its caller has the reply that is recorded with it
    each ticket was printed at least once, and handed over once
"""

from collections import Counter

import pytest
import trio

from ferryman.actors.core.crash_points import DURABLE_POINTS, crashing
from ferryman.actors.core.determinism import seeded_scheduler
from ferryman.actors.core.errors import ActorCrashed
from ferryman.actors.durable import Do, Look
from ferryman.protocol.machine import Refused
from ferryman.supervisors.system import open_system
from tests.fakes.actors import Bang, outcome, settled
from tests.fakes.memory_ledger import MemoryLedger
from tests.fakes.tickets import Complain, CountSold, Printer, Sell, Tickets, booth, command_id

STORY = [Sell("ann"), Complain(), Sell("bob"), CountSold(), Sell("too late")]
REPLIES = [1, Refused("NO_COMPLAINTS", record=True), 2, 2, Refused("SOLD_OUT")]


class Points:
    """Counts the points that are passed, and crashes at those whose turn it is."""

    def __init__(self, crash_at=()):
        self.crash_at = crash_at
        self.passed = []

    def __call__(self, name):
        self.passed.append(name)
        if len(self.passed) in self.crash_at:
            raise Bang


class CrashingLedger(MemoryLedger):
    """Fails as told, before and after each append: two points of the same count."""

    def __init__(self, points):
        super().__init__()
        self.points = points

    def _commit(self, entry):
        self.points("ledger.before")
        done = super()._commit(entry)
        self.points("ledger.after")
        return done


def tell_the_story(crash_at, window, story):
    """What the callers heard, what is recorded, what was printed, and the points that were passed."""
    points, printer = Points(crash_at), Printer()
    ledger = CrashingLedger(points)

    async def main():
        async with open_system(booth(ledger, Tickets(limit=2), printer=printer, window=window)) as system:
            heard = await story(system.ref("/tickets"))
            await settled()
            return heard, await insist(system.ref("/tickets"), Look())

    with seeded_scheduler(1), crashing(points):
        heard, state = trio.run(main)
    return heard, state, ledger, printer, points


async def insist(ref, message):
    while isinstance(answer := await outcome(ref.ask(message)), ActorCrashed):
        pass
    return answer


async def one_after_the_other(ref):
    return [await insist(ref, Do(command_id(number), command)) for number, command in enumerate(STORY)]


async def all_at_once(ref):
    """Put together, and repeated in order if the answer was lost."""
    messages = [Do(command_id(number), command) for number, command in enumerate(STORY)]
    pending = [await ref.post(message) for message in messages]
    heard = []
    for message, one in zip(messages, pending, strict=True):
        answer = await outcome(one.wait())
        heard.append(await insist(ref, message) if isinstance(answer, ActorCrashed) else answer)
    return heard


def check(told, crash_at):
    heard, state, ledger, printer, points = told
    where = [points.passed[turn - 1] for turn in crash_at]
    records = ledger.records("tickets")
    ids = Counter(record.command_id for record in records)
    assert set(ids.values()) == {1}, where
    for number, answer in enumerate(heard):
        recorded = [record.reply for record in records if record.command_id == command_id(number)]
        assert recorded in ([answer], []), where
    assert [record.version for record in records] == list(range(1, len(records) + 1)), where
    assert len(state.sold) == 2, where
    assert state.unprinted == {}, where
    assert {one.number for one in printer.printed} == {1, 2}, where
    events = Counter(type(event).__name__ for event in ledger.events("tickets"))
    assert events == {"Sold": 2, "Handed": 2}, where


def turns(window, story, crash_at=()):
    """The numbers of the points after the last crash."""
    told = tell_the_story(crash_at, window, story)
    check(told, crash_at)
    return range(max(crash_at, default=0) + 1, len(told[-1].passed) + 1), told


@pytest.mark.parametrize(("window", "story"), [(1, one_after_the_other), (4, one_after_the_other), (4, all_at_once)])
def test_every_crash_and_every_crash_after_it_ends_the_story_alike(window, story):
    seen = set()
    singles, told = turns(window, story)
    assert told[0] == REPLIES
    for first in singles:
        seconds, told = turns(window, story, (first,))
        if story is one_after_the_other:
            assert told[0] == REPLIES, told[-1].passed[first - 1]
        seen |= set(told[-1].passed)
        for second in seconds:
            check(tell_the_story((first, second), window, story), (first, second))
    assert seen == {*DURABLE_POINTS, "ledger.before", "ledger.after"}


def test_a_crash_in_the_very_first_replay_leaves_the_ledger_as_it_was_and_the_next_start_is_whole():
    ledger = MemoryLedger()

    async def sell():
        async with open_system(booth(ledger)) as system:
            return await system.ref("/tickets").ask(Do(command_id(1), Sell("ann")))

    async def come_up():
        async with open_system(booth(ledger)) as system:
            return await system.ref("/tickets").ask(Look())

    assert trio.run(sell) == 1
    before = list(ledger.records("tickets"))
    with crashing(Points((1,))):
        assert isinstance(trio.run(outcome, come_up()), Bang)
    assert ledger.records("tickets") == before
    assert trio.run(come_up).sold == ("ann",)


def test_one_hook_at_a_time():
    with crashing(Points()), pytest.raises(RuntimeError, match="installed already"), crashing(Points()):
        pass
