"""Coming up in order, going down in reverse: what a start that fails, a grace and a cancellation lead to."""

import pytest
import trio

from ferryman.actors.core.errors import RecoveryFailed, TooManyRestarts
from ferryman.actors.core.events import Crashed, Ended, Stuck
from ferryman.supervisors.spec import Backoff, ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.actors import Bang, Crash, Finish, Get, Journal, Work, incarnations, outcome, settled

# --- starting


async def test_a_child_starts_when_the_one_before_it_is_ready(autojump_clock):
    journal = Journal()

    async def slow(ctx):
        await trio.sleep(3)
        journal.lines.append("slow is ready")
        await journal.worker(ctx)

    inner = Supervisor([ChildSpec("slow", slow), ChildSpec("b", journal.worker)])
    async with open_system(Supervisor([ChildSpec("inner", inner), ChildSpec("c", journal.worker)])):
        assert journal.lines == ["slow is ready", "slow1 up", "b1 up", "c1 up"]


async def test_ready_can_be_said_before_the_first_receive(autojump_clock):
    async def busy(ctx):
        ctx.ready()
        await trio.sleep(60)

    async with open_system(Supervisor([ChildSpec("busy", busy)])) as system:
        assert trio.current_time() == 0
        assert system.tree().children[0].state == "running"


async def test_a_start_that_fails_stops_what_had_started_and_says_why():
    journal = Journal(failing={"c": 1})
    inner = Supervisor([ChildSpec("b", journal.worker), ChildSpec("c", journal.worker)])
    root = Supervisor([ChildSpec("a", journal.worker), ChildSpec("inner", inner), ChildSpec("d", journal.worker)])
    error = await outcome(come_up(root))
    assert isinstance(error, Bang)
    assert error.__notes__ == ["/inner/c did not start"]
    assert journal.lines == ["a1 up", "b1 up", "c1 fails", "b1 down", "a1 down"]


async def come_up(root):
    async with open_system(root) as system:
        return incarnations(system)


async def test_a_child_that_was_ready_before_it_crashed_has_started():
    """The tree is still coming up; the crash is a crash, not a failed start."""
    journal = Journal()

    async def ready_then_crash(ctx):
        ctx.ready()
        if ctx.incarnation == 1:
            raise Bang
        await journal.worker(ctx)

    async def late(ctx):
        await settled()
        await journal.worker(ctx)

    root = Supervisor([ChildSpec("hasty", ready_then_crash), ChildSpec("late", late)])
    assert await outcome(come_up(root)) == {"/": 1, "/hasty": 2, "/late": 1}


async def test_a_child_that_returns_at_once_has_started():
    async def done(ctx):
        pass

    root = Supervisor([ChildSpec("done", done, restart="transient")])
    assert await outcome(come_up(root)) == {"/": 1, "/done": "ended"}


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("one_for_all", ["a1 down", "b1 down", "a2 up", "b fails", "a2 down", "a3 up", "b3 up"]),
        ("rest_for_one", ["a1 down", "b1 down", "a2 up", "b fails", "b3 up"]),
    ],
)
async def test_when_another_child_fails_in_the_restart_the_strategy_is_applied_again(strategy, expected):
    journal = Journal()
    patient = Backoff(base_seconds=0)
    children = [ChildSpec("a", journal.worker, backoff=patient), ChildSpec("b", journal.worker, backoff=patient)]
    async with open_system(Supervisor(children, strategy=strategy)) as system:
        journal.lines.clear()
        journal.failing["b"] = 1
        await outcome(system.ref("/a").ask(Crash()))
        await settled()
        assert [line.replace("b2 fails", "b fails") for line in journal.lines] == expected


async def test_an_earlier_sibling_that_crashes_during_a_group_restart_is_not_waited_for_in_vain(autojump_clock):
    """b's second start asks a, a crashes meanwhile: a is brought back although b is not up yet."""
    journal = Journal()

    async def asks_a(ctx):
        if ctx.incarnation > 1:
            await ctx.ref("/a").ask(Get())
            await trio.sleep(1)
            await ctx.ref("/a").ask(Get())
        await journal.worker(ctx)

    children = [ChildSpec("a", journal.worker), ChildSpec("b", asks_a, grace=1)]
    async with open_system(Supervisor(children, strategy="rest_for_one")) as system:
        await outcome(system.ref("/a").ask(Crash()))
        await trio.sleep(0.5)
        await outcome(system.ref("/a").ask(Crash()))
        await trio.sleep(5)
        assert incarnations(system) == {"/": 1, "/a": 3, "/b": 3}
        assert system.tree().children[1].state == "running"


# --- staying down for a while


async def test_a_child_that_crashes_again_and_again_stays_down_longer_each_time(autojump_clock):
    starts = []

    async def bad(ctx):
        starts.append(trio.current_time())
        ctx.ready()
        raise Bang

    backoff = Backoff(base_seconds=1, factor=2, most_seconds=3, jitter=0)
    root = Supervisor([ChildSpec("bad", bad, backoff=backoff)], max_restarts=5, within=60)
    assert isinstance(await outcome(stay_up(root)), TooManyRestarts)
    assert starts == [0, 0, 1, 3, 6, 9]


async def stay_up(root):
    async with open_system(root):
        await trio.sleep_forever()


async def test_a_mailbox_takes_messages_while_its_actor_is_down(autojump_clock):
    journal = Journal()
    root = Supervisor([ChildSpec("a", journal.worker, backoff=Backoff(first_seconds=1))])
    async with open_system(root) as system:
        ref = system.ref("/a")
        await outcome(ref.ask(Crash()))
        await settled()
        assert system.tree().children[0].state == "backing off"
        assert await outcome(ref.ask(Get(), timeout=5)) == (2, 0)
        assert trio.current_time() == 1


# --- stopping


async def test_children_stop_in_reverse_order_one_at_a_time():
    journal = Journal()
    inner = Supervisor([ChildSpec("b", journal.worker), ChildSpec("c", journal.worker)])
    root = Supervisor([ChildSpec("a", journal.worker), ChildSpec("inner", inner), ChildSpec("d", journal.worker)])
    async with open_system(root):
        journal.lines.clear()
    assert journal.lines == ["d1 down", "c1 down", "b1 down", "a1 down"]


async def test_a_tree_that_is_cancelled_from_outside_stops_in_reverse_order_too(autojump_clock):
    stopped = []

    async def restless(ctx):
        ctx.ready()
        try:
            await trio.sleep(100)
        finally:
            stopped.append(ctx.path)

    root = Supervisor([ChildSpec(name, restless, grace=0) for name in "abcde"])
    async with trio.open_nursery() as nursery:
        await nursery.start(keep_open, root)
        nursery.cancel_scope.cancel()
    assert stopped == ["/e", "/d", "/c", "/b", "/a"]
    assert trio.current_time() == 0


async def keep_open(root, task_status):
    async with open_system(root):
        task_status.started()
        await trio.sleep_forever()


async def test_a_message_under_way_is_finished_within_the_grace(autojump_clock):
    journal = Journal()
    async with open_system(Supervisor([ChildSpec("a", journal.worker, grace=5)])) as system:
        system.ref("/a").tell(Work(3))
        system.ref("/a").tell(Work(100))
        await settled()
    assert trio.current_time() == 3


async def test_after_the_grace_it_is_cancelled(autojump_clock):
    journal = Journal()
    async with open_system(Supervisor([ChildSpec("a", journal.worker, grace=5)])) as system:
        system.ref("/a").tell(Work(100))
        await settled()
    assert trio.current_time() == 5
    assert journal.lines == ["a1 up", "a1 down"]


async def test_without_grace_it_is_cancelled_at_once(autojump_clock):
    journal = Journal()
    async with open_system(Supervisor([ChildSpec("a", journal.worker, grace=0)])) as system:
        system.ref("/a").tell(Work(100))
        await settled()
    assert trio.current_time() == 0


async def test_a_nested_supervisor_is_cancelled_at_once(autojump_clock):
    """Its own grace would only delay the children's."""
    journal = Journal()
    inner = Supervisor([ChildSpec("a", journal.worker)])
    async with open_system(Supervisor([ChildSpec("inner", inner, grace=5)])):
        pass
    assert trio.current_time() == 0


async def test_a_nested_supervisor_is_waited_for_without_limit(autojump_clock):
    """Its children's grace may be longer than its own."""
    journal = Journal()
    inner = Supervisor([ChildSpec("a", journal.worker, grace=60)])
    async with open_system(Supervisor([ChildSpec("inner", inner, grace=5)])) as system:
        system.ref("/inner/a").tell(Work(20))
        await settled()
    assert trio.current_time() == 20
    assert journal.lines == ["a1 up", "a1 down"]


async def test_a_failure_while_cleaning_up_after_a_cancellation_is_reported_as_a_crash(autojump_clock):
    crashes = []

    async def leaves_badly(ctx):
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("a clean-up that fails")

    async def bad(ctx):
        ctx.ready()
        await leaves_badly(ctx)

    async with open_system(Supervisor([ChildSpec("bad", bad)]), on_event=crashes.append):
        pass
    assert [type(one.cause) for one in crashes if isinstance(one, Crashed)] == [OSError]


async def test_a_body_that_shields_itself_is_reported_and_waited_for(autojump_clock):
    events = []

    async def shielded(ctx):
        ctx.ready()
        with trio.CancelScope(shield=True):
            await trio.sleep(60)

    async with open_system(Supervisor([ChildSpec("deaf", shielded, grace=2)]), on_event=events.append):
        pass
    assert trio.current_time() == 60
    assert Stuck("/deaf", 1, 5.0) in events


# --- records that cannot be read


async def test_failed_recovery_leaves_the_tree_at_once_and_spends_no_restart():
    journal = Journal()
    inner = Supervisor([ChildSpec("a", journal.worker)], max_restarts=100)
    root = Supervisor([ChildSpec("inner", inner), ChildSpec("b", journal.worker)], max_restarts=100)

    async def lose_the_records():
        async with open_system(root) as system:
            system.ref("/inner/a").tell(Crash(RecoveryFailed("record 7 is gone")))
            await settled()
            return incarnations(system)

    error = await outcome(lose_the_records())
    assert isinstance(error, RecoveryFailed)
    assert journal.lines == ["a1 up", "b1 up", "a1 down", "b1 down"]


async def test_failed_recovery_among_other_failures_is_still_failed_recovery():
    async def fails_twice(ctx):
        ctx.tasks.start_soon(raise_it, Bang())
        await raise_it(RecoveryFailed("record 7 is gone"))

    async def raise_it(error):
        raise error

    root = Supervisor([ChildSpec("a", fails_twice)], max_restarts=100)
    error = await outcome(come_up(root))
    assert isinstance(error, ExceptionGroup)
    assert error.subgroup(RecoveryFailed)


# --- the end of one


async def test_a_static_child_can_be_stopped_for_good():
    journal, events = Journal(), []
    root = Supervisor([ChildSpec("a", journal.worker), ChildSpec("b", journal.worker)])
    async with open_system(root, on_event=events.append) as system:
        await system.stop_child("/a")
        await system.stop_child("/a")
        assert incarnations(system) == {"/": 1, "/b": 1}
        assert Ended("/a", None) in events


async def test_a_body_can_stop_its_own_supervisor_without_waiting_for_itself(autojump_clock):
    journal = Journal()

    async def goes_home(ctx):
        async for envelope in ctx:
            if envelope.msg == Finish():
                await ctx.stop_child("/group")
                journal.lines.append("asked for it")

    group = Supervisor([ChildSpec("a", journal.worker), ChildSpec("b", goes_home)], strategy="one_for_all")
    async with open_system(Supervisor([ChildSpec("group", group), ChildSpec("c", journal.worker)])) as system:
        system.ref("/group/b").tell(Finish())
        await settled()
        assert incarnations(system) == {"/": 1, "/c": 1}
        assert trio.current_time() == 0
        assert journal.lines[-2:] == ["asked for it", "a1 down"]


async def test_a_child_that_is_down_for_a_while_can_be_stopped_for_good(autojump_clock):
    journal = Journal()
    root = Supervisor([ChildSpec("a", journal.worker, backoff=Backoff(first_seconds=1))])
    async with open_system(root) as system:
        await outcome(system.ref("/a").ask(Crash()))
        await settled()
        await system.stop_child("/a")
        await trio.sleep(5)
        assert incarnations(system) == {"/": 1}
        assert journal.lines == ["a1 up", "a1 down"]


async def test_a_child_that_is_stopped_while_it_starts_does_not_hold_up_those_after_it(autojump_clock):
    journal = Journal()

    async def slow_the_second_time(ctx):
        if ctx.incarnation > 1:
            await trio.sleep(100)
        await journal.worker(ctx)

    children = [ChildSpec("a", slow_the_second_time, grace=1), ChildSpec("b", journal.worker)]
    async with open_system(Supervisor(children, strategy="one_for_all")) as system:
        await outcome(system.ref("/b").ask(Crash()))
        await settled()
        assert [child.state for child in system.tree().children] == ["starting", "backing off"]
        await system.stop_child("/a")
        assert await outcome(system.ref("/b").ask(Get(), timeout=5)) == (2, 0)
        assert trio.current_time() == 1


async def test_a_timer_that_was_overtaken_by_another_crash_starts_nobody(autojump_clock):
    """The group is down for a second; its eldest crashes half-way, and all wait for its second instead."""
    journal = Journal()
    patient = Backoff(first_seconds=1)
    children = [ChildSpec(name, journal.worker, backoff=patient) for name in "ab"]
    async with open_system(Supervisor(children, strategy="rest_for_one")) as system:
        await outcome(system.ref("/b").ask(Crash()))
        await trio.sleep(0.5)
        await outcome(system.ref("/a").ask(Crash()))
        await trio.sleep(0.75)
        assert journal.lines == ["a1 up", "b1 up", "b1 down", "a1 down"]
        await trio.sleep(0.5)
        assert journal.lines[4:] == ["a2 up", "b2 up"]
