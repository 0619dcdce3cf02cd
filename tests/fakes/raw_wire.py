"""Bytes for the relay's port, right or wrong, as no library would send them.

GET, UPGRADE       an HTTP head without its end, a whole WebSocket upgrade
ws(opcode, ...)    one WebSocket frame; each of its parts can be made to lie
Reader             HTTP answers and frames out of a stream
RawDevice          a device that holds all of it in its hands: upgrade, Noise, WebSocket frames
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from typing import Any

import trio

from ferryman.protocol.crypto.keys import DeviceKeys
from ferryman.protocol.crypto.noise import AwaitingReply, NoiseSession, initiate
from ferryman.protocol.relay.envelope import decode_frame, encode_frame
from ferryman.protocol.relay.messages import VERSION, Error, Hello, Message, Welcome

GET = b"GET / HTTP/1.1\r\nHost: relay\r\n"
UPGRADE = (
    GET + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MASK = b"\x01\x02\x03\x04"
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def ws(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    mask: bytes = MASK,
    length: int | None = None,
    reserved: int = 0,
) -> bytes:
    """A WebSocket frame. `length`: what it announces, where that is not what follows. `mask` b"": unmasked."""
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    length = len(payload) if length is None else length
    masked = 0x80 if mask else 0
    if length < 126:
        size = bytes([masked | length])
    elif length < 65_536:
        size = bytes([masked | 126]) + struct.pack(">H", length)
    else:
        size = bytes([masked | 127]) + struct.pack(">Q", length)
    return bytes([first]) + size + mask + (masking(payload, mask) if mask else payload)


def masking(payload: bytes, mask: bytes) -> bytes:
    """RFC 6455 §5.3, as one large integer."""
    stretched = (mask * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")
    return number.to_bytes(len(payload), "big")


class Reader:
    """What comes out of a stream, in however many pieces it comes."""

    def __init__(self, stream: trio.abc.ReceiveStream, rest: bytes = b"") -> None:
        self._stream = stream
        self._rest = rest

    async def exactly(self, count: int) -> bytes:
        """Raises EOFError at the end of the stream."""
        while len(self._rest) < count:
            data = await self._stream.receive_some(65_536)
            if not data:
                raise EOFError
            self._rest += data
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    async def head(self) -> bytes:
        """Of an HTTP answer, with the empty line at its end; what there is, where the stream ends before."""
        while b"\r\n\r\n" not in self._rest:
            data = await self._stream.receive_some(65_536)
            if not data:
                break
            self._rest += data
        head, end, self._rest = self._rest.partition(b"\r\n\r\n")
        return head + end

    async def rest(self) -> bytes:
        """All until the end of the stream."""
        while data := await self._stream.receive_some(65_536):
            self._rest += data
        return self._rest

    async def frame(self) -> tuple[int, bytes]:
        """Opcode and payload."""
        first, second = await self.exactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", await self.exactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", await self.exactly(8))
        return first & 0x0F, await self.exactly(length)


@dataclass
class RawDevice:
    """One connection of a device. `said`: every WebSocket frame that it has sent."""

    stream: trio.abc.Stream
    keys: DeviceKeys
    reader: Reader
    ephemeral: bytes = field(default_factory=lambda: os.urandom(32))
    said: list[bytes] = field(default_factory=list)
    noise: NoiseSession | None = None
    group_id: bytes = bytes(32)

    @classmethod
    async def upgraded(cls, stream: trio.abc.Stream, keys: DeviceKeys) -> RawDevice:
        await stream.send_all(UPGRADE)
        reader = Reader(stream)
        head = await reader.head()
        assert head.startswith(b"HTTP/1.1 101 "), head
        return cls(stream, keys, reader)

    async def send(self, data: bytes) -> None:
        """Any bytes, remembered."""
        self.said.append(data)
        await self.stream.send_all(data)

    async def first(self) -> tuple[AwaitingReply, bytes]:
        """Sends message 1; returns message 2 beside what reads it."""
        awaiting, message1 = initiate(self.keys.noise_private, self.ephemeral)
        await self.send(ws(BINARY, message1))
        return awaiting, (await self.reader.frame())[1]

    async def secured(self) -> RawDevice:
        awaiting, message2 = await self.first()
        self.noise, message3 = awaiting.read_reply(message2).finish()
        await self.send(ws(BINARY, message3))
        return self

    async def welcomed(self, group_id: bytes) -> RawDevice:
        await self.secured()
        self.group_id = group_id
        await self.say(Hello(VERSION, "raw", group_id, 0))
        assert isinstance(await self.hear(), Welcome)
        return self

    def sealed(self, message: Message, **around: Any) -> bytes:
        """A message as it goes into a WebSocket frame."""
        return self.seal(self.plain(message, **around))

    def plain(self, message: Message, **around: Any) -> bytes:
        """`around`: fields of its envelope that are not what they should be."""
        envelope = {"sender_id": self.keys.device_id, "group_id": self.group_id, "timestamp": 0, "nonce": bytes(24)}
        return encode_frame(message, **{**envelope, **around})

    def seal(self, plain: bytes) -> bytes:
        assert self.noise is not None
        return self.noise.seal_frame(plain)

    async def say(self, message: Message, **around: Any) -> None:
        await self.send(ws(BINARY, self.sealed(message, **around)))

    async def hear(self) -> Message:
        assert self.noise is not None
        opcode, sealed = await self.reader.frame()
        assert opcode == BINARY, (opcode, sealed)
        return decode_frame(self.noise.open_frame(sealed), from_client=False).message

    async def ended(self) -> tuple[int, int]:
        """(code of the last ERROR, close code); 0 where there was no ERROR."""
        error = 0
        try:
            while True:
                opcode, payload = await self.reader.frame()
                if opcode == CLOSE:
                    return error, struct.unpack(">H", payload[:2])[0]
                if opcode == BINARY and self.noise is not None:
                    message = decode_frame(self.noise.open_frame(payload), from_client=False).message
                    error = message.code if isinstance(message, Error) else error
        except (EOFError, trio.BrokenResourceError):
            return error, 1006
