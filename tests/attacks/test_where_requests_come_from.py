"""Whoever speaks through a proxy: the client is who the proxy says, or nobody known, and never the proxy itself."""

import pytest
import trio

from ferryman.actors.relay.sources import client_of, is_within, source_of
from ferryman.supervisors.relay_config import networks
from tests.fakes.raw_wire import UPGRADE
from tests.fakes.relay_world import from_source, memory_relay

PROXIES = networks(("127.0.0.0/8", "10.0.0.0/8", "fd00::/8"))
LOOPBACK = networks(("127.0.0.0/8", "::1/128"))
NOBODY = "unknown behind 127.0.0.1"


def client(said, *, name=b"x-forwarded-for"):
    return client_of("127.0.0.1", ((name, said.encode("latin-1")),), PROXIES)


@pytest.mark.parametrize(
    ("said", "who"),
    [
        ("198.51.100.1:54321", "198.51.100.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[::ffff:198.51.100.1]:443", "198.51.100.1"),
        ("198.51.100.1:54321, 10.0.0.7:80", "198.51.100.1"),
        ("198.51.100.1 , [fd00::7]:80", "198.51.100.1"),
        ("2001:db8::1:443", "2001:db8::1:443"),
        ("2001:db8::1%eth0, fd00::7%wlan-0", "2001:db8::1"),
    ],
)
def test_an_address_with_a_port_or_in_brackets_is_the_client(said, who):
    assert client(said) == who


@pytest.mark.parametrize(
    "said",
    [
        *("", "unknown", "_hidden", "198.51.100.1:port", "198.51.100.1:", "198.51.100.1:123456", "[2001:db8::1"),
        *(
            "::1",
            "198.51.100.1, [::1]:80",
            "[]:80",
            "[2001:db8::1]80",
            "[198.51.100.1]x",
            "198.51.100.1, ",
            ",",
            "10.0.0.1\x1c",
            "10.0.0.1%eth0",
            "fd00::7%<script>",
            "10.0.0.1\xa0",
            "for=198.51.100.1",
            "\xb2.0.0.1",
        ),
    ],
)
def test_what_cannot_be_read_is_nobody_known_and_sees_no_metrics(said):
    assert client(said) == NOBODY
    assert not is_within(NOBODY, LOOPBACK)
    assert source_of(NOBODY) == NOBODY


def test_a_proxy_that_speaks_only_the_newer_header_has_clients_that_nobody_knows():
    assert client("for=198.51.100.1;proto=https", name=b"forwarded") == NOBODY


def test_a_proxy_without_any_such_header_speaks_for_itself():
    assert client_of("127.0.0.1", ((b"host", b"relay"),), PROXIES) == "127.0.0.1"


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For: 203.0.113.9:5000", "X-Forwarded-For: unknown", "Forwarded: for=203.0.113.9"]
)
async def test_a_client_behind_a_proxy_on_loopback_does_not_see_the_metrics(autojump_clock, header):
    async with memory_relay(server={"trusted_proxies": ["127.0.0.1"]}) as world:
        for headers, status in ((f"{header}\r\n", b"404"), ("", b"200")):
            stream = await world.stream()
            await stream.send_all(f"GET /metrics HTTP/1.1\r\nHost: relay\r\n{headers}\r\n".encode())
            assert (await stream.receive_some(1000)).split()[1] == status
            await stream.aclose()


async def test_sockets_that_say_nothing_leave_room_for_everybody_else(autojump_clock):
    """One address holds as many as it may upgrade, and sixteen; the next is closed unheard."""
    async with memory_relay(limits={"connections_per_ip": 4}) as world:
        elsewhere = from_source(world.ports, "203.0.113.9").network
        silent = [await world.stream(elsewhere) for _ in range(4 + 16)]
        asked = trio.current_time()
        refused = await world.stream(elsewhere)
        assert await refused.receive_some(1) == b""
        assert trio.current_time() == asked
        async with world.client("anna") as anna:
            await anna.hello(bytes(32))
        for stream in silent:
            await stream.aclose()


async def test_the_sockets_of_a_trusted_proxy_are_not_counted_together(autojump_clock):
    server = {"trusted_proxies": ["203.0.113.9"]}
    async with memory_relay(server=server, limits={"connections_per_ip": 1}) as world:
        proxy = from_source(world.ports, "203.0.113.9").network
        silent = [await world.stream(proxy) for _ in range(40)]
        stream = await world.stream(proxy)
        await stream.send_all(UPGRADE)
        assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 101 ")
        for stream in silent:
            await stream.aclose()


async def test_sockets_that_were_closed_are_no_longer_counted(autojump_clock):
    async with memory_relay(limits={"connections_per_ip": 1}) as world:
        for _ in range(50):
            stream = await world.stream()
            await stream.send_all(b"GET /health HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")
            assert await stream.receive_some(4096) != b""
            await stream.aclose()
