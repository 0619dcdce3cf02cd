"""What the rooms of a device need of its runtime: keys, chance, the outbox, the group, and the person's attention.

A room's client has a board and a hub of its own (`Haven`): how the room is connected is no news of the group.
"""

from __future__ import annotations

from typing import Any

from ferryman.actors.core.context import Context
from ferryman.actors.core.ref import Ref
from ferryman.actors.recorder import insist, look
from ferryman.actors.sync_messages import Handed
from ferryman.protocol.errors import BadInput, RemoteProtocolError
from ferryman.protocol.machine import Command, Refused
from ferryman.protocol.sync import events
from ferryman.protocol.sync import room_state as it
from ferryman.protocol.sync.control import Checkpoint, Member, UnknownControl, decode_control
from ferryman.protocol.sync.group import JoinGroup, Membership
from ferryman.protocol.sync.inbox import ForgetPosition
from ferryman.protocol.sync.outbox import ForgetLane, OutboxState
from ferryman.protocol.sync.room_commands import Approve, ConfirmEntered, Hear, Refuse
from ferryman.supervisors.harbour import GROUP, INBOX, OUTBOX, Harbour

NONCE_BYTES = 32
SEED_BYTES = 32


class RoomKeeper:
    """One a runtime."""

    def __init__(self, harbour: Harbour) -> None:
        self._harbour = harbour
        self._readers = 0

    async def start_client(self, ctx: Context[Any], room: it.Room) -> Ref[Any]:
        member = room.membership()
        self._harbour.open_haven(member)
        return await self._harbour.start_client_from(ctx, member)

    def next_reader(self) -> int:
        self._readers += 1
        return self._readers

    def read(self, room_id: bytes, blob: Handed) -> Hear | None:
        try:
            word = decode_control(blob.content)
        except RemoteProtocolError:
            return None
        if isinstance(word, Member | Checkpoint | UnknownControl):
            return None
        ports = self._harbour.ports
        nonce_c = ports.entropy.random_bytes(NONCE_BYTES)
        return Hear(room_id, blob.sender, word, nonce_c, ports.ids.new_id(), self._harbour.device)

    async def say(self, ctx: Context[Any], room: it.Room, word: it.Word) -> None:
        member = room.membership()
        self._harbour.open_haven(member)
        await self._harbour.say(ctx, member, word.blob_id, lambda: word.content)

    async def is_sent(self, ctx: Context[Any], room_id: bytes) -> bool:
        state: OutboxState = await look(ctx.ref(OUTBOX))
        lane = state.lanes.get(room_id)
        return lane is None or not lane.shelf.count

    async def enter(self, ctx: Context[Any], effect: it.EnterGroup) -> Command[Any]:
        harbour, room = self._harbour, effect.room
        room_id, secret = room.room_id, effect.secret.reveal()
        try:
            keys = await harbour.joined_group(secret, effect.group_id, bare=harbour.config.sync.bare_groups)
        except BadInput:
            return ConfirmEntered(room_id, it.MISFIT)
        join = JoinGroup(
            effect.group_id, effect.secret, room.relay_url, room.creator_id, room.relay_key, keys.group_key is None
        )
        answer = await insist(ctx.ref(GROUP), harbour.ports.ids.new_id(), join)
        return ConfirmEntered(room_id, it.TAKEN if isinstance(answer, Refused) else it.JOINED)

    async def forget(self, ctx: Context[Any], room_id: bytes) -> None:
        new_id = self._harbour.ports.ids.new_id
        await insist(ctx.ref(OUTBOX), new_id(), ForgetLane(room_id))
        await insist(ctx.ref(INBOX), new_id(), ForgetPosition(room_id))
        self._harbour.close_haven(room_id)

    async def tell(self, ctx: Context[Any], effect: it.TellPhase) -> Command[Any] | None:
        harbour, room_id = self._harbour, effect.room_id
        try:
            match effect.phase:
                case it.Comparing(_, sas) if not harbour.config.sync.approve_joins:
                    return await self.approval(ctx.ref(GROUP), room_id, sas)
                case it.Comparing(guest, sas):
                    harbour.hub.publish(events.JoinRequested(room_id, guest.device_id, guest.device_name, sas))
                case it.Knocking():
                    harbour.hub.publish(events.JoinWaiting(room_id))
                case it.Showing(_, sas):
                    harbour.hub.publish(events.JoinShown(room_id, sas))
                case it.Closing(it.JOINED, it.Guest(device_id, device_name)):
                    harbour.hub.publish(events.DeviceJoined(device_id, device_name))
                case it.Closing(outcome) if outcome != it.JOINED:
                    harbour.hub.publish(events.JoinEnded(room_id, outcome, it.SENTENCES[outcome]))
                case _:
                    pass
        finally:
            harbour.wake_rooms()
        return None

    async def approval(self, group: Ref[Any], room_id: bytes, sas: str) -> Command[Any]:
        """The group of this device, for the one with this number."""
        member: Membership | None = (await look(group)).member
        ports = self._harbour.ports
        if member is None:  # it has left meanwhile
            return Refuse(room_id, sas, ports.ids.new_id())
        seed = ports.entropy.random_bytes(SEED_BYTES)
        return Approve(room_id, sas, member.group_id, member.secret, seed, ports.ids.new_id())
