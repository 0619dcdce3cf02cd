"""What a supervisor does about an end, as rows: the grid of OTP's supervisor_SUITE, and the cases beside it."""

import pytest
import trio

from ferryman.actors.core.errors import TooManyRestarts
from ferryman.supervisors.spec import Backoff, ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.actors import Bang, Crash, Finish, Get, Journal, incarnations, outcome, settled

# restart, end, strategy -> incarnations of (before, target, after); "-" has ended
GRID = """
    permanent  normal  one_for_one   1 2 1
    permanent  normal  rest_for_one  1 2 2
    permanent  normal  one_for_all   2 2 2
    permanent  crash   one_for_one   1 2 1
    permanent  crash   rest_for_one  1 2 2
    permanent  crash   one_for_all   2 2 2
    transient  normal  one_for_one   1 - 1
    transient  normal  rest_for_one  1 - 1
    transient  normal  one_for_all   1 - 1
    transient  crash   one_for_one   1 2 1
    transient  crash   rest_for_one  1 2 2
    transient  crash   one_for_all   2 2 2
    temporary  normal  one_for_one   1 - 1
    temporary  normal  rest_for_one  1 - 1
    temporary  normal  one_for_all   1 - 1
    temporary  crash   one_for_one   1 - 1
    temporary  crash   rest_for_one  1 - 1
    temporary  crash   one_for_all   1 - 1
"""


@pytest.mark.parametrize("row", [pytest.param(row.split(), id=row.strip()) for row in GRID.strip().splitlines()])
async def test_an_end_restarts_whom_restart_and_strategy_say(row):
    restart, end, strategy, *expected = row
    journal = Journal()
    children = [
        ChildSpec("before", journal.worker),
        ChildSpec("target", journal.worker, restart=restart),
        ChildSpec("after", journal.worker),
    ]
    async with open_system(Supervisor(children, strategy=strategy)) as system:
        system.ref("/target").tell(Crash() if end == "crash" else Finish())
        await settled()
        found = incarnations(system)
        shown = ["-" if found[f"/{one.name}"] == "ended" else str(found[f"/{one.name}"]) for one in children]
        assert shown == expected
        assert journal.most_at_once == 1


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
async def test_a_group_goes_down_in_reverse_and_comes_up_in_order(strategy):
    journal = Journal()
    names = ["a", "b", "c", "d"]
    root = Supervisor([ChildSpec(name, journal.worker) for name in names], strategy=strategy)
    async with open_system(root) as system:
        journal.lines.clear()
        await outcome(system.ref("/b").ask(Crash()))
        await settled()
        down = ["b1 down", "d1 down", "c1 down"]
        expected = {
            "rest_for_one": [*down, "b2 up", "c2 up", "d2 up"],
            "one_for_all": [*down, "a1 down", "a2 up", "b2 up", "c2 up", "d2 up"],
        }
        assert journal.lines == expected[strategy]


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
async def test_a_temporary_bystander_is_stopped_and_does_not_come_back(strategy):
    journal = Journal()
    children = [ChildSpec("first", journal.worker), ChildSpec("bystander", journal.worker, restart="temporary")]
    async with open_system(Supervisor(children, strategy=strategy)) as system:
        system.ref("/first").tell(Crash())
        await settled()
        assert incarnations(system) == {"/": 1, "/first": 2, "/bystander": "ended"}


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
async def test_a_transient_child_that_was_done_works_again_after_a_group_restart(strategy):
    journal = Journal()
    children = [ChildSpec("first", journal.worker), ChildSpec("done", journal.worker, restart="transient")]
    async with open_system(Supervisor(children, strategy=strategy)) as system:
        system.ref("/done").tell(Finish())
        await settled()
        assert incarnations(system)["/done"] == "ended"
        system.ref("/first").tell(Crash())
        await settled()
        assert await system.ref("/done").ask(Get()) == (2, 0)


# --- giving up


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
async def test_a_child_that_never_comes_back_up_ends_its_supervisor_and_its_siblings(strategy, autojump_clock):
    journal = Journal()
    children = [ChildSpec("bad", journal.worker), ChildSpec("good", journal.worker)]
    root = Supervisor(children, strategy=strategy, max_restarts=4, within=3600)
    error = await outcome(until_it_ends(root, journal, Crash()))
    assert isinstance(error, TooManyRestarts)
    assert isinstance(error.__cause__, Bang)
    assert journal.lines.count("bad2 fails") == 1
    assert [line for line in journal.lines if line.startswith("bad")][-1] == "bad5 fails"
    assert [line for line in journal.lines if line.startswith("good")][-1].endswith("down")


async def until_it_ends(root, journal, message):
    async with open_system(root) as system:
        journal.failing["bad"] = 100
        system.ref("/bad").tell(message)
        await trio.sleep_forever()


@pytest.mark.parametrize(("crashes", "gives_up"), [(3, False), (4, True)])
async def test_max_restarts_are_allowed_and_one_more_is_not(crashes, gives_up):
    journal = Journal()
    root = Supervisor([ChildSpec("a", journal.worker, backoff=Backoff(base_seconds=0))], max_restarts=3)

    async def crash_often():
        async with open_system(root) as system:
            for _ in range(crashes):
                await outcome(system.ref("/a").ask(Crash()))
            await settled()
            return incarnations(system)["/a"]

    result = await outcome(crash_often())
    assert isinstance(result, TooManyRestarts) if gives_up else result == crashes + 1


async def test_restarts_that_are_long_ago_do_not_count(autojump_clock):
    journal = Journal()
    root = Supervisor([ChildSpec("a", journal.worker)], max_restarts=1, within=5)

    async def crash_now_and_then():
        async with open_system(root) as system:
            for _ in range(5):
                await outcome(system.ref("/a").ask(Crash()))
                await trio.sleep(5.1)
            return incarnations(system)["/a"]

    assert await outcome(crash_now_and_then()) == 6


async def test_siblings_that_are_stopped_cost_no_restart(autojump_clock):
    """Their ends, even with an error on the way out, are the supervisor's own doing."""
    journal = Journal()

    async def leaves_badly(ctx):
        try:
            await journal.worker(ctx)
        finally:
            if ctx.incarnation == 1:
                raise OSError("a clean-up that fails")

    children = [
        ChildSpec("a", journal.worker, backoff=Backoff(first_seconds=1)),
        ChildSpec("b", leaves_badly),
    ]
    root = Supervisor(children, strategy="one_for_all", max_restarts=1)

    async def crash_once():
        async with open_system(root) as system:
            await outcome(system.ref("/a").ask(Crash()))
            await trio.sleep(2)
            return incarnations(system)

    assert await outcome(crash_once()) == {"/": 1, "/a": 2, "/b": 2}


async def test_the_exit_of_an_incarnation_that_was_replaced_is_nobodys_concern(autojump_clock):
    """Both crash in the same instant; the group restarts once, and the second report finds new incarnations."""
    now = trio.Event()

    async def crashes_once(ctx):
        ctx.ready()
        if ctx.incarnation == 1:
            await now.wait()
            raise Bang
        await trio.sleep(10)

    root = Supervisor([ChildSpec(name, crashes_once, grace=0) for name in "ab"], strategy="one_for_all")

    async def crash_both():
        async with open_system(root) as system:
            now.set()
            await settled()
            return incarnations(system), system.stats.crashes

    assert await outcome(crash_both()) == ({"/": 1, "/a": 2, "/b": 2}, 2)


async def test_escalation_goes_level_by_level_with_every_cause():
    journal = Journal()
    patient = Backoff(base_seconds=0)
    inner = Supervisor([ChildSpec("a", journal.worker, backoff=patient)], max_restarts=0)
    outer = Supervisor([ChildSpec("inner", inner, backoff=patient)], max_restarts=1)
    root = Supervisor([ChildSpec("outer", outer, backoff=patient)], max_restarts=0)

    async def crash_until_the_end():
        async with open_system(root) as system:
            while True:
                await outcome(system.ref("/outer/inner/a").ask(Crash()))
                await settled()

    error = await outcome(crash_until_the_end())
    chain = []
    while error is not None:
        chain.append(getattr(error, "path", type(error)))
        error = error.__cause__
    assert chain == ["/", "/outer", "/outer/inner", Bang]
    assert journal.lines == ["a1 up", "a1 down", "a2 up", "a2 down"]
