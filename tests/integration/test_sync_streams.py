"""What a stream of blobs gives, whatever happens to it: cancelled waits, crashes of the client, a newer stream."""

from __future__ import annotations

import gc
from dataclasses import replace
from random import Random

import pytest
import trio

from ferryman.actors.reader_desk import OPENED_BYTES
from ferryman.actors.sync_messages import Handed, client_path
from ferryman.protocol.errors import AppError
from ferryman.protocol.sync import events
from ferryman.protocol.sync.errors import Closed, Superseded
from tests.fakes.sync_world import World, connected, flushed, join, until


class Boom(Exception):
    pass


@pytest.fixture
def world():
    return World()


async def crash_client(runtime):
    member = (await runtime.sync._group()).member
    path = client_path(member.group_id)
    before = runtime.system.stats.crashes
    assert runtime.system.crash(path, Boom())
    await until(lambda: runtime.system.stats.crashes > before and runtime.sync._harbour.board.client == path)


async def take(stream, count):
    """The next so many, each of which is taken when the one after it is asked for."""
    taken = []
    with trio.move_on_after(100):
        while len(taken) < count:
            taken.append((await anext(stream)).data)
    assert len(taken) == count, f"only {taken} came"
    return taken


async def nothing_comes(stream):
    with trio.move_on_after(10) as patience:
        await anext(stream)
    return patience.cancelled_caught


def gaps(heard):
    return [event for event in heard if isinstance(event, events.HistoryGap | events.HistoryGapClosed)]


async def listen(runtime, heard, task_status):
    async with runtime.sync.events() as subscription:
        task_status.started()
        async for event in subscription:
            heard.append(event)


async def test_what_the_host_holds_when_the_client_crashes_leaves_no_gap_when_it_is_taken(autojump_clock, world):
    """Taken before the relay gives them again, they are not opened again; their places count all the same."""
    heard = []
    async with world.device("a") as a, world.device("b") as b, trio.open_nursery() as nursery:
        await nursery.start(listen, b, heard)
        stream = b.sync.blobs()
        async with world.relay():
            await join(a, b)
            for number in range(6):
                await a.sync.push(b"%d" % number)
            assert await take(stream, 2) == [b"0", b"1"]
        await crash_client(b)
        assert await take(stream, 4) == [b"2", b"3", b"4", b"5"]
        await a.sync.enqueue(b"6")
        async with world.relay():
            await connected(b)
            await flushed(a)
            assert await take(stream, 1) == [b"6"]
        assert gaps(heard) == []
        nursery.cancel_scope.cancel()


async def test_a_blob_taken_ahead_of_the_stream_leaves_no_gap(autojump_clock, world, monkeypatch):
    """The host pulls behind what the client has opened, and takes: the client passes over it when it gets there."""
    monkeypatch.setattr("ferryman.actors.reader_desk.OPENED_BYTES", 1)
    heard = []
    async with world.relay(), world.device("a") as a, world.device("b") as b, trio.open_nursery() as nursery:
        await join(a, b)
        await nursery.start(listen, b, heard)
        cursors = [(await a.sync.push(b"%d" % number)).cursor for number in range(4)]
        ahead = (await b.sync.pull(cursors[1], 1)).blobs[0]
        await ahead.taken()
        assert await take(b.sync.blobs(), 3) == [b"0", b"1", b"3"]
        assert gaps(heard) == []
        nursery.cancel_scope.cancel()


# --- takes that are repeated


@pytest.mark.parametrize("moment", range(10))
async def test_a_take_repeated_by_other_hands_is_recorded_and_not_refused(autojump_clock, world, moment):
    """The client crashes about when its record is made, and is switched off: the inbox is told without it."""
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        await a.sync.push(b"one")
        blob, refused = await anext(b.sync.blobs()), []
        path = client_path((await b.sync._group()).member.group_id)

        async def take_it():
            try:
                await blob.taken()
            except AppError as error:
                refused.append(error.message)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_it)
            for _ in range(moment):
                await trio.lowlevel.checkpoint()
            assert b.system.crash(path, Boom())
            nursery.start_soon(b.sync.disable)
        assert refused == []
        await b.sync.enable()
        assert await nothing_comes(b.sync.blobs())


async def test_blobs_taken_one_by_one_while_sync_is_off_are_not_given_again(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        for number in range(3):
            await a.sync.push(b"%d" % number)
        stream = b.sync.blobs()
        blobs = [await anext(stream) for _ in range(3)]
        await b.sync.disable()
        refused = []
        for blob in reversed(blobs):
            try:
                await blob.taken()
            except AppError as error:
                refused.append(error.message)
        assert refused == []
        await b.sync.enable()
        assert await nothing_comes(b.sync.blobs())


# --- waits that are cancelled


async def test_what_came_for_a_wait_that_was_cancelled_comes_to_the_next_one(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        stream = b.sync.blobs()
        assert await nothing_comes(stream)
        for number in range(3):
            await a.sync.push(b"%d" % number)
        await trio.sleep(5)
        assert await take(stream, 3) == [b"0", b"1", b"2"]
        assert await nothing_comes(stream)


@pytest.mark.parametrize("crashes", [False, True], ids=["", "and a client that crashes"])
async def test_a_host_that_never_waits_long_gets_each_blob_once_and_in_order(autojump_clock, world, crashes):
    moments, got = Random(7), []
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        stream = b.sync.blobs()
        for number in range(60):
            await a.sync.enqueue(b"%d" % number)
            if crashes and number % 20 == 10:
                await crash_client(b)
            with trio.move_on_after(moments.choice((0, 0, 0.001, 0.01, 0.1))):
                while True:
                    got.append(int((await anext(stream)).data))
        got += [int(data) for data in await take(stream, 60 - len(got))]
        assert got == list(range(60))
        assert await nothing_comes(stream)


async def test_a_stream_is_read_by_one_task_at_a_time(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b, trio.open_nursery() as nursery:
        await join(a, b)
        stream, got = b.sync.blobs(), []

        async def read():
            got.extend(await take(stream, 1))

        nursery.start_soon(read)
        await trio.sleep(1)
        with pytest.raises(trio.BusyResourceError):
            await anext(stream)
        await a.sync.push(b"one")
        await until(lambda: got == [b"one"])


# --- two streams


async def test_the_newest_stream_reads_and_an_older_one_that_was_busy_ends_when_it_asks(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        for number in range(3):
            await a.sync.push(b"%d" % number)
        older, newer = b.sync.blobs(), b.sync.blobs()
        assert await take(older, 1) == [b"0"]
        assert await take(newer, 1) == [b"0"]
        with pytest.raises(Superseded, match="a newer stream reads"):
            await anext(older)
        assert await take(newer, 2) == [b"1", b"2"]
        await a.sync.push(b"3")
        with pytest.raises(Superseded):
            await anext(older)
        assert await take(newer, 1) == [b"3"]


async def test_the_newest_stream_goes_on_reading_after_a_crash_of_the_client(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b, trio.open_nursery() as nursery:
        await join(a, b)
        older, newer, got = b.sync.blobs(), b.sync.blobs(), []
        assert await nothing_comes(older)

        async def read():
            got.extend(await take(newer, 1))

        nursery.start_soon(read)
        await trio.sleep(1)
        await crash_client(b)
        with pytest.raises(Superseded):
            await anext(older)
        await a.sync.push(b"one")
        await until(lambda: got == [b"one"])


# --- what is held


def opened_bytes():
    return sum(len(each.content) for each in gc.get_objects() if isinstance(each, Handed))


async def test_contents_that_wait_for_the_host_are_counted_as_they_are_when_opened(autojump_clock, world):
    """Blobs of a mebibyte that compress to nothing: held sealed, they are no burden; opened, they would be 40 MiB."""
    big = bytes(1_048_000)
    async with world.relay(), world.device("a", compress_blobs=True) as a, world.device("b") as b:
        await join(a, b)
        for number in range(40):
            await a.sync.enqueue(big + b"%d" % number)
        await flushed(a)
        await trio.sleep(10)
        assert OPENED_BYTES <= opened_bytes() < OPENED_BYTES + 1_048_576

        page = await b.sync.pull(0)
        assert (page.has_more, len(page.blobs)) == (True, 17), "as many as were opened: a page has the same bound"
        rest = await b.sync.pull(page.blobs[-1].cursor)
        assert rest.blobs[0].data == big + b"17"
        del page, rest

        stream, numbers = b.sync.blobs(), []
        with trio.move_on_after(100):
            async for blob in stream:
                numbers.append(int(blob.data[len(big) :]))
                assert opened_bytes() < OPENED_BYTES + 2 * 1_048_576
                if len(numbers) == 40:
                    break
        assert numbers == list(range(40))


# --- the end


async def test_a_blob_in_the_hosts_hands_when_the_runtime_ends_is_not_taken_and_the_host_is_told(autojump_clock, world):
    async with world.relay(), world.device("a") as a:
        async with world.device("b") as b:
            await join(a, b)
            for number in range(3):
                await a.sync.push(b"%d" % number)
            stream = b.sync.blobs()
            blob = await anext(stream)
        codes = []
        for call in (blob.taken(), anext(stream), anext(b.sync.blobs())):
            with pytest.raises(AppError) as refused:
                await call
            codes.append(refused.value.code)
        assert codes == [Closed.code] * 3
        async with world.device("b") as b:
            assert await take(b.sync.blobs(), 3) == [b"0", b"1", b"2"]


@pytest.mark.parametrize("enabled", [True, False], ids=["online", "switched off"])
@pytest.mark.parametrize("moment", range(0, 40, 10))
async def test_a_take_under_way_when_the_runtime_ends_is_on_record_or_refused(autojump_clock, world, moment, enabled):
    async with world.relay(), world.device("a") as a, trio.open_nursery() as nursery:
        outcome = []

        async def take_it():
            for _ in range(moment):
                await trio.lowlevel.checkpoint()
            try:
                await blob.taken()
            except AppError as error:
                outcome.append(error.code)
            else:
                outcome.append("taken")

        async with world.device("b") as b:
            await join(a, b)
            await a.sync.push(b"one")
            blob = await anext(b.sync.blobs())
            if not enabled:
                await b.sync.disable()
            nursery.start_soon(take_it)
        await until(lambda: bool(outcome))
        assert outcome[0] in ("taken", "CLOSED")
        if outcome == ["taken"]:
            async with world.device("b") as b:
                await b.sync.enable()
                assert await nothing_comes(b.sync.blobs())


async def test_what_others_pushed_behind_pages_of_our_own_blobs_is_pulled(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        for number in range(5):
            await a.sync.push(b"%d" % number)
        await b.sync.push(b"behind them")
        page = await a.sync.pull(0, 2)
        assert [blob.data for blob in page.blobs] == [b"behind them"]


async def test_a_relay_that_gives_a_pull_an_old_blob_as_a_new_one_hides_nothing(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        first, second = [(await a.sync.push(data)).cursor for data in (b"old", b"new")]
        old = (await b.sync.pull(first - 1, 1)).blobs[0]
        await replace(old, handed=old.handed._replace(cursor=second)).taken()
        await crash_client(b)
        assert await take(b.sync.blobs(), 1) == [b"new"]


async def test_what_is_taken_while_the_disk_records_the_one_before_is_recorded_too(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        cursors = [(await a.sync.push(b"%d" % number)).cursor for number in range(3)]
        stream = b.sync.blobs()
        await trio.sleep(5)  # all three are opened, and handed over together
        await anext(stream)
        world.threads["b"].hold()
        for _ in cursors[1:]:
            await anext(stream)  # takes the one before
            await trio.sleep(5)
        assert b.sync.last_cursor() == cursors[0] - 1
        world.threads["b"].release()
        await trio.sleep(5)
        assert b.sync.last_cursor() == cursors[1]
