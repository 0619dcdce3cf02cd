"""Each example runs as it stands."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.child import child
from tests.fakes.command_line import RelayProcess

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def relay(tmp_path):
    relay = RelayProcess(tmp_path).start()
    yield relay
    relay.kill()


@pytest.mark.req("S4-158")
def test_two_devices():
    done = subprocess.run(
        [sys.executable, EXAMPLES / "two_devices.py"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("hello from the phone")


@pytest.mark.req("S4-153")
def test_embed_in_trio(relay, tmp_path):
    def start(name, *arguments):
        command = [sys.executable, "-u", EXAMPLES / "embed_in_trio.py", tmp_path / name, relay.url, *arguments]
        return child(*command, stderr=subprocess.PIPE)

    with start("first") as first:
        said = first.stdout.readline().decode()
        assert said.startswith("invite: ")
        with start("second", said.split()[1]) as second:
            first.stdin.write(b"ahoy from the first\n")
            first.stdin.flush()
            assert second.stdout.readline().endswith(b"ahoy from the first\n")
            second.stdin.write(b"ahoy yourself\n")
            second.stdin.flush()
            assert first.stdout.readline().endswith(b"ahoy yourself\n")
            second.stdin.close()  # not before: what is queued when a device ends, it pushes when it starts again
            assert second.wait() == 0
        first.stdin.close()
        assert first.wait() == 0


def run(example):
    command = [sys.executable, "-W", "error", EXAMPLES / example]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.req("S4-153", "S4-175")
def test_embed_in_threads():
    said = run("embed_in_threads.py")
    end = said.index("the till is synced and its first sale pushed")
    assert sorted(said[end + 1 : -1]) == [f"sale {number}" for number in range(8)], "in the order of the threads"
    assert said[-1] == "refused: BLOB_TOO_LARGE"


@pytest.mark.req("S4-153")
def test_embed_in_asyncio():
    connected, *rest = run("embed_in_asyncio.py")
    assert connected.endswith("and pushed to [2, 3, 4]")
    assert rest == ["nobody else has written anything", "all of it is synced"]


SCENARIO = EXAMPLES / "scenarios" / "simulate_your_actor.toml"


def simulated(folder, *arguments):
    """`ferryman sim run` of a script, with its exit code and what it printed."""
    command = [sys.executable, "-m", "ferryman", "sim", "run", "-j", "1", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=folder)


def test_simulate_your_actor(tmp_path):
    assert len((EXAMPLES / "simulate_your_actor.py").read_text().splitlines()) < 60
    done = simulated(tmp_path, SCENARIO)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a till of your own: all ok" in done.stdout
    assert "till: after every operation of its disk, again in the recovery" in done.stdout


@pytest.mark.parametrize(
    ("sound", "planted", "case", "steps"),
    [
        ("reply=len(state) + 1 if", "reply=1 if", "-/-/0", ()),
        (
            "machine.host[debt_id] = ",
            "machine.host[len(machine.host)] = ",
            "till:durable.decide#2/drop/0",
            ("--steps", "1"),
        ),
    ],
    ids=["a number is given twice", "an effect that cannot be repeated"],
)
def test_a_bug_in_an_actor_of_your_own_fails_with_a_line_that_replays_it(tmp_path, sound, planted, case, steps):
    source = (EXAMPLES / "simulate_your_actor.py").read_text()
    assert source.count(sound) == 1
    (tmp_path / "till.py").write_text(source.replace(sound, planted))
    script = tmp_path / "till.toml"
    quick = SCENARIO.read_text().replace("../simulate_your_actor.py", "till.py").replace("every_io = true", "")
    script.write_text(quick.replace("nested = [0, 1, 2]", ""))
    found = simulated(tmp_path, script)
    assert found.returncode == 1, found.stdout + found.stderr
    assert f"again: {' '.join(['ferryman', 'sim', 'run', str(script), '--case', case, *steps])}\n" in found.stdout
    assert len(list((tmp_path / "sim-failures").glob("*.html"))) == 1
    again = simulated(tmp_path, script, "--case", case, *steps)
    assert again.returncode == 1
    assert "one_ticket_each: sold" in again.stdout


def test_every_example_is_tested():
    tested = Path(__file__).read_text()
    assert all(example.name in tested for example in EXAMPLES.glob("*.py"))
