"""What a world is: machines that are known by whose task runs, that go down whole and come back on their disks."""

import pytest
import trio

from ferryman.supervisors.simulation.case import parse_case
from ferryman.supervisors.simulation.registry import STEPS, Step, step
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.scenario import check


def scenario(*steps, **tables):
    return check({"format": "ferryman.scenario/1", "name": "a test", "step": steps, **tables})


JOINED = ({"do": "enable"}, {"do": "join", "device": "b", "from": "a"})


def test_what_a_host_starts_belongs_to_its_machine():
    quiet = run_case(scenario(*JOINED, {"do": "enqueue"}), parse_case("-/-/0"))
    assert quiet.violations == ()
    assert quiet.passed["a", "client.hello"] >= 1
    assert quiet.passed["b", "client.hello"] >= 1


def test_a_case_is_one_run_whoever_runs_it():
    story = scenario({"do": "push", "count": 2}, given=JOINED)
    case = parse_case("relay:buffer.answer#1/torn/3")
    first, second = run_case(story, case), run_case(story, case)
    assert first.ok
    assert first.reached
    assert first.lives == 4
    assert (first.hash, first.steps) == (second.hash, second.steps)
    assert run_case(story, parse_case("relay:buffer.answer#1/torn/4")).hash != first.hash


def test_what_policies_leave_is_compared_at_the_crash_of_the_case_and_at_none_before_it():
    story = scenario({"do": "crash", "device": "b"}, {"do": "push"}, given=JOINED, policies=["drop", "all"])
    after_the_fsync = run_case(story, parse_case("relay:buffer.answer#1/drop/0"))
    assert after_the_fsync.reached
    assert len(set(after_the_fsync.images.values())) == 1


@pytest.fixture
def told():
    """A story of one machine whose only step is `act(machine)`, told under a seed."""

    def tell(act, seed=0):
        @step("act")
        class Act(Step):
            async def run(self, world):
                await act(world.machine(self.device))

        story = check(
            {
                "format": "ferryman.scenario/1",
                "name": "a test",
                "machines": {"shop": "book"},
                "step": [{"do": "act", "device": "shop"}],
            }
        )
        return run_case(story, parse_case(f"-/-/{seed}"))

    yield tell
    STEPS.pop("act", None)


@pytest.mark.parametrize("seed", range(4))  # orders in which the crash and who waits for the answer may run
def test_what_a_host_heard_before_the_crash_it_has_heard(told, seed):
    heard = []

    async def act(machine):
        async def crash():
            machine.crash("kill")

        async def work(_):
            nursery.start_soon(crash)
            return "heard"

        async with trio.open_nursery() as nursery:
            heard.append(await machine.do(work))

    assert told(act, seed).lives == 2
    assert heard == ["heard"]


def test_what_comes_out_after_the_crash_nobody_has_heard(told):
    heard, asked = [], []

    async def act(machine):
        async def work(_):
            asked.append(machine.life)
            if machine.life == 1:
                machine.crash("kill")
            return f"of life {machine.life}"

        heard.append(await machine.do(work))

    told(act)
    assert asked == [1, 2]
    assert heard == ["of life 2"]


def test_what_follows_a_step_at_its_very_moment_belongs_to_it(told):
    done = []

    async def act(machine):
        async def follow(_):
            for _ in range(100):
                await trio.lowlevel.checkpoint()
            done.append(trio.current_time())

        machine.start(follow)

    told(act)
    assert len(done) == 1
