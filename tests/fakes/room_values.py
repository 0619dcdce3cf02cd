"""Values that tests of rooms are made of: a creator, a joiner and a stranger, their machines, and what each is told."""

from __future__ import annotations

from typing import Any

from ferryman.protocol.crypto.keys import DeviceKeys
from ferryman.protocol.ledger.codec import Secret
from ferryman.protocol.machine import Decision, Refused
from ferryman.protocol.sync import room_commands as told
from ferryman.protocol.sync import room_state as it
from ferryman.protocol.sync.control import decode_control
from ferryman.protocol.sync.room import Rooms
from tests.fakes.sync_values import OURS, THEIRS, number

STRANGER = DeviceKeys.from_seed(b"\x02" * 32)
ROOM_ID = b"r" * 32
GROUP_ID, GROUP_SECRET = b"g" * 32, Secret(b"s" * 32)
ROOM = it.Room(ROOM_ID, Secret(bytes(32)), "ws://relay", OURS.device_id, 1_000)
OPEN = told.OpenRoom(ROOM)
ENTER = told.EnterRoom(ROOM, THEIRS.device_id, "phone", Secret(b"j" * 32), number(1))
the_rooms = Rooms()


class Rig:
    """One device's machine, run for real. said: the words that it chose, oldest first."""

    def __init__(self, device: DeviceKeys, *commands: Any) -> None:
        self.device = device
        self.state = the_rooms.initial
        self.said: list[Any] = []
        self.ids = 100
        for command in commands:
            self.do(command)

    def do(self, command: Any) -> Decision[Any] | Refused:
        decision = the_rooms.decide(self.state, command)
        if isinstance(decision, Decision):
            for event in decision.events:
                self.state = the_rooms.evolve(self.state, event)
                if isinstance(event, it.WordChosen):
                    self.said.append(decode_control(event.content))
        return decision

    def hear(self, sender: DeviceKeys, word: Any, nonce: bytes = b"c" * 32) -> Decision[Any] | Refused:
        self.ids += 1
        return self.do(told.Hear(ROOM_ID, sender.device_id, word, nonce, number(self.ids), self.device))

    def approve(self, sas: str, ident: int = 50) -> Decision[Any] | Refused:
        return self.do(told.Approve(ROOM_ID, sas, GROUP_ID, GROUP_SECRET, b"e" * 32, number(ident)))

    def settle(self) -> None:
        """All that was chosen is in the outbox, and at the relay."""
        self.confirm()
        self.do(told.ConfirmSent(ROOM_ID))

    def confirm(self) -> None:
        for word in self.state.stays[ROOM_ID].words if ROOM_ID in self.state.stays else ():
            self.do(told.ConfirmSaid(ROOM_ID, word.blob_id))

    @property
    def phase(self) -> Any:
        stay = self.state.stays.get(ROOM_ID)
        return None if stay is None else stay.phase

    @property
    def ending(self) -> str | None:
        """How the room is about to end; None while that is open."""
        return getattr(self.phase, "outcome", None)

    @property
    def outcome(self) -> str | None:
        return self.state.ended.get(ROOM_ID)


def creator() -> Rig:
    return Rig(OURS, OPEN)


def joiner() -> Rig:
    return Rig(THEIRS, ENTER)


def at_comparing() -> tuple[Rig, Rig]:
    """Creator and joiner with the number on both screens."""
    ours, theirs = creator(), joiner()
    ours.hear(THEIRS, theirs.said[0])
    theirs.hear(OURS, ours.said[0])
    ours.hear(THEIRS, theirs.said[1])
    ours.confirm()
    return ours, theirs


def at_entering() -> tuple[Rig, Rig]:
    ours, theirs = at_comparing()
    ours.approve(ours.phase.sas)
    theirs.hear(OURS, ours.said[-1])
    return ours, theirs


def closing(rig: Rig) -> Rig:
    rig.settle()
    rig.do(told.ConfirmEntered(ROOM_ID, it.JOINED))
    return rig


def gone(rig: Rig) -> Rig:
    rig.do(told.ConfirmGone(ROOM_ID))
    return rig
