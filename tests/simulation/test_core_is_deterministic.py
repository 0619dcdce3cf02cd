"""The same seed is the same life: here, in another process, under another hash seed; a poison is seen."""

import os
import subprocess
import sys

from tests.simulation.core_trace import live


def elsewhere(hash_seed, seed, *poison):
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation.core_trace", str(seed), *poison],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_seed_gives_one_life_in_every_process_and_under_every_hash_seed():
    assert {live(7), live(7), elsewhere(1, 7), elsewhere(2, 7)} == {live(7)}


def test_two_seeds_give_two_lives():
    assert len({live(seed) for seed in range(5)}) == 5


def test_trios_own_shuffle_is_seen():
    lives = {live(7, "scheduler") for _ in range(6)}
    assert len(lives) > 1


def test_a_set_on_a_path_that_matters_is_seen():
    assert len({elsewhere(hash_seed, 7, "set") for hash_seed in (1, 2, 3)}) > 1
