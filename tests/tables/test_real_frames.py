"""What goes between the director of a real run and its processes: values leave, what means something there stays."""

import pytest
import trio
from trio.testing import memory_stream_pair

from ferryman.protocol.sync.errors import NotEnabled, Pending
from ferryman.supervisors.simulation.frames import Call, pack, stays, unpack
from ferryman.supervisors.simulation.machine import Crashed
from ferryman.supervisors.simulation.remote import Line, Remote, bodies, number_of

LENGTH = 4


def nobody(number):
    raise AssertionError(number)


def sent(what):
    return unpack(pack(what, lambda _: None)[LENGTH:], nobody)


@pytest.mark.parametrize("error", [Pending(bytes(16)), NotEnabled(), OSError(5, "broken"), KeyError("a")])
def test_an_error_arrives_as_it_was_whatever_its_constructor_wants(error):
    arrived = sent(error)
    assert (type(arrived), arrived.args, vars(arrived)) == (type(error), error.args, vars(error))


def test_what_means_something_only_where_it_is_stays_there():
    def inner():
        pass

    async def numbers():
        yield 1

    line = Line(memory_stream_pair()[0], "a")
    assert all(map(stays, [line.say, inner, numbers(), line.hear()]))
    assert not any(map(stays, [1, "a", b"b", (1, 2), len, sent, Pending(b"")]))


async def test_half_a_frame_at_the_end_was_never_sent():
    ours, theirs = memory_stream_pair()
    whole = pack("whole", lambda _: None)
    await theirs.send_all(whole + whole[:-1])
    await theirs.aclose()
    assert [body async for body in bodies(ours)] == [whole[LENGTH:]]


def test_a_walk_that_is_not_gone_yet_is_handed_to_nobody():
    walk = Remote(Line(memory_stream_pair()[0], "a"), 0).sync.status()
    with pytest.raises(TypeError, match="awaited before it is handed on"):
        pack(Call((walk,), {}), number_of)


async def test_who_waits_for_a_process_that_ends_hears_of_the_crash():
    ours, theirs = memory_stream_pair()
    line = Line(ours, "a")
    heard = []

    async def hear():
        heard.extend([said async for said in line.hear()])

    async def ask():
        with pytest.raises(Crashed):
            await line.root.process.sync.push(b"data")
        heard.append("crashed")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hear)
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        await theirs.aclose()
    assert heard == ["crashed"]


async def test_who_asks_a_process_that_has_ended_hears_it_at_once(autojump_clock):
    ours, theirs = memory_stream_pair()
    await theirs.send_eof()  # what is sent to it, nobody reads any more
    line = Line(ours, "a")
    assert [said async for said in line.hear()] == []
    heard = "nothing"
    with trio.move_on_after(5):
        try:
            await line.root.process.sync.status()
        except Crashed:
            heard = "a crash"
    assert heard == "a crash"
