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

Whoever broke a rule is not listened to after that, not even for his close frame. After an orderly close of ours only
the peer's is waited for: pings are not answered, and after 64 control frames or pieces we are deaf too.

Nearly every frame is a whole binary message, and those are cut and unmasked here; all others go to the library piece by
piece, as does whatever breaks a rule: it keeps the rules, we only know where a frame begins and ends.
"""

from __future__ import annotations

import logging
from struct import pack

from websockets.frames import (
    Frame,
    Opcode,
    apply_mask,  # pyright: ignore[reportPrivateImportUsage] - C where the library has its C, else its Python
)
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from ferryman.protocol.relay.errors import CloseCode

MAX_PIECES = 4096  # empty ones count: a message must not be an endless stream of nothing

MAX_CONTROLS = 64  # between two messages: a ping every few seconds is fine, a flood costs a Python call each

UNREADABLE = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
FINAL_BINARY = 0x82
MASKED = 0x80
MASK_BYTES = 4

SILENT = logging.getLogger("ferryman.relay.websocket")  # the library's own lines would carry addresses and contents
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False
SILENT.setLevel(logging.CRITICAL)


class WebSocket:
    """An open WebSocket. `max_message` may grow when the peer has earned it."""

    def __init__(self, protocol: ServerProtocol, max_message: int) -> None:
        self._protocol = protocol
        self.closing = False  # a close frame was sent or is in `output()`
        self._max_message = max_message
        self._held = bytearray()  # the beginning of a frame, `_wanted` bytes of which have to be here
        self._wanted = 0
        self._passing = 0  # so many bytes of the frame that has begun are the library's
        self._pieces: list[bytes] = []
        self._controls = 0
        self._deaf = False  # to read on would be work for nothing
        self._output: list[bytes] = []

    @property
    def closed_by_peer(self) -> bool:
        """The peer's close frame is here: nothing more can come."""
        return self._protocol.close_rcvd is not None

    def limit(self, max_message: int) -> None:
        self._max_message = max_message
        self._protocol.max_message_size = max_message

    def feed(self, data: bytes) -> list[bytes]:
        """Binary messages that end in `data`. Nothing after a violation or a close."""
        if self._deaf:
            return []
        if self._held:
            self._held += data
            if len(self._held) < self._wanted:
                return []
            data = bytes(self._held)
            self._held.clear()
        messages: list[bytes] = []
        at, size = 0, len(data)
        while at < size and not self._deaf:
            if self._passing:
                piece = data[at : at + self._passing]
                self._passing -= len(piece)
                at += len(piece)
                self._pass(piece, messages)
                continue
            length, mask_at = frame_length(data, at)
            if mask_at > size:  # not even its head is here
                return self._hold(data[at:], mask_at - at, messages)
            masked = data[at + 1] & MASKED
            if data[at] != FINAL_BINARY or not masked or self._pieces or length > self._max_message:
                self._passing = mask_at - at + (MASK_BYTES if masked else 0) + length
                continue
            start = mask_at + MASK_BYTES
            end = start + length
            if end > size:
                return self._hold(data[at:], end - at, messages)
            at = end
            if not self.closing:
                messages.append(apply_mask(data[start:end], data[mask_at:start]))
                self._controls = 0
        return messages

    def _hold(self, part: bytes, wanted: int, messages: list[bytes]) -> list[bytes]:
        self._held += part
        self._wanted = wanted
        return messages

    def _pass(self, piece: bytes, messages: list[bytes]) -> None:
        """Let the library read a piece of a frame that is anything but a whole binary message."""
        self._protocol.receive_data(piece)
        events = self._protocol.events_received()
        answer = self._protocol.data_to_send()
        if self.closing:  # by us, in good order: nothing follows our close frame
            self._controls += len(events)
            broken = self._protocol.parser_exc is not None
            self._deaf = broken or self.closed_by_peer or self._controls > MAX_CONTROLS
            return
        self._output += answer
        self.closing = self._protocol.state is not State.OPEN
        for event in events:
            if isinstance(event, Frame):
                goes_on = self._take(event, messages)
                event.data = b""  # the library keeps the last frame until the next one: of a thousand peers, a gigabyte
                if not goes_on:
                    break
        self._deaf = self.closing

    def _take(self, frame: Frame, messages: list[bytes]) -> bool:
        match frame.opcode:
            case Opcode.TEXT:
                self.close(CloseCode.TEXT, "only binary messages")
                return False
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

    def send(self, *messages: bytes) -> None:
        """Binary messages, a frame each. Heads are written here: the library takes thrice as long."""
        output = self._output
        for message in messages:
            output.append(binary_head(len(message)))
            output.append(message)

    def close(self, code: int, reason: str) -> None:
        """Put a close frame last. What the peer still says is for nobody."""
        if not self.closing:
            self.closing = True
            self._protocol.send_close(code, reason)
            self._output += self._protocol.data_to_send()

    def output(self) -> bytes:
        """Bytes to send; the protocol's end marker is left out: who sees `closing` ends the stream."""
        output = b"".join(self._output)
        self._output.clear()
        return output


def frame_length(data: bytes, at: int) -> tuple[int, int]:
    """The payload's length of the frame that begins at `at`, and where its mask or payload begins.

    The latter is beyond the end of `data` as long as the head is not whole."""
    if len(data) - at < 2:
        return 0, at + 2
    length = data[at + 1] & 0x7F
    if length < 126:
        return length, at + 2
    wide = 2 if length == 126 else 8
    return int.from_bytes(data[at + 2 : at + 2 + wide], "big"), at + 2 + wide


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
    if len(events) != 1 or not isinstance(events[0], Request):  # the protocol is at its end, and can answer nothing
        return None, UNREADABLE
    response = protocol.accept(events[0])
    del response.headers["Date"]  # a clock of its own, and nobody's need
    protocol.send_response(response)
    output = b"".join(protocol.data_to_send())
    return (WebSocket(protocol, max_message) if response.status_code == 101 else None), output
