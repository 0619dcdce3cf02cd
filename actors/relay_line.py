"""A client's line to its relay: at most one connection counts; what an older one still says is not heard.

dial --> group's relay and pin are read --> run_link --> feed(Upgraded, Secured, Received..., Lost)
hang_up: the line is free at once; the old connection says goodbye by itself
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import trio

from ferryman.actors.client_world import ClientWorld
from ferryman.actors.core.context import Context
from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.core.ref import Ref
from ferryman.actors.recorder import look
from ferryman.actors.transport import Dialing, Link, LinkEnd, RelayAddress, read_relay_url, run_link
from ferryman.protocol.crypto.sealing import nonce_of
from ferryman.protocol.errors import BadInput
from ferryman.protocol.relay.envelope import decode_frame, encode_frame
from ferryman.protocol.relay.errors import MAX_INVALID_MESSAGES, InvalidMessage
from ferryman.protocol.relay.messages import VERSION, Hello, Message, Push
from ferryman.protocol.sync import happenings
from ferryman.protocol.sync.group import GroupState

NONCE_BYTES = 24


class RelayLine:
    """relay_url: where it last dialled. unpinned_key: the key that the relay showed, if none was pinned before."""

    def __init__(
        self, ctx: Context[Any], world: ClientWorld, group: Ref[Any], feed: Callable[[happenings.Input], None]
    ) -> None:
        self.relay_url: str | None = None
        self.unpinned_key: bytes | None = None
        self.feed = feed
        self._ctx = ctx
        self._world = world
        self._group = group
        self._call: Call | None = None
        self._running = 0
        self._free = trio.Event()
        self._trust: ssl.SSLContext | None = None

    def dial(self) -> None:
        self._call = Call(self, self._world)
        self._running += 1
        self._ctx.tasks.start_soon(self._run, self._call)

    @property
    def current(self) -> Call | None:
        return self._call

    def counts(self, call: Call) -> bool:
        return self._call is call

    def hang_up(self, close_code: int, reason: str) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.end(close_code, reason)

    def hello(self, last_cursor: int, incarnation: bytes) -> None:
        if self._call is not None:
            self._call.hello(last_cursor, incarnation)

    def send(self, message: Message) -> None:
        if self._call is not None:
            self._call.send(message)

    def ping(self) -> None:
        if self._call is not None and self._call.link is not None:
            self._call.link.ping()

    async def idle(self) -> None:
        """Wait until every connection, the old ones too, is closed."""
        while self._running:
            await self._free.wait()

    async def _run(self, call: Call) -> None:
        try:
            with call.scope:
                end = await self._converse(call)
                if self.counts(call):
                    self._call = None
                    self.feed(happenings.Lost(end.reason, end.close_code, end.notable, end.other_key))
            if call.scope.cancelled_caught and self.counts(call):  # not hung up: nothing more goes into it
                self._call = None
                self.feed(happenings.Lost("the relay does not read"))
        finally:
            self._running -= 1
            self._free.set()
            self._free = trio.Event()

    async def _converse(self, call: Call) -> LinkEnd:
        member = self._world.room
        if member is None:
            state: GroupState = await look(self._group)
            member = state.member
        if member is None:
            return LinkEnd("this device belongs to no group")
        try:
            address = read_relay_url(member.relay_url)
        except BadInput as error:
            return LinkEnd(error.message, notable=True)
        self.relay_url = member.relay_url
        call.pin = member.relay_key
        settings = self._world.settings
        try:
            trust = await self._trusted(address)
        except OSError as error:  # ssl.SSLError is one
            return LinkEnd(f"sync.ca_file {str(settings.ca_file)!r} cannot be used: {error}", notable=True)
        headers: tuple[tuple[bytes, bytes], ...] = ()
        if settings.api_key is not None and address.secure:  # never over plaintext (wire §1)
            headers = ((b"Authorization", b"Bearer " + settings.api_key.encode()),)
        dialing = Dialing(
            address,
            self._world.device.noise_private,
            call.pin,
            headers,
            trust,
            settings.max_blob_size,
        )
        return await run_link(self._world.ports, dialing, call)

    async def _trusted(self, address: RelayAddress) -> ssl.SSLContext | None:
        """Reading the system's certificates takes a disk, so a thread."""
        if address.secure and self._trust is None:
            ca_file = self._world.settings.ca_file
            self._trust = await self._world.ports.threads.run(lambda: ssl.create_default_context(cafile=ca_file))
        return self._trust


class Call:
    """One connection, from dialling to its end: the pilot of `run_link`."""

    def __init__(self, line: RelayLine, world: ClientWorld) -> None:
        self.scope = trio.CancelScope()
        self.link: Link | None = None
        self.pin: bytes | None = None
        self._line = line
        self._world = world
        self._invalid = 0

    # --- run_link says

    def upgraded(self) -> None:
        if self._line.counts(self):
            self._line.feed(happenings.Upgraded())

    def secured(self, link: Link) -> None:
        self.link = link
        self._line.unpinned_key = link.relay_key if self.pin is None else None
        if self._line.counts(self):
            self._line.feed(happenings.Secured())

    def frame(self, data: bytes) -> None:
        if not self._line.counts(self):
            return
        try:
            message = decode_frame(data, from_client=False).message
        except InvalidMessage as invalid:
            self._invalid += 1
            if invalid.closing or self._invalid >= MAX_INVALID_MESSAGES:
                raise
            return  # perhaps of a later version; one that we needed is missed by its own deadline
        self._line.feed(happenings.Received(message))

    # --- the session says

    def hello(self, last_cursor: int, incarnation: bytes) -> None:
        if self.link is None:
            return
        crash_point("client.hello")
        world = self._world
        hello = Hello(
            VERSION,
            world.settings.device_name,
            world.group_id,
            last_cursor,
            group_key=world.keys.group_key,
            group_proof=world.keys.prove(self.link.handshake_hash),
            inline=world.settings.inline,
            incarnation=incarnation or None,
        )
        self.send(hello)

    def send(self, message: Message) -> None:
        if self.link is None:
            return
        world = self._world
        fresh = world.ports.entropy.random_bytes(NONCE_BYTES)
        nonce = nonce_of(message.payload) if isinstance(message, Push) else fresh
        frame = encode_frame(
            message,
            sender_id=world.device.device_id,
            group_id=world.group_id,
            timestamp=world.ports.clock.now(),
            nonce=nonce,
        )
        if not self.link.put(frame):  # it does not read: what waits is sent again on the next connection
            self.scope.cancel()

    def end(self, close_code: int, reason: str) -> None:
        if self.link is None:
            self.scope.cancel()
        else:
            self.link.close(close_code, reason)
