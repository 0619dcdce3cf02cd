"""The inbox actor: the machine of `protocol.sync.inbox`. It owes nothing; clients read it when they start."""

from __future__ import annotations

from ferryman.actors.core.context import Body
from ferryman.actors.durable_stream import durable_stream
from ferryman.actors.ports import Ports
from ferryman.protocol.sync.inbox import Inbox

STREAM = "inbox"
WINDOW = 64  # nothing in it can conflict, so commits may be shared


def inbox(ports: Ports) -> Body:
    return durable_stream(Inbox(), STREAM, ports, window=WINDOW)
