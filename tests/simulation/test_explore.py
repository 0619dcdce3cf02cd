"""Random stories: a seed is a story, a story is a script, and crashes lie in wait in it one after the other."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import trio

from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.cli.sim_explore import explore as command
from ferryman.supervisors.simulation import exploration, run
from ferryman.supervisors.simulation.case import ERRORS, Case, parse_case
from ferryman.supervisors.simulation.explore import ALL, AT_DEVICE, AT_RELAY, RELAY, story
from ferryman.supervisors.simulation.registry import INVARIANTS, Step, step
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.saved import as_toml
from ferryman.supervisors.simulation.scenario import Expect, check, load
from ferryman.supervisors.simulation.twice import Job, twice

SEEDS = range(400)
JOINED = ({"do": "enable"}, {"do": "join", "device": "b"})
WAITS_FOR_RELAY = {"push", "pull"}
OUT, BACK = {"partition", "stop-reading", "fill-disk"}, {"heal", "go-on-reading", "free-disk"}
QUIET = parse_case("-/-/0")


def scenario(*steps, given=JOINED, **tables):
    return check({"format": "ferryman.scenario/1", "name": "a test", "step": steps, "given": given, **tables})


def rows_of(scenario):
    outcome = run_case(scenario, QUIET, keep=True)
    assert outcome.violations == ()
    return outcome.rows


def seen(rows, word):
    """Which machine's host saw it, and the blob."""
    return [(row.machine, row.what.split()[1]) for row in rows if row.kind == "saw" and row.what.startswith(word)]


def lives(of):
    return run_case(of, QUIET).lives


# --- stories


def test_a_seed_is_one_story_and_another_seed_another():
    assert story(7) == story(7)
    assert len({as_toml(story(seed)) for seed in SEEDS}) == len(SEEDS)


def test_stories_are_scripts():
    for seed in SEEDS:
        assert check(story(seed).model_dump(mode="json")) == story(seed)


def test_stories_together_crash_every_machine_everywhere_under_every_policy():
    tables = [(one, table) for one in map(story, SEEDS) for table in one.step]
    spots = [table for _, table in tables if table["do"] == "crash-at"]
    assert {spot["policy"] for spot in spots} == set(ALL)
    assert {spot["device"] for spot in spots} == {RELAY, "a", "b", "c", "d"}
    assert {spot["point"] for spot in spots} == {*AT_RELAY, *AT_DEVICE, "io", "EIO", "ENOSPC"}
    assert {one.together for one, _ in tables} == {True, False}
    assert all(one.weather.disk_ms[1] > 0 and one.weather.network_ms[1] > 0 for one, _ in tables)
    assert {table["do"] for _, table in tables} >= {
        *("enqueue", "push", "pull", "ack", "host-takes", "host-loses", "wait", "revoke-connection", "jump"),
        *("partition", "heal", "stop-reading", "go-on-reading", "crash", "restart", "shut-down"),
        *("fill-disk", "free-disk", "disable", "enable", "join"),
    }


def test_nothing_waits_for_the_relay_inside_an_outage():
    for one in map(story, SEEDS):
        away = ""
        for table in one.step:
            if table["do"] in BACK:
                away = ""
            assert not (away and table["do"] in WAITS_FOR_RELAY), one.name
            if table["do"] in OUT:
                away = table["device"]


def test_what_is_down_stays_so_until_its_own_restart_and_no_longer():
    for one in map(story, SEEDS):
        for number, table in enumerate(one.step):
            if table.get("down"):
                after = [(next_one["do"], next_one["device"]) for next_one in one.step[number + 1 : number + 3]]
                assert after == [("wait", table["device"]), ("restart", table["device"])]


def test_a_saved_story_is_the_same_story(tmp_path):
    for seed in range(50):
        path = tmp_path / "story.toml"
        path.write_text(as_toml(story(seed)))
        assert load(path).model_copy(update={"expect": Expect()}) == story(seed)


# --- crashes that lie in wait


def test_a_second_crash_waits_in_the_recovery_from_the_first():
    once = {"do": "crash-at", "point": "io", "number": 3}
    again = {"do": "crash-at", "point": "io", "number": 1}
    steps = {"do": "push", "count": 3}
    assert lives(scenario(once, steps)) == lives(scenario(steps)) + 1
    assert lives(scenario(once, again, steps)) == lives(scenario(steps)) + 2


def test_a_crash_waits_for_the_passing_that_was_asked_for():
    at_second = scenario({"do": "crash-at", "point": "ledger.reply", "number": 2}, {"do": "enqueue", "count": 3})
    rows = list(map(str, rows_of(at_second)))
    stop = next(number for number, row in enumerate(rows) if "a.1 crash" in row)
    begun = next(number for number, row in enumerate(rows) if "step crash-at" in row)
    assert sum(row.endswith("a.1 ledger.reply") for row in rows[begun:stop]) == 2


def test_a_crash_that_has_to_come_and_does_not_is_a_failure():
    steps = {"do": "crash-at", "device": "relay", "point": "invites.answer"}, {"do": "enqueue"}
    said = run_case(scenario(*steps), QUIET).violations
    assert said == ("crash-at: relay:invites.answer is never reached: the crash did not happen",)
    assert run_case(scenario({**steps[0], "maybe": True}, steps[1]), QUIET).ok


def test_the_policy_of_a_crash_is_its_own():
    steps = [{"do": "crash-at", "point": "io", "number": 2, "policy": policy} for policy in ("zeros", "kill")]
    rows = rows_of(scenario(*steps, {"do": "push", "count": 2}))
    assert [row.what.rpartition(", ")[2] for row in rows if row.kind == "crash"] == ["zeros)", "kill)"]


def test_an_error_of_the_disk_is_one_operation_and_the_next_crash_is_armed_after_it():
    full = {"do": "crash-at", "device": "relay", "point": "ENOSPC", "number": 2}
    then = {"do": "crash-at", "device": "relay", "point": "io", "number": 1}
    rows = rows_of(scenario(full, then, {"do": "push", "count": 3}))
    assert [row.kind for row in rows if row.kind in ("error", "crash")] == ["error", "crash"]


def test_crashes_of_the_script_and_of_its_table_do_not_aim_at_one_disk():
    with pytest.raises(BadInput, match="either the step crash-at or a table"):
        scenario({"do": "crash-at"}, crash={"every_io": True})


def test_two_groups_at_one_relay_have_their_own_blobs_and_cursors():
    given = (*JOINED, {"do": "enable", "device": "c"}, {"do": "join", "device": "d", "from": "c"})
    steps = [{"do": "push", "device": name} for name in ("a", "c")]
    assert {machine for machine, _ in seen(rows_of(scenario(*steps, given=given)), "got ")} == {"b", "d"}


def test_a_host_in_the_middle_of_something_hears_that_its_runtime_has_ended():
    steps = (
        {"do": "push", "count": 3},
        {"do": "wait", "device": "b", "seconds": 3.0},
        {"do": "shut-down", "device": "b"},
    )
    slow = {"disk_ms": (50.0, 900.0)}
    assert run_case(scenario(*steps, together=True, weather=slow), QUIET).violations == ()


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_process_whose_disk_failed_may_end_and_lives_again(number):
    fails = {"do": "crash-at", "point": "EIO", "number": number}
    outcome = run_case(scenario(fails, {"do": "push", "count": 3}), QUIET)
    assert outcome.violations == ()


def test_the_error_of_an_operation_is_its_own_whatever_comes_next():
    disk = MemoryDisk()
    disk.fail_at, disk.fail_with = 1, ERRORS["EIO"]
    disk.on_failure = lambda: setattr(disk, "fail_with", ERRORS["ENOSPC"])
    with pytest.raises(OSError, match="Input/output") as told:
        disk.remove(Path("/file"))
    assert told.value.errno == ERRORS["EIO"]


def test_what_a_full_relay_refused_may_be_overtaken():
    """The pushes behind it were on their way already: the order is the relay's then, and nothing is lost."""
    full = {"do": "crash-at", "device": "relay", "point": "ENOSPC", "number": 3}
    slow = {"network_ms": (0.0, 500.0), "disk_ms": (0.0, 500.0)}
    rows = rows_of(scenario(full, {"do": "enqueue", "count": 4}, weather=slow))
    assert any(row.machine == "a" and row.what == "was refused with 3000" for row in rows)
    sent, got = ([blob for _, blob in seen(rows, word)] for word in ("enqueued ", "got "))
    assert got != sent
    assert sorted(got) == sorted(sent)


def test_who_joins_later_has_to_get_what_is_sent_from_then_on():
    given = ({"do": "enable"}, {"do": "push", "count": 2})
    steps = {"do": "join", "device": "b"}, {"do": "push", "count": 2}
    assert len(seen(rows_of(scenario(*steps, given=given)), "took ")) >= 2


def hangs(seconds, work):
    try:
        with run.watchdog(seconds):
            work()
    except run.Hung:
        return True
    return False


def test_a_loop_without_an_end_is_stopped_and_a_slow_machine_is_none():
    def loop():
        while True:
            pass

    assert hangs(0.05, loop)
    assert not hangs(0.05, lambda: time.sleep(0.1))  # the real clock is what is tested
    assert hangs(0.01, lambda: time.sleep(3))  # until it is woken


@step("wait behind a shield")
class WaitBehindAShield(Step):
    """For what never comes; and nothing else has anything left to do."""

    async def run(self, _world):
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()


def test_a_world_that_waits_for_what_never_comes_is_found_at_once(monkeypatch):
    monkeypatch.setattr(run, "watchdog", partial(run.watchdog, 10))
    stuck = scenario({"do": "wait behind a shield", "device": "shop"}, given=(), machines={"shop": "book"})
    outcome = run_case(stuck, QUIET)
    [said] = outcome.violations
    assert said.startswith("the world ended: Hung: a wait for what never comes")


# --- many of them


def test_the_digest_of_worlds_is_that_of_their_traces_in_whatever_process():
    few = sorted(SEEDS, key=lambda seed: (len(story(seed).step), seed))[:8]
    alone, shared = (exploration.explore(few, workers=workers) for workers in (1, 2))
    assert (alone.worlds, alone.failures) == (8, [])
    assert (alone.lives, alone.digest) == (shared.lives, shared.digest)


def test_the_digest_is_of_what_happened():
    one, other = exploration.Exploration(), exploration.Exploration()
    outcome = run_case(story(0), Case(0))
    one.count(outcome)
    other.count(replace(outcome, hash="another"))
    assert one.digest != other.digest


def test_it_ends_when_it_is_told_to():
    assert exploration.explore(range(12), workers=1, over=lambda so_far: so_far.worlds == 2).worlds == 2


def falls(one):
    return any(table["do"] == "crash" for table in one.step)


def test_a_story_that_ends_badly_is_saved_in_few_steps_and_fails_again(tmp_path, monkeypatch, capsys):
    def nobody_crashes(world):
        yield from ("somebody crashed" for machine in world.machines.values() if machine.life > 1)

    INVARIANTS.find("converges")  # all of them are there
    monkeypatch.setitem(INVARIANTS, "nobody_crashes", nobody_crashes)
    monkeypatch.setattr(INVARIANTS, "ours", lambda: ("nobody_crashes",))
    seed = next(seed for seed in SEEDS if len(story(seed).step) <= 5 and falls(story(seed)))
    saved = tmp_path / "found.toml"
    assert command(seeds=f"{seed}..{seed}", save=saved) == 1
    told = capsys.readouterr().out
    assert "nobody_crashes: somebody crashed" in told
    assert f"again: ferryman sim explore --seeds {seed}..{seed}" in told
    found = load(saved)
    assert len(found.step) <= 3
    assert run_case(found, Case(seed)).violations[0] == "nobody_crashes: somebody crashed"


def test_seeds_that_are_none_are_named():
    for seeds in ("3..1", "x", "1..", "-1"):
        with pytest.raises(BadInput, match="--seeds"):
            command(seeds=seeds)
    with pytest.raises(BadInput, match="--minutes"):
        command(minutes=0)


# --- twice


POISON = """
from ferryman.supervisors.simulation.registry import Step, step
@step("rattle")
class Rattle(Step):
    async def run(self, world):
        world.trace.add("saw", "rattled " + " ".join({"oak", "elm", "ash", "fir", "yew"}))
"""


def test_a_set_on_the_way_is_seen_in_another_process(tmp_path):
    script = tmp_path / "poisoned.toml"
    (tmp_path / "poison.py").write_text(POISON)
    script.write_text(
        'format = "ferryman.scenario/1"\nname = "poisoned"\nuses = ["poison.py"]\n[[step]]\ndo = "rattle"\n'
    )
    job = Job(load(script), QUIET, script)
    here = run_case(job.scenario, job.case)
    differing = [said for seed in (1, 2) for said in twice([job], [here], hash_seed=seed)]
    assert differing
    assert all("rattled" in said and "in another process" in said for said in differing)


def test_worlds_are_the_same_in_another_process():
    assert exploration.explore(range(3), again=True, workers=1).differing == []


def test_a_run_that_was_another_one_here_is_told(monkeypatch):
    job = Job(story(3), Case(3))
    outcome = replace(run.run_case(job.scenario, job.case), hash="another")
    told = list(twice([job], [outcome]))
    assert len(told) == 1
    assert "left behind by the run before it" in told[0]
