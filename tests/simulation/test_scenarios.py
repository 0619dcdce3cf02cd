"""The committed scenarios: each is told without a crash and with some of its crashes; all of them are `make sim`'s."""

from functools import cache, partial
from pathlib import Path
from random import Random

import pytest

from ferryman.actors.core.crash_points import POINTS
from ferryman.actors.durable_edge import Do
from ferryman.supervisors.simulation.asking import put
from ferryman.supervisors.simulation.book import PATH, Line
from ferryman.supervisors.simulation.case import Case, Spot, parse_case
from ferryman.supervisors.simulation.machine import Crashed
from ferryman.supervisors.simulation.registry import Step, step
from ferryman.supervisors.simulation.run import live, run_case, start_of
from ferryman.supervisors.simulation.scenario import ALL_POLICIES, check, load
from ferryman.supervisors.simulation.sweep import Group, run_group, spots, sweep
from ferryman.supervisors.simulation.trace import Trace
from ferryman.supervisors.simulation.world import World

SCRIPTS = sorted((Path(__file__).parents[2] / "examples" / "scenarios").glob("*.toml"))
SAMPLE = 3


@cache
def quiet(script):
    return run_case(load(script), Case(0))


@pytest.fixture(params=SCRIPTS, ids=lambda script: script.stem)
def script(request):
    return request.param


def test_a_committed_scenario_says_what_it_is_about_and_holds_without_a_crash(script):
    assert load(script).about
    assert quiet(script).violations == ()


def test_a_committed_scenario_holds_at_some_of_its_crashes(script):
    scenario = load(script)
    chance = Random(script.stem)
    places = list(spots(scenario, quiet(script).passed))
    for spot in chance.sample(places, min(SAMPLE, len(places))):
        outcome = run_case(scenario, Case(0, spot, chance.choice(scenario.policies)))
        assert (str(outcome.case), outcome.violations) == (str(outcome.case), ())
        assert outcome.reached


def test_every_named_point_is_reached_by_a_committed_scenario():
    reached = {point for script in SCRIPTS for _, point in quiet(script).passed}
    assert set(POINTS) - reached == set()


def book(*steps, **tables):
    given = [{"do": "write", "device": "shop", "count": 2}]
    document = {"format": "ferryman.scenario/1", "name": "a test", "machines": {"shop": "book"}, "given": given}
    return check({**document, "step": steps or [{"do": "write", "device": "shop"}], **tables})


def test_an_orderly_restart_does_not_interrupt_the_count_of_operations():
    story = book({"do": "shut-down", "device": "shop"}, {"do": "write", "device": "shop"})
    operations = run_case(story, Case(0)).passed["shop", "io"]
    assert operations > run_case(book(), Case(0)).passed["shop", "io"] + 5
    last = run_case(story, Case(0, Spot("shop", "io", operations)))
    assert last.violations == ()
    assert last.reached
    beyond = run_case(story, Case(0, Spot("shop", "io", operations + 1)))
    assert beyond.violations == (f"shop:io#{operations + 1} is never reached: the crash did not happen",)


def test_operations_are_counted_up_to_the_first_crash():
    write, crash = {"do": "write", "device": "shop"}, {"do": "crash", "device": "shop"}
    one, more = run_case(book(write), Case(0)), run_case(book(write, crash, {**write, "count": 3}), Case(0))
    assert more.passed["shop", "io"] == one.passed["shop", "io"]
    assert more.passed["shop", "ledger.commit"] > one.passed["shop", "ledger.commit"]


def test_a_recovery_is_crashed_at_each_of_its_operations_and_again_after_that():
    swept = sweep(book(policies=["drop"], nested="every", crash={"every_io": True}), workers=1)
    row = "shop: after every operation of its disk"
    assert swept.failures == []
    assert swept.rows[row]["drop"].runs == 12
    assert swept.rows[f"{row}, again in the recovery"]["drop"].runs == 28  # two or three operations each
    assert swept.rows[f"{row}, again in that one's recovery too"]["drop"].runs >= 1


def test_a_case_with_several_crashes_is_read_as_it_is_written():
    case = parse_case("shop:io+2/drop/0~1~2")
    assert case.nested == (1, 2)
    assert str(case) == "shop:io+2/drop/0~1~2"
    outcome = run_case(book(), case)
    assert outcome.violations == ()
    assert outcome.lives == 4


def test_a_case_crashes_its_machine_after_the_crash_that_the_script_asks_for():
    write = {"do": "write", "device": "shop"}
    story = book({"do": "crash-at", "device": "shop", "number": 2}, write, {**write, "count": 3})
    quiet = run_case(story, Case(0))
    assert (quiet.violations, quiet.lives) == ((), 2)
    outcome = run_case(story, Case(0, Spot("shop", "ledger.commit", quiet.passed["shop", "ledger.commit"])))
    assert (outcome.violations, outcome.reached, outcome.lives) == ((), True, 3)


@step("write twice and say nothing")
class WriteTwice(Step):
    """What it has come to is in its own hands only: neither host nor history shows it."""

    async def run(self, world):
        for number in (1, 2):
            question = Do(b"command number " + bytes([number]), Line("the same"))
            while True:
                try:
                    await world.machine(self.device).do(partial(put, PATH, question))
                except Crashed:
                    continue
                break


STORIES = {  # and what nothing but their place in the script tells apart
    "a line": ["write"],
    "two lines that nobody notes": ["write twice and say nothing"],
    "two ends in order": ["shut-down", "shut-down"],
}


@pytest.mark.parametrize("steps", STORIES)
def test_what_is_called_the_same_run_has_the_same_steps_from_the_crash_on(steps):
    """Each twin is run again on its own, and compared with the run that stood for it."""
    told = [{"do": do, "device": "shop"} for do in STORIES[steps]]
    story = book(*told, policies=["drop", "torn", "kill"], crash={"every_io": True, "points": ["*"]})
    passed = run_case(story, Case(0)).passed
    by_crash, twins = {}, 0
    for spot in spots(story, passed):
        for policy in story.policies:
            outcome = run_case(story, Case(0, spot, policy), known={}, keep=True, every_step=True)
            crash = next(number for number, row in enumerate(outcome.rows) if row.kind == "crash")
            at = next(number for number, row in enumerate(outcome.rows) if number > crash and row.what == "starts")
            rest = tuple(map(str, outcome.rows[at:]))
            twins += outcome.crash in by_crash
            assert by_crash.setdefault(outcome.crash, rest) == rest
    assert twins > 50


def test_a_crash_between_two_operations_of_the_disk_leaves_one_disk_wherever_it_was():
    """Not even the salts of its log are drawn from anything but the seed."""
    story = book()
    where = [Spot("shop", "ledger.reply", 1), Spot("shop", "durable.evolve", 1), Spot("shop", "durable.reply", 1)]
    outcomes = [run_case(story, Case(0, spot, "kill"), known={}) for spot in where * 2]
    assert all(outcome.reached for outcome in outcomes)
    assert len({outcome.images["kill"] for outcome in outcomes}) == 1
    assert len({outcome.crash for outcome in outcomes}) == 1


def test_nothing_is_cut_silently():
    story = book(policies=["drop", "torn", "kill"], crash={"every_io": True})
    operations = run_case(story, Case(0)).passed["shop", "io"]
    swept = sweep(story, workers=1)
    assert swept.same > 0
    assert swept.runs + swept.same == 1 + operations * 2 * 3


def test_policies_that_leave_the_same_disk_still_have_recoveries_of_their_own():
    story = book(policies=["drop", "torn"], nested="every", crash={"every_io": True})
    answer = run_group(story, Group(0, Spot("shop", "io", 1)))
    nested = [outcome.case for outcome in answer.outcomes] + [case for case, _ in answer.same]
    assert {case.policy for case in nested if len(case.nested) == 1} == {"drop", "torn"}


def test_the_full_sweep_is_wider_than_the_script():
    wide = book(policies=["drop"]).widened()
    assert (wide.policies, wide.nested, wide.crash.every_io) == (ALL_POLICIES, "every", True)


def test_a_migration_leaves_the_copy_and_the_newer_ledger():
    story = book({"do": "migrate", "device": "shop"})
    world = World(story, Case(0), Trace(), start_of(story))
    live(world.tell, world, 0)
    assert sorted(world.machine("shop").disk.contents()) == [
        "/keys/ledger-anchor.key",
        "/keys/ledger-key.key",
        "/ledger.db",
        "/ledger.db.format-0",
    ]
