"""What a machine owes: begun after the record, once, dropped when it is owed no more, taken up again after a crash."""

import pytest
import trio

from ferryman.actors.durable import Do, Look
from ferryman.protocol.ledger.record import StorageFull
from ferryman.supervisors.system import open_system
from tests.fakes.actors import Bang, incarnations, outcome, settled
from tests.fakes.memory_ledger import MemoryLedger
from tests.fakes.tickets import Handed, Print, Printed, Printer, Rename, Sell, Sold, booth, command_id

WINDOWS = pytest.mark.parametrize("window", [1, 4])


def sell(number, name="ann"):
    return Do(command_id(number), Sell(name))


@WINDOWS
async def test_a_debt_is_worked_on_and_closed_by_the_command_it_comes_back_as(window):
    ledger, printer = MemoryLedger(), Printer()
    async with open_system(booth(ledger, printer=printer, window=window)) as system:
        ref = system.ref("/tickets")
        await ref.ask(sell(1))
        await settled()
        assert printer.printed == [Print(1, "ann")]
        assert ledger.events("tickets") == [Sold(1, "ann"), Handed(1)]
        assert (await ref.ask(Look())).unprinted == {}


@WINDOWS
async def test_nothing_is_begun_before_its_event_is_recorded(window):
    ledger, printer = MemoryLedger(), Printer()
    ledger.held = True
    async with open_system(booth(ledger, printer=printer, window=window)) as system:
        system.ref("/tickets").tell(sell(1))
        await settled()
        assert printer.begun == []
        ledger.held = False
        ledger.release()
        await settled()
        assert printer.printed == [Print(1, "ann")]


async def test_a_debt_is_begun_once_however_much_is_recorded_beside_it():
    ledger, printer = MemoryLedger(), Printer(jammed=True)
    async with open_system(booth(ledger, printer=printer)) as system:
        for number, name in enumerate(["ann", "bob", "cat"], start=1):
            await system.ref("/tickets").ask(sell(number, name))
        await settled()
        assert printer.begun == [Print(1, "ann"), Print(2, "bob"), Print(3, "cat")]


async def test_what_is_owed_no_more_is_dropped_at_once():
    ledger, printer = MemoryLedger(), Printer(jammed=True)
    async with open_system(booth(ledger, printer=printer)) as system:
        ref = system.ref("/tickets")
        await ref.ask(sell(1))
        await settled()
        await ref.ask(Do(command_id(2), Printed(1)))
        await settled()
        assert printer.dropped == [Print(1, "ann")]


async def test_a_debt_that_changes_is_begun_anew():
    ledger, printer = MemoryLedger(), Printer(jammed=True)
    async with open_system(booth(ledger, printer=printer)) as system:
        ref = system.ref("/tickets")
        await ref.ask(sell(1))
        await settled()
        await ref.ask(Do(command_id(2), Rename(1, "bob")))
        await settled()
        assert printer.dropped == [Print(1, "ann")]
        assert printer.begun == [Print(1, "ann"), Print(1, "bob")]


async def test_after_a_restart_all_that_is_owed_is_begun_again_and_nothing_else():
    ledger, printer = MemoryLedger(), Printer(jammed=True)
    async with open_system(booth(ledger, printer=printer)) as system:
        ref = system.ref("/tickets")
        for number, name in enumerate(["ann", "bob", "cat"], start=1):
            await ref.ask(sell(number, name))
        await ref.ask(Do(command_id(9), Printed(2)))
        await settled()
        printer.begun.clear()
        system.crash("/tickets", Bang())
        await settled()
        assert sorted(one.number for one in printer.begun) == [1, 3]


async def test_a_debt_whose_work_is_done_without_a_command_is_not_begun_again():
    ledger, begun = MemoryLedger(), []

    class Silent(Printer):
        async def perform(self, _, debt_id, __):
            begun.append(debt_id)

    async with open_system(booth(ledger, printer=Silent())) as system:
        for number in (1, 2):
            await system.ref("/tickets").ask(sell(number))
            await settled()
        assert begun == ["print 1", "print 2"]


async def test_an_exception_in_the_work_is_a_crash_of_the_incarnation(autojump_clock):
    ledger = MemoryLedger()

    class OnFire(Printer):
        async def perform(self, ctx, debt_id, effect):
            if ctx.incarnation == 1:
                raise Bang
            return await super().perform(ctx, debt_id, effect)

    printer = OnFire()
    async with open_system(booth(ledger, printer=printer)) as system:
        await outcome(system.ref("/tickets").ask(sell(1)))
        await settled()
        assert incarnations(system)["/tickets"] == 2
        assert printer.printed == [Print(1, "ann")]


@WINDOWS
async def test_a_report_that_finds_no_room_is_made_again_under_the_same_id(window, autojump_clock):
    ledger, printer = MemoryLedger(), Printer()
    for nth in (2, 3):
        ledger.answer(nth, StorageFull("the disk is full"))
    async with open_system(booth(ledger, printer=printer, window=window)) as system:
        ref = system.ref("/tickets")
        await ref.ask(sell(1))
        await trio.sleep(60)
        assert (await ref.ask(Look())).unprinted == {}
        assert printer.begun == [Print(1, "ann")]
        assert [record.command_id for record in ledger.records("tickets")][1:] == [command_id(1_000_001)]


async def test_work_is_done_outside_the_actors_turn(autojump_clock):
    ledger = MemoryLedger()

    class Slow(Printer):
        async def perform(self, ctx, debt_id, effect):
            await trio.sleep(60)
            return await super().perform(ctx, debt_id, effect)

    async with open_system(booth(ledger, printer=Slow())) as system:
        ref = system.ref("/tickets")
        assert [await ref.ask(sell(number)) for number in (1, 2, 3)] == [1, 2, 3]
        assert trio.current_time() == 0
        await trio.sleep(61)
        assert (await ref.ask(Look())).unprinted == {}


@WINDOWS
async def test_a_report_that_finds_no_room_is_repeated_until_there_is_and_the_work_is_not(window, autojump_clock):
    ledger, printer = MemoryLedger(), Printer()
    async with open_system(booth(ledger, printer=printer, window=window)) as system:
        ref = system.ref("/tickets")
        for nth in (2, 3, 4):
            ledger.answer(nth, StorageFull("no room"))
        await ref.ask(sell(1))
        await settled()
        assert (await ref.ask(Look())).unprinted == {1: "ann"}
        await trio.sleep(20)
        assert (await ref.ask(Look())).unprinted == {}
        assert printer.printed == [Print(1, "ann")]
        assert system.stats.crashes == 0
