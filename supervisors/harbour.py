"""What the parts of one runtime share: its configuration, its device, the groups' keys, and where news go.

It holds no truth of its own: keys are derived again after a restart, figures are put up by the actors that own them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import trio

from ferryman.actors.board import Board
from ferryman.actors.client_world import ClientSettings, ClientWorld, Neighbours
from ferryman.actors.core.context import Body, Context
from ferryman.actors.core.ref import Ref
from ferryman.actors.event_hub import EventHub
from ferryman.actors.indicator import IndicatorLight
from ferryman.actors.ports import Ports
from ferryman.actors.recorder import insist, look
from ferryman.actors.sync_client import sync_client
from ferryman.actors.sync_messages import CLIENTS, client_name
from ferryman.actors.transport import read_relay_url
from ferryman.protocol.crypto.keys import DeviceKeys, GroupKeys, derive_group, derive_joined_group
from ferryman.protocol.crypto.sealing import CONTENT_MARGIN
from ferryman.protocol.machine import Refused
from ferryman.protocol.sync.control import Checkpoint, Member, encode_control
from ferryman.protocol.sync.group import Membership
from ferryman.protocol.sync.outbox import BLOB_TOO_LARGE, OUTBOX_FULL, Enqueue, Queued, SealingRules, Writer
from ferryman.supervisors.config import RuntimeConfig
from ferryman.supervisors.spec import ChildSpec

GROUP = "/sync/group"
OUTBOX = "/sync/outbox"
INBOX = "/sync/inbox"
ROOMS = "/sync/rooms"
NONCE_BYTES = 24
CHAIN_ID_BYTES = 8
CLIENT_MAILBOX = 1_000
NO_ROOM = (OUTBOX_FULL, BLOB_TOO_LARGE)  # the relay takes some of it, or allows larger ones another day
NO_ROOM_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Haven:
    """What the client of a room for one join shows and tells: it is none of the group's business."""

    room: Membership
    board: Board
    hub: EventHub


StartChild = Callable[[str, ChildSpec], Awaitable[Ref[Any]]]


class Harbour:
    """One a runtime. `start_child` is the running system's, set once it runs.

    room_news: set, and replaced, whenever a room for one join has got somewhere, and when the runtime has ended.
    """

    def __init__(self, config: RuntimeConfig, ports: Ports, device: DeviceKeys) -> None:
        self.config = config
        self.ports = ports
        self.device = device
        self.hub = EventHub()
        self.board = Board()
        self.light = IndicatorLight(self.board, self.hub)
        self.start_child: StartChild | None = None
        self._keys: dict[bytes, GroupKeys] = {}
        self._rooms: dict[bytes, Haven] = {}
        self.room_news = trio.Event()

    # --- keys

    async def new_group(self, secret: bytes, group_salt: bytes) -> GroupKeys:
        keys = await self.ports.threads.run(partial(derive_group, secret, group_salt))
        self._keys[keys.group_id] = keys
        return keys

    async def joined_group(self, secret: bytes, group_id: bytes, *, bare: bool = False) -> GroupKeys:
        """Raises BadInput when the secret is not this group's. bare: or take it for one of S4's own (wire §7)."""
        derive = partial(derive_joined_group, secret, group_id, allow_bare=bare)
        return await self.ports.threads.run(derive)

    async def keys_of(self, member: Membership) -> GroupKeys:
        keys = self._keys.get(member.group_id)
        if keys is None:
            keys = await self.joined_group(member.secret.reveal(), member.group_id, bare=member.bare)
            self._keys[member.group_id] = keys
        return keys

    def check_relay_url(self, url: str) -> None:
        """Raises BadInput."""
        read_relay_url(url)

    # --- the outbox

    async def enqueue(
        self, outbox: Ref[Any], member: Membership, blob_id: bytes, content: bytes, *, control: bool = False
    ) -> Queued | Refused:
        """Returns when the sealed blob is on disk, or refused. blob_id: the command's id too, so it is queued once."""
        keys = await self.keys_of(member)
        entropy = self.ports.entropy
        command = Enqueue(
            member.group_id,
            blob_id,
            entropy.random_bytes(NONCE_BYTES),
            entropy.random_bytes(CHAIN_ID_BYTES),
            content,
            Writer(keys, self.device),
            self._rules(),
            control,
        )
        queued: Queued | Refused = await insist(outbox, blob_id, command, full_disk_waits=control)
        if isinstance(queued, Queued):
            haven = self._rooms.get(member.group_id)
            (self.board if haven is None else haven.board).show_totals(queued.totals)
        return queued

    def _rules(self) -> SealingRules:
        sync = self.config.sync
        limit = min(sync.max_blob_size, self.board.relay_limit or sync.max_blob_size)
        return SealingRules(limit, sync.sign_blobs, sync.pad_blobs, sync.compress_blobs)

    async def introduce(self, ctx: Context[Any], member: Membership) -> None:
        """This device's `member` control blob. Its id is made of the device's: tried again, it is a repeat."""
        content = encode_control(Member(self.config.sync.device_name))
        await self.say(ctx, member, self.device.device_id[:16], lambda: content)

    async def mark(self, ctx: Context[Any], group_id: bytes, checkpoint: Checkpoint) -> None:
        """This device's checkpoint, if it still belongs to that group."""
        member = (await look(ctx.ref(GROUP))).member
        if member is not None and member.group_id == group_id:

            def content() -> bytes:
                return encode_control(checkpoint.within(self._rules().max_blob_size - CONTENT_MARGIN))

            await self.say(ctx, member, self.ports.ids.new_id(), content)

    async def say(self, ctx: Context[Any], member: Membership, blob_id: bytes, content: Callable[[], bytes]) -> None:
        """Returns when this control blob is on disk, however long there is no room for it."""
        while True:
            queued = await self.enqueue(ctx.ref(OUTBOX), member, blob_id, content(), control=True)
            if not (isinstance(queued, Refused) and queued.code in NO_ROOM):
                return  # another refusal: this id was queued before
            await trio.sleep(NO_ROOM_SECONDS)

    # --- clients

    async def start_client(self, member: Membership) -> None:
        """Start the group's client, or find it running."""
        if self.start_child is not None:
            await self.start_child(CLIENTS, self._client(member))

    async def start_client_from(self, ctx: Context[Any], member: Membership) -> Ref[Any]:
        return await ctx.start_child(CLIENTS, self._client(member))

    # --- rooms for one join

    def open_haven(self, room: Membership) -> Haven:
        return self._rooms.setdefault(room.group_id, Haven(room, Board(), EventHub()))

    def wake_rooms(self) -> None:
        self.room_news.set()
        self.room_news = trio.Event()

    def close_haven(self, room_id: bytes) -> None:
        self._rooms.pop(room_id, None)
        self._keys.pop(room_id, None)

    def _client(self, member: Membership) -> ChildSpec:
        body: Body = sync_client(partial(self._world, member))
        return ChildSpec(client_name(member.group_id), body, capacity=CLIENT_MAILBOX)

    async def _world(self, member: Membership) -> ClientWorld:
        sync = self.config.sync
        haven = self._rooms.get(member.group_id)
        api_key = sync.access().api_key
        settings = ClientSettings(
            device_name=sync.device_name,
            auto_reconnect=sync.auto_reconnect or haven is not None,  # a room is left by its deadline, not by a cable
            reconnect_delay=sync.reconnect_delay_ms / 1000,
            max_reconnect_delay=sync.max_reconnect_delay_ms / 1000,
            inline=sync.inline_bytes,
            max_blob_size=sync.max_blob_size,
            api_key=None if api_key is None else api_key.get_secret_value(),
            ca_file=sync.ca_file,
        )
        return ClientWorld(
            ports=self.ports,
            ledger=self.config.ledger,
            group_id=member.group_id,
            device=self.device,
            keys=await self.keys_of(member),
            settings=settings,
            neighbours=Neighbours(GROUP, OUTBOX, INBOX),
            hub=self.hub if haven is None else haven.hub,
            board=self.board if haven is None else haven.board,
            room=None if haven is None else haven.room,
        )
