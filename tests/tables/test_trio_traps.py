"""Where Trio surprises whoever builds actors on it; one test a trap."""

import contextlib

import pytest
import trio
import trio.testing

from ferryman.actors.core.determinism import seeded_scheduler
from ferryman.actors.core.errors import ActorCrashed, ActorStopped, TooManyRestarts
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.actors import Bang, Crash, Get, Journal, Put, Work, incarnations, outcome, settled

# --- what is no Exception is nobody's to keep


class PowerCut(BaseException):
    """As a simulation has it."""


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), PowerCut()])
async def test_what_is_no_exception_leaves_the_tree_through_every_supervisor(error):
    journal = Journal()
    inner = Supervisor([ChildSpec("a", journal.worker)])
    root = Supervisor([ChildSpec("first", journal.worker), ChildSpec("inner", inner)])
    left = None
    try:
        async with open_system(root) as system:
            system.ref("/inner/a").tell(Crash(error))
            await settled()
    except BaseException as one:
        left = one
    assert left is error
    assert journal.lines == ["first1 up", "a1 up", "a1 down", "first1 down"]


async def test_a_keyboard_interrupt_inside_a_mixed_group_leaves_the_tree():
    async def body(ctx):
        ctx.ready()
        ctx.tasks.start_soon(raise_it, KeyboardInterrupt())
        await raise_it(ValueError())

    async def raise_it(error):
        raise error

    left = None
    try:
        async with open_system(Supervisor([ChildSpec("a", body)])):
            await settled()
    except BaseExceptionGroup as group:
        left = group
    assert left is not None
    assert left.subgroup(KeyboardInterrupt) is not None


async def test_whoever_insists_behind_a_shield_hears_that_the_tree_is_gone(autojump_clock):
    """Nobody answers any more: without a word, the shield would keep the process for ever."""
    heard = []
    with contextlib.suppress(PowerCut), trio.move_on_after(60) as patience:
        async with open_system(Supervisor([ChildSpec("store", Journal().worker)])) as system:
            store = system.ref("/store")
            try:
                store.tell(Crash(PowerCut()))
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(30):
                    heard.append(type(await outcome(store.ask(Get()))))
    assert heard == [ActorStopped]
    assert not patience.cancelled_caught


# --- scopes and nurseries


def test_a_sibling_that_dies_with_the_whole_nursery_cancels_nobody_who_is_supervised():
    """A nursery cancels all its tasks when one raises; a supervised incarnation ends when its supervisor says so."""
    for one in range(12):  # schedules: the order in which a nursery cancels is one of many
        with seeded_scheduler(one):
            assert trio.run(end_by_keyboard) == [["a1 up", "b1 up", "a1 down", "b1 down"]], (
                "the first to start goes last"
            )


async def end_by_keyboard():
    """What stood in the journal when the first child to start was cancelled."""
    journal = Journal()
    seen = []

    async def busy(ctx):
        ctx.ready()
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            seen.append(list(journal.lines))
            raise

    children = [ChildSpec("busy", busy, grace=0), ChildSpec("a", journal.worker), ChildSpec("b", journal.worker)]

    async def until_the_keyboard():
        async with open_system(Supervisor(children)) as system:
            system.ref("/a").tell(Crash(KeyboardInterrupt()))
            await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        await until_the_keyboard()
    return seen


async def test_a_child_does_not_live_in_the_cancel_scope_of_whoever_started_it(autojump_clock):
    """`nursery.start` keeps a task in its starter's scope until it reports ready; `start_child` never has it there."""
    journal = Journal()

    async def slow(ctx):
        await trio.sleep(5)
        await journal.worker(ctx)

    root = Supervisor([ChildSpec("groups", Supervisor(dynamic=True))])
    async with open_system(root) as system:
        with trio.move_on_after(1) as scope:
            await system.start_child("/groups", ChildSpec("x", slow))
        assert scope.cancelled_caught
        await trio.sleep(10)
        assert incarnations(system)["/groups/x"] == 1
        assert await system.ref("/groups/x").ask(Get()) == (1, 0)


async def test_a_crash_in_a_background_task_is_a_crash_of_its_incarnation():
    journal = Journal()

    async def explode():
        raise Bang

    async def body(ctx):
        if ctx.incarnation == 1:
            ctx.tasks.start_soon(explode)
        await journal.worker(ctx)

    async with open_system(Supervisor([ChildSpec("a", body)])) as system:
        await settled()
        assert incarnations(system)["/a"] == 2
        assert system.stats.crashes == 1


async def test_background_tasks_end_with_their_body():
    ended = []

    async def background():
        try:
            await trio.sleep_forever()
        finally:
            ended.append("background")

    async def body(ctx):
        ctx.tasks.start_soon(background)
        await anext(ctx)
        ended.append("body")

    async with open_system(Supervisor([ChildSpec("a", body, restart="transient")])) as system:
        system.ref("/a").tell(Put(1))
        await settled()
        assert ended == ["body", "background"]


async def test_an_actor_that_ends_a_scope_of_its_own_is_not_a_crash(autojump_clock):
    """Cancelled stays with the scope it belongs to."""
    journal = Journal()

    async def body(ctx):
        with trio.move_on_after(1):
            await trio.sleep(10)
        await journal.worker(ctx)

    async with open_system(Supervisor([ChildSpec("a", body)])) as system:
        assert system.stats.crashes == 0


# --- waiting


async def test_cancelling_a_question_does_not_stop_the_work_and_its_late_answer_is_ignored(autojump_clock):
    journal = Journal()

    async def slow(ctx):
        async for envelope in ctx:
            await trio.sleep(3)
            journal.lines.append("worked")
            envelope.reply("late")

    async with open_system(Supervisor([ChildSpec("a", slow)])) as system:
        with trio.move_on_after(1):
            await system.ref("/a").ask(Get())
        await trio.sleep(5)
        assert journal.lines == ["worked"]
        assert await system.ref("/a").ask(Get()) == "late"


async def test_two_bounded_actors_that_send_to_each_other_can_wait_for_ever(autojump_clock):
    """Why `send` goes downstream only: this is what happens otherwise. A `tell` would have dropped and gone on."""

    async def ping_pong(ctx):
        other = ctx.ref("/b" if ctx.path == "/a" else "/a")
        async for envelope in ctx:
            for _ in range(2):
                await other.send(envelope.msg)

    children = [ChildSpec(name, ping_pong, capacity=1, grace=0) for name in "ab"]
    async with open_system(Supervisor(children)) as system:
        system.ref("/a").tell("ball")
        await trio.sleep(3600)
        handled = [child.handled for child in system.tree().children]
        await trio.sleep(3600)
        assert handled == [child.handled for child in system.tree().children], "nobody moves any more"


async def test_an_actor_with_a_full_mailbox_lets_others_run():
    """Nothing in its loop ever sleeps; every 64 messages the others get their turn."""
    turns = []

    async def tireless(ctx):
        async for envelope in ctx:
            if envelope.msg < 64 * 20:
                ctx.self_ref.tell(envelope.msg + 1)

    async def bystander():
        while True:
            await trio.lowlevel.checkpoint()
            turns.append(1)

    async with open_system(Supervisor([ChildSpec("a", tireless)])) as system, trio.open_nursery() as nursery:
        nursery.start_soon(bystander)
        system.ref("/a").tell(0)
        while system.tree().children[0].handled < 64 * 20:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert len(turns) >= 18


async def test_a_sender_with_a_free_road_lets_others_run():
    journal = Journal()
    async with open_system(Supervisor([ChildSpec("a", journal.worker, capacity=1000)])) as system:
        ref = system.ref("/a")
        for number in range(640):
            await ref.send(Put(number))
        assert system.tree().children[0].handled > 500


async def test_a_cancelled_actor_takes_no_further_message(autojump_clock):
    """The look for cancellation comes before each message, so a full mailbox cannot delay it."""
    taken = []

    async def body(ctx):
        async for envelope in ctx:
            taken.append(envelope.msg)
            if envelope.msg == 3:
                ctx.tasks.cancel_scope.cancel()

    async with open_system(Supervisor([ChildSpec("a", body, restart="transient")])) as system:
        for number in range(10):
            system.ref("/a").tell(number)
        await settled()
    assert taken == [0, 1, 2, 3]


async def test_a_tree_in_a_cancelled_block_still_stops_in_order_and_gives_the_cancellation_back():
    journal = Journal()
    root = Supervisor([ChildSpec(name, journal.worker) for name in "ab"])
    with trio.CancelScope() as scope:
        async with open_system(root) as system:
            scope.cancel()
            await outcome(system.ref("/a").ask(Work(10)))
            raise AssertionError("the question cannot have been answered")
    assert scope.cancelled_caught
    assert journal.lines == ["a1 up", "b1 up", "b1 down", "a1 down"]


async def test_the_blocks_own_error_comes_out_as_it_is():
    journal = Journal()
    with pytest.raises(KeyError, match="mine"):
        async with open_system(Supervisor([ChildSpec("a", journal.worker)])):
            raise KeyError("mine")


async def test_an_error_of_the_block_beside_a_tree_that_gave_up_comes_out_with_it():
    journal = Journal()

    async def fail_both():
        async with open_system(Supervisor([ChildSpec("a", journal.worker)], max_restarts=0)) as system:
            system.ref("/a").tell(Crash())
            try:
                await trio.sleep_forever()
            finally:
                raise KeyError("mine")

    error = await outcome(fail_both())
    assert isinstance(error, ExceptionGroup)
    assert error.subgroup(KeyError) is not None
    assert error.subgroup(TooManyRestarts) is not None


async def test_a_crashed_question_of_the_block_is_the_blocks_error_while_the_tree_lives():
    journal = Journal()

    async def crash_it():
        async with open_system(Supervisor([ChildSpec("a", journal.worker)])) as system:
            await system.ref("/a").ask(Crash())

    assert isinstance(await outcome(crash_it()), ActorCrashed)
