"""One device of the demo: a host application with an embedded runtime, driven by orders on stdin.

    stdin orders --> obey --> runtime.sync --> relay
    relay --> runtime.sync.blobs() --> Unpacker --> files         (the next blob acknowledges the one before)
                                   --> a line on stdout           (as a note book)

It ends when stdin does. Killed at any point and started again on the same home, it goes on where it was.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import trio

from ferryman.protocol.errors import AppError
from ferryman.supervisors.config import KeysConfig, RuntimeConfig, SyncConfig
from ferryman.supervisors.demo.failure import one_cause
from ferryman.supervisors.demo.messages import (
    AnyOrder,
    Census,
    Counted,
    Create,
    Failed,
    Heard,
    Invite,
    Invited,
    Join,
    Progress,
    Ready,
    Report,
    Send,
    Sent,
    Stop,
    Write,
    encode_line,
    order_decoder,
)
from ferryman.supervisors.demo.parcel import Parcel, Unpacker, read_parcel
from ferryman.supervisors.demo.source import SourceFile, read_part
from ferryman.supervisors.runtime import Runtime, open_runtime

NOTE_CHARACTERS = 200  # of a stranger's line: what fits on a few lines of a terminal
PROGRESS_SECONDS = 0.05  # how often a change is reported: smooth for a bar, small beside the work


class Device:
    """The host application: counts what it sees, obeys orders, unpacks parcels."""

    def __init__(self, runtime: Runtime, unpacker: Unpacker) -> None:
        self.runtime = runtime
        self.unpacker = unpacker
        self.acknowledged = 0
        self.connections = 0

    async def obey(self, order: AnyOrder) -> None:
        sync = self.runtime.sync
        match order:
            case Create(relay_url):
                await sync.enable(relay_url)
                report(Ready(device_id=sync.device_id().hex()))
            case Join(relay_url, short_code):
                await sync.join_invite(short_code, relay_url=relay_url)
                report(Ready(device_id=sync.device_id().hex()))
            case Invite():
                invite = await sync.create_invite()
                report(Invited(link=invite.link, short_code=invite.short_code))
            case Send():
                await self.send(order)
                report(Sent())
            case Census():
                outbox = sync.outbox()
                report(Counted(waiting=outbox.count, in_flight=outbox.in_flight))
            case Write(text):
                await sync.enqueue(text.encode())
            case Stop():
                return

    async def send(self, order: Send) -> None:
        number = 0
        for entry in order.files:
            file = SourceFile(entry.name, entry.size, entry.sha256)
            for index in range(file.parts):
                if order.first <= number < order.last:
                    data = await trio.to_thread.run_sync(read_part, Path(order.root), file, index)
                    parcel = Parcel(file.name, file.size, file.sha256, index, data)
                    await self.runtime.sync.enqueue(parcel.encode())
                number += 1

    async def receive(self) -> None:
        async for blob in self.runtime.sync.blobs():
            await trio.to_thread.run_sync(
                lambda blob=blob: self.unpacker.take(read_parcel(blob.data), blob_id=blob.id, cursor=blob.cursor)
            )

    async def hear(self) -> None:
        async for blob in self.runtime.sync.blobs():
            report(Heard(sender=blob.sender.hex()[:6], text=printable_note(blob.data)))

    async def count(self) -> None:
        async with self.runtime.sync.events() as events:
            async for event in events:
                match type(event).__name__:
                    case "BlobPushed":
                        self.acknowledged += 1
                    case "Connected":
                        self.connections += 1
                    case _:
                        pass

    def standing(self) -> Progress:
        outbox = self.runtime.sync.outbox()
        return Progress(
            acknowledged=self.acknowledged,
            received=len(self.unpacker.seen),
            reconnects=max(0, self.connections - 1),
            waiting=outbox.count,
            in_flight=outbox.in_flight,
        )

    async def report_progress(self) -> None:
        last: Progress | None = None
        while True:
            now = self.standing()
            if now != last:
                report(now)
                last = now
            await trio.sleep(PROGRESS_SECONDS)


def printable_note(data: bytes) -> str:
    text = data[: 4 * NOTE_CHARACTERS].decode("utf-8", "replace")[:NOTE_CHARACTERS]
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def report(message: Report) -> None:
    """Write one line to stdout. Blocking is right: the director always reads, and order matters."""
    sys.stdout.buffer.write(encode_line(message))
    sys.stdout.buffer.flush()


async def read_orders() -> AsyncIterator[AnyOrder]:
    stream = trio.lowlevel.FdStream(os.dup(sys.stdin.fileno()))
    buffer = b""
    while chunk := await stream.receive_some(65536):
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            yield order_decoder.decode(line)


async def run_device(home: Path, name: str, *, notes: bool = False) -> None:
    """Run until stdin ends or a Stop comes. A failure is one line on stdout, then the end.

    notes: what it receives are lines of text to report, not parcels to unpack."""
    config = RuntimeConfig(
        home=home / "home",
        keys=KeysConfig(use_os_keychain=False),  # a demo leaves nothing in the person's own keychain
        sync=SyncConfig(device_name=name, direct_invites=True),
    )
    unpacker = Unpacker(home / "files")
    try:
        with one_cause():
            async with open_runtime(config) as runtime, trio.open_nursery() as nursery:
                device = Device(runtime, unpacker)
                nursery.start_soon(device.count)
                nursery.start_soon(device.hear if notes else device.receive)
                nursery.start_soon(device.report_progress)
                async for order in read_orders():
                    if isinstance(order, Stop):
                        break
                    await device.obey(order)
                nursery.cancel_scope.cancel()
    except AppError as error:
        report(Failed(message=error.message, code=error.code))
        sys.exit(1)
    finally:
        unpacker.close()
