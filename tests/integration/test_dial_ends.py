"""A relay that goes away while a device is still connecting: the device hears of it at once, not at a deadline."""

import pytest
import trio
import trio.testing

from ferryman.actors.dial_ends import words
from ferryman.actors.simulated.network import MemoryNetwork
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.actors.transport import Dialing, RelayAddress, run_link

SEED = bytes(range(32))


class NoPilot:
    def upgraded(self):
        raise AssertionError("there was no upgrade")

    def secured(self, _link):
        raise AssertionError("there was no handshake")

    def frame(self, _data):
        raise AssertionError("there was no frame")


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 101 Swi", b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100\r\n\r\nsorry"],
    ids=["nothing", "half a head", "half a refusal"],
)
@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_a_connection_that_ends_during_the_upgrade_is_over_at_once(autojump_clock, answer, how):
    network = MemoryNetwork()
    listener = (await network.listen("127.0.0.1", 8080))[0]
    ports = make_simulated_ports(1, network=network)

    async def relay():
        stream = await listener.accept()
        await stream.receive_some(4096)
        if answer:
            await stream.send_all(answer)
            await trio.testing.wait_all_tasks_blocked()
        if how == "reset":
            network.cut("127.0.0.1", 8080)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(relay)
        end = await run_link(ports, Dialing(RelayAddress("127.0.0.1", 8080, "/", secure=False), SEED, None), NoPilot())
    assert trio.current_time() == 0.0
    assert "cannot be reached" in end.reason


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (b"404 Not Found", "HTTP 404, no relay answers at this path"),
        (b"401 Unauthorized", "HTTP 401, it asks for an API key: set sync.api_key, which is sent over wss:// only"),
        (b"418 Teapot", "HTTP 418"),
    ],
)
async def test_a_refused_upgrade_is_told_in_words(autojump_clock, status, said):
    network = MemoryNetwork()
    listener = (await network.listen("127.0.0.1", 8080))[0]

    async def relay():
        async with await listener.accept() as stream:
            await stream.receive_some(4096)
            await stream.send_all(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nX-Secret: yes\r\n\r\n")
            await trio.testing.wait_all_tasks_blocked()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(relay)
        dialing = Dialing(RelayAddress("127.0.0.1", 8080, "/", secure=False), SEED, None)
        end = await run_link(make_simulated_ports(1, network=network), dialing, NoPilot())
    assert end.reason == f"the relay refused the connection: {said}"


def test_what_has_no_words_says_its_cause():
    broken = trio.BrokenResourceError()
    assert words(broken) == "BrokenResourceError"
    broken.__cause__ = OSError("wrong version number")
    assert words(broken) == "wrong version number"
