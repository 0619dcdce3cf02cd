"""One connection of the load: sockets, WebSocket frames and Noise by hand, so that the load costs less than the relay.

    Line.open(port) -> Line          TCP, upgrade, Noise XX, HELLO, WELCOME, all blocking
    line.push(number)                one sealed PUSH into the outgoing bytes; `flush` sends what the socket takes
    line.read() -> [(kind, plain)]   what came, opened; kind is the message type

Frames carry the mask 00 00 00 00: the relay unmasks all the same, and the load masks for nothing.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from hashlib import sha256

from ferryman.protocol.crypto.keys import DeviceKeys
from ferryman.protocol.crypto.noise import NoiseSession, initiate
from ferryman.protocol.relay.envelope import decode_frame, encode_frame
from ferryman.protocol.relay.messages import VERSION, Hello, Message, MessageType, Pull, Push, Welcome

PUSH_ACK, NOTIFY, PULL_RESPONSE, ERROR = (
    int(MessageType.PUSH_ACK),
    int(MessageType.NOTIFY),
    int(MessageType.PULL_RESPONSE),
    0xCC,
)
KIND_AT = 19  # an envelope begins 88 a7 "version" 01 a8 "msg_type" and then the type; ERROR's is cc ff
INLINE_BYTES = 65_536
READ_BYTES = 64 * 1024
PATIENCE_SECONDS = 60.0
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_BLOB_ID = b"\xa7blob_id\xc4\x10"


class Line:
    """A device in a group. `name` makes its keys; `payload`: the bytes that each of its pushes carries."""

    def __init__(self, port: int, name: str, group_id: bytes, payload: bytes) -> None:
        self.socket = connect(port)
        self.keys = DeviceKeys.from_seed(sha256(f"load {name}".encode()).digest())
        self.group_id = group_id
        self.messages = Messages(self.socket)
        self.noise: NoiseSession = self._shake_hands()
        self.outgoing = bytearray()
        before, _, after = self._frame(Push(bytes(16), payload, 0)).rpartition(_BLOB_ID)
        self._before, self._after = before + _BLOB_ID, after[16:]
        self.welcome = self._join()
        self.socket.setblocking(False)

    def _shake_hands(self) -> NoiseSession:
        awaiting, first = initiate(self.keys.noise_private, os.urandom(32))
        self.socket.sendall(framed(first))
        noise, proof = awaiting.read_reply(self.messages.wait()).finish()
        self.socket.sendall(framed(proof))
        return noise

    def _join(self) -> Welcome:
        hello = Hello(VERSION, "load", self.group_id, 0, inline=INLINE_BYTES)
        self.socket.sendall(framed(self.noise.seal_frame(self._frame(hello))))
        frame = decode_frame(self.noise.open_frame(self.messages.wait()), from_client=False)
        if not isinstance(frame.message, Welcome):
            raise TypeError(frame.message)
        return frame.message

    def _frame(self, message: Message) -> bytes:
        return encode_frame(
            message, sender_id=self.keys.device_id, group_id=self.group_id, timestamp=0, nonce=bytes(24)
        )

    def push(self, blob_id: bytes) -> None:
        self.outgoing += framed(self.noise.seal_frame(self._before + blob_id + self._after))

    def pull(self, after: int, limit: int) -> None:
        self.outgoing += framed(self.noise.seal_frame(self._frame(Pull(after, limit, False))))

    def flush(self) -> None:
        """What the socket does not take waits for the next call."""
        try:
            sent = self.socket.send(self.outgoing)
        except BlockingIOError:
            return
        del self.outgoing[:sent]

    def read_ahead(self) -> None:
        """Throw away what came behind WELCOME: NOTIFYs of what waits in the group."""
        for message in self.messages.waiting():
            self.noise.open_frame(message)

    def read(self) -> list[tuple[int, bytes]]:
        """Whatever has come: (message type, frame)."""
        return [(plain[KIND_AT], plain) for plain in map(self.noise.open_frame, self.messages.read())]


class Messages:
    """WebSocket messages of a server, as they come."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._held = bytearray()
        self._waiting: list[bytes] = []

    def waiting(self) -> list[bytes]:
        """Those that came together with the one waited for."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def read(self) -> list[bytes]:
        data = self._socket.recv(READ_BYTES)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._held += data
        return list(self._cut())

    def wait(self) -> bytes:
        """The next message, on a blocking socket."""
        while not self._waiting:
            self._waiting = self.read()
        return self._waiting.pop(0)

    def _cut(self) -> Iterator[bytes]:
        held, at = self._held, 0
        whole = bytes(held)
        size = len(whole)
        while size - at >= 2:
            length, start = whole[at + 1], at + 2
            if length == 126:
                if size < start + 2:
                    break
                length, start = int.from_bytes(whole[start : start + 2], "big"), start + 2
            elif length == 127:
                if size < start + 8:
                    break
                length, start = int.from_bytes(whole[start : start + 8], "big"), start + 8
            if size < start + length:
                break
            if whole[at] == 0x82:
                yield whole[start : start + length]
            elif whole[at] == 0x88:
                raise ConnectionError(f"closed: {whole[start : start + length]!r}")
            at = start + length
        del held[:at]


def connect(port: int) -> socket.socket:
    """Upgraded, blocking."""
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(UPGRADE)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        piece = connection.recv(1)
        if not piece:
            raise ConnectionError("no answer to the upgrade")
        answer += piece
    if not answer.startswith(b"HTTP/1.1 101 "):
        raise ConnectionError(answer.decode("latin-1"))
    return connection


def framed(message: bytes) -> bytes:
    """A masked binary frame, mask zero."""
    size = len(message)
    if size < 126:
        return b"\x82" + bytes((0x80 | size,)) + b"\0\0\0\0" + message
    if size < 65_536:
        return b"\x82\xfe" + struct.pack(">H", size) + b"\0\0\0\0" + message
    return b"\x82\xff" + struct.pack(">Q", size) + b"\0\0\0\0" + message


def blob_id_of(plain: bytes) -> bytes:
    at = plain.index(_BLOB_ID) + len(_BLOB_ID)
    return plain[at : at + 16]
