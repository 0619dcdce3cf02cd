"""What the relay counts, and the text in which Prometheus reads it (S4 §7.5). Counting is an addition, never a message.

The names stand in `METRICS`; actors are counted by kind, never by instance.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager

import trio

from ferryman.actors.relay.traffic import Traffic
from ferryman.protocol.relay.errors import WireCode

METRICS = {  # name: kind, what it says
    "sync_relay_connections_total": ("counter", "WebSocket connections accepted"),
    "sync_relay_connections_active": ("gauge", "WebSocket connections that are open"),
    "sync_relay_blobs_buffered": ("gauge", "blobs in the buffer"),
    "sync_relay_blobs_delivered": ("counter", "blobs handed out, by PULL or inside a NOTIFY"),
    "sync_relay_bytes_transferred": ("counter", "bytes in and out of WebSocket connections"),
    "sync_relay_push_seconds": ("histogram", "from a PUSH read to its commit"),
    "sync_relay_notify_seconds": ("histogram", "from a PUSH read to its NOTIFYs queued"),
    "sync_relay_commit_seconds": ("histogram", "one COMMIT with its fsync"),
    "sync_relay_errors_total": ("counter", "ERRORs sent, by code"),
    "sync_relay_actor_restarts_total": ("counter", "crashes of actors, by kind"),
    "sync_relay_mailbox_depth": ("gauge", "messages that wait, by kind of actor"),
}
BOUNDS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Histogram:
    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_SECONDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self._sum += seconds

    @contextmanager
    def measure(self) -> Generator[None]:
        started = trio.current_time()
        try:
            yield
        finally:
            self.observe(trio.current_time() - started)

    def lines(self, name: str) -> Iterator[str]:
        total = 0
        for bound, count in zip(BOUNDS_SECONDS, self._counts[:-1], strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        total += self._counts[-1]
        yield f'{name}_bucket{{le="+Inf"}} {total}'
        yield f"{name}_sum {self._sum:.6f}"
        yield f"{name}_count {total}"


class Metrics:
    """One relay's figures. Shared by its actors; each adds to its own."""

    def __init__(self) -> None:
        self.connections_total = 0
        self.connections_active = 0
        self.groups = 0
        self.blobs_buffered = 0
        self.bytes_buffered = 0
        self.blobs_delivered = 0
        self.bytes_transferred = 0
        self.degraded = False
        self.draining = False
        self.push_seconds = Histogram()
        self.notify_seconds = Histogram()
        self.commit_seconds = Histogram()
        self.errors: dict[int, int] = {int(code): 0 for code in WireCode}
        self.restarts: dict[str, int] = {}
        self.traffic = Traffic()

    def buffered(self, groups: int, blobs: int, size: int) -> None:
        self.groups = groups
        self.blobs_buffered = blobs
        self.bytes_buffered = size

    @property
    def state(self) -> str:
        """The relay's in a word, as /health says it."""
        return "shutting_down" if self.draining else "degraded" if self.degraded else "ok"

    def delivered(self, blobs: int) -> None:
        self.blobs_delivered += blobs

    def error(self, code: int) -> None:
        self.errors[code] = self.errors.get(code, 0) + 1

    def restarted(self, actor: str) -> None:
        self.restarts[actor] = self.restarts.get(actor, 0) + 1

    def text(self, mailboxes: Mapping[str, int]) -> str:
        """The exposition format, version 0.0.4. `mailboxes`: waiting messages by kind of actor."""
        return "\n".join([*self._lines(mailboxes), ""])

    def _lines(self, mailboxes: Mapping[str, int]) -> Iterator[str]:
        for name, value in (
            ("sync_relay_connections_total", self.connections_total),
            ("sync_relay_connections_active", self.connections_active),
            ("sync_relay_blobs_buffered", self.blobs_buffered),
            ("sync_relay_blobs_delivered", self.blobs_delivered),
            ("sync_relay_bytes_transferred", self.bytes_transferred),
        ):
            yield from head(name)
            yield f"{name} {value}"
        for name, histogram in (
            ("sync_relay_push_seconds", self.push_seconds),
            ("sync_relay_notify_seconds", self.notify_seconds),
            ("sync_relay_commit_seconds", self.commit_seconds),
        ):
            yield from head(name)
            yield from histogram.lines(name)
        for name, label, counts in (
            ("sync_relay_errors_total", "code", self.errors),
            ("sync_relay_actor_restarts_total", "actor", self.restarts),
            ("sync_relay_mailbox_depth", "actor", mailboxes),
        ):
            yield from head(name)
            for key, count in sorted(counts.items()):
                yield f'{name}{{{label}="{key}"}} {count}'


def head(name: str) -> Iterator[str]:
    kind, said = METRICS[name]
    yield f"# HELP {name} {said}"
    yield f"# TYPE {name} {kind}"


def kind_of(path: str) -> str:
    """The kind of the actor at a path, one name for all its instances: "/groups/x/group_router" is a "group_router"."""
    steps = path.strip("/").split("/")
    match steps:
        case ["groups", _]:
            return "group"
        case ["connections", _]:
            return "connection"
        case _:
            return steps[-1]
