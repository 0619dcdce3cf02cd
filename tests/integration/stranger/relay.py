"""A relay on `websockets` and threads, all in memory: enough of the page's section 5 for devices to sync through it.

    connection's thread: handshake -> HELLO -> one message at a time, each under the relay's one lock

What it leaves out: expiry, rates, quotas, HTTP. What it adds: knobs for a test that wants it to misbehave, and a diary.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from tests.integration.stranger.invite import base64_of
from tests.integration.stranger.noise import Handshake, NoiseError, Transport, public_of
from tests.integration.stranger.relay_group import Group, Refused, proof_holds
from tests.integration.stranger.wire import Fields, Style, WireError, read_frame, required, write_frame

MAX_BLOB_SIZE = 1_048_576
PAGE_BYTES = 4 * 1024 * 1024
ENTRY_BYTES = 200
HANDSHAKE_SECONDS = 10.0

Answer = tuple[str, Fields]


@dataclass(eq=False)
class Line:
    """One connection after its handshake."""

    socket: ServerConnection
    noise: Transport
    inline: int = 0
    group: Group | None = None
    sending: threading.Lock = field(default_factory=threading.Lock)


class Relay:
    """style: how it writes. bare: it leaves out all that may be left out. diary: all that was said.

    refuse: asked before it takes a message; may raise Refused.
    """

    def __init__(self, private: bytes) -> None:
        self.private = private
        self.style: Style = "maps"
        self.bare = False
        self.refuse: Callable[[bytes, str, Fields], None] = lambda *_: None
        self.diary: list[tuple[bytes, str, Fields, Fields]] = []
        self.turned_away = 0
        self.port = 0
        self._groups: dict[bytes, Group] = {}
        self._lines: set[Line] = set()
        self._lock = threading.RLock()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def heard(self, name: str) -> list[Fields]:
        """The fields of every message of that name."""
        with self._lock:
            return [fields for _, heard, _, fields in self.diary if heard == name]

    # --- knobs

    def drop_everyone(self, code: int = 1001) -> None:
        with self._lock:
            for line in self._lines:
                self._close(line, code)

    def forget(self) -> None:
        """As after a lost disk: no group, no cursor."""
        with self._lock:
            self._groups.clear()

    # --- a connection

    def handle(self, socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            try:
                line = self._shake_hands(socket)
            except (NoiseError, InvalidTag, TimeoutError):
                socket.close(1008)
            except ConnectionClosed:
                self.turned_away += 1  # it left after our key, as one does that knows another
            else:
                self._talk(line)

    def _shake_hands(self, socket: ServerConnection) -> Line:
        handshake = Handshake(initiator=False, static=self.private, ephemeral=os.urandom(32))
        handshake.read(_binary(socket.recv(HANDSHAKE_SECONDS)))
        socket.send(handshake.write())
        handshake.read(_binary(socket.recv(HANDSHAKE_SECONDS)))
        return Line(socket, handshake.split())

    def _talk(self, line: Line) -> None:
        with self._lock:
            self._lines.add(line)
        try:
            for message in line.socket:
                try:
                    frame = line.noise.open(_binary(message))
                    envelope, name, fields = read_frame(frame)
                except (NoiseError, InvalidTag, WireError, KeyError):
                    return line.socket.close(1008)
                with self._lock:
                    if not self._take(line, envelope, name, fields):
                        break
        finally:
            self._left(line)
        return line.socket.close(1008)

    def _left(self, line: Line) -> None:
        with self._lock:
            self._lines.discard(line)
            if line.group is not None and line.group.lines.get(line.noise.peer) is line:
                del line.group.lines[line.noise.peer]

    def _take(self, line: Line, envelope: Fields, name: str, fields: Fields) -> bool:
        """Whether the connection goes on."""
        self.diary.append((line.noise.peer, name, envelope, fields))
        try:
            if envelope["sender_id"] != line.noise.peer:
                raise Refused(1002, closes=True)
            if (line.group is None) != (name == "HELLO"):
                raise Refused(1000, closes=line.group is None)
            if line.group is not None and envelope["group_id"] != line.group.group_id:
                raise Refused(1002, closes=True)
            self.refuse(line.noise.peer, name, fields)
            match name:
                case "HELLO":
                    self._hello(line, envelope, fields)
                case "PUSH":
                    self._push(line, fields)
                case "PULL":
                    self._pull(line, fields)
                case "ACK":
                    self._acknowledge(line, fields["up_to_cursor"])
                case "DELETE":
                    self._delete(line, fields["blob_id"])
                case "PRESENCE" | "ERROR":
                    pass
                case _:
                    raise Refused(1000)
        except Refused as refused:
            self._say(line, "ERROR", refused.fields)
            return not refused.closes
        return True

    def _close(self, line: Line, code: int) -> None:
        """Closing waits for the other side, so it has a thread of its own."""
        threading.Thread(target=line.socket.close, args=(code,), daemon=True).start()

    # --- what the page says of each message

    def _hello(self, line: Line, envelope: Fields, hello: Fields) -> None:
        group_id, last, device = hello["group_id"], hello["last_cursor"], line.noise.peer
        if envelope["group_id"] != group_id:
            raise Refused(1002, closes=True)
        group = self._groups.get(group_id) or Group(group_id)
        proven = proof_holds(hello, line.noise.handshake_hash)
        if group.proven and not proven:
            raise Refused(1002, closes=True)
        if last > group.max_cursor or (last and hello.get("incarnation", group.incarnation) != group.incarnation):
            raise Refused(1001)
        self._groups[group_id] = group
        group.proven = group.proven or proven
        older = group.lines.get(device)
        line.group, line.inline = group, hello.get("inline", 0)
        group.lines[device] = line
        group.acked[device] = max(group.acked.get(device, 0), last)
        if older is not None:
            self._close(older, 4001)
        pending = [blob for blob in group.blobs.values() if blob["cursor"] > last and blob["sender_id"] != device]
        welcome = {
            "version": 1,
            "relay_id": base64_of(public_of(self.private)),
            "max_cursor": group.max_cursor,
            "pending_count": len(pending),
            "min_cursor": min(group.blobs, default=group.max_cursor + 1),
            "heartbeat": 30,
            "incarnation": group.incarnation,
            "max_blob_size": MAX_BLOB_SIZE,
        }
        self._say(line, "WELCOME", welcome)
        for blob in pending[:1000]:
            self._notify(line, blob)

    def _push(self, line: Line, push: Fields) -> None:
        group = _group_of(line)
        blob_id, payload = push["blob_id"], push["payload"]
        if len(payload) > MAX_BLOB_SIZE:
            raise Refused(2001, ref=blob_id)
        known = group.cursors.get(blob_id)
        if known is None:
            known = group.max_cursor = group.max_cursor + 1
            group.cursors[blob_id] = known
            group.blobs[known] = {
                "blob_id": blob_id,
                "cursor": known,
                "sender_id": line.noise.peer,
                "payload": payload,
                "timestamp": int(time.time()),
            }
            for device, other in group.lines.items():
                if device != line.noise.peer:
                    self._notify(other, group.blobs[known])
        acknowledged = {"blob_id": blob_id, "cursor": known, "timestamp": int(time.time())}
        self._say(line, "PUSH_ACK", acknowledged, cursor=known)

    def _pull(self, line: Line, pull: Fields) -> None:
        group = _group_of(line)
        after, limit = pull["after_cursor"], min(pull["limit"] or 100, 1000)
        if pull.get("ack", True):
            self._acknowledge(line, after)
        waiting = [blob for blob in group.blobs.values() if blob["cursor"] > after]
        page, size = [], 0
        for blob in waiting[:limit]:
            size += len(blob["payload"]) + ENTRY_BYTES
            if page and size > PAGE_BYTES:
                break
            page.append(blob)
        answer = {
            "blobs": page,
            "has_more": len(page) < len(waiting),
            "max_cursor": group.max_cursor,
            "min_cursor": min(group.blobs, default=group.max_cursor + 1),
        }
        self._say(line, "PULL_RESPONSE", answer)

    def _acknowledge(self, line: Line, cursor: int) -> None:
        group = _group_of(line)
        if cursor > group.max_cursor:
            raise Refused(1000)
        group.acked[line.noise.peer] = max(group.acked[line.noise.peer], cursor)
        for blob in [blob for blob in group.blobs.values() if blob.get("deleted") and group.others_have(blob)]:
            del group.blobs[blob["cursor"]]

    def _delete(self, line: Line, blob_id: bytes) -> None:
        group = _group_of(line)
        cursor = group.cursors.get(blob_id)
        if cursor in group.blobs:
            group.blobs[cursor]["deleted"] = True
            self._acknowledge(line, 0)

    def _notify(self, line: Line, blob: Fields) -> None:
        notice = {key: blob[key] for key in ("blob_id", "cursor", "sender_id", "timestamp")}
        notice["size"] = len(blob["payload"])
        if 0 < notice["size"] <= line.inline:
            notice["payload"] = blob["payload"]
        self._say(line, "NOTIFY", notice, cursor=blob["cursor"])

    def _say(self, line: Line, name: str, fields: Fields, cursor: int = 0) -> None:
        group_id = line.group.group_id if line.group is not None else bytes(32)
        if name == "PULL_RESPONSE":
            known = ("blob_id", "cursor", "sender_id", "payload", "timestamp")
            fields = {**fields, "blobs": [{key: blob[key] for key in known} for blob in fields["blobs"]]}
        frame = write_frame(
            name,
            {key: value for key, value in fields.items() if key in required(name)} if self.bare else fields,
            sender_id=public_of(self.private),
            group_id=group_id,
            cursor=cursor,
            timestamp=int(time.time()),
            style=self.style,
        )
        with line.sending, suppress(ConnectionClosed):
            line.socket.send(line.noise.seal(frame))


def _binary(message: str | bytes) -> bytes:
    if isinstance(message, str):
        raise NoiseError("text")
    return message


def _group_of(line: Line) -> Group:
    assert line.group is not None
    return line.group


@contextmanager
def strangers_relay(**settings: Any) -> Iterator[Relay]:
    """A relay on a free port of loopback, in threads of its own."""
    relay = Relay(os.urandom(32))
    for name, value in settings.items():
        setattr(relay, name, value)
    with serve(
        relay.handle, "127.0.0.1", 0, compression=None, max_size=8 * MAX_BLOB_SIZE, ping_interval=None
    ) as server:
        relay.port = server.socket.getsockname()[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield relay
        finally:
            relay.drop_everyone()
            server.shutdown()
            thread.join()
