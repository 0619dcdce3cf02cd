"""The simulator's teeth: planted bugs are what their tables say, are caught for what they are; a line replays it."""

from pathlib import Path

import pytest

import ferryman
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.cli.sim_self_test import self_test as command
from ferryman.supervisors.simulation.case import IO, parse_case
from ferryman.supervisors.simulation.hunt import RUNS_AT_MOST, Catch, calm
from ferryman.supervisors.simulation.planted import Bug, NotPlanted, plant, read_bugs
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.scenario import check, load
from ferryman.supervisors.simulation.self_test import (
    SECONDS_AT_MOST,
    ChildBroke,
    Result,
    hunted,
    replay_lines,
    replayed,
    self_test,
    table,
)

BUGS = {bug.name: bug for bug in read_bugs()}
PRODUCT = Path(ferryman.__file__).parent
SMALL = 'format = "ferryman.scenario/1"\nname = "small"\n[machines]\na = "relay"\n[[step]]\ndo = "wait"\ndevice = "a"\n'
HARMLESS = Bug("harmless", "", "supervisors.relay_status", "from __future__", "from  __future__", "")


def bug(script: Path, **changes: str) -> Bug:
    return Bug(**{**{name: getattr(HARMLESS, name) for name in Bug.__slots__}, "script": str(script), **changes})


@pytest.fixture
def small(tmp_path):
    script = tmp_path / "small.toml"
    script.write_text(SMALL)
    return script


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_stands_in_its_module_once_and_compiles(name):
    path = PRODUCT / f"{BUGS[name].module.replace('.', '/')}.py"
    source = path.read_text()
    wrong = BUGS[name].put_into(source)
    assert wrong != source
    compile(wrong, path, "exec")
    assert BUGS[name].about
    assert load(BUGS[name].scenario).about


def test_there_are_twenty_bugs_and_five_races_at_least():
    assert len(BUGS) >= 20
    assert sum(each.race for each in BUGS.values()) >= 5


@pytest.mark.parametrize("source", ["", "from __future__ from __future__"])
def test_a_text_that_does_not_stand_there_once_is_no_bug(source):
    with pytest.raises(NotPlanted, match="and not once"):
        HARMLESS.put_into(source)


def test_a_bug_that_comes_after_its_module_is_refused():
    with pytest.raises(NotPlanted, match="was loaded before it"):
        plant(BUGS["reply-before-append"])


def test_a_table_with_an_unknown_key_or_a_name_twice_is_refused(tmp_path):
    path = tmp_path / "planted_x.toml"
    path.write_text('[[bug]]\nname = "x"\nabuot = ""\n')
    with pytest.raises(NotPlanted, match="unknown key 'abuot'"):
        read_bugs(tmp_path)
    one = '[[bug]]\nname = "x"\nabout = ""\nmodule = ""\nfind = ""\nreplace = ""\nscript = ""\n'
    path.write_text(one + one)
    with pytest.raises(NotPlanted, match="two bugs are named 'x'"):
        read_bugs(tmp_path)


def test_a_reply_before_its_append_is_caught_and_its_line_replays_it():
    (result,) = self_test([BUGS["reply-before-append"]])
    catch = result.catch
    assert result.ok
    assert catch is not None
    assert catch.invariant == "replies"
    assert catch.policies["-"] == ""
    assert catch.policies["drop"] == "replies"
    violations, digest, rows = replayed(result.bug, catch.case, catch.steps)
    assert violations[0] == catch.said
    assert digest == catch.hash
    assert "crash" in "\n".join(rows)
    assert f"--case {catch.case} --steps" in next(replay_lines([result]))
    assert "caught" in list(table([result]))[1]


def test_a_race_shows_where_commands_overlap_and_nowhere_else():
    race = BUGS["in-flight-forgotten"]
    assert hunted(race).verdict == "caught"
    assert hunted(race, calm=True, runs_at_most=20).verdict == "missed"


def test_a_calm_story_has_no_latency_and_one_asker():
    still = calm(load(BUGS["in-flight-forgotten"].scenario))
    assert still.weather.disk_ms == (0.0, 0.0)
    assert still.step[0]["count"] == 1
    assert not still.step[0]["at_once"]


def test_what_fails_without_the_bug_is_not_the_bug(tmp_path, small):
    (tmp_path / "wrong.py").write_text(
        "from ferryman.supervisors.simulation.registry import invariant\n"
        '@invariant("always_wrong")\ndef always_wrong(world):\n    yield "as always"\n'
    )
    small.write_text(SMALL.replace("[machines]", 'uses = ["wrong.py"]\n[machines]'))
    (result,) = self_test([bug(small)])
    assert result.verdict == "not the bug"
    assert not result.ok


def test_a_bug_that_nothing_shows_is_missed_and_one_that_does_not_run_is_broken(small):
    missed, broken = self_test([bug(small), bug(small, name="broken", replace="from __past__")])
    assert missed.verdict == "missed"
    assert missed.runs == 1
    assert broken.verdict == "broken"
    assert "__past__" in broken.said or "SyntaxError" in broken.said


def test_a_process_that_breaks_says_its_last_words(small):
    with pytest.raises(ChildBroke, match="and not once"):
        replayed(bug(small, find="nowhere in it"), "-/-/0", [1])


@pytest.mark.parametrize(
    ("catch", "verdict"),
    [
        (Catch("-/-/0", (1, 2, 3), "x: y", runs=RUNS_AT_MOST, seconds=SECONDS_AT_MOST + 1), "caught"),
        (Catch("-/-/0", (1,), "x: y", runs=RUNS_AT_MOST + 1, seconds=SECONDS_AT_MOST), "caught"),
        (Catch("-/-/0", (1,), "x: y", runs=RUNS_AT_MOST + 1, seconds=SECONDS_AT_MOST + 1), "slow"),
        (Catch("-/-/0", (1, 2, 3, 4), "x: y", runs=1), "slow"),
    ],
)
def test_a_bug_is_caught_within_so_many_runs_or_seconds_in_a_story_of_three_steps(catch, verdict):
    assert Result(HARMLESS, catch).verdict == verdict


def test_the_command_tells_a_wrong_name_and_says_what_it_caught(capsys):
    with pytest.raises(BadInput, match="did you mean 'in-flight-forgotten'"):
        command(only="in-flight-forgoten")
    with pytest.raises(BadInput, match="wants the bug's name"):
        command(case="-/-/0")
    assert command(only="in-flight-forgotten") == 0
    assert "1 of 1 planted bugs caught, 1 of them races" in capsys.readouterr().out
    assert command(only="in-flight-forgotten", case="-/-/0", steps="1") == 1


# --- the edges that the hunts needed


def test_what_a_failed_sync_was_for_never_reaches_the_disk_though_the_next_one_succeeds():
    disk = MemoryDisk.holding({"/a": b"old"})
    inode = disk.names["/a"]
    disk.write_at(inode, 0, b"new", "/a")
    disk.fail_sync_at = disk.syncs + 1
    with pytest.raises(OSError, match="Input/output error"):
        disk.sync(inode, "/a")
    disk.sync(inode, "/a")
    assert disk.after_kill().contents() == {"/a": b"new"}
    assert disk.after_power_cut("all").contents() == {"/a": b"old"}


def test_operations_of_a_first_life_are_counted_when_a_step_ends_it():
    story = check(
        {
            "format": "ferryman.scenario/1",
            "name": "cut short",
            "step": [{"do": "enable"}, {"do": "crash"}, {"do": "wait"}],
        }
    )
    outcome = run_case(story, parse_case("-/-/0"))
    assert outcome.ok
    assert outcome.passed["a", IO] > 0
