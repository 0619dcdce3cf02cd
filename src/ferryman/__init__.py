"""Ferryman: pair devices without accounts and carry their sealed state through a relay that cannot read it.

    async with ferryman.open_runtime({"home": folder}) as runtime:                          a device
    async with ferryman.open_relay({"server": {"bind": "127.0.0.1:8080"}}) as relay:        a relay

The shop window: nothing is loaded before it is asked for, so that a relay never loads the code that seals.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ferryman.version import __version__

if TYPE_CHECKING:
    from ferryman import errors
    from ferryman.actors.real_ports import make_real_ports
    from ferryman.protocol.sync import events
    from ferryman.supervisors import backends
    from ferryman.supervisors.blobs import Blob, Invite, OutboxStatus, PullResult, PushResult
    from ferryman.supervisors.client import SyncClient
    from ferryman.supervisors.config import KeysConfig, RuntimeConfig, SyncConfig
    from ferryman.supervisors.in_thread import ThreadedDevice, start_in_thread
    from ferryman.supervisors.lifecycle import Cycle, Lifecycle, Progress, Saved
    from ferryman.supervisors.portal import Portal
    from ferryman.supervisors.relay import Relay, open_relay
    from ferryman.supervisors.relay_config import RelayConfig
    from ferryman.supervisors.runtime import Runtime, open_runtime

__all__ = [
    "Blob",
    "Cycle",
    "Invite",
    "KeysConfig",
    "Lifecycle",
    "OutboxStatus",
    "Portal",
    "Progress",
    "PullResult",
    "PushResult",
    "Relay",
    "RelayConfig",
    "Runtime",
    "RuntimeConfig",
    "Saved",
    "SyncClient",
    "SyncConfig",
    "ThreadedDevice",
    "__version__",
    "backends",
    "errors",
    "events",
    "make_real_ports",
    "open_relay",
    "open_runtime",
    "start_in_thread",
]

_HOMES = {
    "Blob": "supervisors.blobs",
    "Cycle": "supervisors.lifecycle",
    "Invite": "supervisors.blobs",
    "KeysConfig": "supervisors.config",
    "Lifecycle": "supervisors.lifecycle",
    "OutboxStatus": "supervisors.blobs",
    "Portal": "supervisors.portal",
    "Progress": "supervisors.lifecycle",
    "PullResult": "supervisors.blobs",
    "PushResult": "supervisors.blobs",
    "Relay": "supervisors.relay",
    "RelayConfig": "supervisors.relay_config",
    "Runtime": "supervisors.runtime",
    "RuntimeConfig": "supervisors.config",
    "Saved": "supervisors.lifecycle",
    "SyncClient": "supervisors.client",
    "SyncConfig": "supervisors.config",
    "ThreadedDevice": "supervisors.in_thread",
    "make_real_ports": "actors.real_ports",
    "open_relay": "supervisors.relay",
    "open_runtime": "supervisors.runtime",
    "start_in_thread": "supervisors.in_thread",
}
_MODULES = {"backends": "supervisors.backends", "errors": "errors", "events": "protocol.sync.events"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        found: Any = import_module(f"ferryman.{_MODULES[name]}")
    elif name in _HOMES:
        found = getattr(import_module(f"ferryman.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module 'ferryman' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
