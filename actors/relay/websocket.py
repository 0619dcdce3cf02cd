"""WebSocket of one connection without a socket: `websockets`' protocol, and the bounds that it leaves to us.

    accept(head) -> WebSocket | refusal bytes
    feed(bytes)  -> whole binary messages
    close(code)  -> a close frame is the last thing in `output()`

| peer sends                             | what follows        |
|----------------------------------------|---------------------|
| a text message, or a piece of one      | 1003                |
| a message over the limit, as announced | 1009 at its header  |
| a message in more than 4,096 pieces    | 1008                |
| 64 control frames between two messages | 1008                |
| a frame against RFC 6455               | 1002                |
| close                                  | echoed, then closed |
"""

from __future__ import annotations

import logging
from struct import pack

from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from ferryman.protocol.relay.errors import CloseCode

MAX_PIECES = 4096  # empty ones count: a message must not be an endless stream of nothing

MAX_CONTROLS = 64  # between two messages: a ping every few seconds is fine, a flood costs a Python call each

FINAL_BINARY = 0x82

SILENT = logging.getLogger("ferryman.relay.websocket")  # the library's own lines would carry addresses and contents
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False
SILENT.setLevel(logging.CRITICAL)


class WebSocket:
    """An open WebSocket. `max_message` may grow when the peer has earned it."""

    def __init__(self, protocol: ServerProtocol) -> None:
        self._protocol = protocol
        self._pieces: list[bytes] = []
        self._controls = 0
        self._output: list[bytes] = []

    @property
    def closing(self) -> bool:
        """A close frame was sent or is in `output()`."""
        return self._protocol.state is not State.OPEN

    @property
    def closed_by_peer(self) -> bool:
        """The peer's close frame is here: nothing more can come."""
        return self._protocol.close_rcvd is not None

    def limit(self, max_message: int) -> None:
        self._protocol.max_message_size = max_message

    def feed(self, data: bytes) -> list[bytes]:
        """Binary messages that end in `data`. Nothing after a violation or a close."""
        was_closing = self.closing
        self._protocol.receive_data(data)
        events = self._protocol.events_received()
        self._output += self._protocol.data_to_send()
        messages: list[bytes] = []
        for event in () if was_closing else events:
            if isinstance(event, Frame) and not self._take(event, messages):
                break
        return messages

    def _take(self, frame: Frame, messages: list[bytes]) -> bool:
        match frame.opcode:
            case Opcode.TEXT:
                self.close(CloseCode.TEXT, "only binary messages")
                return False
            case Opcode.BINARY if frame.fin:
                messages.append(bytes(frame.data))
                self._controls = 0
            case Opcode.BINARY | Opcode.CONT:
                self._pieces.append(bytes(frame.data))
                if len(self._pieces) > MAX_PIECES:
                    self.close(CloseCode.POLICY, "too many pieces")
                    return False
                if frame.fin:
                    messages.append(b"".join(self._pieces))
                    self._pieces.clear()
                    self._controls = 0
            case _:  # ping is answered, pong and close are noted by the library
                self._controls += 1
                if self._controls > MAX_CONTROLS:
                    self.close(CloseCode.POLICY, "too many control frames")
                    return False
        return True

    def send(self, message: bytes) -> None:
        """One binary message in one frame. Its head is written here: an object of the library's for each costs 5 us."""
        self._output.append(binary_head(len(message)))
        self._output.append(message)

    def close(self, code: int, reason: str) -> None:
        """Put a close frame last. What the peer still says is for nobody."""
        if not self.closing:
            self._protocol.send_close(code, reason)
            self._output += self._protocol.data_to_send()

    def output(self) -> bytes:
        """Bytes to send; the protocol's end marker is left out: who sees `closing` ends the stream."""
        output = b"".join(self._output)
        self._output.clear()
        return output


def binary_head(size: int) -> bytes:
    """The head of a whole binary frame from a server (RFC 6455 §5.2)."""
    if size < 126:
        return bytes((FINAL_BINARY, size))
    if size < 65_536:
        return pack(">BBH", FINAL_BINARY, 126, size)
    return pack(">BBQ", FINAL_BINARY, 127, size)


def accept(head: bytes, *, max_message: int) -> tuple[WebSocket | None, bytes]:
    """Answer a handshake. `head` is one whole request head. Without a WebSocket the bytes are a refusal."""
    protocol = ServerProtocol(max_size=max_message, logger=SILENT)
    protocol.receive_data(head)
    events = protocol.events_received()
    if len(events) != 1 or not isinstance(events[0], Request):
        response: Response = protocol.reject(400, "not a WebSocket handshake\n")
    else:
        response = protocol.accept(events[0])
    del response.headers["Date"]  # a clock of its own, and nobody's need
    protocol.send_response(response)
    output = b"".join(protocol.data_to_send())
    return (WebSocket(protocol) if response.status_code == 101 else None), output
