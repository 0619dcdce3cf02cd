"""A relay's stream on a real socket: closed by somebody else, at whatever moment, it is a broken connection."""

import pytest
import trio

from ferryman.actors.relay.stream import BoundedStream, Moorings

LOST = (trio.BrokenResourceError, trio.ClosedResourceError)


@pytest.fixture
async def stream():
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        client = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
        transport = await listener.accept()
        async with client, transport:
            yield BoundedStream(transport, transport, Moorings())


async def raised_by(work):
    """The error, or its type where it is none of a connection's."""
    try:
        await work()
    except LOST:
        return "lost"
    except Exception as error:
        return repr(error)
    return "nothing"


@pytest.mark.parametrize(
    "work",
    [
        lambda stream: stream.receive_some(1000),
        lambda stream: trio.to_thread.run_sync(stream.send_now, b"late"),
        lambda stream: stream.send_all(b"late"),
    ],
    ids=["reading", "sending at once", "sending"],
)
async def test_a_stream_that_was_closed_is_a_lost_connection(stream, work):
    await stream.aclose()
    assert await raised_by(lambda: work(stream)) == "lost"


async def test_who_waits_on_a_stream_that_is_closed_hears_of_a_lost_connection(stream):
    heard = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: reading(stream, heard))
        await trio.testing.wait_all_tasks_blocked()
        await stream.aclose()
    assert heard == ["lost"]


async def reading(stream, heard):
    heard.append(await raised_by(lambda: stream.receive_some(1000)))
