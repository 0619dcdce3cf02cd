"""HTTP on the relay's port, without a socket: bytes in, whole requests or refusals out. h11 reads every head.

    feed(bytes) -> next() -> Request       all of it is here, the body too
                          -> Upgrade       a WebSocket handshake; what came after its head goes to the WebSocket
                          -> Refusal       answered with a status, then closed
                          -> None          more bytes are needed

| refused                                        | status |
|------------------------------------------------|--------|
| not HTTP/1.x, a malformed head                 | 400    |
| both Content-Length and Transfer-Encoding      | 400    |
| an upgrade that carries a body                 | 400    |
| any Transfer-Encoding; a POST without a length | 411    |
| a body over 8 KiB                              | 413    |
| a head over 8 KiB                              | 431    |
| HTTP/2 by prior knowledge                      | 505    |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeAlias

import h11

from ferryman.protocol.relay.limits import HANDSHAKE_SECONDS

HEAD_BYTES = 8 * 1024
MAX_HEADERS = 100  # what the WebSocket library reads of a head; more would be an assertion in it
BODY_BYTES = 8 * 1024
REQUEST_SECONDS = HANDSHAKE_SECONDS  # from the first wait for a request to its last byte
REQUESTS_PER_CONNECTION = 100  # then the client connects anew: one socket must not be a source's whole life

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str  # without the query
    headers: Headers  # names in lower case
    body: bytes

    def header(self, name: bytes) -> str | None:
        """The value of a header, None where it is missing or repeated."""
        values = [value for key, value in self.headers if key == name]
        return values[0].decode("latin-1") if len(values) == 1 else None


@dataclass(frozen=True, slots=True)
class Upgrade:
    """`head` is what h11 accepted, written anew: the WebSocket library sees nothing else."""

    path: str
    headers: Headers
    head: bytes
    rest: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    status: HTTPStatus


@dataclass(frozen=True, slots=True)
class Response:
    status: HTTPStatus
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = field(default=())


class Heads:
    """All requests of one connection in turn. After an `Upgrade` or a `Refusal` nothing more is read."""

    def __init__(self) -> None:
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._for_head = False  # an answer to HEAD has no body, whatever its length
        self.served = 0
        self.ended = False  # the peer sends no more

    @property
    def begun(self) -> bool:
        """Whether a part of a request is here: then silence deserves a 408, else just the end."""
        return self._head is not None or bool(self._h11.trailing_data[0])

    def feed(self, data: bytes) -> None:
        """Bytes of the peer, b"" at its end."""
        self.ended = not data
        self._h11.receive_data(data)

    def next(self) -> Request | Upgrade | Refusal | None:
        try:
            return self._next()
        except h11.RemoteProtocolError as error:
            # 501 is h11's word for a transfer coding that it does not know: to us each of them is a missing length
            status = error.error_status_hint
            return Refusal(HTTPStatus.LENGTH_REQUIRED if status == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(status))

    def _next(self) -> Request | Upgrade | Refusal | None:
        while True:
            event = self._h11.next_event()
            match event:
                case h11.Request():
                    refused = judge_head(event)
                    if refused is not None:
                        return refused
                    self._head = event
                case h11.Data(data=data):
                    self._body += data  # no more than the head announced, which was judged
                case h11.EndOfMessage():
                    return self._whole()
                case _:  # the end; NEED_DATA; PAUSED: an answer is due first
                    return None

    def _whole(self) -> Request | Upgrade:
        head, self._head = self._head, None
        self._for_head = head is not None and head.method == b"HEAD"
        if head is None:  # h11 gives no end without a head
            raise AssertionError("end of a message without its head")
        body, self._body = bytes(self._body), bytearray()
        path = head.target.decode("ascii").partition("?")[0]
        headers = tuple(head.headers)
        if wants_upgrade(headers):
            rest = bytes(self._h11.trailing_data[0])
            return Upgrade(path, headers, written_anew(head), rest)
        self.served += 1
        return Request(head.method.decode("ascii"), path, headers, body)

    def wants_continue(self) -> bytes:
        """The interim answer to `Expect: 100-continue`, b"" when nobody waits for it."""
        if not self._h11.they_are_waiting_for_100_continue:
            return b""
        return self._h11.send(h11.InformationalResponse(status_code=100, headers=[])) or b""

    def answer(self, response: Response) -> bytes:
        """The bytes of an answer."""
        headers = list(response.headers)
        if response.status is not HTTPStatus.NO_CONTENT:
            headers.append(("Content-Length", str(len(response.body))))
        if response.body:
            headers.append(("Content-Type", response.content_type))
        if self.served >= REQUESTS_PER_CONNECTION:
            headers.append(("Connection", "close"))
        head = h11.Response(status_code=response.status, headers=headers, reason=response.status.phrase)
        sent = [self._h11.send(head)]
        if response.body and not self._for_head:
            sent.append(self._h11.send(h11.Data(data=response.body)))
        sent.append(self._h11.send(h11.EndOfMessage()))
        return b"".join(part for part in sent if part)

    def refuse(self, status: HTTPStatus, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
        """The bytes of a refusal. Works in every state of the connection: it is the last that is sent."""
        lines = [f"HTTP/1.1 {status} {status.phrase}", "Content-Length: 0", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers]
        return "\r\n".join([*lines, "", ""]).encode("ascii")

    def again(self) -> bool:
        """Get ready for the next request. False: this connection is at its end."""
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._h11.start_next_cycle()
        return True


def judge_head(head: h11.Request) -> Refusal | None:
    """What can be refused before the body is read."""
    headers = tuple(head.headers)
    if head.http_version not in (b"1.0", b"1.1"):
        return Refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    if len(headers) > MAX_HEADERS:
        return Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    names = {name for name, _ in headers}
    if b"transfer-encoding" in names:
        both = b"content-length" in names
        return Refusal(HTTPStatus.BAD_REQUEST if both else HTTPStatus.LENGTH_REQUIRED)
    length = next((int(value) for name, value in headers if name == b"content-length"), None)
    if length is None and head.method in (b"POST", b"PUT", b"PATCH"):
        return Refusal(HTTPStatus.LENGTH_REQUIRED)
    if length and wants_upgrade(headers):
        return Refusal(HTTPStatus.BAD_REQUEST)
    if length is not None and length > BODY_BYTES:
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return None


def wants_upgrade(headers: Headers) -> bool:
    """Only a WebSocket upgrade counts; an offer of h2c is answered in HTTP/1.1."""
    return any(name == b"upgrade" and b"websocket" in value.lower() for name, value in headers)


def written_anew(head: h11.Request) -> bytes:
    lines = [b"%s %s HTTP/%s" % (head.method, head.target, head.http_version)]
    lines += [b"%s: %s" % (name, value) for name, value in head.headers]
    return b"\r\n".join([*lines, b"", b""])
