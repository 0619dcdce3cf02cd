"""The relay's stream and WebSocket code saying back what it hears: no Noise, no actors, no disk. Prints its port."""

from __future__ import annotations

import contextlib
import sys

import trio

from ferryman.actors.relay.accepted import RECEIVE_BYTES
from ferryman.actors.relay.stream import BoundedStream, Moorings
from ferryman.actors.relay.websocket import accept

MAX_MESSAGE = 2**20


async def serve() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    sys.stdout.write(f"{listener.socket.getsockname()[1]}\n")
    sys.stdout.flush()
    moorings = Moorings()

    async def answer(transport: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            await echo(transport)

    async def echo(transport: trio.SocketStream) -> None:
        stream = BoundedStream(transport, transport, moorings)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await stream.receive_some(RECEIVE_BYTES)
        websocket, output = accept(head, max_message=MAX_MESSAGE)
        assert websocket is not None
        await stream.send_all(output)
        while data := await stream.receive_some(RECEIVE_BYTES):
            for message in websocket.feed(data):
                websocket.send(message)
            output = websocket.output()
            sent = stream.send_now(output)
            if sent < len(output):
                await stream.send_all(output[sent:])

    await trio.serve_listeners(answer, [listener])


if __name__ == "__main__":
    trio.run(serve)
