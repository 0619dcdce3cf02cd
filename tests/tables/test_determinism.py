"""Trio's order of tasks, made to follow from a seed: for a whole run, and anew from some moment of it on."""

import pytest
import trio
from trio._core import _run  # its state has no public door
from trio.testing import MockClock

from ferryman.actors.core.determinism import seeded_scheduler, throw_anew

TASKS = range(12)


async def order():
    """In which order tasks that became ready together were run."""
    ran = []

    async def one(number):
        ran.append(number)

    async with trio.open_nursery() as nursery:
        for number in TASKS:
            nursery.start_soon(one, number)
    return ran


def order_after(rounds, *, anew=None, seed=7):
    """What comes of it when so many rounds were shuffled before."""

    async def main():
        for _ in range(rounds):
            await order()
        if anew is not None:
            throw_anew(anew)
        return await order()

    with seeded_scheduler(seed):
        return trio.run(main, clock=MockClock())


def test_the_order_depends_on_what_was_shuffled_before():
    assert order_after(0) != order_after(1)


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_thrown_anew_it_depends_on_that_seed_alone(rounds):
    assert order_after(rounds, anew="life 2") == order_after(0, anew="life 2", seed=8)


def test_thrown_anew_from_another_seed_it_is_another():
    assert order_after(3, anew="life 2") != order_after(3, anew="life 3")


def test_after_the_block_trio_is_as_it_was():
    before = (_run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r.getstate())
    order_after(1, anew="life 2")
    assert (_run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r.getstate()) == before
