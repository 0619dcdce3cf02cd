"""What an asker gets: an answer, or the reason why there is none."""

import pytest
import trio

from ferryman.actors.core.errors import ActorCrashed, ActorStopped, AskCycle, AskTimeout, NoSuchActor
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.actors import Bang, Crash, Finish, Get, Hold, Journal, Put, Work, outcome, settled


def one(body, **options):
    return Supervisor([ChildSpec("a", body, **options)])


async def test_an_answer_comes_to_whoever_asked():
    journal = Journal()
    async with open_system(one(journal.worker)) as system:
        ref = system.ref("/a")
        ref.tell(Put(1))
        assert await ref.ask(Get()) == (1, 1)


async def test_an_actor_can_answer_with_an_exception():
    async def body(ctx):
        async for envelope in ctx:
            envelope.fail(KeyError("k"))

    async with open_system(one(body)) as system:
        assert isinstance(await outcome(system.ref("/a").ask(Get())), KeyError)


async def test_posted_questions_are_answered_in_the_order_in_which_they_were_put():
    journal = Journal()
    async with open_system(one(journal.worker)) as system:
        ref = system.ref("/a")
        first = await ref.post(Get())
        ref.tell(Put(1))
        second = await ref.post(Get())
        assert [await second.wait(), await first.wait()] == [(1, 1), (1, 0)]


async def test_a_crash_is_told_to_whoever_was_being_answered(autojump_clock):
    journal = Journal()
    async with open_system(one(journal.worker)) as system:
        error = await outcome(system.ref("/a").ask(Crash(), timeout=1))
        assert isinstance(error, ActorCrashed)
        assert (error.path, type(error.cause), error.__cause__) == ("/a", Bang, error.cause)
        assert error.retryable


async def test_a_crash_is_told_to_everyone_whose_question_was_kept(autojump_clock):
    journal = Journal()
    async with open_system(one(journal.worker)) as system:
        ref = system.ref("/a")
        kept = [await ref.post(Hold()) for _ in range(3)]
        ref.tell(Crash())
        assert [type(await outcome(one.wait(timeout=1))) for one in kept] == [ActorCrashed] * 3


async def test_a_return_leaves_no_asker_behind_either(autojump_clock):
    journal = Journal()
    async with open_system(one(journal.worker)) as system:
        error = await outcome(system.ref("/a").ask(Finish(), timeout=1))
        assert isinstance(error, ActorCrashed)
        assert isinstance(error.cause, ActorStopped)


async def test_a_message_that_crashed_its_actor_is_not_given_to_the_next_incarnation():
    journal = Journal()

    async def crash_it_once():
        async with open_system(one(journal.worker)) as system:
            await system.ref("/a").post(Crash())
            await settled()
            return await system.ref("/a").ask(Get())

    assert await outcome(crash_it_once()) == (2, 0)


async def test_a_question_that_waits_in_the_mailbox_is_answered_by_the_next_incarnation():
    journal = Journal()
    async with open_system(one(journal.worker)) as system:
        ref = system.ref("/a")
        ref.tell(Crash())
        assert await ref.ask(Get()) == (2, 0)


async def test_only_the_first_answer_counts():
    wanted = []

    async def body(ctx):
        async for envelope in ctx:
            wanted.append(envelope.wants_reply)
            envelope.reply(1)
            wanted.append(envelope.wants_reply)
            envelope.reply(2)
            envelope.fail(Bang())

    async with open_system(one(body)) as system:
        assert await outcome(system.ref("/a").ask(Get())) == 1
        assert wanted == [True, False]


async def test_an_answer_to_something_told_goes_nowhere():
    journal = Journal()
    async with open_system(one(journal.worker)) as system:
        system.ref("/a").tell(Get())
        assert await system.ref("/a").ask(Get()) == (1, 0)


async def test_a_timeout_says_which_actor_and_leaves_the_work_alone(autojump_clock):
    journal = Journal()
    async with open_system(one(journal.worker)) as system:
        ref = system.ref("/a")
        ref.tell(Work(10))
        error = await outcome(ref.ask(Get(), timeout=3))
        assert isinstance(error, AskTimeout)
        assert str(error) == "/a did not answer within 3 s"
        assert trio.current_time() == 3
        assert await ref.ask(Get()) == (1, 0)
        assert system.tree().children[0].handled == 3  # the question nobody waits for was answered all the same


async def test_a_timeout_covers_the_wait_for_room_too(autojump_clock):
    journal = Journal()
    async with open_system(one(journal.worker, capacity=1)) as system:
        ref = system.ref("/a")
        ref.tell(Work(10))
        await settled()
        ref.tell(Put(1))
        assert isinstance(await outcome(ref.ask(Get(), timeout=3)), AskTimeout)
        await trio.sleep(10)
        assert system.tree().children[0].handled == 2  # it never got in


# --- cycles


def asks(path):
    async def body(ctx):
        async for envelope in ctx:
            envelope.reply(await outcome(ctx.ref(path).ask(Get(), timeout=1)))

    return body


@pytest.mark.parametrize("length", [1, 2, 3])
async def test_a_question_that_would_come_back_to_its_asker_is_refused_at_once(length, autojump_clock):
    children = [ChildSpec(str(place), asks(f"/{(place + 1) % length}")) for place in range(length)]
    async with open_system(Supervisor(children)) as system:
        error = await system.ref("/0").ask(Get())
        assert isinstance(error, AskCycle)
        assert error.paths[0] == error.paths[-1] == f"/{length - 1}"
        assert len(error.paths) == length + 1
        assert trio.current_time() == 0


async def test_waiting_for_a_posted_question_can_close_a_cycle_as_well(autojump_clock):
    async def posts(ctx):
        async for envelope in ctx:
            pending = await ctx.ref("/b").post(Get())
            envelope.reply(await outcome(pending.wait(timeout=1)))

    async with open_system(Supervisor([ChildSpec("a", posts), ChildSpec("b", asks("/a"))])) as system:
        assert isinstance(await system.ref("/a").ask(Get()), AskCycle)


async def test_a_background_task_may_ask_what_its_body_may_not():
    """Its body goes on reading, so nobody waits for ever."""

    async def body(ctx):
        async def ask_myself(envelope):
            envelope.reply(await ctx.self_ref.ask(Get()))

        async for envelope in ctx:
            match envelope.msg:
                case Hold():
                    ctx.tasks.start_soon(ask_myself, envelope)
                case Get():
                    envelope.reply("answered")

    async with open_system(one(body)) as system:
        assert await system.ref("/a").ask(Hold()) == "answered"


async def test_once_a_wait_is_over_it_closes_no_cycle(autojump_clock):
    """b asked a, timed out, and asks no more: a may ask b."""
    answers = []

    async def a(ctx):
        async for envelope in ctx:
            if envelope.msg == Hold():
                answer = await outcome(ctx.ref("/b").ask(Get()))
                answers.append(answer)

    async def b(ctx):
        async for envelope in ctx:
            if envelope.msg == Work(1):
                answers.append(type(await outcome(ctx.ref("/a").ask(Crash(), timeout=1))))
                ctx.ref("/a").tell(Hold())
            else:
                envelope.reply("fine")

    async with open_system(Supervisor([ChildSpec("a", a), ChildSpec("b", b)])) as system:
        system.ref("/b").tell(Work(1))
        await trio.sleep(3)
    assert answers == [AskTimeout, "fine"]


# --- addresses


async def test_a_path_that_nobody_has_is_named():
    journal = Journal()
    async with open_system(one(journal.worker)) as system:
        with pytest.raises(NoSuchActor, match="no actor has the path /b"):
            system.ref("/b")


async def test_references_to_one_path_are_equal():
    journal = Journal()
    async with open_system(Supervisor([ChildSpec("a", journal.worker), ChildSpec("b", journal.worker)])) as system:
        assert system.ref("/a") == system.ref("/a") != system.ref("/b")
        assert len({system.ref("/a"), system.ref("/a")}) == 1


async def test_a_tree_that_gives_up_under_an_asker_says_why_it_ended():
    """The asker's error is only a consequence; the block ends with the cause."""
    journal = Journal()
    root = Supervisor([ChildSpec("a", journal.worker), ChildSpec("b", journal.worker)], max_restarts=0)

    async def ask_for_it():
        async with open_system(root) as system:
            pending = await system.ref("/b").post(Hold())
            system.ref("/a").tell(Crash())
            await pending.wait()

    error = await outcome(ask_for_it())
    assert getattr(error, "code", error) == "TOO_MANY_RESTARTS"
