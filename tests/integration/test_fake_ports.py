"""The fakes keep the promises of the real ports; a simulation is worth what they are worth."""

import pytest
import trio
import trio.testing

from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.simulated.network import MemoryNetwork, stream_pair
from ferryman.actors.simulated.ports import (
    EPOCH,
    InlineThreads,
    ScriptedHuman,
    SeededEntropy,
    VirtualClock,
    make_simulated_ports,
)


class NoDisk:
    """These tests touch no file."""


@pytest.fixture(params=["real", "fake"])
def network(request):
    return make_real_ports().network if request.param == "real" else MemoryNetwork()


async def test_a_client_reaches_a_listener_and_each_reads_what_the_other_wrote(network):
    [listener] = await network.listen("127.0.0.1", 0)
    async with listener:
        ours = await network.open_stream(*network.address(listener))
        theirs = await listener.accept()
        assert network.peer(theirs) == "127.0.0.1"
        await ours.send_all(b"ping")
        assert await theirs.receive_some(100) == b"ping"
        await ours.send_eof()
        assert await theirs.receive_some(100) == b""
        await theirs.send_all(b"pong")
        assert await ours.receive_some(2) == b"po"
        assert await ours.receive_some() == b"ng"
        await theirs.aclose()
        assert await ours.receive_some() == b""
        await ours.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await ours.receive_some()


async def test_nobody_listening_is_refused(network):
    [listener] = await network.listen("127.0.0.1", 0)
    address = network.address(listener)
    await listener.aclose()
    with pytest.raises(OSError):  # noqa: PT011 - the kernel's words and ours differ
        await network.open_stream(*address)


async def test_an_address_is_bound_once_and_free_again_when_closed(network):
    [listener] = await network.listen("127.0.0.1", 0)
    address = network.address(listener)
    with pytest.raises(OSError, match="in use"):
        await network.listen(*address)
    await listener.aclose()
    [again] = await network.listen(*address)
    await again.aclose()


async def test_writing_to_a_peer_that_closed_breaks(network):
    [listener] = await network.listen("127.0.0.1", 0)
    async with listener:
        ours = await network.open_stream(*network.address(listener))
        theirs = await listener.accept()
        await theirs.aclose()
        with pytest.raises(trio.BrokenResourceError):
            await _send_for_ever(ours)
        await ours.aclose()


async def _send_for_ever(stream):
    while True:  # a kernel takes the first bytes before it learns of the reset
        await stream.send_all(b"anyone?")


async def test_a_listener_serves_through_trio(network, autojump_clock):
    [listener] = await network.listen("127.0.0.1", 0)

    async def echo(stream):
        async with stream:
            await stream.send_all(await stream.receive_some())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, echo, [listener])
        stream = await network.open_stream(*network.address(listener))
        async with stream:
            await stream.send_all(b"echo")
            assert await stream.receive_some() == b"echo"
        nursery.cancel_scope.cancel()


async def test_a_memory_stream_is_a_stream_by_trios_own_checks():
    async def make():
        return stream_pair(capacity=1000)

    async def make_clogged():
        ours, theirs = stream_pair(capacity=1)
        await ours.send_all(b"x")
        await theirs.send_all(b"x")
        return ours, theirs

    await trio.testing.check_half_closeable_stream(make, make_clogged)


async def test_a_reader_that_stops_makes_its_sender_wait(autojump_clock):
    ours, theirs = stream_pair(capacity=10)
    with trio.move_on_after(60) as waited:
        await ours.send_all(bytes(11))
    assert waited.cancelled_caught
    assert await theirs.receive_some() == bytes(10)


async def test_a_cut_resets_both_ends_and_loses_what_was_on_the_way():
    network = MemoryNetwork()
    [listener] = await network.listen("relay", 9)
    ours = await network.open_stream("relay", 9)
    theirs = await listener.accept()
    await ours.send_all(b"lost")
    network.cut("relay", 9)
    for stream in (ours, theirs):
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x")


async def test_a_partition_answers_nobody_until_it_heals(autojump_clock):
    network = MemoryNetwork()
    await network.listen("relay", 9)
    network.partition("relay", 9)
    with pytest.raises(TimeoutError):
        await network.open_stream("relay", 9)
    network.heal("relay", 9)
    await network.open_stream("relay", 9)


async def test_the_wall_clock_follows_trios_and_can_be_set(autojump_clock):
    clock = VirtualClock()
    assert clock.now() == EPOCH
    await trio.sleep(90.5)
    assert (clock.now(), clock.now_ms()) == (EPOCH + 90, EPOCH * 1000 + 90_500)
    clock.jump(-3600)
    assert clock.now() == EPOCH + 90 - 3600


def test_one_seed_gives_one_sequence_and_two_seeds_two():
    first, again, other = SeededEntropy(1), SeededEntropy(1), SeededEntropy(2)
    drawn = [first.random_bytes(n) for n in (16, 100, 1)]
    assert [len(one) for one in drawn] == [16, 100, 1]
    assert drawn == [again.random_bytes(n) for n in (16, 100, 1)]
    assert other.random_bytes(16) != drawn[0]


def test_seeded_ids_repeat_and_are_all_different():
    one, two = make_simulated_ports(5, disk=NoDisk()), make_simulated_ports(5, disk=NoDisk())
    ids = [one.ids.new_id() for _ in range(50)]
    assert ids == [two.ids.new_id() for _ in range(50)]
    assert len(set(ids)) == 50


async def test_begun_work_returns_its_result_even_when_cancelled():
    done = []
    with trio.CancelScope() as scope:

        def work():
            scope.cancel()
            return "written"

        done.append(await InlineThreads().run(work))
    assert done == ["written"]


async def test_a_question_repeated_gets_its_first_answer(autojump_clock):
    human = ScriptedHuman(True, False)
    assert await human.approve("?", request_id=b"a") is True
    assert await human.approve("?", request_id=b"b") is False
    assert await human.approve("?", request_id=b"a") is True
    assert await human.approve("gone", request_id=b"c") is False
    assert trio.current_time() == 60
