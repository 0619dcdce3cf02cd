"""Lines of a byte stream, none longer than its limit."""

from __future__ import annotations

from ferryman.protocol.control.requests import Message, request_bytes
from ferryman.protocol.crypto.sealing import MAX_EXPANSION
from ferryman.protocol.errors import RemoteProtocolError
from ferryman.protocol.relay.limits import LARGEST_BLOB_SIZE

MAX_REPLY_BYTES = request_bytes(MAX_EXPANSION * LARGEST_BLOB_SIZE)  # a page of one blob; any other ends far below


class Lines:
    """`feed` it what arrives; it gives the lines that are complete, without their ends."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._begun = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Raises RemoteProtocolError at a line over the limit, ended or not."""
        first, *rest = data.split(b"\n")
        self._begun += first
        lines: list[bytes] = []
        for piece in rest:
            lines.append(self._take())
            self._begun += piece
        if len(self._begun) > self._limit:
            raise self._too_long()
        return lines

    def _take(self) -> bytes:
        line = bytes(self._begun)
        self._begun.clear()
        if len(line) > self._limit:
            raise self._too_long()
        return line

    def _too_long(self) -> RemoteProtocolError:
        return RemoteProtocolError(f"a line of this socket has at most {self._limit:,} bytes", code="LINE_TOO_LONG")


def encode(message: Message) -> bytes:
    return message.model_dump_json().encode() + b"\n"
