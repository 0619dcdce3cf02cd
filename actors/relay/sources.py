"""Who a request comes from, as limits count: an IPv4 address, an IPv6 /64, or what a trusted proxy says.

| peer               | X-Forwarded-For                 | client                                  |
|--------------------|---------------------------------|-----------------------------------------|
| not a proxy        | whatever it says                | the peer                                |
| a trusted proxy    | a, b:port, [c]:port             | the last of them that is no such proxy  |
| a trusted proxy    | only such proxies, or no header | the peer: it speaks for itself          |
| a trusted proxy    | what cannot be read, loopback   | nobody known, behind the peer           |
| a trusted proxy    | none, but Forwarded (RFC 7239)  | nobody known, behind the peer           |

Those whom nobody knows share one source a proxy, and an address that is in no network: not in `server.metrics_allow`.
`Visitors` counts the open connections of each source. It outlives the door, as the connections do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias

import trio

from ferryman.actors.relay.heads import Headers
from ferryman.actors.relay.settings import SourceNetwork

Address: TypeAlias = IPv4Address | IPv6Address

WITH_PORT = re.compile(r"\[(?P<ipv6>[0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|(?P<ipv4>[0-9.]+):[0-9]{1,5}")
ADDRESS = re.compile(
    r"(?P<ipv4>[0-9.]+)|(?P<ipv6>[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)(?:%[0-9A-Za-z._~-]{1,64})?"
)  # of a link
BLANKS = " \t"  # of a header; Python's own idea of them has a dozen more
SITE_PREFIX = 64  # one customer of an IPv6 provider has at least that many bits to himself


def address_of(text: str) -> Address | None:
    """The address, an IPv4 one also where it is dressed as IPv6; None where it is none."""
    written = ADDRESS.fullmatch(text.strip(BLANKS))
    try:
        address = ip_address(written["ipv4"] or written["ipv6"] if written else "")
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
    """The client's address, believed as far as the proxies are; what is no address is a client that nobody knows."""
    if not is_within(peer, proxies):
        return peer
    chain = [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"]
    if not chain and any(name == b"forwarded" for name, _ in headers):
        return unknown_behind(peer)
    for entry in reversed(",".join(chain).split(",") if chain else []):
        address = address_of(without_port(entry.strip(BLANKS)))
        if address is None:
            return unknown_behind(peer)
        if not is_within(str(address), proxies):  # a loopback address means another machine, or another's word
            return unknown_behind(peer) if address.is_loopback else str(address)
    return peer


def unknown_behind(peer: str) -> str:
    return f"unknown behind {peer}"


def without_port(entry: str) -> str:
    """An entry of X-Forwarded-For, which some proxies write as address:port, [address] or [address]:port."""
    written = WITH_PORT.fullmatch(entry)
    return entry if written is None else written["ipv6"] or written["ipv4"]


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
