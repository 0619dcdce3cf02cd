"""Many commands at a time: decided ahead of the disk, answered behind it."""

import pytest
import trio

from ferryman.actors.core.errors import ActorCrashed
from ferryman.actors.core.messages import Envelope
from ferryman.actors.durable import Do, Look, durable
from ferryman.protocol.ledger.record import CommandMismatch, Conflict, Repeated, StorageFull
from ferryman.protocol.machine import Refused
from ferryman.supervisors.system import open_system
from tests.fakes.actors import incarnations, settled
from tests.fakes.memory_ledger import LedgerGone, MemoryLedger, ReprCodec
from tests.fakes.tickets import CountSold, Print, Printer, Sell, Tickets, booth, command_id


def sell(number, name="ann"):
    return Do(command_id(number), Sell(name))


class Asked:
    """Puts questions and notes the answers in the very order in which they are given."""

    def __init__(self, ref):
        self.ref, self.answers = ref, []

    async def put(self, *messages):
        for message in messages:
            await self.ref.address.mailbox.put(Envelope(message, self))
        await settled()

    def resolve(self, value):
        self.answers.append(value)

    def reject(self, error):
        self.answers.append(error)


async def test_decisions_run_ahead_and_answers_wait_for_their_commit_in_order():
    ledger, machine = MemoryLedger(), Tickets(limit=3)
    ledger.held = True
    async with open_system(booth(ledger, machine, window=8)) as system:
        asked = Asked(system.ref("/tickets"))
        await asked.put(sell(1), sell(2), Do(command_id(3), CountSold()), sell(4), sell(5))
        assert machine.decided == 5, "the last one sees three sold"
        assert asked.answers == []
        ledger.release(2)
        await settled()
        assert asked.answers == [1, 2, 2], "what needs no record waits for what it was decided upon"
        ledger.release(1)
        await settled()
        assert asked.answers == [1, 2, 2, 3, Refused("SOLD_OUT")]
    assert [record.version for record in ledger.records("tickets")] == [1, 2, 3]


async def test_no_more_than_the_window_is_under_way():
    ledger, machine = MemoryLedger(), Tickets()
    ledger.held = True
    async with open_system(booth(ledger, machine, window=3)) as system:
        asked = Asked(system.ref("/tickets"))
        await asked.put(*[sell(number) for number in range(1, 7)])
        assert len(ledger.line) == machine.decided == 3
        ledger.release(1)
        await settled()
        assert machine.decided == 4
        ledger.held = False
        ledger.release()
        await settled()
        assert asked.answers == [1, 2, 3, 4, 5, 6]


async def test_the_state_that_is_shown_is_the_recorded_one():
    ledger = MemoryLedger()
    ledger.held = True
    async with open_system(booth(ledger, window=8)) as system:
        asked = Asked(system.ref("/tickets"))
        await asked.put(sell(1), Look(), sell(2, "bob"))
        ledger.release(1)
        await settled()
        assert asked.answers[0] == 1
        assert asked.answers[1].sold == ("ann",)
        ledger.held = False
        ledger.release()


async def test_a_repeat_of_what_is_under_way_waits_for_it_and_gets_its_reply():
    ledger, machine = MemoryLedger(), Tickets()
    ledger.held = True
    async with open_system(booth(ledger, machine, window=8)) as system:
        asked = Asked(system.ref("/tickets"))
        await asked.put(sell(1), sell(1), sell(1, "bob"))
        assert machine.decided == 1
        assert asked.answers == []
        ledger.held = False
        ledger.release()
        await settled()
        assert asked.answers[:2] == [1, 1]
        assert asked.answers[2].code == "COMMAND_MISMATCH"
        assert len(ledger.records("tickets")) == 1


@pytest.mark.parametrize(
    "answer", [Conflict("tickets.name"), Repeated(1, 1, 5), CommandMismatch("tickets", command_id(2))]
)
async def test_an_append_that_fails_crashes_the_incarnation_and_replay_decides(answer):
    ledger = MemoryLedger()
    ledger.held = True
    async with open_system(booth(ledger, window=8)) as system:
        asked = Asked(system.ref("/tickets"))
        ledger.answer(2, answer)
        await asked.put(sell(1), sell(2), sell(3), sell(4))
        ledger.release(2)
        ledger.held = False
        await settled()
        assert asked.answers[0] == 1
        assert [type(one) for one in asked.answers[1:]] == [ActorCrashed] * 3
        ledger.line.clear()  # what was behind it never came to the disk
        ref = system.ref("/tickets")
        assert [await ref.ask(sell(number)) for number in (1, 4, 3, 2)] == [1, 2, 3, 4]
        assert incarnations(system)["/tickets"] == 2


async def test_a_ledger_that_crashes_under_the_window_leaves_every_outcome_unknown_and_none_twice():
    ledger = MemoryLedger()
    ledger.held = True
    async with open_system(booth(ledger, window=8)) as system:
        asked = Asked(system.ref("/tickets"))
        ledger.fail(2, "after")
        await asked.put(sell(1), sell(2), sell(3))
        ledger.release()
        ledger.held = False
        await settled()
        assert [type(one) for one in asked.answers] == [int, ActorCrashed, ActorCrashed]
        assert isinstance(asked.answers[1].cause, LedgerGone)
        ref = system.ref("/tickets")
        assert [await ref.ask(sell(number)) for number in (1, 2, 3)] == [1, 2, 3]
        assert len(ledger.records("tickets")) == 3


async def test_a_full_disk_refuses_what_is_under_way_and_crashes_nobody():
    ledger = MemoryLedger()
    ledger.held = True
    async with open_system(booth(ledger, window=8)) as system:
        asked = Asked(system.ref("/tickets"))
        ledger.answer(2, StorageFull("no room"))
        await asked.put(sell(1), sell(2), sell(3), Do(command_id(9), CountSold()), Look())
        ledger.release()
        await settled()
        full = Refused("STORAGE_FULL", "no room")
        assert asked.answers[:4] == [1, full, full, full]
        assert asked.answers[4].sold == ("ann",)
        ledger.held = False
        ref = system.ref("/tickets")
        assert [await ref.ask(sell(number)) for number in (3, 2)] == [2, 3]
        assert system.stats.crashes == 0


async def test_what_is_decided_while_the_disk_is_found_full_stands_on_what_is_recorded():
    """The refusals of the old line and the decisions of the new one are under way together."""
    ledger = MemoryLedger()
    ledger.held = True
    async with open_system(booth(ledger, window=8)) as system:
        asked = Asked(system.ref("/tickets"))
        ledger.answer(1, StorageFull("no room"))
        await asked.put(sell(1), sell(2))
        ledger.release(1)
        await settled()
        await asked.put(sell(3, "cat"))
        ledger.held = False
        ledger.release()
        await settled()
        full = Refused("STORAGE_FULL", "no room")
        assert asked.answers == [full, full, 1]
        assert (await system.ref("/tickets").ask(Look())).sold == ("cat",)
        assert system.stats.crashes == 0


async def test_debts_wait_for_the_commit_too():
    ledger, printer = MemoryLedger(), Printer(jammed=True)
    ledger.held = True
    async with open_system(booth(ledger, printer=printer, window=8)) as system:
        asked = Asked(system.ref("/tickets"))
        await asked.put(sell(1), sell(2, "bob"))
        assert printer.begun == []
        ledger.release(1)
        await settled()
        assert printer.begun == [Print(1, "ann")]
        ledger.release()
        ledger.held = False


async def test_whoever_is_asked_to_stop_answers_what_is_under_way_first():
    ledger, answers = MemoryLedger(), []
    ledger.held = True
    async with trio.open_nursery() as nursery, open_system(booth(ledger, window=8)) as system:
        asked = Asked(system.ref("/tickets"))
        await asked.put(sell(1), sell(2))
        answers = asked.answers
        nursery.start_soon(release_later, ledger)
    assert answers == [1, 2]


async def release_later(ledger):
    await settled()
    ledger.release()


async def test_a_window_of_nothing_is_no_window():
    with pytest.raises(ValueError, match="at least one"):
        durable(Tickets(), "tickets", MemoryLedger(), codec=ReprCodec, new_id=lambda: bytes(16), window=0)
