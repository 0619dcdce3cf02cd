"""What a group's router is told, and what all routers share."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from ferryman.actors.ports import Clock
from ferryman.actors.relay.frames import FrameWriter
from ferryman.actors.relay.metrics import Metrics
from ferryman.actors.relay.seats import Seat, Seats
from ferryman.actors.relay.session import Request
from ferryman.actors.relay.settings import Settings
from ferryman.protocol.relay.errors import Refusal, WireCode
from ferryman.protocol.relay.messages import Hello

SHUTTING_DOWN = Refusal(WireCode.RELAY_SHUTTING_DOWN, "the relay is shutting down")


@dataclass(frozen=True, slots=True)
class Join:
    """A HELLO whose proof, if it has one, holds."""

    seat: Seat
    hello: Hello


class Requests(Struct, frozen=True):
    """What one connection asked for at one time, in order. `at`: when it was read, in Trio's seconds."""

    seat: Seat
    requests: tuple[Request, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Left:
    """The connection is gone."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class StillIdle:
    """Nobody came since the count of joins was this."""

    joins: int


@dataclass(frozen=True, slots=True)
class RouterPorts:
    """What every router shares."""

    settings: Settings
    clock: Clock
    frames: FrameWriter
    metrics: Metrics
    seats: Seats
