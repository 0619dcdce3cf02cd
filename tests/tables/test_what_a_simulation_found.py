"""What scripted crashes found, without a simulation: a count that nobody corrects, a derivation that takes too long."""

import trio

from ferryman.actors.board import Board
from ferryman.actors.shelf_watch import ShelfWatch
from ferryman.protocol.crypto import code_seal
from ferryman.protocol.sync.happenings import OutboxSeen
from ferryman.protocol.sync.outbox import OutboxState, Totals
from ferryman.protocol.sync.shelf import Shelf
from ferryman.supervisors.simulation.guards import guarded
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.system import open_system

GROUP = b"g" * 32


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
