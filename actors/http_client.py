"""One HTTP request to the relay's own port, for invites: a connection, a request, an answer, closed.

    request("ws://relay:8080", "POST", "/invite", body) --> Answer(status, body, retry_after)

Bounded in time and in bytes: the answer comes from a machine that is not ours.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import h11
import trio

from ferryman.actors.ports import Ports
from ferryman.actors.transport import RelayAddress, authority, dress
from ferryman.protocol.sync.errors import Offline

REQUEST_SECONDS = 15.0
ANSWER_BYTES = 16_384  # an invite is 4 KiB
READ_BYTES = 4_096

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """retry_after: seconds; date: the relay's clock, UNIX seconds; None when the relay did not say."""

    status: int
    body: bytes
    retry_after: int | None = None
    date: int | None = None


async def request(
    ports: Ports,
    address: RelayAddress,
    method: str,
    path: str,
    *,
    body: bytes = b"",
    headers: Headers = (),
    trust: ssl.SSLContext | None = None,
) -> Answer:
    """Raises Offline when there is no answer, or none that HTTP allows."""
    try:
        with trio.fail_after(REQUEST_SECONDS):
            stream = await _connect(ports, address, trust)
            try:
                return await _exchange(stream, address, method, path, body, headers)
            finally:
                await trio.aclose_forcefully(stream)
    except trio.TooSlowError:
        raise Offline("the relay did not answer in time", retryable=True) from None
    except (OSError, trio.BrokenResourceError, h11.ProtocolError) as error:
        raise Offline(f"the relay cannot be reached: {error}", retryable=True) from error


async def _connect(ports: Ports, address: RelayAddress, trust: ssl.SSLContext | None) -> trio.abc.Stream:
    stream = await ports.network.open_stream(address.host, address.port)
    if not address.secure:
        return stream
    try:
        return await dress(stream, address.host, trust)
    except BaseException:  # cancelled too: until it is returned the stream is nobody else's to close
        await trio.aclose_forcefully(stream)
        raise


async def _exchange(
    stream: trio.abc.Stream, address: RelayAddress, method: str, path: str, body: bytes, headers: Headers
) -> Answer:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=ANSWER_BYTES)
    head = [(b"Host", authority(address).encode()), (b"Connection", b"close"), *headers]
    if method == "POST":
        head.append((b"Content-Length", str(len(body)).encode()))
    out = connection.send(h11.Request(method=method, target=path, headers=head)) or b""
    if body:
        out += connection.send(h11.Data(data=body)) or b""
    out += connection.send(h11.EndOfMessage()) or b""
    await stream.send_all(out)
    response: h11.Response | None = None
    received = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(bytes(await stream.receive_some(READ_BYTES)))
        elif isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            received += bytes(event.data)
            if len(received) > ANSWER_BYTES:
                raise h11.RemoteProtocolError("the answer is too long")
        elif isinstance(event, h11.EndOfMessage) and response is not None:
            return Answer(response.status_code, received, _retry_after(response), _date(response))
        elif not isinstance(event, h11.InformationalResponse):
            raise h11.RemoteProtocolError("the connection ended before the answer")


def _retry_after(response: h11.Response) -> int | None:
    for name, value in response.headers:
        if name == b"retry-after" and value.isdigit():
            return int(value[:6])
    return None


def _date(response: h11.Response) -> int | None:
    for name, value in response.headers:
        if name == b"date":
            try:
                return int(parsedate_to_datetime(value.decode("latin-1")).timestamp())
            except (ValueError, OverflowError):
                return None
    return None
