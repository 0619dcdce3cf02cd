"""Which texts are a relay's address, and what a host name without one does to a connection."""

import pytest

from ferryman.actors.simulated.network import MemoryNetwork
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.actors.transport import Dialing, RelayAddress, read_relay_url, run_link
from ferryman.protocol.errors import BadInput


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("ws://a..b:1", id="an empty label"),
        pytest.param("ws://" + "x" * 64, id="a label of 64 characters"),
        pytest.param("wss://h\x00i", id="a NUL"),
        pytest.param("wss://relay.example:99999", id="no port"),
    ],
)
def test_a_host_that_no_resolver_takes_is_no_relay_url(url):
    try:
        found: object = read_relay_url(url)
    except BadInput as error:
        found = error
    assert isinstance(found, BadInput)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "x" * 63, "b\u00fccher.example", "relay.example."])
def test_hosts_that_a_resolver_takes(host):
    assert read_relay_url(f"ws://{host}:8080").port == 8080


class Resolver(MemoryNetwork):
    async def open_stream(self, host, port):
        host.encode("idna")
        return await super().open_stream(host, port)


async def test_a_name_that_cannot_be_resolved_is_the_end_of_the_try_and_not_of_the_client():
    ports = make_simulated_ports(1, network=Resolver())
    try:
        end = await run_link(ports, Dialing(RelayAddress("a..b", 1, "/", secure=False), bytes(32), None), None)
    except* UnicodeError:
        raise AssertionError("run_link raised") from None
    assert "cannot be reached" in end.reason
