"""What scripted crashes found, without a simulation: a fatal end under a shield, a count that nobody corrects."""

import pytest
import trio

from ferryman.actors.board import Board
from ferryman.actors.core.errors import ActorStopped
from ferryman.actors.recorder import insist
from ferryman.actors.shelf_watch import ShelfWatch
from ferryman.protocol.crypto import code_seal
from ferryman.protocol.sync.happenings import OutboxSeen
from ferryman.protocol.sync.outbox import OutboxState, Totals
from ferryman.protocol.sync.shelf import Shelf
from ferryman.supervisors.simulation.guards import guarded
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.system import open_system

GROUP = b"g" * 32


class DiskIsGone(BaseException):
    """As a failed fsync: no Exception."""


async def fails_for_good(ctx):
    async for _ in ctx:
        raise DiskIsGone


async def test_whoever_insists_in_a_tree_that_has_ended_for_good_hears_of_it(autojump_clock):
    """A joiner is shielded while its group gets on record: when an fsync failed meanwhile, its process never ended."""
    heard: list[str] = []

    async def join():
        async with open_system(Supervisor([ChildSpec("group", fails_for_good)])) as system:
            with trio.move_on_after(600, shield=True):
                try:
                    await insist(system.ref("/group"), bytes(16), "join")
                except ActorStopped:
                    heard.append("it has ended")

    with pytest.raises(DiskIsGone):
        await join()
    assert heard == ["it has ended"]


async def test_a_look_at_the_outbox_corrects_a_count_whose_answer_reached_nobody(autojump_clock):
    """The outbox had recorded an acknowledgement for a client that was gone by then: status showed a blob for ever."""

    async def emptied(ctx):
        async for envelope in ctx:
            envelope.reply(OutboxState(steps=2))

    board, seen = Board(totals=Totals(1, 1, 40)), []
    async with open_system(Supervisor([ChildSpec("outbox", emptied)])) as system, trio.open_nursery() as tasks:
        ShelfWatch(tasks, system.ref("/outbox"), GROUP, board, seen.append).look()
    assert seen == [OutboxSeen(Shelf())]
    assert board.totals == Totals(2, 0, 0)


def test_a_simulation_stretches_no_code_at_the_usual_cost_and_leaves_the_cost_as_it_was():
    usual = code_seal.ARGON2_MEMORY_KIB
    with guarded():
        inside = code_seal.ARGON2_MEMORY_KIB
    assert (usual, inside) == (65_536, 8)
    assert usual == code_seal.ARGON2_MEMORY_KIB
