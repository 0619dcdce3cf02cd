"""Readers of streams, as the fuzzer and the properties try them: HTTP both ways, WebSocket, a proxy's header.

What can be cut anywhere on its way must be read alike: short inputs are also fed byte by byte.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import cast

import trio

from ferryman.actors import http_client
from ferryman.actors.http_client import Offline
from ferryman.actors.relay.heads import Heads, Refusal, Request, Response, Upgrade
from ferryman.actors.relay.sources import client_of, is_within, source_of
from ferryman.actors.relay.websocket import WebSocket, accept
from ferryman.actors.transport import RelayAddress
from ferryman.supervisors.relay_config import networks
from tests.fakes.raw_wire import UPGRADE

PROXIES = networks(("127.0.0.0/8", "10.0.0.0/8"))
LOOPBACK = networks(("127.0.0.0/8", "::1/128"))
CUT_UP_TO = 2048  # longer inputs are not also fed byte by byte


def heads(data: bytes) -> object:
    whole = heads_in([data])
    if len(data) <= CUT_UP_TO:
        assert heads_in([data[at : at + 1] for at in range(len(data))]) == whole
    return whole


def heads_in(pieces: list[bytes]) -> list[object]:
    """What is read of these pieces, every request answered, to the first upgrade or refusal."""
    reader, found = Heads(), cast("list[object]", [])
    for piece in pieces:
        reader.feed(piece)
        while True:
            heard = reader.next()
            match heard:
                case Upgrade(path=path, head=head):
                    return [*found, path, accept(head, max_message=4096)[1][:12]]
                case Refusal():
                    assert reader.refuse(heard.status).startswith(b"HTTP/1.1 4") or heard.status == 505
                    return [*found, heard]
                case Request():
                    found.append(heard)
                    reader.answer(Response(HTTPStatus.BAD_REQUEST, b"{}"))
                    if not reader.again():
                        return found
                case None:
                    reader.wants_continue()
                    break
    return found


def websocket(data: bytes) -> object:
    whole = websocket_in([data])
    if len(data) <= CUT_UP_TO:
        assert websocket_in([data[at : at + 1] for at in range(len(data))]) == whole
    return whole


def websocket_in(pieces: list[bytes]) -> list[bytes]:
    socket = cast("WebSocket", accept(UPGRADE, max_message=4096)[0])
    messages: list[bytes] = []
    for piece in pieces:
        messages += socket.feed(piece)
        socket.output()
    assert all(len(message) <= 4096 for message in messages)
    return messages


ENTRY = re.compile(rb"[0-9A-Fa-f.:\[\] \t]*(%[0-9A-Za-z._~-]+[ \t]*)?")


def forwarded(data: bytes) -> object:
    """A chain that names somebody else never makes him the proxy, unless it is made of proxies only."""
    client = client_of("127.0.0.1", ((b"x-forwarded-for", data),), PROXIES)
    source_of(client)
    if is_within(client, LOOPBACK):
        assert client == "127.0.0.1"
        assert all(ENTRY.fullmatch(entry) for entry in data.split(b","))
    return client


def answer(data: bytes) -> object:
    """A device reads what a relay answers to POST /invite."""

    async def talk() -> object:
        try:
            return await http_client._exchange(Deaf(data), RelayAddress("relay", 80, "/", False), "POST", "/", b"", ())
        except http_client.h11.ProtocolError as error:
            raise Offline(str(error)) from None

    return trio.run(talk)


class Deaf(trio.abc.Stream):
    """A peer that has said all it will say."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    async def send_all(self, _: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        piece, self._said = self._said[:max_bytes], self._said[max_bytes or len(self._said) :]
        return piece

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
