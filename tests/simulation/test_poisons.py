"""What no seed decides is noticed in a world, and named: what it is, and the line that touched it."""

import builtins
import io
import os
import random
import secrets
import socket
import threading
import time
import uuid
from pathlib import Path

import pytest

from ferryman.supervisors.cli.sim_run import run as command
from ferryman.supervisors.simulation.case import parse_case
from ferryman.supervisors.simulation.guards import POISONS
from ferryman.supervisors.simulation.registry import STEPS, Step, step
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.scenario import check, load
from ferryman.supervisors.simulation.twice import Job, cause, samples, twice

QUIET = parse_case("-/-/0")
HERE = str(Path(__file__).resolve())

_sockets: list[socket.socket] = []


def opened():
    _sockets.append(socket.socket())
    return _sockets[-1]


TOUCHES = {
    "threading.Thread.start": ("a thread", lambda: threading.Thread(target=print).start()),
    "socket.connect": ("a socket", lambda: opened().connect(("127.0.0.1", 9))),
    "socket.bind": ("a socket", lambda: opened().bind(("127.0.0.1", 0))),
    "socket.getaddrinfo": ("a socket", lambda: socket.getaddrinfo("localhost", 1)),
    "builtins.open": ("a file", lambda: builtins.open(os.devnull)),  # noqa: PTH123, SIM115 - it is what is tested
    "io.open": ("a file", lambda: io.open(os.devnull)),  # noqa: SIM115, UP020 - what pathlib calls
    "os.open": ("a file", lambda: os.open(os.devnull, os.O_RDONLY)),
    "time.time": ("the clock", lambda: time.time()),
    "time.monotonic": ("the clock", lambda: time.monotonic()),
    "time.perf_counter": ("the clock", lambda: time.perf_counter()),
    "time.sleep": ("the clock", lambda: time.sleep(0)),
    "os.urandom": ("chance", lambda: os.urandom(1)),
    "time.monotonic_ns": ("the clock", lambda: time.monotonic_ns()),
    "random.random": ("chance", lambda: random.random()),
    "random.uniform": ("chance", lambda: random.uniform(0, 1)),
    "random.sample": ("chance", lambda: random.sample(range(3), 2)),
}


@pytest.fixture
def touching():
    """A world whose one step does something."""

    def world(touch):
        @step("touch")
        class Touch(Step):
            async def run(self, _):
                touch()

        return check({"format": "ferryman.scenario/1", "name": "touched", "step": [{"do": "touch"}]})

    yield world
    STEPS.pop("touch", None)
    while _sockets:
        _sockets.pop().close()


@pytest.mark.parametrize("name", TOUCHES)
def test_what_no_seed_decides_ends_the_run_and_is_named_with_its_line(touching, name):
    kind, touch = TOUCHES[name]
    said = " ".join(run_case(touching(touch), QUIET).violations)
    assert name.rpartition(".")[2] in said
    assert f"{HERE}:{touch.__code__.co_firstlineno} is {kind} that no seed decides" in said


def test_the_systems_chance_behind_a_library_is_named_too(touching):
    said = " ".join(run_case(touching(lambda: secrets.token_bytes(4)), QUIET).violations)
    assert "random._urandom" in said
    assert "chance that no seed decides" in said


def test_an_id_that_the_standard_library_draws_is_named_by_who_wanted_it(touching):
    """The library's WebSocket has one too, and may: only who asks through uuid tells them apart."""
    touch = lambda: uuid.uuid4()  # noqa: E731 - its line is what is looked for
    said = " ".join(run_case(touching(touch), QUIET).violations)
    assert f"urandom at {HERE}:{touch.__code__.co_firstlineno} is chance that no seed decides" in said


def test_nothing_of_the_guards_is_left_behind_by_a_run_that_touched_them(touching):
    before = [getattr(owner, name) for owner, name, _ in POISONS]
    run_case(touching(lambda: time.time()), QUIET)
    assert [getattr(owner, name) for owner, name, _ in POISONS] == before
    assert time.time() > 0
    assert os.urandom(8) != os.urandom(8)


ORDERS = {
    "set": ('" ".join({"oak", "elm", "ash", "fir", "yew"})', "the order of a set, or of hashes"),
    "id": ("str(id(world))", "an order by id(), or an address"),
}


def script_that_notes(folder, what):
    (folder / "noted.py").write_text(
        "from ferryman.supervisors.simulation.history import Told\n"
        "from ferryman.supervisors.simulation.registry import Step, step\n"
        f'@step("{folder.name}")\n'
        "class Note(Step):\n"
        "    async def run(self, world):\n"
        f"        world.note(Told({what}, None))\n"
    )
    script = folder / "noted.toml"
    script.write_text(
        f'format = "ferryman.scenario/1"\nname = "noted"\nuses = ["noted.py"]\n[[step]]\ndo = "{folder.name}"\n'
        '[expect]\ninvariants = ["converges"]\n'
    )
    return script


@pytest.mark.parametrize("poison", ORDERS)
def test_an_order_that_no_seed_decides_is_named_by_what_it_comes_from(tmp_path, poison):
    what, expected = ORDERS[poison]
    script = script_that_notes(tmp_path, what)
    job = Job(load(script), QUIET, script)
    here = run_case(job.scenario, job.case)
    said = next(said for seed in (1, 2, 3) for said in twice([job], [here], hash_seed=seed))
    assert "heard NoneType" in said
    assert said.endswith(expected)
    assert cause(job, 4) == expected


def test_a_script_lived_twice_is_told_by_its_exit_code(tmp_path, capsys):
    assert command(script_that_notes(tmp_path, "str(id(world))"), twice=True) == 1
    assert "1 runs lived twice, 1 of them otherwise" in capsys.readouterr().out


def test_a_quiet_run_and_a_crash_of_each_seed_are_lived_twice(tmp_path, capsys):
    script = tmp_path / "enabled.toml"
    script.write_text(
        'format = "ferryman.scenario/1"\nname = "enabled"\nseeds = "0..1"\n[[step]]\ndo = "enable"\n'
        '[crash]\npoints = ["ledger.commit"]\n'
    )
    cases = [str(job.case) for job, _ in samples(load(script), script)]
    assert [case for case in cases if case.startswith("-")] == ["-/-/0", "-/-/1"]
    assert len(cases) == 4
    assert command(script, twice=True) == 0
    assert "4 runs lived twice, 0 of them otherwise" in capsys.readouterr().out
