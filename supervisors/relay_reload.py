"""What SIGHUP changes in a relay that runs, and what it cannot.

| changes at once                                            | wants a restart (`FIXED`)                            |
|------------------------------------------------------------|------------------------------------------------------|
| every limit and quota, allow-lists, proxies, API keys      | where it listens, which database, what a commit waits|
| certificate and key, for connections that come             | TLS on or off                                        |
| when and how the buffer is swept                           | what WELCOME told those that are here                |
|                                                            | the log                                              |

A new file that is wrong in anything changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from ferryman.supervisors.relay_config import Document, RelayConfig

FIXED = {
    "server.bind": "the socket that listens stays",
    "server.allow_plaintext": "belongs to server.bind",
    "server.status_socket": "the socket that listens stays",
    "server.heartbeat": "was told to every device in WELCOME",
    "storage.database": "is open",
    "storage.max_blob_size": "was told to every device in WELCOME",
    "storage.default_ttl": "blobs that are stored have theirs",
    "storage.synchronous": "belongs to the open database",
    "log.file": "is open",
    "log.format": "belongs to the open log",
    "log.level": "belongs to the open log",
    "log.blur_ips": "belongs to the open log",
}
"""Key: why it stays as it is."""
TLS = ("server.tls_certificate", "server.tls_key")


@dataclass(frozen=True, slots=True)
class Reloaded:
    """`config`: what holds from now on. Keys as "table.key"."""

    config: RelayConfig
    changed: tuple[str, ...]
    kept: tuple[str, ...]


def merge(now: RelayConfig, new: RelayConfig) -> Reloaded:
    """The new configuration, as far as a running relay can follow."""
    different = tuple(differences(now, new))
    tls_appears = (now.server.tls_certificate is None) != (new.server.tls_certificate is None)
    kept = tuple(key for key in different if key in FIXED or (tls_appears and key in TLS))
    document = cast("dict[str, Document]", new.model_dump())
    for key in kept:
        table, _, name = key.partition(".")
        document[table][name] = getattr(getattr(now, table), name)
    merged = RelayConfig.model_validate(document)
    return Reloaded(merged, tuple(key for key in different if key not in kept), kept)


def differences(now: RelayConfig, new: RelayConfig) -> Iterator[str]:
    for table, model in new:
        for key, value in model:
            if getattr(getattr(now, table), key) != value:
                yield f"{table}.{key}"
