"""The mailbox, a row a test: who gets in, who waits, what becomes of the rest."""

import pytest
import trio

from ferryman.actors.core.errors import ActorStopped, MailboxFull
from ferryman.supervisors.spec import Backoff, ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.actors import Crash, Get, Hold, Journal, Put, Work, outcome, settled


def one(journal, **options):
    return Supervisor([ChildSpec("a", journal.worker, **options)])


async def test_a_told_message_that_finds_no_room_is_a_dead_letter():
    journal, letters = Journal(), []
    async with open_system(one(journal, capacity=2), on_dead_letter=letters.append) as system:
        ref = system.ref("/a")
        assert [ref.tell(Put(number)) for number in range(4)] == [True, True, False, False]
        await settled()
        assert journal.got["a"] == [0, 1]
        assert [(letter.path, letter.message, letter.why) for letter in letters] == [
            ("/a", Put(2), "full"),
            ("/a", Put(3), "full"),
        ]
        assert system.stats.dead_letters == 2


async def test_drop_old_makes_room_for_the_newest():
    journal, letters = Journal(), []
    async with open_system(one(journal, capacity=2, overflow="drop_old"), on_dead_letter=letters.append) as system:
        ref = system.ref("/a")
        assert [ref.tell(Put(number)) for number in range(4)] == [True, True, True, True]
        await settled()
        assert journal.got["a"] == [2, 3]
        assert [letter.message for letter in letters] == [Put(0), Put(1)]
        assert {letter.why for letter in letters} == {"pushed out"}


async def test_whoever_asked_and_is_pushed_out_is_told(autojump_clock):
    journal = Journal()
    async with open_system(one(journal, capacity=1, overflow="drop_old")) as system:
        ref = system.ref("/a")
        pending = await ref.post(Get())
        ref.tell(Put(1))
        assert isinstance(await outcome(pending.wait(timeout=1)), MailboxFull)


async def test_at_the_edge_the_teller_hears_of_a_full_mailbox_and_nothing_is_a_dead_letter():
    journal = Journal()
    async with open_system(one(journal, capacity=1, overflow="fail")) as system:
        ref = system.ref("/a")
        assert ref.tell(Put(0))
        with pytest.raises(MailboxFull, match="/a has 1 messages waiting"):
            ref.tell(Put(1))
        assert system.stats.dead_letters == 0


async def test_send_waits_for_room(autojump_clock):
    journal = Journal()
    async with open_system(one(journal, capacity=1)) as system:
        ref = system.ref("/a")
        await ref.send(Work(5))
        await settled()
        await ref.send(Put(0))
        assert trio.current_time() == 0
        await ref.send(Put(1))
        assert trio.current_time() == 5


async def test_a_tell_does_not_overtake_a_send_that_waits(autojump_clock):
    journal = Journal()
    async with open_system(one(journal, capacity=1)) as system:
        ref = system.ref("/a")
        ref.tell(Work(1))
        await settled()
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(ref.send, Put(number))
                await settled()
            assert not ref.tell(Put("too late"))
        await settled()
        assert journal.got["a"] == [0, 1, 2]


async def test_a_send_that_is_cancelled_while_it_waits_was_never_sent(autojump_clock):
    journal = Journal()
    async with open_system(one(journal, capacity=1)) as system:
        ref = system.ref("/a")
        ref.tell(Work(5))
        await settled()
        ref.tell(Put("before"))
        with trio.move_on_after(1) as scope:
            await ref.send(Put("cancelled"))
        assert scope.cancelled_caught
        await ref.send(Put("after"))
        await settled()
        assert journal.got["a"] == ["before", "after"]


async def test_the_mailbox_outlives_the_incarnation():
    journal = Journal()
    async with open_system(one(journal)) as system:
        ref = system.ref("/a")
        for message in (Put(0), Crash(), Put(1), Put(2)):
            ref.tell(message)
        assert await ref.ask(Get()) == (2, 2)
        assert journal.got["a"] == [0, 1, 2]


async def test_the_mailbox_outlives_a_restart_of_the_supervisor(autojump_clock):
    journal = Journal()
    sub = Supervisor([ChildSpec("a", journal.worker)])
    async with open_system(Supervisor([ChildSpec("sub", sub, backoff=Backoff(first_seconds=1))])) as system:
        ref = system.ref("/sub/a")
        ref.tell(Work(1))
        ref.tell(Put(1))
        await settled()
        system.crash("/sub", ValueError())
        await settled()
        ref.tell(Put(2))
        assert await ref.ask(Get()) == (2, 2)
        assert journal.lines == ["a1 up", "a1 down", "a2 up"]


async def test_what_is_left_when_an_actor_ends_for_good_is_dead_letters_and_askers_are_told():
    journal = Journal()
    async with open_system(one(journal, restart="temporary")) as system:
        ref = system.ref("/a")
        ref.tell(Crash())
        ref.tell(Put(1))
        pending = await ref.post(Get())
        assert isinstance(await outcome(pending.wait()), ActorStopped)
        assert [letter.message for letter in system.dead_letters] == [Put(1), Get()]
        assert not ref.tell(Put(2))
        assert not await ref.send(Put(3))
        assert isinstance(await outcome(ref.ask(Get())), ActorStopped)
        assert system.stats.dead_letters == 5


async def test_a_sender_that_waits_when_an_actor_ends_goes_on(autojump_clock):
    journal = Journal()
    async with open_system(one(journal, restart="temporary", capacity=1)) as system:
        ref = system.ref("/a")
        ref.tell(Work(1))
        await settled()
        ref.tell(Crash())
        assert await ref.send(Put(0))  # the crash message made room for it
        assert not await ref.send(Put(1))


async def test_the_last_hundred_dead_letters_are_kept_and_all_are_counted():
    journal = Journal()
    async with open_system(one(journal, capacity=1)) as system:
        for number in range(251):
            system.ref("/a").tell(Put(number))
        assert system.stats.dead_letters == 250
        assert [letter.message for letter in system.dead_letters] == [Put(number) for number in range(151, 251)]


async def test_a_dead_letter_does_not_show_its_message():
    journal = Journal()
    async with open_system(one(journal, capacity=1)) as system:
        system.ref("/a").tell(Put("x"))
        system.ref("/a").tell(Put("secret"))
        (letter,) = system.dead_letters
        assert "secret" not in repr(letter)
        assert letter.message_type == "Put"


async def test_a_batch_is_what_is_there_up_to_its_limit():
    batches = []

    async def body(ctx):
        while batch := await ctx.receive_batch(3):
            batches.append([envelope.msg for envelope in batch])

    async with open_system(Supervisor([ChildSpec("a", body)])) as system:
        for number in range(5):
            system.ref("/a").tell(number)
        await settled()
        system.ref("/a").tell(5)
        await settled()
    assert batches == [[0, 1, 2], [3, 4], [5]]


async def test_two_readers_of_one_mailbox_are_a_bug():
    async def body(ctx):
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(ctx.receive_batch, 1)

    root = Supervisor([ChildSpec("a", body, restart="temporary")])
    crashes = []
    async with open_system(root, on_event=crashes.append):
        await settled()
    assert any(isinstance(getattr(one, "cause", None), trio.BusyResourceError) for one in crashes)


async def test_a_question_kept_by_the_actor_is_not_in_its_mailbox(autojump_clock):
    journal = Journal()
    async with open_system(one(journal, capacity=1)) as system:
        ref = system.ref("/a")
        for _ in range(10):
            await ref.post(Hold())
            await settled()
        assert system.tree().children[0].queued == 0
        assert await ref.ask(Get()) == (1, 0)
