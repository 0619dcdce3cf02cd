"""A child that is told to go while its siblings' crash restarts the group: it goes, and whoever asked hears of it."""

import pytest
import trio

from ferryman.supervisors.spec import Backoff, ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.actors import Bang, Journal, Work, incarnations, settled


@pytest.mark.parametrize(("strategy", "names"), [("one_for_all", "ab"), ("rest_for_one", "ba")])
async def test_who_was_told_to_go_does_not_come_back_with_the_group(strategy, names, autojump_clock):
    journal, answers = Journal(), []
    children = [ChildSpec(name, journal.worker, backoff=Backoff(base_seconds=0), grace=60) for name in names]
    async with open_system(Supervisor(children, strategy=strategy, because="they share it")) as system:
        async with trio.open_nursery() as nursery:

            async def stop():
                with trio.move_on_after(100):
                    await system.stop_child("/a")
                    answers.append(trio.current_time())

            system.ref("/a").tell(Work(5))
            await settled()
            nursery.start_soon(stop)
            await settled()
            system.crash("/b", Bang())
        assert answers == [5]
        assert incarnations(system) == {"/": 1, "/b": 2}
