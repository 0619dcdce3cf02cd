"""Timers by name: set again they are replaced, stopped they never fire."""

import pytest
import trio

from ferryman.actors.timers import Timers


class Tasks:
    """The part of a context that timers use."""

    def __init__(self, nursery):
        self.tasks = nursery


@pytest.fixture
async def world(autojump_clock, nursery):
    fired = []
    timers = Timers(Tasks(nursery), lambda name: fired.append((name, trio.current_time())))
    return timers, fired


async def test_a_timer_fires_once_when_it_is_due(autojump_clock, world):
    timers, fired = world
    timers.set("one", 2.0)
    timers.set("two", 1.0)
    await trio.sleep(10)
    assert [name for name, _ in fired] == ["two", "one"]


async def test_setting_it_again_replaces_it(autojump_clock, world):
    timers, fired = world
    timers.set("one", 2.0)
    await trio.sleep(1)
    timers.set("one", 5.0)
    await trio.sleep(4)
    assert fired == []
    await trio.sleep(2)
    assert len(fired) == 1


async def test_a_stopped_timer_does_not_fire(autojump_clock, world):
    timers, fired = world
    timers.set("one", 2.0)
    await trio.sleep(1)
    timers.stop("one")
    timers.stop("never set")
    await trio.sleep(10)
    assert fired == []


async def test_a_timer_stopped_in_the_moment_it_is_due_does_not_fire(autojump_clock, nursery):
    fired = []

    def due(name):
        fired.append(name)
        for other in ("one", "two", "three"):
            timers.stop(other)

    timers = Timers(Tasks(nursery), due)
    for name in ("one", "two", "three"):
        timers.set(name, 2.0)
    await trio.sleep(10)
    assert len(fired) == 1
