"""What a host can see: one report a crash, the tree, the counts; and that nothing secret is among it."""

import trio

from ferryman.actors.core.events import Crashed, Ended, Started
from ferryman.supervisors.spec import Backoff, ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.actors import Bang, Crash, Get, Hold, Journal, Put, Work, outcome, settled

patient = Backoff(base_seconds=0)


async def test_a_crash_is_reported_once_with_all_that_helps_and_no_contents():
    journal, events = Journal(), []
    root = Supervisor([ChildSpec("a", journal.worker, backoff=patient)])
    async with open_system(root, on_event=events.append) as system:
        await outcome(system.ref("/a").ask(Crash(Bang("the password is"))))
        await settled()
        await outcome(system.ref("/a").ask(Crash(ValueError())))
        await settled()
    crashes = [event for event in events if isinstance(event, Crashed)]
    assert len(crashes) == 2
    first, second = crashes
    assert (first.path, first.incarnation, first.message_type, first.restarts) == ("/a", 1, "Crash", 0)
    assert (second.path, second.incarnation, second.message_type, second.restarts) == ("/a", 2, "Crash", 1)
    assert isinstance(first.cause, Bang)
    assert "password" not in f"{first} {first!r}"
    assert str(first).startswith("/a crashed on Crash: Bang at ")
    assert "actors.py:" in str(first)


async def test_a_crash_before_the_first_message_names_none():
    events = []

    async def body(ctx):
        ctx.ready()
        if ctx.incarnation == 1:
            raise Bang
        await trio.sleep_forever()

    async with open_system(Supervisor([ChildSpec("a", body, grace=0)]), on_event=events.append):
        await settled()
    assert [event.message_type for event in events if isinstance(event, Crashed)] == [None]


async def test_a_crash_that_escalates_is_one_report_a_level():
    journal, events = Journal(), []
    inner = Supervisor([ChildSpec("a", journal.worker)], max_restarts=0)
    async with open_system(Supervisor([ChildSpec("inner", inner)]), on_event=events.append) as system:
        await outcome(system.ref("/inner/a").ask(Crash()))
        await settled()
        assert system.stats.crashes == 2
    crashes = [(event.path, type(event.cause).__name__) for event in events if isinstance(event, Crashed)]
    assert crashes == [("/inner/a", "Bang"), ("/inner", "TooManyRestarts")]


async def test_starts_and_ends_are_told_in_order():
    journal, events = Journal(), []
    root = Supervisor([ChildSpec("a", journal.worker, restart="temporary")])
    async with open_system(root, on_event=events.append) as system:
        error = Bang()
        system.ref("/a").tell(Crash(error))
        await settled()
        assert events == [Started("/", 1), Started("/a", 1), Crashed("/a", 1, "Crash", error, 0), Ended("/a", error)]


async def test_the_tree_shows_every_place_with_its_counts(autojump_clock):
    journal = Journal()
    inner = Supervisor([ChildSpec("b", journal.worker)], strategy="one_for_all", because="one needs the other")
    async with open_system(Supervisor([ChildSpec("a", journal.worker), ChildSpec("inner", inner)])) as system:
        ref = system.ref("/a")
        await outcome(ref.ask(Crash()))
        for message in (Work(1), Put(1), Put(2), Put(3)):
            ref.tell(message)
        await settled()
        tree = system.tree()
        a, sub = tree.children
        assert (a.path, a.kind, a.state, a.incarnation, a.queued, a.handled, a.restarts) == (
            "/a", "actor", "running", 2, 3, 2, 1,
        )  # fmt: skip
        assert (sub.path, sub.kind, sub.children[0].path) == ("/inner", "one_for_all", "/inner/b")
        assert system.stats.restarts == 1
        assert "  a  actor, running, incarnation 2, 3 queued, 2 handled, 1 restarts" in str(tree)
        assert len(str(tree).splitlines()) == 4


async def test_writers_that_wait_for_room_are_shown_as_queued(autojump_clock):
    journal = Journal()
    async with open_system(Supervisor([ChildSpec("a", journal.worker, capacity=1)])) as system:
        ref = system.ref("/a")
        ref.tell(Work(1))
        await settled()
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(ref.send, Put(number))
            await settled()
            assert system.tree().children[0].queued == 3


async def test_chaos_ends_the_running_incarnation_as_if_its_body_had_raised(autojump_clock):
    journal, events = Journal(), []
    spec = ChildSpec("a", journal.worker, backoff=Backoff(first_seconds=1))
    async with open_system(Supervisor([spec]), on_event=events.append) as system:
        pending = await system.ref("/a").post(Hold())
        await settled()
        assert system.crash("/a", Bang("chaos"))
        assert type((await outcome(pending.wait())).cause) is Bang
        await settled()
        assert not system.crash("/a", Bang("it is down already"))
        assert await system.ref("/a").ask(Get()) == (2, 0)
        assert [str(event.cause) for event in events if isinstance(event, Crashed)] == ["chaos"]


async def test_chance_follows_from_seed_path_and_incarnation():
    import random

    drawn = []

    async def body(ctx):
        drawn.append((ctx.path, ctx.incarnation, ctx.rng.random()))
        async for envelope in ctx:
            if envelope.msg == Crash:
                raise Bang

    async def draw(seed):
        drawn.clear()
        root = Supervisor([ChildSpec("a", body), ChildSpec("b", body)])
        async with open_system(root, rng=random.Random(seed)) as system:
            system.ref("/a").tell(Crash)
            await settled()
        return list(drawn)

    once, again, other = await draw(1), await draw(1), await draw(2)
    assert once == again
    assert len({number for _, _, number in once + other}) == 6
