"""The pure decisions of a supervisor, a row each."""

import random

import pytest

from ferryman.actors.core.errors import RecoveryFailed
from ferryman.supervisors.spec import Backoff, ChildSpec, Supervisor
from ferryman.supervisors.strategy import Window, affected, beyond_restart, comes_back, delay


@pytest.mark.parametrize(
    ("restart", "crashed", "expected"),
    [
        ("permanent", True, True),
        ("permanent", False, True),
        ("transient", True, True),
        ("transient", False, False),
        ("temporary", True, False),
        ("temporary", False, False),
    ],
)
def test_who_comes_back(restart, crashed, expected):
    assert comes_back(restart, crashed=crashed) is expected


@pytest.mark.parametrize(
    ("strategy", "expected"), [("one_for_one", [2]), ("rest_for_one", [2, 3, 4]), ("one_for_all", [0, 1, 2, 3, 4])]
)
def test_who_restarts_with_the_third_of_five(strategy, expected):
    assert list(affected(strategy, 2, 5)) == expected


@pytest.mark.parametrize(
    ("times", "allowed"),
    [
        ([0, 1, 2], [True, True, False]),
        ([0, 1, 5], [True, True, False]),  # exactly five seconds ago still counts
        ([0, 1, 5.1], [True, True, True]),
        ([0, 0, 0], [True, True, False]),
        ([0, 6, 12, 18], [True, True, True, True]),
        ([0, 4, 6, 7], [True, True, True, False]),
    ],
)
def test_two_restarts_in_five_seconds(times, allowed):
    window = Window(2, 5)
    assert [window.spend(now) for now in times] == allowed


def test_no_restart_at_all():
    assert not Window(0, 5).spend(0)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (6, 10), (1000, 10)])
def test_the_delay_grows_up_to_its_limit(attempt, seconds):
    backoff = Backoff(base_seconds=1, factor=2, most_seconds=10, jitter=0)
    assert delay(backoff, attempt, random.Random(0)) == seconds


def test_jitter_is_drawn_from_the_seed_and_stays_within_its_share():
    backoff = Backoff(base_seconds=1, jitter=0.2)
    drawn = [delay(backoff, 2, random.Random(seed)) for seed in range(100)]
    assert drawn == [delay(backoff, 2, random.Random(seed)) for seed in range(100)]
    assert min(drawn) < 0.85
    assert max(drawn) > 1.15
    assert all(0.8 <= one <= 1.2 for one in drawn)


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (None, False),
        (ValueError(), False),
        (RecoveryFailed("gone"), True),
        (ExceptionGroup("two", [ValueError(), RecoveryFailed("gone")]), True),
        (ExceptionGroup("two", [ValueError(), TypeError()]), False),
    ],
)
def test_only_what_cannot_be_read_is_beyond_restart(cause, expected):
    assert beyond_restart(cause) is expected


async def nobody(ctx):
    pass


@pytest.mark.parametrize(
    "make",
    [
        lambda: ChildSpec("", nobody),
        lambda: ChildSpec("a/b", nobody),
        lambda: ChildSpec("a", nobody, capacity=0),
        lambda: Supervisor([ChildSpec("a", nobody), ChildSpec("a", nobody)]),
        lambda: Supervisor(dynamic=True, strategy="one_for_all"),
        lambda: Supervisor(max_restarts=-1),
        lambda: Supervisor(within=0),
    ],
)
def test_a_tree_that_makes_no_sense_cannot_be_written_down(make):
    with pytest.raises(ValueError, match=r"."):
        make()
