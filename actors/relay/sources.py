"""Who a request comes from, as limits count: an IPv4 address, an IPv6 /64, or what a trusted proxy says.

| peer               | X-Forwarded-For            | source                                  |
|--------------------|----------------------------|-----------------------------------------|
| not a proxy        | whatever it says           | the peer                                |
| a trusted proxy    | a, b, c                    | the last of them that is no such proxy  |
| a trusted proxy    | nothing usable             | the peer                                |

`Visitors` counts the open connections of each source. It outlives the door, as the connections do.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias

import trio

from ferryman.actors.relay.heads import Headers
from ferryman.actors.relay.settings import SourceNetwork

Address: TypeAlias = IPv4Address | IPv6Address

SITE_PREFIX = 64  # one customer of an IPv6 provider has at least that many bits to himself


def address_of(text: str) -> Address | None:
    """The address, an IPv4 one also where it is dressed as IPv6; None where it is none."""
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_within(text: str, networks: tuple[SourceNetwork, ...]) -> bool:
    address = address_of(text)
    return address is not None and any(
        address.version == network.version and address in network for network in networks
    )


def client_of(peer: str, headers: Headers, proxies: tuple[SourceNetwork, ...]) -> str:
    """The client's address, believed as far as the proxies are."""
    if not is_within(peer, proxies):
        return peer
    said = b",".join(value for name, value in headers if name == b"x-forwarded-for").decode("latin-1")
    for entry in reversed(said.split(",")):
        if address_of(entry) is None:
            return peer
        if not is_within(entry, proxies):
            return str(address_of(entry))
    return peer


def source_of(client: str) -> str:
    """The key that limits count by."""
    address = address_of(client)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, SITE_PREFIX), strict=False))
    return client if address is None else str(address)


class Visitors:
    """Open connections by source."""

    def __init__(self) -> None:
        self._by_source: dict[str, int] = {}
        self.total = 0
        self._changed = trio.Event()

    async def all_gone(self) -> None:
        """Wait until nobody is connected."""
        while self.total:
            await self._changed.wait()

    def of(self, source: str) -> int:
        return self._by_source.get(source, 0)

    def enter(self, source: str) -> Callable[[], None]:
        """Count one more; returns what counts it out again, once."""
        self._by_source[source] = self.of(source) + 1
        self.total += 1
        inside = [source]

        def leave() -> None:
            while inside:
                self._leave(inside.pop())

        return leave

    def _leave(self, source: str) -> None:
        self.total -= 1
        self._changed.set()
        self._changed = trio.Event()
        left = self._by_source[source] - 1
        if left:
            self._by_source[source] = left
        else:
            del self._by_source[source]
