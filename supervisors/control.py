"""The local socket of a runtime, in its tree.

    <home>/control.sock  -->  /control/socket (dynamic: a broken socket ends no device)  -->  Clerk  -->  runtime.sync

Commands carry out their own requests by the same Clerk when no process holds the device.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import trio

from ferryman.actors.control import Clerk, ControlPorts, control
from ferryman.actors.core.errors import ActorCrashed, ActorStopped
from ferryman.actors.ports import Ports
from ferryman.protocol.crypto.sealing import CONTENT_MARGIN
from ferryman.supervisors.config import RuntimeConfig
from ferryman.supervisors.spec import ChildSpec
from ferryman.supervisors.system import System

SOCKET_NAME = "control.sock"
PARENT = "/control"
GRACE_SECONDS = 5.0  # more than the socket's own drain


@asynccontextmanager
async def serve_commands(
    config: RuntimeConfig, ports: Ports, system: System, new_clerk: Callable[[], Clerk]
) -> AsyncGenerator[None]:
    """The socket, as long as the block runs: first to go, so that no command meets a device that is half stopped."""
    if not config.control.enabled:
        yield
        return
    path = config.home / SOCKET_NAME
    socket = ControlPorts(
        path,
        ports.network,
        max_data(config),
        config.control.takes,
        new_clerk,
    )
    spec = ChildSpec("socket", control(socket), restart="transient", grace=GRACE_SECONDS)
    await system.start_child(PARENT, spec)
    try:
        yield
    finally:
        with trio.CancelScope(shield=True), contextlib.suppress(ActorCrashed, ActorStopped):  # a tree that has ended
            await system.stop_child(f"{PARENT}/socket")


def max_data(config: RuntimeConfig) -> int:
    return config.sync.max_blob_size - CONTENT_MARGIN
