"""What a device knows of its rooms, each made for one join (wire.md §9), and what it owes the world for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from msgspec import Struct

from ferryman.protocol.ledger.codec import Secret, recorded
from ferryman.protocol.sync.group import Membership

# How a room ends, for programs; `SENTENCES` says it to people.
JOINED: Final = "joined"
REFUSED: Final = "refused"
CONTESTED: Final = "contested"
CANCELLED: Final = "cancelled"
EXPIRED: Final = "expired"
BROKEN: Final = "broken"
UNSENT: Final = "unsent"
CLOSED: Final = "closed"
MISFIT: Final = "misfit"
TAKEN: Final = "taken"

SENTENCES: Final[Mapping[str, str]] = {
    JOINED: "the device is a member now",
    REFUSED: "it was refused, and the invite is used up: make a new one for the right device",
    CONTESTED: "two devices tried to join with this invite, so it let none in: make a new one",
    CANCELLED: "the invite was taken back",
    EXPIRED: "nobody was let in while the invite held: ask for a new one",
    BROKEN: "the device that asked did not keep to what it had said, so it was not let in: make a new invite",
    UNSENT: "the relay did not take the approval in time: if the device is not in the group, make a new invite",
    CLOSED: "the inviting device has ended this invite: ask for a new one",
    MISFIT: "what came with the approval is no group that this device may join: ask for a new invite",
    TAKEN: "this device has become a member of another group meanwhile",
}


@dataclass(frozen=True, slots=True)
class Room:
    """room_id, secret: the bootstrap group's. creator_id: who invites, and alone admits. expires_at: UNIX seconds."""

    room_id: bytes
    secret: Secret
    relay_url: str
    creator_id: bytes
    expires_at: int
    relay_key: bytes | None = None

    def membership(self) -> Membership:
        """For the client that stays in it meanwhile."""
        return Membership(self.room_id, self.secret, self.relay_url, self.creator_id, self.relay_key, introduced=True)


@dataclass(frozen=True, slots=True)
class Guest:
    """Who has asked first. device_name: what it calls itself, which proves nothing."""

    device_id: bytes
    device_name: str
    commit: bytes


# --- the phases of the creator


class Waiting(Struct, frozen=True, tag="waiting"):
    """Nobody has asked."""


class Challenged(Struct, frozen=True, tag="challenged"):
    guest: Guest
    nonce_c: bytes


class Comparing(Struct, frozen=True, tag="comparing"):
    """Its person compares the numbers, and decides."""

    guest: Guest
    sas: str


class Parting(Struct, frozen=True, tag="parting"):
    """The last word is on its way to the relay; with JOINED it is the admission of `guest`."""

    outcome: str
    guest: Guest | None = None


# --- the phases of the joiner


class Knocking(Struct, frozen=True, tag="knocking"):
    joiner_id: bytes
    nonce_j: Secret  # whoever knows it before the creator's is chosen can choose the number


class Showing(Struct, frozen=True, tag="showing"):
    """Its person reads the number out."""

    joiner_id: bytes
    sas: str


class Entering(Struct, frozen=True, tag="entering"):
    """Admitted: the group is not on record yet."""

    group_id: bytes
    secret: Secret


# --- of both


class Closing(Struct, frozen=True, tag="closing"):
    """The client, the outbox's lane and the inbox's position of the room are given up."""

    outcome: str
    guest: Guest | None = None


Phase: TypeAlias = Waiting | Challenged | Comparing | Parting | Knocking | Showing | Entering | Closing


@dataclass(frozen=True, slots=True)
class Word:
    """A control blob on its way into the outbox."""

    blob_id: bytes
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stay:
    room: Room
    phase: Phase
    words: tuple[Word, ...] = ()


@recorded("rooms.state/1")
@dataclass(frozen=True, slots=True)
class RoomsState:
    """ended: how the last rooms ended, oldest first."""

    stays: Mapping[bytes, Stay] = field(default_factory=dict[bytes, Stay])
    ended: Mapping[bytes, str] = field(default_factory=dict[bytes, str])


# --- what happened


@recorded("rooms.opened/1")
@dataclass(frozen=True, slots=True)
class RoomOpened:
    room: Room
    phase: Phase


@recorded("rooms.moved/1")
@dataclass(frozen=True, slots=True)
class RoomMoved:
    room_id: bytes
    phase: Phase


@recorded("rooms.word_chosen/1")
@dataclass(frozen=True, slots=True)
class WordChosen:
    room_id: bytes
    blob_id: bytes
    content: bytes = field(repr=False)


@recorded("rooms.word_said/1")
@dataclass(frozen=True, slots=True)
class WordSaid:
    """It is in the outbox."""

    room_id: bytes
    blob_id: bytes


@recorded("rooms.gone/1")
@dataclass(frozen=True, slots=True)
class RoomGone:
    room_id: bytes
    outcome: str


RoomEvent: TypeAlias = RoomOpened | RoomMoved | WordChosen | WordSaid | RoomGone


# --- what is owed


@dataclass(frozen=True, slots=True)
class KeepRoom:
    """A client stays in the room, and what it hears comes back as Hear."""

    room: Room


@dataclass(frozen=True, slots=True)
class SayWord:
    room: Room
    word: Word


@dataclass(frozen=True, slots=True)
class AwaitSent:
    """The relay has all that was said."""

    room_id: bytes


@dataclass(frozen=True, slots=True)
class EndAt:
    """at: UNIX seconds."""

    room_id: bytes
    at: int


@dataclass(frozen=True, slots=True)
class EndSoon:
    """Who is not let in is told so, if the relay can be reached now."""

    room_id: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class EnterGroup:
    room: Room
    group_id: bytes
    secret: Secret


@dataclass(frozen=True, slots=True)
class GiveUpRoom:
    room_id: bytes


@dataclass(frozen=True, slots=True)
class TellPhase:
    """Wake those who wait for this room, and ask or tell its person. phase None: the room is gone."""

    room_id: bytes
    phase: Phase | None


RoomEffect: TypeAlias = KeepRoom | SayWord | AwaitSent | EndAt | EndSoon | EnterGroup | GiveUpRoom | TellPhase
