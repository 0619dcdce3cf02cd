"""One seed is one world: every step of every task, every report, and the bytes of every file at the end."""

import json
import os
import subprocess
import sys

import pytest


def run(seed, *, hash_seed, poison=None):
    """The push path in a process of its own."""
    command = [sys.executable, "-m", "tests.simulation.push_path", str(seed)]
    if poison is not None:
        command += ["--poison", poison]
    done = subprocess.run(
        command, capture_output=True, check=True, timeout=60, env={**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def world():
    return run(7, hash_seed=1)


def test_two_processes_with_other_hash_seeds_live_the_same_life(world):
    assert run(7, hash_seed=2) == world


def test_the_push_path_ends_with_everything_received(world):
    assert (world["received"], world["cursor"]) == (12, 14)  # the two devices' introductions have cursors too


def test_another_seed_is_another_life(world):
    assert run(8, hash_seed=1)["hash"] != world["hash"]


@pytest.mark.parametrize("poison", ["set", "id", "clock", "entropy"])
def test_a_single_source_of_chance_is_noticed(poison):
    first = run(7, hash_seed=11, poison=poison)["hash"]
    assert any(run(7, hash_seed=hash_seed, poison=poison)["hash"] != first for hash_seed in range(12, 24))  # a few do
