"""How a device stands, in one word and in figures.

The word is one of the four of `ferryman.protocol.sync.indicator`, or "off": no group, or sync is disabled.
"""

from __future__ import annotations

from ferryman.protocol.control.replies import Connection, Standing
from ferryman.protocol.identity import show_id
from ferryman.protocol.sync.events import Connected, Connecting, ConnectionStatus, Disconnected, Indicator, Reconnecting
from ferryman.protocol.sync.group import Membership

GROUP_BYTES = 4  # enough to tell a person's groups apart, too few to be of use to anybody else


def connection_of(status: ConnectionStatus) -> Connection:
    match status:
        case Connected():
            return "connected"
        case Connecting():
            return "connecting"
        case Reconnecting():
            return "reconnecting"
        case Disconnected():
            return "disconnected"


def is_settled(status: ConnectionStatus, enabled: bool) -> bool:
    """False: sync is about to connect for the first time, and will know more soon."""
    if isinstance(status, Connecting):
        return False
    return not enabled or not isinstance(status, Disconnected) or bool(status.reason)


def short_group(group_id: bytes) -> str:
    """As much of it as a person sees."""
    return group_id[:GROUP_BYTES].hex()


def make_standing(
    member: Membership | None,
    enabled: bool,
    status: ConnectionStatus,
    indicator: Indicator,
    *,
    device_id: bytes,
    device_name: str,
    waiting: int,
    waiting_bytes: int,
    last_cursor: int,
    pid: int,
    warning: str,
) -> Standing:
    return Standing(
        indicator=indicator if enabled and member is not None else "off",
        connection=connection_of(status),
        reason=status.reason if isinstance(status, Disconnected | Reconnecting) else "",
        attempt=status.attempt if isinstance(status, Reconnecting) else 0,
        enabled=enabled,
        relay_url=None if member is None else member.relay_url,
        group=None if member is None else short_group(member.group_id),
        device=show_id(device_id),
        device_name=device_name,
        waiting=waiting,
        waiting_bytes=waiting_bytes,
        last_cursor=last_cursor,
        max_cursor=status.info.max_cursor if isinstance(status, Connected) else None,
        pid=pid,
        warning=warning,
    )
