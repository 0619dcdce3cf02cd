"""A device in a thread of its own, for a program without an event loop: calls, errors, interrupts, and its end."""

import queue
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio

import ferryman
from ferryman import errors, events
from ferryman.protocol.errors import LocalProtocolError
from ferryman.supervisors.portal import Portal

PATIENCE_SECONDS = 20


@pytest.fixture
def url(tmp_path):
    config = {"server": {"bind": "127.0.0.1:0"}, "storage": {"database": str(tmp_path / "relay.db")}}
    with Portal(partial(ferryman.open_relay, config), "relay") as relay:
        yield f"ws://127.0.0.1:{relay.inside.address[1]}"


def config(folder, name):
    keys = {"allow_plain": True, "use_os_keychain": False}
    return {"home": folder / name, "keys": keys, "sync": {"direct_invites": True, "device_name": name}}


def start(folder, name="device"):
    return ferryman.start_in_thread(config(folder, name))


def raised(call):
    """What it raised, None for nothing."""
    try:
        call()
    except Exception as error:
        return error
    return None


def begun(call):
    """It runs in a thread of its own. Gives a function that waits for what it raised; "it hangs" after a while."""
    answers = queue.SimpleQueue()
    threading.Thread(target=lambda: answers.put(raised(call)), daemon=True).start()

    def wait():
        with suppress(queue.Empty):
            return answers.get(timeout=PATIENCE_SECONDS)
        return "it hangs"

    return wait


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "ferryman"]


# --- a device


def test_every_call_of_a_device_blocks_until_it_is_done(tmp_path, url):
    with start(tmp_path, "a") as a, start(tmp_path, "b") as b, a.events(timeout=0.2) as heard:
        a.connect(url)
        b.join_invite(a.create_invite().link, url)
        assert b.connect_and_pull().complete
        assert isinstance(a.status(), events.Connected)
        pushed = a.push(b"one")
        queued = a.enqueue(b"two")
        assert a.quick_flush() == 0
        assert [a.blob_standing(each) for each in (pushed.blob_id, queued)] == ["pushed", "pushed"]
        got = []
        for blob in b.blobs(timeout=1.0):
            got.append(blob.data)
            b.taken(blob)
        assert got == [b"one", b"two"]
        assert b.last_cursor() >= pushed.cursor
        assert [blob.data for blob in b.pull(0).blobs] == [b"one", b"two"]
        shown = []
        cycle = a.sync_now(shown.append)
        assert (cycle.complete, cycle.indicator, shown[-1].done) == (True, "synced", True)
        assert a.standing().sent
        assert a.indicator() == "synced"
        assert len(a.device_id()) == 32
        told = list(heard)
        assert events.BlobPushed(pushed.blob_id, pushed.cursor) in told
        a.disconnect()
        a.enqueue(b"three")
        assert (a.mark_pending_for_next_launch(), a.indicator(), a.outbox().count) == (1, "pending", 1)


def test_many_threads_may_call_at_once(tmp_path, url):
    with start(tmp_path) as device, ThreadPoolExecutor(8) as pool:
        device.connect(url)
        cursors = [result.cursor for result in pool.map(device.push, [b"%d" % number for number in range(40)])]
        assert len(set(cursors)) == 40


def test_errors_come_through_as_the_same_classes(tmp_path):
    with start(tmp_path) as device:
        with pytest.raises(errors.NotEnabled):
            device.enqueue(b"x")
        with pytest.raises(errors.BadInput, match="is no relay URL"):
            device.connect("http://nowhere")
        with pytest.raises(errors.DeviceInUse):
            start(tmp_path)
    with pytest.raises(errors.BadInput, match="no such key"):
        ferryman.start_in_thread({"home": tmp_path / "other", "sync": {"relay": "x"}})
    assert threads() == []


def test_a_home_that_cannot_be_opened_leaves_no_thread(tmp_path):
    keys = {"use_os_keychain": False}
    failure = raised(lambda: ferryman.start_in_thread({"home": tmp_path / "device", "keys": keys}))
    assert isinstance(failure, errors.KeychainMissing)
    assert threads() == []


def test_what_was_queued_is_there_when_it_is_started_again_and_no_thread_is_left(tmp_path):
    for _ in range(3):
        with start(tmp_path) as device:
            device.call(device.client.runtime.sync.enable, "ws://127.0.0.1:1")
            device.enqueue(b"x")
        assert threads() == []
    with start(tmp_path) as device:
        assert device.outbox().count >= 3
        device.close()
        device.close()
        waits = (device.standing, device.quick_flush, lambda: device.push(b"x"))
        for call in (*waits, device.status, device.outbox, device.blobs, device.events):
            assert isinstance(raised(call), errors.Closed)


def test_who_waits_for_a_blob_when_the_device_is_closed_is_told(tmp_path):
    with start(tmp_path) as device:
        waiting = begun(partial(next, device.blobs()))
        time.sleep(0.1)  # until it waits; another order would only be the easier one
        device.close()
        assert isinstance(waiting(), errors.Closed)


# --- the door


@asynccontextmanager
async def bare():
    yield None


def test_a_call_in_the_loops_own_thread_is_a_mistake_and_not_a_deadlock():
    portal = Portal(bare, "ferryman")

    async def inside():
        portal.call(trio.sleep, 0)

    failure = begun(lambda: portal.call(inside))()
    assert isinstance(failure, LocalProtocolError)
    assert "would wait for itself" in failure.message
    portal.close()


def test_an_interrupt_cancels_the_call_and_the_door_stays_open():
    cancelled = threading.Event()

    async def wait():
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async def two():
        return 2

    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        with Portal(bare, "ferryman") as portal:
            with pytest.raises(KeyboardInterrupt):
                portal.call(wait)
            assert cancelled.wait(PATIENCE_SECONDS)
            assert portal.call(two) == 2
    finally:
        signal.signal(signal.SIGINT, usual)


def test_what_ends_the_loop_is_raised_once_and_answers_every_call():
    fault = trio.Event()

    @asynccontextmanager
    async def broken():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(break_down)
            yield None

    async def break_down():
        await fault.wait()
        raise OSError("the disk is gone")

    async def wait():
        fault.set()
        await trio.sleep_forever()

    portal = Portal(broken, "ferryman")
    with pytest.raises(errors.Closed):
        portal.call(wait)
    with pytest.raises(ExceptionGroup) as raised:
        portal.close()
    assert raised.group_contains(OSError, match="the disk is gone")
    raised_again = True
    with suppress(ExceptionGroup):
        portal.close()
        raised_again = False
    assert not raised_again
    assert threads() == []


def test_a_thousand_calls_while_it_closes_are_all_answered():
    async def nothing():
        return 1

    portal = Portal(bare, "ferryman")

    def hammer():
        answers = 0
        while True:
            try:
                answers += portal.call(nothing)
            except errors.Closed:
                return answers

    with ThreadPoolExecutor(8) as pool:
        hammering = [pool.submit(hammer) for _ in range(8)]
        time.sleep(0.2)  # under load
        portal.close()
        assert sum(each.result(PATIENCE_SECONDS) for each in hammering) > 0
