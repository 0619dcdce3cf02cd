"""One command at a time: decide, record, evolve, reply; what a repeat, a conflict and a full disk lead to."""

import pytest
import trio

from ferryman.actors.core.errors import ActorCrashed, RecoveryFailed
from ferryman.actors.durable import Do, Look
from ferryman.protocol.ledger.record import Conflict, Recorded, Repeated, StorageFull
from ferryman.protocol.machine import Refused
from ferryman.supervisors.replay import replay
from ferryman.supervisors.system import open_system
from tests.fakes.actors import Bang, incarnations, outcome, settled
from tests.fakes.memory_ledger import MemoryLedger
from tests.fakes.tickets import (
    Booth,
    Complain,
    CountSold,
    Sell,
    Sold,
    Tickets,
    booth,
    command_id,
)


def sell(number, name="ann"):
    return Do(command_id(number), Sell(name))


async def test_a_command_is_recorded_with_its_id_its_hash_its_events_and_its_reply():
    ledger = MemoryLedger()
    async with open_system(booth(ledger)) as system:
        assert await system.ref("/tickets").ask(sell(1)) == 1
    (record,) = ledger.records("tickets")
    assert (record.command_id, record.events, record.reply, record.version) == (command_id(1), (Sold(1, "ann"),), 1, 1)
    assert len(record.command_hash) == 32


async def test_nobody_hears_of_a_decision_before_it_is_recorded():
    ledger = MemoryLedger()
    ledger.held = True
    answers = []
    async with open_system(booth(ledger)) as system, trio.open_nursery() as nursery:

        async def ask():
            answers.append(await system.ref("/tickets").ask(sell(1)))

        nursery.start_soon(ask)
        await settled()
        assert answers == []
        ledger.release()
        await settled()
        assert answers == [1]
        ledger.held = False


async def test_what_decides_nothing_is_not_recorded():
    ledger = MemoryLedger()
    async with open_system(booth(ledger, Tickets(limit=1))) as system:
        ref = system.ref("/tickets")
        await ref.ask(sell(1))
        assert await ref.ask(Do(command_id(2), CountSold())) == 1
        assert await ref.ask(sell(3)) == Refused("SOLD_OUT")
        assert len(ledger.records("tickets")) == 1


async def test_a_refusal_that_is_an_outcome_is_recorded_and_repeated():
    ledger, machine = MemoryLedger(), Tickets()
    async with open_system(booth(ledger, machine)) as system:
        ref = system.ref("/tickets")
        first = await ref.ask(Do(command_id(1), Complain()))
        again = await ref.ask(Do(command_id(1), Complain()))
    assert first == again == Refused("NO_COMPLAINTS", record=True)
    assert machine.decided == 1
    assert [record.reply for record in ledger.records("tickets")] == [first]


async def test_a_told_command_is_recorded_too():
    ledger = MemoryLedger()
    async with open_system(booth(ledger)) as system:
        system.ref("/tickets").tell(sell(1))
        await settled()
        assert ledger.events("tickets") == [Sold(1, "ann")]


# --- repeats


async def test_a_repeat_gets_the_first_reply_and_changes_nothing():
    ledger, machine = MemoryLedger(), Tickets(limit=1)
    async with open_system(booth(ledger, machine)) as system:
        ref = system.ref("/tickets")
        assert [await ref.ask(sell(1)) for _ in range(3)] == [1, 1, 1]
    assert machine.decided == 1
    assert ledger.appends == 1


async def test_another_command_under_the_same_id_is_refused():
    ledger = MemoryLedger()
    async with open_system(booth(ledger)) as system:
        ref = system.ref("/tickets")
        await ref.ask(sell(1, "ann"))
        assert getattr(await ref.ask(sell(1, "bob")), "code", "answered") == "COMMAND_MISMATCH"
        assert (await ref.ask(Look())).sold == ("ann",)


async def test_replay_remembers_the_replies_too():
    ledger, machine = MemoryLedger(), Tickets(limit=1)
    async with open_system(booth(ledger)) as system:
        await system.ref("/tickets").ask(sell(1))
    async with open_system(booth(ledger, machine)) as system:
        ref = system.ref("/tickets")
        assert await ref.ask(sell(1)) == 1
        assert (await ref.ask(sell(1, "bob"))).code == "COMMAND_MISMATCH"
    assert machine.decided == 0


async def test_a_repeat_from_before_our_memory_gets_its_first_reply_from_the_ledger():
    ledger = MemoryLedger()
    async with open_system(booth(ledger)) as system:
        ref = system.ref("/tickets")
        await ref.ask(sell(1))
        ledger.answer(1, Repeated(seq=1, version=1, reply=77))
        assert await ref.ask(sell(2)) == 77
        assert (await ref.ask(Look())).sold == ("ann",)


async def test_answers_older_than_thirty_days_are_forgotten(autojump_clock):
    ledger, machine = MemoryLedger(), Tickets()
    async with open_system(booth(ledger, machine)) as system:
        ref = system.ref("/tickets")
        await ref.ask(sell(1))
        await trio.sleep(31 * 24 * 3600)
        await ref.ask(sell(2))
        assert await ref.ask(sell(1)) == 1, "the ledger still knows"
        assert machine.decided == 3


# --- appends that are not recorded


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (Conflict("tickets.name"), Refused("tickets.name")),
        (StorageFull("no room"), Refused("STORAGE_FULL", "no room")),
    ],
)
async def test_an_append_that_is_refused_is_a_refusal_and_changes_nothing(answer, refusal):
    ledger = MemoryLedger()
    async with open_system(booth(ledger)) as system:
        ref = system.ref("/tickets")
        ledger.answer(1, answer)
        assert await outcome(ref.ask(sell(1))) == refusal
        assert await outcome(ref.ask(sell(2, "bob"))) == 1
        assert (await ref.ask(Look())).sold == ("bob",)
        assert await outcome(ref.ask(sell(1))) == 2, "it was not recorded, so this is no repeat"
        assert system.stats.crashes == 0


async def test_a_machine_may_give_a_conflict_a_name_of_its_own():
    class Polite(Tickets):
        def conflict(self, name):
            return Refused("SORRY", name)

    ledger = MemoryLedger()
    async with open_system(booth(ledger, Polite())) as system:
        ledger.answer(1, Conflict("tickets.name"))
        assert await system.ref("/tickets").ask(sell(1)) == Refused("SORRY", "tickets.name")


@pytest.mark.parametrize("answer", [Conflict("version"), Repeated(seq=9, version=9, reply=0)])
async def test_a_stream_that_has_moved_on_is_read_again(answer):
    ledger = MemoryLedger()
    async with open_system(booth(ledger)) as system:
        ref = system.ref("/tickets")
        await ref.ask(sell(1))
        ledger.answer(1, answer)
        assert isinstance(await outcome(ref.ask(sell(2))), ActorCrashed)
        assert await ref.ask(sell(2)) == 2
        assert incarnations(system)["/tickets"] == 2
        assert ledger.replays == 2


async def test_what_could_not_be_replayed_is_never_recorded():
    class Careless(Tickets):
        def evolve(self, state, event):
            if event == Sold(2, "bob"):
                raise LookupError("forgotten")
            return super().evolve(state, event)

    ledger = MemoryLedger()
    async with open_system(booth(ledger, Careless())) as system:
        ref = system.ref("/tickets")
        await ref.ask(sell(1))
        assert isinstance(await outcome(ref.ask(sell(2, "bob"))), ActorCrashed)
        assert await ref.ask(sell(3, "cat")) == 2
    assert ledger.events("tickets") == [Sold(1, "ann"), Sold(2, "cat")]


async def test_what_is_no_command_is_a_bug():
    ledger = MemoryLedger()
    async with open_system(booth(ledger)) as system:
        system.ref("/tickets").tell("hello")
        await settled()
        assert incarnations(system)["/tickets"] == 2


# --- replay


def sold(version, name, **options):
    return Recorded(version, "tickets", version, command_id(version), bytes(32), (Sold(version, name),), version, 0)


async def test_a_record_that_the_machine_cannot_read_ends_the_tree_and_is_named():
    ledger = MemoryLedger()
    strange = Recorded(2, "tickets", 2, command_id(2), bytes(32), ("strange",), None, 0)
    ledger.streams["tickets"] = [sold(1, "ann"), strange]
    error = await outcome(open_and_close(booth(ledger)))
    assert isinstance(error, RecoveryFailed)
    assert str(error) == "stream tickets: record 2 (version 2) cannot be replayed: LookupError"
    assert ledger.replays == 1


async def open_and_close(root):
    async with open_system(root) as system:
        return incarnations(system)


async def test_a_ledger_that_is_merely_down_costs_a_restart_like_any_crash():
    class Flaky(MemoryLedger):
        async def replay(self, stream):
            if self.replays == 1:
                self.replays += 1
                raise Bang
            return await super().replay(stream)

    ledger = Flaky()
    async with open_system(booth(ledger)) as system:
        ref = system.ref("/tickets")
        await ref.ask(sell(1))
        system.crash("/tickets", Bang())
        assert await ref.ask(sell(2)) == 2
        assert incarnations(system)["/tickets"] == 3


async def test_a_snapshot_is_where_replay_starts_and_its_commands_are_remembered():
    ledger = MemoryLedger()
    remembered = Recorded(1, "tickets", 1, command_id(1), bytes(32), (), 1, 0)
    snapshot = Recorded(8, "tickets", 8, command_id(99), bytes(32), (Booth(("ann", "bob")),), None, 0, snapshot=True)
    ledger.streams["tickets"] = [remembered, snapshot, sold(9, "cat")]
    machine = Tickets()
    async with open_system(booth(ledger, machine)) as system:
        ref = system.ref("/tickets")
        assert (await ref.ask(Look())).sold == ("ann", "bob", "cat")
        assert (await ref.ask(sell(1))).code == "COMMAND_MISMATCH", "another hash under a remembered id"
        assert await ref.ask(sell(10)) == 4
        assert ledger.records("tickets")[-1].version == 10


@pytest.mark.parametrize(("window", "versions"), [(1, [4, 8]), (4, [5])])
async def test_snapshots_are_taken_as_often_as_asked_for(window, versions):
    """Within a window one command later: what is under way is waited for."""
    ledger = MemoryLedger()
    async with open_system(booth(ledger, window=window, snapshot_every=3)) as system:
        ref = system.ref("/tickets")
        answers = [await outcome(ref.ask(sell(number))) for number in range(1, 8)]
        assert answers == [1, 2, 3, 4, 5, 6, 7]
        assert [record.version for record in ledger.records("tickets") if record.snapshot] == versions
        system.crash("/tickets", Bang())
        assert len((await ref.ask(Look())).sold) == 7
        assert await ref.ask(sell(8)) == 8


async def test_a_snapshot_that_finds_no_room_is_put_off():
    ledger = MemoryLedger()
    async with open_system(booth(ledger, snapshot_every=2)) as system:
        ref = system.ref("/tickets")
        ledger.answer(3, StorageFull("no room"))
        answers = [await outcome(ref.ask(sell(number))) for number in range(1, 6)]
        assert answers == [1, 2, 3, 4, 5]
        assert [record.version for record in ledger.records("tickets") if record.snapshot] == [5]
        assert system.stats.crashes == 0


async def test_a_snapshot_of_a_stream_that_has_moved_on_is_a_crash():
    ledger = MemoryLedger()
    async with open_system(booth(ledger, snapshot_every=1)) as system:
        ref = system.ref("/tickets")
        ledger.answer(2, Conflict("version"))
        assert await outcome(ref.ask(sell(1))) == 1
        assert await outcome(ref.ask(sell(2))) == 2
        assert incarnations(system)["/tickets"] == 2


async def test_a_stream_can_be_replayed_without_its_actor():
    ledger = MemoryLedger()
    async with open_system(booth(ledger)) as system:
        ref = system.ref("/tickets")
        for number, name in enumerate(["ann", "bob"], start=1):
            await ref.ask(sell(number, name))
        state = await ref.ask(Look())
    states = [(record.version, one) for record, one in replay(Tickets(), "tickets", ledger.records("tickets"))]
    assert [version for version, _ in states] == [1, 2]
    assert states[-1][1] == state


async def test_a_long_replay_lets_others_run():
    ledger = MemoryLedger()
    ledger.streams["tickets"] = [
        Recorded(n, "tickets", n, command_id(n), bytes(32), (), None, 0) for n in range(1, 5001)
    ]
    turns = []

    async def bystander():
        while True:
            await trio.lowlevel.checkpoint()
            turns.append(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(bystander)
        async with open_system(booth(ledger)):
            nursery.cancel_scope.cancel()
    assert len(turns) >= 10
