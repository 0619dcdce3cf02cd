"""A relay for a test: in this process on real sockets and files, or all of it in memory under a virtual clock.

async with real_relay(tmp_path) as world:            TCP, a real database, real time
async with memory_relay() as world:                  memory streams, a disk in memory, `autojump_clock`'s time

async with world.client("anna") as anna: ...         `tests.fakes.wire_client.WireClient`
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import trio

from ferryman.actors.core.events import Event
from ferryman.actors.ports import Network, Ports
from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.simulated.network import MemoryNetwork
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.supervisors.relay import Relay, open_relay
from ferryman.supervisors.relay_config import RelayConfig, check_relay_config
from ferryman.supervisors.relay_log import Log
from tests.fakes.wire_client import Headers, WireClient, connect_over, device

MEMORY_PATH = "/relay/relay.db"
GENEROUS = {  # a test that is not about limits must not meet them
    "connections_per_ip": 1000,
    "handshakes_per_minute": 100_000,
    "messages_per_minute": 1_000_000,
    "ingress_bytes_per_minute": 2**40,
    "egress_bytes_per_minute": 2**40,
    "new_groups_per_hour": 10_000,
    "invite_posts_per_minute": 1000,
    "invite_gets_per_minute": 1000,
}


def relay_config(database: str | Path, **tables: dict[str, Any]) -> RelayConfig:
    """A configuration for tests: generous limits, a free port, and what the test says on top."""
    document: dict[str, Any] = {
        **tables,
        "server": {"bind": "127.0.0.1:0", **tables.get("server", {})},
        "storage": {"database": str(database), **tables.get("storage", {})},
        "limits": {**GENEROUS, **tables.get("limits", {})},
    }
    return check_relay_config(document, "test")


@dataclass
class RelayWorld:
    relay: Relay
    ports: Ports
    config: RelayConfig
    events: list[Event] = field(default_factory=list)
    _connected: int = 0

    @property
    def port(self) -> int:
        return self.relay.address[1]

    async def stream(self, network: Network | None = None) -> trio.abc.HalfCloseableStream:
        return await (network or self.ports.network).open_stream(*self.relay.address)

    @asynccontextmanager
    async def client(
        self, name: str, *, network: Network | None = None, headers: Headers = ()
    ) -> AsyncIterator[WireClient]:
        self._connected += 1
        ephemeral = sha256(f"ephemeral {name} {self._connected}".encode()).digest()
        stream = await self.stream(network)
        async with connect_over(stream, device(name), ephemeral, headers=headers) as client:
            yield client

    def group_path(self, group_id: bytes) -> str:
        return f"/groups/{sha256(group_id).hexdigest()[:32]}"

    def crash(self, path: str) -> None:
        assert self.relay.system.crash(path, Exception("planned by the test"))


@asynccontextmanager
async def real_relay(folder: Path, **tables: dict[str, Any]) -> AsyncIterator[RelayWorld]:
    config = relay_config(folder / "relay.db", **tables)
    async with running_relay(config, make_real_ports()) as world:
        yield world


@asynccontextmanager
async def memory_relay(
    ports: Ports | None = None, *, log_to: Log | None = None, **tables: dict[str, Any]
) -> AsyncIterator[RelayWorld]:
    config = relay_config(MEMORY_PATH, **tables)
    async with running_relay(config, ports or make_simulated_ports(1), wal_bytes=0, log=log_to) as world:
        yield world


@asynccontextmanager
async def running_relay(config: RelayConfig, ports: Ports, **options: Any) -> AsyncIterator[RelayWorld]:
    events: list[Event] = []
    async with open_relay(config, ports, on_event=events.append, **options) as relay:
        yield RelayWorld(relay, ports, config, events)


def from_source(ports: Ports, source: str) -> Ports:
    """The same world for a client at another address."""
    assert isinstance(ports.network, MemoryNetwork)
    elsewhere = MemoryNetwork(source=source)
    elsewhere._listeners = ports.network._listeners
    return replace(ports, network=elsewhere)
