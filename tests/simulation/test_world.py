"""What a world is: machines that are known by whose task runs, that go down whole and come back on their disks."""

from ferryman.supervisors.simulation.case import parse_case
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
