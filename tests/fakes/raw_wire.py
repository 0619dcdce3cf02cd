"""Bytes for the relay's port, right or wrong, as no library would send them.

GET, UPGRADE       an HTTP head without its end, a whole WebSocket upgrade
ws(opcode, ...)    one WebSocket frame; each of its parts can be made to lie
read_ws(stream)    the next frame that the relay sends
"""

from __future__ import annotations

import struct

import trio

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
    """Frames out of a stream that is upgraded already."""

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

    async def frame(self) -> tuple[int, bytes]:
        """Opcode and payload."""
        first, second = await self.exactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", await self.exactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", await self.exactly(8))
        return first & 0x0F, await self.exactly(length)
