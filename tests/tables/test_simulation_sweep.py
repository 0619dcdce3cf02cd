"""Which runs a scenario leads to, how they are named, counted and told of, and how a failing story gets shorter."""

import pytest

from ferryman.protocol.errors import BadInput
from ferryman.supervisors.simulation.case import IO, Case, Spot, parse_case
from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.registry import Step, invariant, step
from ferryman.supervisors.simulation.report import matrix, verdict
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.scenario import ALL_POLICIES, check
from ferryman.supervisors.simulation.shrink import shrink
from ferryman.supervisors.simulation.sweep import Sweep, policies, spots, sweep

PASSED = {("relay", "buffer.commit"): 2, ("a", "ledger.commit"): 1, ("a", IO): 3, ("relay", IO): 1}


def scenario(*steps, **more):
    return check({"format": "ferryman.scenario/1", "name": "x", "step": steps or ({"do": "push"},), **more})


def where(crash, passed=PASSED):
    return [str(spot) for spot in spots(scenario(crash=crash), passed)]


CASES = [
    Case(0),
    Case(12),
    *(Case(3, Spot("a", "durable.append", 2), policy) for policy in ALL_POLICIES),
    Case(0, Spot("relay", "io", 31), "drop", nested=(4,)),
    Case(0, Spot("relay", "io", 31, after=True), "kill"),
    Case(0, Spot("a-b.c", "EIO", 7), "kill", nested=(1, 2)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_case_is_read_as_it_was_printed(case):
    assert parse_case(str(case)) == case


def test_no_two_cases_have_one_name():
    assert len({str(case) for case in CASES}) == len(CASES)


def test_every_passing_of_a_point_is_a_spot():
    assert where({"points": ["*"]}) == ["relay:buffer.commit#1", "relay:buffer.commit#2", "a:ledger.commit#1"]
    assert where({"points": ["relay:buffer.commit"]}) == ["relay:buffer.commit#1", "relay:buffer.commit#2"]
    assert where({"points": ["*"], "machines": ["a"]}) == ["a:ledger.commit#1"]


def test_every_operation_is_two_spots_and_every_error_one():
    assert where({"every_io": True, "machines": ["a"]}) == [
        "a:io#1", "a:io+1", "a:io#2", "a:io+2", "a:io#3", "a:io+3",
    ]  # fmt: skip
    assert where({"errors": ["EIO", "ENOSPC"], "machines": ["relay"]}) == ["relay:EIO#1", "relay:ENOSPC#1"]


@pytest.mark.parametrize(
    ("crash", "words"),
    [
        ({"points": ["ledger.comit"]}, "'ledger.comit' is never reached: did you mean 'ledger.commit'?"),
        ({"points": ["relay:ledger.commit"]}, "'relay:ledger.commit' is never reached: did you mean 'buffer.commit'?"),
        (
            {"points": ["buffer.commit"], "machines": ["a"]},
            "'buffer.commit' is never reached: did you mean 'ledger.commit'?",
        ),
    ],
)
def test_a_point_that_nobody_passes_is_bad_input(crash, words):
    with pytest.raises(BadInput, match="is never reached") as caught:
        where(crash)
    assert caught.value.message == f"crash.points: {words}"


def test_an_error_is_tried_under_one_policy_for_nothing_is_lost():
    story = scenario(policies=["drop", "torn"], crash={"errors": ["EIO"]})
    assert policies(story, Spot("a", "EIO", 1)) == ("kill",)
    assert policies(story, Spot("a", "io", 1)) == ("drop", "torn")


def outcome(case, *violations):
    return Outcome(parse_case(case), violations, "beef", (), True, {}, lives=2)


def test_the_matrix_counts_runs_and_failures_and_equal_disks():
    swept = Sweep()
    swept.count(outcome("-/-/0"))
    swept.count(outcome("a:io#1/drop/0"))
    swept.count(outcome("a:io#2/drop/0", "log: no"))
    swept.count(outcome("a:io#1/torn/0~2"))
    swept.count_same(parse_case("a:io#2/kill/0"), False)
    rows = [" ".join(row.split()) for row in matrix(swept)]
    assert rows == [
        "crash at drop kill torn",
        "no crash ok 1",
        "a: before every operation of its disk 1/2 1/1",
        "a: before every operation of its disk, again in the recovery ok 1",
    ]
    assert verdict(swept) == "1 of 4 runs failed"
    assert (swept.runs, swept.same, swept.lives) == (4, 1, 8)


@invariant("test.two_at_most")
def two_at_most(world):
    """Wrong on purpose: a group may hold more."""
    if len(world.machine("a").host.sent) > 2:
        yield f"a sent {len(world.machine('a').host.sent)}"


GIVEN = {"given": ({"do": "enable"},), "expect": {"invariants": ["test.two_at_most"]}}


def test_a_failing_story_is_told_in_the_steps_that_it_takes():
    steps = ({"do": "wait"}, {"do": "push"}, {"do": "jump", "seconds": 5.0}, {"do": "push", "count": 2}, {"do": "wait"})
    story = scenario(*steps, **GIVEN)
    failed = run_case(story, Case(0))
    assert failed.violations == ("test.two_at_most: a sent 3",)
    small, kept = shrink(story, failed)
    assert kept == (2, 4)
    assert small.violations == failed.violations


@step("test.bring")
class Bring(Step):
    async def run(self, world):
        world.machine(self.device).host.earlier = ["brought"]


@step("test.trip")
class Trip(Step):
    """Wrong on purpose, and in another way without what was brought."""

    async def run(self, world):
        if world.machine(self.device).host.earlier != ["brought"]:
            raise LookupError("nothing was brought")
        raise ValueError("tripped over it")


def test_a_world_that_ends_otherwise_is_another_finding():
    story = scenario({"do": "wait"}, {"do": "test.bring"}, {"do": "test.trip"}, **GIVEN)
    failed = run_case(story, Case(0))
    assert "tripped over it" in failed.violations[0]
    small, kept = shrink(story, failed)
    assert kept == (2, 3)
    assert small.violations == failed.violations


def test_a_story_that_fails_without_a_crash_is_not_crashed():
    story = scenario({"do": "push", "count": 3}, crash={"points": ["*"]}, **GIVEN)
    swept = sweep(story, workers=1)
    assert [str(one.case) for one in swept.failures] == ["-/-/0"]
    assert list(swept.rows) == ["no crash"]
