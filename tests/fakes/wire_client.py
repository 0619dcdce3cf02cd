"""A client of the relay as a stranger would write it: trio-websocket, Noise, envelopes. No retries.

    async with connect(port, device) as client:
        welcome = await client.hello(group_id)
        await client.send(Push(...))
        ack = await client.receive(PushAck)

`receive` skips nothing: what comes has to be of that type. `inbox` holds what was read while something else was wanted.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeVar

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from ferryman.protocol.crypto.keys import DeviceKeys, GroupKeys
from ferryman.protocol.crypto.noise import NoiseSession, initiate
from ferryman.protocol.relay.envelope import Frame, decode_frame, encode_frame
from ferryman.protocol.relay.messages import VERSION, Ack, Hello, Message, Pull, PullResponse, Push, PushAck, Welcome
from tests.fakes.child import PATIENCE_SECONDS

M = TypeVar("M")
MAX_MESSAGE = 64 * 1024 * 1024
Headers = Sequence[tuple[bytes, bytes]]


def device(name: str) -> DeviceKeys:
    return DeviceKeys.from_seed(sha256(f"device {name}".encode()).digest())


def blob_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


@dataclass(eq=False)
class WireClient:
    websocket: WebSocketConnection
    noise: NoiseSession
    device: DeviceKeys
    group_id: bytes = bytes(32)
    welcome: Welcome | None = None
    inbox: deque[Frame] = field(default_factory=deque)

    async def send(self, message: Message, *, sender_id: bytes | None = None, group_id: bytes | None = None) -> None:
        await self.send_plain(self.frame(message, sender_id=sender_id, group_id=group_id))

    def frame(self, message: Message, *, sender_id: bytes | None = None, group_id: bytes | None = None) -> bytes:
        return encode_frame(
            message,
            sender_id=sender_id or self.device.device_id,
            group_id=group_id or self.group_id,
            timestamp=0,
            nonce=bytes(24),
        )

    async def send_plain(self, plain: bytes) -> None:
        await self.websocket.send_message(self.noise.seal_frame(plain))

    async def receive_frame(self) -> Frame:
        if self.inbox:
            return self.inbox.popleft()
        return await self._read()

    async def _read(self) -> Frame:
        with trio.move_on_after(PATIENCE_SECONDS):
            sealed = await self.websocket.get_message()
            return decode_frame(self.noise.open_frame(sealed), from_client=False)
        raise AssertionError(f"nothing came within {PATIENCE_SECONDS:g} s")

    async def receive(self, kind: type[M]) -> M:
        """The next message, which has to be of that kind."""
        message = (await self.receive_frame()).message
        assert isinstance(message, kind), message
        return message

    async def wait_for(self, kind: type[M]) -> M:
        """The next message of that kind; others stay in the inbox, in their order."""
        for place, frame in enumerate(self.inbox):
            if isinstance(frame.message, kind):
                del self.inbox[place]
                return frame.message
        while True:
            frame = await self._read()
            if isinstance(frame.message, kind):
                return frame.message
            self.inbox.append(frame)

    async def hello(self, group_id: bytes, last_cursor: int = 0, **fields: object) -> Welcome:
        await self.say_hello(group_id, last_cursor, **fields)
        self.welcome = await self.receive(Welcome)
        return self.welcome

    async def say_hello(self, group_id: bytes, last_cursor: int = 0, **fields: object) -> None:
        self.group_id = group_id
        hello = {"version": VERSION, "device_name": "test", "group_id": group_id, "last_cursor": last_cursor}
        await self.send(Hello(**{**hello, **fields}))  # type: ignore[arg-type] - a test may send what is wrong

    async def prove(self, keys: GroupKeys, last_cursor: int = 0, **fields: object) -> Welcome:
        proof = keys.prove(self.noise.handshake_hash)
        return await self.hello(keys.group_id, last_cursor, group_key=keys.group_key, group_proof=proof, **fields)

    async def push(self, number: int, payload: bytes = b"sealed", ttl: int = 0) -> PushAck:
        await self.send(Push(blob_id(number), payload, ttl))
        return await self.wait_for(PushAck)

    async def pull(self, after: int, limit: int = 0, *, ack: bool | None = False) -> PullResponse:
        await self.send(Pull(after, limit, ack))
        return await self.wait_for(PullResponse)

    async def ack(self, cursor: int) -> None:
        await self.send(Ack(cursor))

    async def closed(self) -> int:
        """Wait until the relay has closed, reading away what still comes; returns the close code."""
        with trio.move_on_after(PATIENCE_SECONDS):
            while True:
                try:
                    await self.websocket.get_message()
                except ConnectionClosed as closed:
                    return closed.reason.code if closed.reason is not None else 1006
        raise AssertionError(f"not closed within {PATIENCE_SECONDS:g} s")


async def shake_hands(websocket: WebSocketConnection, keys: DeviceKeys, ephemeral: bytes) -> NoiseSession:
    awaiting, message1 = initiate(keys.noise_private, ephemeral)
    await websocket.send_message(message1)
    known = awaiting.read_reply(await websocket.get_message())
    noise, message3 = known.finish()
    await websocket.send_message(message3)
    return noise


@asynccontextmanager
async def connect(port: int, keys: DeviceKeys, *, path: str = "/", headers: Headers = ()) -> AsyncIterator[WireClient]:
    """A client with the handshake done, over TCP on loopback."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with connect_over(stream, keys, os.urandom(32), path=path, headers=headers) as client:
        yield client


@asynccontextmanager
async def connect_over(
    stream: trio.abc.HalfCloseableStream,
    keys: DeviceKeys,
    ephemeral: bytes,
    *,
    path: str = "/",
    headers: Headers = (),
) -> AsyncIterator[WireClient]:
    """A client over a stream that is open already. Whatever ends it, the stream is closed."""
    try:
        async with trio.open_nursery() as nursery:
            websocket = await wrap_client_stream(
                nursery, stream, "relay", path, max_message_size=MAX_MESSAGE, extra_headers=list(headers)
            )
            try:
                yield WireClient(websocket, await shake_hands(websocket, keys, ephemeral), keys)
            finally:
                with trio.move_on_after(1):
                    await websocket.aclose()
            nursery.cancel_scope.cancel()
    finally:
        await trio.aclose_forcefully(stream)
