"""The relay's tree.

relay (rest_for_one: whoever stands later needs those before)
  buffer                                the one writer
  infrastructure (one_for_one)          rate_limiter, invites, janitor, status_desk: none needs another
  groups (dynamic)                      a group (one_for_all): cursor_allocator, group_router
  http
  connections (dynamic)
  door                                  last in, first out
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec
import trio

from ferryman.actors.core.context import Context
from ferryman.actors.core.ref import Ref
from ferryman.actors.ports import Ports
from ferryman.actors.rate_limiter import Rate, rate_limiter
from ferryman.actors.relay.accepted import Accepted
from ferryman.actors.relay.buffer import buffer
from ferryman.actors.relay.connection import ConnectionPorts, connection
from ferryman.actors.relay.cursor_allocator import cursor_allocator
from ferryman.actors.relay.door import DoorPorts, Listener, door
from ferryman.actors.relay.frames import FrameWriter
from ferryman.actors.relay.group_messages import RouterPorts
from ferryman.actors.relay.group_router import group_router
from ferryman.actors.relay.http import http
from ferryman.actors.relay.invites import invites
from ferryman.actors.relay.janitor import janitor
from ferryman.actors.relay.log_lines import LogLines
from ferryman.actors.relay.metrics import Metrics, kind_of
from ferryman.actors.relay.seats import Seats
from ferryman.actors.relay.settings import Settings
from ferryman.actors.relay.sources import Visitors
from ferryman.actors.relay.status_desk import status_desk
from ferryman.actors.relay.stream import Moorings
from ferryman.protocol.crypto.noise import static_public
from ferryman.protocol.identity import show_id
from ferryman.supervisors.node import TreeNode
from ferryman.supervisors.relay_config import RelayConfig
from ferryman.supervisors.relay_log import Log, line_writer, reporter
from ferryman.supervisors.relay_status import SHOWN_GROUPS, BusyGroup, Status, folded, short_id
from ferryman.supervisors.relay_tls import Tls
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.system import System
from ferryman.version import __version__

KEY_BYTES = 32
BUFFER_MAILBOX = 8192  # batches and asks of all groups
GROUP_MAILBOX = 4096  # batches of all devices of a group
CONNECTION_MAILBOX = 16  # wake-ups


class Build:
    """The parts that outlive actors, and the tree that is made of them."""

    def __init__(
        self,
        config: RelayConfig,
        ports: Ports,
        private: bytes,
        listeners: Sequence[Listener],
        tls: Tls,
        log: Log,
        restored: bool,
        wal_bytes: int,
        desk: Sequence[Listener] = (),
    ) -> None:
        self._config = config
        self._ports = ports
        self._private = private
        self._listeners = listeners
        self._tls = tls
        self._desk = desk
        self._restored = restored
        self._wal_bytes = wal_bytes
        self._connections = 0
        self.log = log
        self.lines = LogLines(line_writer(log))
        self.settings = config.settings()
        self.rates = rates(self.settings)
        self.started = trio.current_time()
        self.metrics = Metrics()
        self.moorings = Moorings()
        self.visitors = Visitors()
        self.frames = FrameWriter(static_public(private), ports.clock, ports.entropy)
        self._up = trio.Event()
        self._system: list[System] = []  # the one, once it is up
        self._routers = RouterPorts(self.settings, ports.clock, self.frames, self.metrics, Seats())

    def tree(self) -> Supervisor:
        settings, ports, metrics = self.settings, self._ports, self.metrics
        report = reporter(self.log)
        store = buffer(
            self._config.database,
            settings,
            ports,
            self.frames,
            metrics,
            restored=self._restored,
            wal_bytes=self._wal_bytes,
        )
        pages = http(
            settings, metrics, self.mailboxes, report, version=__version__, started=self.started, now=ports.clock.now
        )
        entrance = DoorPorts(
            settings,
            ports.network,
            self.moorings,
            self.visitors,
            lambda: self._tls.context,
            self._start_connection,
            report,
            self.lines,
        )
        return Supervisor(
            [
                ChildSpec("buffer", store, capacity=BUFFER_MAILBOX),
                ChildSpec("infrastructure", self._infrastructure()),
                ChildSpec("groups", Supervisor(dynamic=True, because="no group ends another")),
                ChildSpec("http", pages),
                ChildSpec("connections", Supervisor(dynamic=True, because="no connection ends another")),
                ChildSpec("door", door(self._listeners, entrance)),
            ],
            strategy="rest_for_one",
            because="whoever stands later has asked those before for what it knows",
        )

    def _infrastructure(self) -> Supervisor:
        settings, ports = self.settings, self._ports
        return Supervisor(
            [
                ChildSpec("rate_limiter", rate_limiter(self.rates)),
                ChildSpec("invites", invites(ports.clock, ports.entropy, settings)),
                ChildSpec("janitor", janitor(settings)),
                ChildSpec("status_desk", status_desk(self._desk, self.look, self._up)),
            ],
            because="none of them needs another",
        )

    async def _start_group(self, ctx: Context[Any], group_id: bytes) -> Ref[Any]:
        """The router of a group. Its name in the tree tells nobody the group's id."""
        name = sha256(group_id).hexdigest()[:32]
        path = f"/groups/{name}"
        group = Supervisor(
            [
                ChildSpec("cursor_allocator", cursor_allocator(group_id), capacity=GROUP_MAILBOX),
                ChildSpec("group_router", group_router(group_id, path, self._routers), capacity=GROUP_MAILBOX),
            ],
            strategy="one_for_all",
            because="both read the group from the buffer at one moment",
        )
        await ctx.start_child("/groups", ChildSpec(name, group))
        return ctx.ref(f"{path}/group_router")

    async def _start_connection(self, ctx: Context[Any], accepted: Accepted) -> None:
        self._connections += 1
        ports = ConnectionPorts(
            self._routers,
            self._private,
            lambda: self._ports.entropy.random_bytes(KEY_BYTES),
            self._start_group,
            self.lines,
        )
        body = connection(accepted, ports)
        spec = ChildSpec(str(self._connections), body, restart="temporary", capacity=CONNECTION_MAILBOX, grace=0)
        await ctx.start_child("/connections", spec)

    def came_up(self, system: System) -> None:
        """The tree is up: it can be looked at."""
        self._system.append(system)
        self._up.set()

    def look(self) -> bytes:
        """How the relay is now, for the status desk."""
        metrics, seats = self.metrics, self._routers.seats
        [tree] = [system.tree() for system in self._system]
        busiest = tuple(
            BusyGroup(short_id(group_id), len(seats.of(group_id)), round(pace.pushes, 1), round(pace.size))
            for group_id, pace in metrics.traffic.busiest(SHOWN_GROUPS)
        )
        status = Status(
            state=metrics.state,
            version=__version__,
            address=":".join(map(str, self._ports.network.address(self._listeners[0]))),
            key=show_id(self.frames.relay_id),
            uptime_seconds=int(trio.current_time() - self.started),
            connections=metrics.connections_active,
            connections_total=metrics.connections_total,
            groups=metrics.groups,
            groups_awake=next(len(node.children) for node in tree.children if node.path == "/groups"),
            blobs_buffered=metrics.blobs_buffered,
            bytes_buffered=metrics.bytes_buffered,
            blobs_delivered=metrics.blobs_delivered,
            bytes_transferred=metrics.bytes_transferred,
            errors={str(code): count for code, count in sorted(metrics.errors.items())},
            restarts=dict(sorted(metrics.restarts.items())),
            mailboxes=dict(sorted(self.mailboxes().items())),
            busiest=busiest,
            tree=folded(tree),
        )
        return msgspec.json.encode(status) + b"\n"

    def mailboxes(self) -> dict[str, int]:
        """Waiting messages by kind of actor."""
        waiting: dict[str, int] = {}
        for system in self._system:
            for node in leaves(system.tree()):
                kind = kind_of(node.path)
                waiting[kind] = waiting.get(kind, 0) + node.queued
        return waiting


def rates(settings: Settings) -> dict[str, Rate]:
    """The limits that several actors share, by bucket; keys are sources."""
    return {
        "handshakes": Rate(settings.handshakes_per_minute, 60),
        "messages": Rate(settings.messages_per_minute * 10, 60),
        "ingress": Rate(settings.ingress_bytes_per_minute, 60),
        "egress": Rate(settings.egress_bytes_per_minute, 60),
        "new_groups": Rate(settings.new_groups_per_hour, 3600),
        "invite_posts": Rate(settings.invite_posts_per_minute, 60),
        "invite_gets": Rate(settings.invite_gets_per_minute, 60),
    }


def leaves(node: TreeNode) -> list[TreeNode]:
    if not node.children:
        return [node] if node.kind == "actor" else []
    return [leaf for child in node.children for leaf in leaves(child)]
