"""A client of the relay on websocket-client: blocking calls, one socket, no retries, nothing done behind one's back.

with dial(port, device) as client:
    client.hello(group.group_id)
    client.push(blob_id, sealed)
    client.pull(after=0)
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websocket import ABNF, WebSocket, create_connection

from tests.integration.stranger.keys import Device, Group
from tests.integration.stranger.noise import Handshake, Transport
from tests.integration.stranger.wire import Fields, Style, WireError, read_frame, write_frame

PATIENCE_SECONDS = 20.0


class Closed(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class Client:
    def __init__(self, socket: WebSocket, noise: Transport, device: Device) -> None:
        self.socket = socket
        self.noise = noise
        self.device = device
        self.group_id = bytes(32)
        self.style: Style = "maps"
        self.read_ahead: list[tuple[Fields, str, Fields]] = []

    # --- frames

    def send(self, name: str, fields: Fields, **envelope: Any) -> None:
        whole = {
            "sender_id": self.device.device_id,
            "group_id": self.group_id,
            "timestamp": int(time.time()),
            "nonce": os.urandom(24),
            "style": self.style,
            **envelope,
        }
        self.send_frame(write_frame(name, fields, **whole))

    def send_frame(self, frame: bytes) -> None:
        self.send_message(self.noise.seal(frame))

    def send_message(self, message: bytes) -> None:
        self.socket.send_binary(message)

    def receive(self) -> tuple[Fields, str, Fields]:
        """The next message: (envelope, name, fields). Raises Closed."""
        if self.read_ahead:
            return self.read_ahead.pop(0)
        opcode, data = self.socket.recv_data()
        if opcode == ABNF.OPCODE_CLOSE:
            raise Closed(int.from_bytes(data[:2], "big"))
        if opcode != ABNF.OPCODE_BINARY:
            raise WireError(f"a relay sends binary messages only, not opcode {opcode}")
        envelope, name, fields = read_frame(self.noise.open(data))
        if envelope["sender_id"] != self.noise.peer or envelope["version"] != 1:
            raise WireError("an envelope of somebody else")
        return envelope, name, fields

    def expect(self, *names: str) -> Fields:
        """The next message, which has to be one of these."""
        _, name, fields = self.receive()
        assert name in names, f"{name} {fields.get('code', '')} instead of {' or '.join(names)}"
        return fields

    def wait_for(self, wanted: str) -> Fields:
        """The next message of that name; what comes before it waits for `receive`."""
        passed = []
        while True:
            message = self.receive()
            if message[1] == wanted:
                self.read_ahead = passed + self.read_ahead
                return message[2]
            passed.append(message)

    def closed(self) -> int:
        """Read to the end; the code with which the relay closed."""
        try:
            while True:
                self.receive()
        except Closed as closed:
            return closed.code

    # --- the messages of the page

    def say_hello(self, group_id: bytes, last_cursor: int = 0, **fields: Any) -> None:
        self.group_id = group_id
        hello = {"version": 1, "device_name": "a stranger", "group_id": group_id, "last_cursor": last_cursor}
        self.send("HELLO", {**hello, **fields})

    def hello(self, group_id: bytes, last_cursor: int = 0, **fields: Any) -> Fields:
        self.say_hello(group_id, last_cursor, **fields)
        return self.expect("WELCOME")

    def enter(self, group: Group, last_cursor: int = 0, **fields: Any) -> Fields:
        """HELLO with the proof that one knows the group's secret."""
        proof = {"group_key": group.group_key, "group_proof": group.prove(self.noise.handshake_hash)}
        return self.hello(group.group_id, last_cursor, **proof, **fields)

    def say_push(self, blob_id: bytes, payload: bytes, ttl: int = 0) -> None:
        nonce = payload[5:29] if len(payload) >= 29 else bytes(24)
        self.send("PUSH", {"blob_id": blob_id, "payload": payload, "ttl": ttl}, nonce=nonce)

    def push(self, blob_id: bytes, payload: bytes, ttl: int = 0) -> Fields:
        self.say_push(blob_id, payload, ttl)
        return self.wait_for("PUSH_ACK")

    def pull(self, after: int, limit: int = 0, *, ack: bool | None = False) -> Fields:
        self.send("PULL", {"after_cursor": after, "limit": limit, "ack": ack})
        return self.wait_for("PULL_RESPONSE")

    def ack(self, cursor: int) -> None:
        self.send("ACK", {"up_to_cursor": cursor})


@contextmanager
def dial(port: int, device: Device, *, path: str = "/", pin: bytes | None = None) -> Iterator[Client]:
    """A client with its handshake done. pin: the relay's static key; another one ends it before message 3."""
    socket = create_connection(f"ws://127.0.0.1:{port}{path}", timeout=PATIENCE_SECONDS)
    try:
        handshake = Handshake(initiator=True, static=device.noise_private, ephemeral=os.urandom(32))
        socket.send_binary(handshake.write())
        handshake.read(socket.recv())
        if pin is not None and handshake.theirs["s"] != pin:
            raise WireError("the relay's key is another one")
        socket.send_binary(handshake.write())
        yield Client(socket, handshake.split(), device)
    finally:
        socket.shutdown()
