"""What the relay's actors must know of its configuration: plain values, checked before they come here.

The names are those of relay.toml; `ferryman.supervisors.relay_config` documents each and holds the defaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

from ferryman.protocol.relay.group import GroupLimits

SourceNetwork: TypeAlias = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
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
