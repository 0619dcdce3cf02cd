"""A relay and devices in one process, on memory streams, a mock clock and in-memory disks.

    world = World()
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b, world.url)

A relay or a device that is opened again finds the disk it left; `crash_disk` makes that the disk of a kill.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import trio

from ferryman.actors.recorder import look
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.network import MemoryNetwork
from ferryman.actors.simulated.ports import InlineThreads, VirtualClock, make_simulated_ports
from ferryman.protocol.sync.events import Connected
from ferryman.supervisors.client import SyncClient
from ferryman.supervisors.config import KeysConfig, RuntimeConfig, SyncConfig
from ferryman.supervisors.relay import open_relay
from ferryman.supervisors.relay_config import RelayConfig
from ferryman.supervisors.runtime import Runtime, open_runtime

GENEROUS = {
    "messages_per_minute": 1_000_000,
    "ingress_bytes_per_minute": 2**40,
    "egress_bytes_per_minute": 2**40,
    "invite_posts_per_minute": 1_000,
    "invite_gets_per_minute": 1_000,
    "handshakes_per_minute": 1_000,
}

PATIENCE_SECONDS = 100  # of a test's time, mostly virtual: more than any backoff, less than the suite's patience


class World:
    """One network, one wall clock, a disk for each name."""

    host, port = "127.0.0.1", 8080
    url = f"ws://{host}:{port}"

    def __init__(self, seed: int = 1) -> None:
        self.network = MemoryNetwork()
        self.clock = VirtualClock()
        self.disks: dict[str, MemoryDisk] = {}
        self.threads: dict[str, InlineThreads] = {}
        self._seed = seed
        self._opened = 0

    def ports(self, name: str):
        self._opened += 1
        disk = self.disks.setdefault(name, MemoryDisk(seed=self._seed))
        seed = self._seed * 1000 + self._opened
        ports = make_simulated_ports(seed, network=self.network, disk=disk, clock=self.clock)
        return replace(ports, threads=self.threads.setdefault(name, InlineThreads()))

    def kill_disk(self, name: str) -> None:
        """What `name` will find after kill -9: what was written is there, what was in its memory is not."""
        self.disks[name] = self.disks[name].after_kill()

    @asynccontextmanager
    async def relay(self, name: str = "relay", **tables: object) -> AsyncIterator[object]:
        document = {"limits": GENEROUS, **tables}
        document["server"] = {"bind": f"{self.host}:{self.port}", **document.get("server", {})}
        document["storage"] = {"database": "/relay.db", **document.get("storage", {})}
        async with open_relay(RelayConfig.model_validate(document), self.ports(name), rng=Random(1)) as relay:
            yield relay

    def config(self, name: str, **sync: object) -> RuntimeConfig:
        return RuntimeConfig(
            home=Path("/home"),
            keys=KeysConfig(passphrase=None, allow_plain=True, use_os_keychain=False),
            sync=SyncConfig(**{"device_name": name, "direct_invites": True, **sync}),
        )

    def client(self, name: str, **sync: object) -> SyncClient:
        return SyncClient(self.config(name, **sync), ports=self.ports(name), rng=Random(name))

    @asynccontextmanager
    async def device(self, name: str, *, events=None, **sync: object) -> AsyncIterator[Runtime]:
        config = self.config(name, **sync)
        heard = (lambda _: None) if events is None else events.append
        async with open_runtime(config, ports=self.ports(name), rng=Random(name), on_event=heard) as runtime:
            yield runtime


async def join(first: Runtime, *others: Runtime, url: str = World.url) -> None:
    """Put these devices into one group, and wait until all are connected and have introduced themselves."""
    if first.sync.last_cursor() == 0:
        await first.sync.enable(url)
    for other in others:
        invite = await first.sync.create_invite()
        await other.sync.join_invite(invite.short_code, url)
    for each in (first, *others):
        await connected(each)
        await introduced(each)


async def until(condition: Callable[[], bool], missing: Callable[[], object] = lambda: "it did not come true") -> None:
    """Wait for it. missing: said when it does not come, so that what is lost fails a test instead of hanging it."""
    give_up = trio.current_time() + PATIENCE_SECONDS
    while not condition():
        assert trio.current_time() < give_up, f"after {PATIENCE_SECONDS} s: {missing()}"
        await trio.sleep(0.01)


async def connected(runtime: Runtime) -> None:
    await until(lambda: isinstance(runtime.sync.status(), Connected), lambda: f"it is {runtime.sync.status()}")


async def introduced(runtime: Runtime) -> None:
    """Its `member` blob is at the relay, and so is all else that waited."""
    give_up = trio.current_time() + PATIENCE_SECONDS
    while not (await look(runtime.system.ref("/sync/group"))).member.introduced:
        assert trio.current_time() < give_up, f"after {PATIENCE_SECONDS} s: the device has not introduced itself"
        await trio.sleep(0.01)
    await flushed(runtime)


async def flushed(runtime: Runtime) -> None:
    await until(lambda: runtime.sync.outbox().count == 0, lambda: f"it still has {runtime.sync.outbox()}")


async def receive(runtime: Runtime, count: int, *, take: bool = True) -> list[bytes]:
    """The next so many blobs' contents; the last one taken too."""
    contents: list[bytes] = []
    stream = runtime.sync.blobs()
    while len(contents) < count:
        blob = None
        with trio.move_on_after(PATIENCE_SECONDS):
            blob = await anext(stream)
        assert blob is not None, f"after {PATIENCE_SECONDS} s: only {len(contents)} of {count} blobs came: {contents}"
        contents.append(blob.data)
    if take and count:
        await blob.taken()
    return contents
