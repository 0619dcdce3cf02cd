"""The whole tree inside another loop: Trio as a guest of asyncio, as a desktop program or an asyncio service has it."""

import asyncio
import runpy
import threading
from pathlib import Path

import pytest
import trio

import ferryman
from ferryman import errors
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.actors import Crash, Get, Journal, Put, outcome


def run_in_asyncio(main):
    """What the guest returned, and how often the host's own task had its turn meanwhile."""

    async def host():
        loop = asyncio.get_running_loop()
        finished = loop.create_future()
        ticks = 0

        async def tick():
            nonlocal ticks
            while not finished.done():
                ticks += 1
                await asyncio.sleep(0)

        trio.lowlevel.start_guest_run(
            main,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=finished.set_result,
            host_uses_signal_set_wakeup_fd=True,
        )
        ticking = asyncio.create_task(tick())
        result = await finished
        await ticking
        return result.unwrap(), ticks

    return asyncio.run(host())


def test_a_tree_lives_crashes_heals_and_stops_in_order_as_a_guest_of_asyncio():
    journal = Journal()
    threads = set()

    async def body(ctx):
        threads.add(threading.current_thread())
        await journal.worker(ctx)

    async def main():
        inner = Supervisor([ChildSpec("b", body)], strategy="one_for_all")
        async with open_system(Supervisor([ChildSpec("a", body), ChildSpec("inner", inner)])) as system:
            ref = system.ref("/inner/b")
            for number in range(300):
                await ref.send(Put(number))
            assert await ref.ask(Get(), timeout=5) == (1, 300)
            await outcome(ref.ask(Crash()))
            return await ref.ask(Get(), timeout=5)

    answer, ticks = run_in_asyncio(main)
    assert answer == (2, 0)
    assert ticks > 3
    assert threads == {threading.main_thread()}
    assert journal.lines == ["a1 up", "b1 up", "b1 down", "b2 up", "b2 down", "a1 down"]


def test_a_guest_that_is_cancelled_stops_its_tree_in_reverse_order():
    journal = Journal()

    async def main():
        root = Supervisor([ChildSpec(name, journal.worker) for name in "abc"])
        with trio.CancelScope() as scope:
            async with open_system(root):
                scope.cancel()
                await trio.sleep_forever()
        return scope.cancelled_caught

    cancelled, _ = run_in_asyncio(main)
    assert cancelled
    assert journal.lines == ["a1 up", "b1 up", "c1 up", "c1 down", "b1 down", "a1 down"]


Guest = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "embed_in_asyncio.py"))["Guest"]


def client(folder, **keys):
    table = {"allow_plain": True, "use_os_keychain": False, **keys}
    return ferryman.SyncClient(ferryman.RuntimeConfig.check({"home": folder / "device", "keys": table}))


def test_errors_of_a_guest_reach_asyncio_as_the_same_classes(tmp_path):
    async def main():
        async with Guest(client(tmp_path)) as guest:
            with pytest.raises(errors.NotEnabled):
                await guest(guest.inside.enqueue, b"x")
        with pytest.raises(errors.Closed):
            await guest(guest.inside.enqueue, b"x")
        with pytest.raises(errors.KeychainMissing):
            async with Guest(client(tmp_path / "other", allow_plain=False)):
                pass

    asyncio.run(main())


def test_a_wait_that_asyncio_gives_up_is_cancelled_in_the_guest_and_ending_answers_the_rest(tmp_path):
    ended = []

    async def wait(name):
        try:
            await trio.sleep_forever()
        finally:
            ended.append(name)

    async def main():
        async with Guest(client(tmp_path)) as guest:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(guest(wait, "first"), 0.05)
            assert await guest(trio.sleep, 0) is None
            assert ended == ["first"]
            left = asyncio.create_task(guest(wait, "second"))
            for _ in range(2):  # by then the other has begun
                await guest(trio.sleep, 0)
        with pytest.raises(asyncio.CancelledError):
            await left
        assert ended == ["first", "second"]

    asyncio.run(main())
