"""What the relay's actors must know of its configuration: plain values, checked before they come here.

The names are those of relay.toml; `ferryman.supervisors.relay_tables` documents each and holds the defaults.
One object serves all actors of a relay: a reload changes it between two of their turns.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

from ferryman.protocol.relay.group import GroupLimits

SourceNetwork: TypeAlias = IPv4Network | IPv6Network

SEEN_SECONDS = 3600  # noting it more often than that would be writing for nothing where `default_ttl` is days


@dataclass(slots=True)
class Settings:
    max_connections: int
    connections_per_ip: int
    handshakes_per_minute: int
    messages_per_minute: int
    ingress_bytes_per_minute: int
    egress_bytes_per_minute: int
    new_groups_per_hour: int
    max_devices_per_group: int
    invite_posts_per_minute: int
    invite_gets_per_minute: int
    max_invites: int
    max_blob_size: int
    max_group_storage: int
    max_total: int
    default_ttl: int
    synchronous: str  # "extra", "full" or "normal"
    cleanup_interval: int
    vacuum_on_cleanup: bool
    heartbeat: int
    shutdown_grace: int
    trusted_proxies: tuple[SourceNetwork, ...]
    metrics_allow: tuple[SourceNetwork, ...]
    require_key: bool
    tokens_create_groups: bool
    key_hashes: tuple[tuple[str, bytes], ...]  # by name

    def adopt(self, other: Settings) -> None:
        """Become as the other is."""
        for field in fields(self):
            setattr(self, field.name, getattr(other, field.name))

    @property
    def seen_seconds(self) -> int:
        """How stale a connected device's `last_seen` may be on disk: unseen for `default_ttl`, it keeps no blob."""
        return min(SEEN_SECONDS, self.default_ttl // 4)

    @property
    def rules(self) -> GroupLimits:
        """What the law of a group must know."""
        return GroupLimits(
            max_blob_size=self.max_blob_size,
            max_group_storage=self.max_group_storage,
            max_total=self.max_total,
            max_devices=self.max_devices_per_group,
            default_ttl=self.default_ttl,
        )
