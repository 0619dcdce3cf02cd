"""What leaves a connection, and when: at once as far as the stream takes it, the rest by the connection's own task."""

from collections import deque

import pytest
import trio

from ferryman.actors.relay.outlet import Outlet
from ferryman.actors.relay.seats import Outgoing
from ferryman.actors.relay.websocket import accept
from tests.benchmarks.wire_line import UPGRADE


class Noise:
    """Seals by numbering: whoever reads in another order than it sealed sees it."""

    def __init__(self):
        self.sealed = 0

    def seal_frames(self, frames):
        return [b"%d:" % number + frame for number, frame in enumerate(frames, self.count(len(frames)))]

    def count(self, frames):
        first = self.sealed + 1
        self.sealed += frames
        return first


class Talk:
    def __init__(self):
        self.noise = Noise()
        self.handshake = []


class Stream:
    """Takes so many bytes at once, by call; then everything, once `open` is set."""

    def __init__(self, *takes, is_direct=True):
        self.is_direct = is_direct
        self.takes = deque(takes)
        self.heard = b""
        self.open = trio.Event()

    def send_now(self, data):
        if not self.is_direct:
            return 0
        taken = self.takes.popleft() if self.takes else len(data)
        if isinstance(taken, Exception):
            raise taken
        self.heard += data[:taken]
        return min(taken, len(data))

    async def send_all(self, data):
        await self.open.wait()
        self.heard += data


def outlet(*takes, is_direct=True):
    stream, outgoing, counted = Stream(*takes, is_direct=is_direct), Outgoing(), []
    websocket, _ = accept(UPGRADE, max_message=4096)
    return Outlet(stream, websocket, Talk(), outgoing, counted.append), stream, outgoing, counted


def said(stream):
    """The frames that were heard."""
    data, frames = stream.heard, []
    while data:
        frames.append(data[2 : 2 + data[1]])
        data = data[2 + data[1] :]
    return frames


async def test_what_is_poured_has_left_in_one_write():
    one, stream, outgoing, counted = outlet()
    for frame in (b"a", b"b", b"c"):
        outgoing.put(frame)
    assert one.pour()
    assert said(stream) == [b"1:a", b"2:b", b"3:c"]
    assert counted == [len(stream.heard)]
    assert one.pour()
    assert counted == [len(stream.heard)]


async def test_what_the_stream_did_not_take_leaves_before_what_is_sealed_later():
    one, stream, outgoing, _ = outlet(3)
    outgoing.put(b"a")
    assert not one.pour()
    outgoing.put(b"b")
    assert not one.pour()  # else b would stand in the middle of a
    assert stream.heard == b"\x82\x031"
    await one.drain()
    assert said(stream) == [b"1:a", b"2:b"]
    assert one.pour()


async def test_while_the_connection_waits_for_its_peer_nobody_pours_past_it(autojump_clock):
    one, stream, outgoing, _ = outlet(0)
    outgoing.put(b"a")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.drain)
        await trio.testing.wait_all_tasks_blocked()
        outgoing.put(b"b")
        assert one.pour()  # its task is at it: nobody has to be woken
        assert stream.heard == b""
        stream.open.set()
    assert said(stream) == [b"1:a", b"2:b"]


async def test_a_stream_that_takes_nothing_at_once_leaves_everything_to_the_task():
    one, stream, outgoing, _ = outlet(is_direct=False)
    outgoing.put(b"a")
    assert not one.pour()
    stream.open.set()
    await one.drain()
    assert said(stream) == [b"1:a"]


async def test_a_broken_stream_is_found_out_and_nothing_is_raised_at_who_poured():
    one, _, outgoing, _ = outlet(trio.BrokenResourceError("reset"))
    outgoing.put(b"a")
    assert not one.pour()
    assert one.lost


async def test_a_connection_that_ends_says_so_last_and_by_its_own_task():
    one, stream, outgoing, _ = outlet()
    outgoing.put(b"a")
    outgoing.close(1008, "enough")
    assert not one.pour()
    await one.drain()
    assert stream.heard == b"\x82\x031:a" + b"\x88\x08" + (1008).to_bytes(2, "big") + b"enough"


async def test_nothing_follows_a_close_frame_not_even_the_answer_to_a_handshake():
    one, stream, outgoing, _ = outlet()
    one._session.handshake.append(b"message 2")
    outgoing.put(b"a")
    one._websocket.close(1003, "")
    one.raw += one._websocket.output()
    await one.drain()
    assert stream.heard == b"\x88\x02" + (1003).to_bytes(2, "big")


@pytest.mark.req("W5-94")
async def test_who_does_not_read_the_end_has_two_seconds(autojump_clock):
    one, _, outgoing, _ = outlet(0)
    outgoing.put(b"a")
    outgoing.close(1008, "enough")
    began = trio.current_time()
    await one.drain()
    assert one.lost
    assert trio.current_time() - began == pytest.approx(2)
