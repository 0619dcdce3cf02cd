"""A relay from its beginning to its end. Embeddable: `async with open_relay(config) as relay`.

    lock -> key -> database looked at -> listening -> tree up | block | tree down -> sockets closed -> lock released

    relay.drain()          what an orderly end begins with
    relay.reload(config)   other limits, lists and certificates, without an end

What belongs to the block and not to an actor outlives every crash: the sockets that listen, the streams, the lock.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import trio

from ferryman.actors.core.events import DeadLetter, Event
from ferryman.actors.ports import Disk, Ports
from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.relay.door import Listener
from ferryman.actors.relay.lane import Drain
from ferryman.actors.relay.metrics import Metrics
from ferryman.actors.relay.schema import open_database
from ferryman.actors.relay.settings import Settings
from ferryman.actors.relay.sources import Visitors
from ferryman.actors.relay.stream import Moorings
from ferryman.actors.relay.wal import EXTENT_BYTES
from ferryman.protocol.errors import BadInput
from ferryman.protocol.identity import show_id
from ferryman.supervisors.node import TreeNode
from ferryman.supervisors.relay_config import RelayConfig, check_relay_config
from ferryman.supervisors.relay_log import Log, event_writer, make_log
from ferryman.supervisors.relay_reload import Reloaded, merge
from ferryman.supervisors.relay_tls import Tls, load_tls
from ferryman.supervisors.relay_tree import KEY_BYTES, Build, rates
from ferryman.supervisors.system import System, open_system

STOP_SECONDS = 2.0  # of the grace, for the tree itself to stop


@dataclass(slots=True)
class Relay:
    """A running relay. `address`: where it listens. `key`: its static public key, 32 bytes, what clients pin."""

    address: tuple[str, int]
    key: bytes
    system: System
    metrics: Metrics
    settings: Settings
    visitors: Visitors
    config: RelayConfig
    _build: Build
    _tls: Tls

    @property
    def fingerprint(self) -> str:
        """The key as people compare it."""
        return show_id(self.key)

    async def drain(self) -> None:
        """Begin to end: new HELLOs are refused, what is in flight is committed and acknowledged, everybody is told.

        Returns when the last connection is gone, or when the grace is nearly over."""
        self.metrics.draining = True
        with trio.move_on_after(max(0.0, self.settings.shutdown_grace - STOP_SECONDS)):
            members = children(self.system.tree(), "/groups", "/connections")
            paths = [f"{node.path}/group_router" if node.children else node.path for node in members]
            for ref in [self.system.ref(path) for path in paths]:  # all at once: one may end while another is told
                await ref.send(Drain())
            await self.visitors.all_gone()

    def reload(self, new: RelayConfig) -> Reloaded:
        """Go on under another configuration, as far as a running relay can. Blocking: certificates are read.

        Raises BadInput, and nothing has changed."""
        reloaded = merge(self.config, new)
        context = load_tls(reloaded.config.server)
        self._tls.context = context
        self.settings.adopt(reloaded.config.settings())
        self._build.rates.update(rates(self.settings))
        self.config = reloaded.config
        return reloaded


@asynccontextmanager
async def open_relay(
    config: RelayConfig | Mapping[str, Any],
    ports: Ports | None = None,
    *,
    log: Log | None = None,
    restored: bool = False,
    wal_bytes: int = EXTENT_BYTES,
    rng: Random | None = None,
    on_event: Callable[[Event], None] | None = None,
    on_dead_letter: Callable[[DeadLetter], None] | None = None,
) -> AsyncGenerator[Relay]:
    """Run a relay around a block. Raises BadInput with one line when it cannot start.

    config: a RelayConfig, or the tables of a relay.toml as mappings: {"server": {"bind": "127.0.0.1:8080"}}.
    restored: the database came out of a backup, so the cursors of every group begin a new incarnation.
    wal_bytes: length of the log's file from the start; a simulation, whose disk counts each write, takes 0."""
    if not isinstance(config, RelayConfig):
        config = check_relay_config(config, "config")
    ports = ports or make_real_ports()
    release, private = await ports.threads.run(lambda: take_possession(config, ports))
    listeners: Sequence[Listener] = ()
    desk: Sequence[Listener] = ()
    try:
        tls = Tls(load_tls(config.server))
        listeners = await listen(config, ports)
        told_to = log or make_log(ports.clock, level="error")
        desk = await listen_for_status(config, ports, told_to)
        reaping = trio.CancelScope(shield=True)
        async with trio.open_nursery() as outer:
            built = Build(config, ports, private, listeners, tls, told_to, restored, wal_bytes, desk)
            write = event_writer(built.log, built.metrics)

            def told(event: Event) -> None:
                write(event)
                if on_event is not None:
                    on_event(event)

            async with open_system(built.tree(), rng=rng, on_event=told, on_dead_letter=on_dead_letter) as system:
                built.came_up(system)
                try:
                    yield Relay(
                        ports.network.address(listeners[0]),
                        built.frames.relay_id,
                        system,
                        built.metrics,
                        built.settings,
                        built.visitors,
                        config,
                        built,
                        tls,
                    )
                finally:
                    outer.start_soon(reap, built.moorings, reaping)
            reaping.cancel()
    finally:
        with trio.CancelScope(shield=True):
            for listener in (*listeners, *desk):
                await listener.aclose()
        release()


async def reap(moorings: Moorings, reaping: trio.CancelScope) -> None:
    """Cut what is left when the tree should long be down. Whoever waits for a deaf peer wakes up."""
    with reaping:
        await trio.sleep(STOP_SECONDS)
        await moorings.cut_all()


def take_possession(config: RelayConfig, ports: Ports) -> tuple[Callable[[], None], bytes]:
    """Lock, key and database, in this order; blocking. Returns the lock's release and the private key."""
    path, disk = config.database, ports.disk
    try:
        disk.make_directory(path.parent)
        release = disk.lock(config.lock_file)
    except OSError as error:
        raise BadInput(f"{path}: the relay's database cannot be made there: {error.strerror}") from error
    if release is None:
        raise BadInput(f"{path}: another process holds this database; stop it or name another file")
    try:
        private = load_key(disk, config.key_file, ports)
        open_database(disk, path, synchronous=config.storage.synchronous).close()
    except BaseException:  # Ctrl-C too: a lock that nobody holds on to would keep the next start out
        release()
        raise
    return release, private


def load_key(disk: Disk, path: Path, ports: Ports) -> bytes:
    """The relay's identity: made at the first start, and never again, or its clients would turn away."""
    try:
        if disk.exists(path):
            if not disk.is_private(path):
                raise BadInput(
                    f"{path}: others than the relay's user can get at its key: chmod 600 it and chown it to that user, "
                    "or remove it for a new one"
                )
            private = disk.read(path)
        else:
            private = ports.entropy.random_bytes(KEY_BYTES)
            disk.write(path, private, mode=0o600)
    except OSError as error:
        raise BadInput(f"{path}: the relay's key cannot be read or made: {error.strerror}") from error
    if len(private) != KEY_BYTES:
        raise BadInput(f"{path}: is no relay key, {len(private)} bytes instead of {KEY_BYTES}: restore the right one")
    return private


async def listen(config: RelayConfig, ports: Ports) -> Sequence[Listener]:
    host, port = config.address
    try:
        return await ports.network.listen(host, port)
    except OSError as error:
        raise BadInput(f"server.bind: cannot listen on {config.server.bind}: {error.strerror or error}") from error


async def listen_for_status(config: RelayConfig, ports: Ports, log: Log) -> list[Listener]:
    """The status desk's socket. A relay whose operator did not ask for one goes on without, where there is none."""
    path = config.status_socket
    try:
        return [await ports.network.listen_local(path)]
    except OSError as error:
        if config.server.status_socket is not None:
            raise BadInput(f"server.status_socket: cannot listen at {path}: {error.strerror or error}") from error
        log.warning("no status socket", path=str(path), cause=error.strerror or str(error))
        return []


def children(tree: TreeNode, *paths: str) -> list[TreeNode]:
    """The dynamic children at these paths."""
    return [child for node in tree.children if node.path in paths for child in node.children]
