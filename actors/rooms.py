"""The rooms actor: who stays in the rooms that were made for one join, until each is gone (wire §9).

| debt       | work                                                                                              |
|------------|---------------------------------------------------------------------------------------------------|
| KeepRoom   | a client in the room; what it hears goes to the machine first, and only then counts as taken      |
| SayWord    | a control blob into the outbox, under one id however often it is tried                            |
| AwaitSent  | until nothing of the room waits in the outbox                                                     |
| EndAt      | until the deadline                                                                                |
| EnterGroup | the real group on record                                                                          |
| GiveUpRoom | the client stopped, the outbox's lane and the inbox's position forgotten                          |
| TellPhase  | to the person, and to whoever waits                                                               |
"""

from __future__ import annotations

import contextlib
from typing import Any, Protocol

import trio

from ferryman.actors.core.context import Body, Context
from ferryman.actors.core.errors import ActorCrashed, ActorStopped, NoSuchActor
from ferryman.actors.core.ref import Ref
from ferryman.actors.durable_stream import durable_stream
from ferryman.actors.ports import Ports
from ferryman.actors.recorder import AGAIN_SECONDS, insist
from ferryman.actors.sync_messages import Handed, NextBlobs, TakeBlobs, Taken, Tray, client_path
from ferryman.protocol.machine import Command, DebtId, Effect
from ferryman.protocol.sync import room_state as it
from ferryman.protocol.sync.room import Rooms
from ferryman.protocol.sync.room_commands import ConfirmGone, ConfirmSaid, ConfirmSent, Expire, Hear

STREAM = "rooms"
SENT_SECONDS = 0.1  # between two looks for the relay's acknowledgement of a last word
LONGEST_SLEEP_SECONDS = 60.0  # the wall clock may be set meanwhile


class Keeper(Protocol):
    """What a room needs of the device around it."""

    async def start_client(self, ctx: Context[Any], room: it.Room) -> Ref[Any]: ...
    def next_reader(self) -> int: ...
    def read(self, room_id: bytes, blob: Handed) -> Hear | None:
        """None for what says nothing in a room."""
        ...

    async def say(self, ctx: Context[Any], room: it.Room, word: it.Word) -> None:
        """Returns when it is in the outbox."""
        ...

    async def is_sent(self, ctx: Context[Any], room_id: bytes) -> bool: ...
    async def enter(self, ctx: Context[Any], effect: it.EnterGroup) -> Command[Any]: ...
    async def forget(self, ctx: Context[Any], room_id: bytes) -> None: ...
    async def tell(self, ctx: Context[Any], effect: it.TellPhase) -> Command[Any] | None:
        """The answer of a device that asks nobody, or None."""
        ...


def rooms(ports: Ports, keeper: Keeper) -> Body:
    async def perform(ctx: Context[Any], _: DebtId, effect: Effect) -> Command[Any] | None:
        match effect:
            case it.KeepRoom(room):
                await keep(ctx, ports, keeper, room)
            case it.SayWord(room, word):
                await keeper.say(ctx, room, word)
                return ConfirmSaid(room.room_id, word.blob_id)
            case it.AwaitSent(room_id):
                while True:
                    if await keeper.is_sent(ctx, room_id):
                        return ConfirmSent(room_id)
                    await trio.sleep(SENT_SECONDS)
            case it.EndAt(room_id, at):
                while True:
                    left = at - ports.clock.now()
                    if left <= 0:
                        return Expire(room_id)
                    await trio.sleep(min(left, LONGEST_SLEEP_SECONDS))
            case it.EndSoon(room_id, seconds):
                await trio.sleep(seconds)
                return Expire(room_id)
            case it.EnterGroup():
                return await keeper.enter(ctx, effect)
            case it.GiveUpRoom(room_id):
                with contextlib.suppress(NoSuchActor):
                    await ctx.stop_child(client_path(room_id))
                await keeper.forget(ctx, room_id)
                return ConfirmGone(room_id)
            case it.TellPhase():
                return await keeper.tell(ctx, effect)
            case _:
                pass
        return None

    return durable_stream(Rooms(), STREAM, ports, perform=perform)


async def keep(ctx: Context[Any], ports: Ports, keeper: Keeper, room: it.Room) -> None:
    """Hear what is said in the room, as long as it is owed. A client that crashes gives again what was not taken."""
    reader = keeper.next_reader()
    while True:
        try:
            client = await keeper.start_client(ctx, room)
            blobs = await client.ask(NextBlobs(reader))
            for blob in blobs:
                heard = keeper.read(room.room_id, blob)
                if heard is not None:
                    await insist(ctx.self_ref, ports.ids.new_id(), heard)
            await client.ask(TakeBlobs(Tray([Taken(blob.cursor, blob.run, blob.link) for blob in blobs])))
        except (ActorCrashed, ActorStopped, NoSuchActor):
            await trio.sleep(AGAIN_SECONDS)
            reader = keeper.next_reader()
