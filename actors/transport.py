"""A device's connection to its relay: TCP, TLS for wss, WebSocket, Noise, until one side ends it.

    run_link --> pilot.upgraded() --> pin compared --> pilot.secured(link) --> pilot.frame(bytes) ... --> LinkEnd
                                           |
                                           +-- another key: nothing of ours was shown, message 3 stays unsent

It always returns how it ended and never raises for what a peer or a network does. No peer can hold it: connecting,
each write and the farewell have deadlines.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import h11
import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream

from ferryman.actors.dial_ends import first, refusal, words
from ferryman.actors.ports import Ports
from ferryman.actors.watched_stream import WatchedStream
from ferryman.protocol.crypto.noise import NoiseSession, initiate
from ferryman.protocol.errors import BadInput, RemoteProtocolError
from ferryman.protocol.relay.errors import CloseCode
from ferryman.protocol.relay.limits import HANDSHAKE_SECONDS, SEND_QUEUE_FRAMES, client_websocket_limit
from ferryman.protocol.relay.messages import clean_text

CONNECT_SECONDS = 15.0  # TCP, TLS and the upgrade over a bad mobile network
SEND_SECONDS = 15.0  # for one message: as long as a relay waits for a client that does not read (wire §5)
PING_SECONDS = 15.0
FAREWELL_SECONDS = 2.0
REASON_BYTES = 123  # of a close frame (RFC 6455 §5.5)
RECEIVE_BYTES = 65_536  # trio-websocket reads 4 KiB by default, which is half as fast at 16 KB a message
PORTS = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """A relay's URL taken apart. host: as it goes into TCP and TLS."""

    host: str
    port: int
    path: str
    secure: bool


def read_relay_url(url: str) -> RelayAddress:
    """Raises BadInput for what is no ws:// or wss:// URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
        host.encode("idna")  # as the resolver will: an empty label or one of over 63 characters has no address
    except ValueError:
        parts, port, host = urlsplit(""), None, ""
    if (
        parts.scheme not in PORTS
        or not host
        or parts.username
        or parts.query
        or parts.fragment
        or not host.isprintable()
    ):
        raise BadInput(f"{url!r} is no relay URL: it should look like wss://sync.example.com or ws://127.0.0.1:8080")
    return RelayAddress(host, port or PORTS[parts.scheme], parts.path or "/", parts.scheme == "wss")


class TextMessage(RemoteProtocolError):
    """The relay speaks, but not in binary messages."""


@dataclass(frozen=True, slots=True)
class LinkEnd:
    """close_code: the WebSocket's, 0 when it did not get so far. notable: a person should know.

    other_key: what the relay showed instead of the pinned key.
    """

    reason: str
    close_code: int = 0
    notable: bool = False
    other_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Dialing:
    """Where to connect to, and as whom. pin: the relay's static key, None to accept any. headers: for the upgrade."""

    address: RelayAddress
    noise_private: bytes
    pin: bytes | None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    trust: ssl.SSLContext | None = None
    max_blob_size: int = 1_048_576


class Pilot(Protocol):
    """Who uses the connection. Called from its reader, at once and without waiting."""

    def upgraded(self) -> None: ...
    def secured(self, link: Link) -> None: ...
    def frame(self, data: bytes) -> None: ...


class Link:
    """A secured connection, for its pilot. Frames are sealed in the order in which they are put."""

    def __init__(self, noise: NoiseSession) -> None:
        self.relay_key = noise.remote_static
        self.handshake_hash = noise.handshake_hash
        self._frames: deque[bytes] = deque()
        self._news = trio.Event()
        self._ping = False
        self._farewell: tuple[int, str] | None = None
        self._noise = noise

    def put(self, frame: bytes) -> bool:
        """Send it, after those before it. False: the relay does not read, and too much waits for it."""
        if len(self._frames) >= SEND_QUEUE_FRAMES:
            return False
        self._frames.append(frame)
        self._news.set()
        return True

    def ping(self) -> None:
        """See whether the relay is there; the connection ends when it is not."""
        self._ping = True
        self._news.set()

    def close(self, code: int, reason: str) -> None:
        """Send what waits, say goodbye, and end."""
        self._farewell = (code, reason)
        self._news.set()

    async def write(self, socket: WebSocketConnection, pings: trio.Nursery) -> None:
        """The writer. Ends after the farewell."""
        while True:
            await self._news.wait()
            self._news = trio.Event()
            deadline = FAREWELL_SECONDS if self._farewell else SEND_SECONDS
            while self._frames:
                with trio.fail_after(deadline):
                    await socket.send_message(self._noise.seal_frame(self._frames.popleft()))
            if self._ping:
                self._ping = False
                pings.start_soon(_ping, socket)
            if self._farewell is not None:
                with trio.fail_after(FAREWELL_SECONDS):
                    await socket.aclose(self._farewell[0], self._farewell[1][:100])
                return

    def open(self, message: bytes) -> bytes:
        return self._noise.open_frame(message)


async def run_link(ports: Ports, dialing: Dialing, pilot: Pilot) -> LinkEnd:
    """Connect, and carry frames until the connection ends. Cancelling it ends the connection at once."""
    end = LinkEnd("the connection ended")
    try:
        async with _open_socket(ports, dialing) as socket:
            pilot.upgraded()
            with trio.fail_after(HANDSHAKE_SECONDS):
                noise = await _shake_hands(ports, dialing, socket)
            if isinstance(noise, LinkEnd):
                return noise
            link = Link(noise)
            async with trio.open_nursery() as nursery:
                pilot.secured(link)
                nursery.start_soon(link.write, socket, nursery)
                while True:
                    message = await socket.get_message()
                    if isinstance(message, str):
                        raise TextMessage("a text message")
                    pilot.frame(link.open(message))
    except* ConnectionClosed as group:
        end = _closed(group)
    except* trio.TooSlowError:
        end = LinkEnd("the relay did not answer in time")
    except* HandshakeError as group:
        end = LinkEnd(f"the relay refused the connection: {refusal(first(group))}", notable=True)
    except* ssl.SSLCertVerificationError as group:
        end = LinkEnd(f"the relay's certificate is not trusted: {first(group)}", notable=True)
    except* RemoteProtocolError as group:
        end = LinkEnd(f"the relay broke the protocol: {first(group)}", CloseCode.POLICY, notable=True)
    except* (h11.ProtocolError, UnicodeDecodeError) as group:  # an upgrade that trio-websocket cannot read
        said = type(first(group)).__name__
        end = LinkEnd(f"the relay broke the protocol: its upgrade cannot be read ({said})", notable=True)
    except* (OSError, UnicodeError, trio.BrokenResourceError, trio.ClosedResourceError) as group:
        end = LinkEnd(f"the relay cannot be reached: {words(first(group))}")
    return end


@asynccontextmanager
async def _open_socket(ports: Ports, dialing: Dialing) -> AsyncGenerator[WebSocketConnection]:
    """A WebSocket after its upgrade, cut off at the end of the block. Who broke the protocol is told by a close frame;
    who wants another sends it inside."""
    address = dialing.address
    async with trio.open_nursery() as nursery:
        with trio.fail_after(CONNECT_SECONDS):
            stream: trio.abc.Stream = await ports.network.open_stream(address.host, address.port)
            try:
                if address.secure:
                    stream = await dress(stream, address.host, dialing.trust)
                socket = await _upgrade(nursery, stream, dialing)
            except BaseException:  # cancelled too: nobody else has the stream yet
                await trio.aclose_forcefully(stream)
                raise
        try:
            yield socket
        except* RemoteProtocolError as group:
            with trio.move_on_after(FAREWELL_SECONDS):
                await socket.aclose(CloseCode.TEXT if group.subgroup(TextMessage) else CloseCode.POLICY)
            raise
        finally:  # no Cancelled of ours may take the place of the exception that says how it ended
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)
            nursery.cancel_scope.cancel()


async def dress(stream: trio.abc.Stream, host: str, trust: ssl.SSLContext | None) -> trio.SSLStream[trio.abc.Stream]:
    """TLS over a fresh stream. Raises ssl.SSLCertVerificationError, BrokenResourceError."""
    context = trust or ssl.create_default_context()
    dressed = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
    try:
        await dressed.do_handshake()
    except trio.BrokenResourceError as broken:
        if isinstance(broken.__cause__, ssl.SSLCertVerificationError):
            raise broken.__cause__ from None  # Trio hides what a person has to know
        raise
    return dressed


async def _upgrade(nursery: trio.Nursery, stream: trio.abc.Stream, dialing: Dialing) -> WebSocketConnection:
    """The WebSocket over a fresh stream. Raises BrokenResourceError at once when the relay goes away meanwhile."""
    watched = WatchedStream(stream)
    async with trio.open_nursery() as watching:
        watching.start_soon(watched.ends, watching.cancel_scope)
        socket = await wrap_client_stream(
            nursery,
            watched,  # pyright: ignore[reportArgumentType] - any stream will do, it says so in its documentation
            authority(dialing.address),
            dialing.address.path,
            extra_headers=list(dialing.headers),
            message_queue_size=1,
            max_message_size=client_websocket_limit(dialing.max_blob_size),
            receive_buffer_size=RECEIVE_BYTES,
        )
        watching.cancel_scope.cancel()
        return socket
    raise trio.BrokenResourceError("it went away before the upgrade was done")


async def _shake_hands(ports: Ports, dialing: Dialing, socket: WebSocketConnection) -> NoiseSession | LinkEnd:
    waiting, message1 = initiate(dialing.noise_private, ports.entropy.random_bytes(32))
    await socket.send_message(message1)
    message2 = await socket.get_message()
    if isinstance(message2, str):
        raise TextMessage("a text message")
    known = waiting.read_reply(message2)
    if dialing.pin is not None and known.remote_static != dialing.pin:
        shown = known.remote_static
        return LinkEnd(
            "the relay shows another key than before: someone is in between, or the relay lost its key. "
            f"If its operator says that its key is {b64encode(shown).decode()}, `ferryman trust` accepts it",
            notable=True,
            other_key=shown,
        )
    noise, message3 = known.finish()
    await socket.send_message(message3)
    return noise


async def _ping(socket: WebSocketConnection) -> None:
    with trio.fail_after(PING_SECONDS):
        await socket.ping()


def authority(address: RelayAddress) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    default = PORTS["wss" if address.secure else "ws"]
    return host if address.port == default else f"{host}:{address.port}"


def _closed(group: BaseExceptionGroup[ConnectionClosed]) -> LinkEnd:
    closed = first(group)
    reason = closed.reason if isinstance(closed, ConnectionClosed) else None
    if reason is None or reason.code == 1006:  # 1006: no close frame came
        return LinkEnd("the connection broke")
    said = clean_text(reason.reason or reason.name, REASON_BYTES)
    return LinkEnd(f"the relay closed the connection ({reason.code} {said})", reason.code)
