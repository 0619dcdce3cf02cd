"""`ferryman push FILE...`: each file becomes one blob, on this device's disk before anything else.

| what became of it             | said                     | exit code            |
|-------------------------------|--------------------------|----------------------|
| the relay has it              | its cursor               | 0                    |
| it waits in the outbox        | that it does             | 0; with --wait: 75   |
| the relay will never take it  | the relay's error        | 1                    |
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import trio
from cyclopts import Parameter, validators

from ferryman.protocol.control import replies, requests
from ferryman.protocol.crypto.sealing import BlobTooLarge
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.cli.command import run_on_device
from ferryman.supervisors.cli.device import Device
from ferryman.supervisors.cli.home import COMMON, Common
from ferryman.supervisors.cli.line import HolderEnded, Line
from ferryman.supervisors.cli.screen import Screen
from ferryman.supervisors.cli.words import short, size

STDIN = 0
PIECE_BYTES = 1 << 20
WAIT_SECONDS = 30.0
EXIT_WAITING = 75  # EX_TEMPFAIL of sysexits.h: what was asked for has not happened yet, and may


@dataclass(frozen=True, slots=True)
class Patience:
    """seconds: for one blob to reach the relay. insists: nothing less will do, so keep on when the relay is away."""

    seconds: float
    insists: bool


def push(
    files: Annotated[list[str], Parameter(negative=(), allow_leading_hyphen=True)],
    /,
    *,
    wait: Annotated[float | None, Parameter(validator=validators.Number(gt=0, lte=requests.MAX_WAIT_SECONDS))] = None,
    no_wait: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    common: Common = COMMON,
) -> int:
    """Send files to the group's other devices, each as one blob.

    Parameters
    ----------
    files
        Files, or - for standard input.
    wait
        Insist: try for so many seconds; exit code 75 for what is still in the outbox then.
    no_wait
        Put it into the outbox and do not wait for the relay.
    """
    if wait is not None and no_wait:
        raise BadInput("--wait and --no-wait contradict each other: give one of them")
    if not files:
        raise BadInput("what is to be sent? Name files, or - for standard input")
    patience = Patience(0.0 if no_wait else WAIT_SECONDS if wait is None else wait, insists=wait is not None)

    async def work(device: Device, screen: Screen) -> int:
        for file in files:
            check(file, device.max_data_bytes)  # all of them, before the first goes out
        code = 0
        async with device.line() as line:
            for file in files:
                data = await read(file, device.max_data_bytes)
                code = await send(line, file, data, patience, screen) or code
        return code

    return run_on_device(common, work, repeatable=False)


async def send(line: Line, file: str, data: bytes, patience: Patience, screen: Screen) -> int:
    queued: list[str] = []

    async def hear(news: replies.Reply) -> None:
        if isinstance(news, replies.Queued):
            queued.append(news.id)

    request = requests.PushBlob(data=data, wait_seconds=patience.seconds, patient=patience.insists)
    try:
        reply = await line.ask(request, hear)
    except HolderEnded:
        if not queued:
            raise
        reply = replies.Waiting(id=queued[0], reason="the process that held this device has ended")
    match reply:
        case replies.Pushed(id=blob_id, cursor=cursor):
            await screen.show(
                reply, f"{file}: blob {short(blob_id)}, {size(len(data))}, at the relay as {cursor}", file=file
            )
            return 0
        case replies.Waiting(id=blob_id, reason=reason):
            why = "" if not patience.seconds else f" ({reason})"
            await screen.show(reply, f"{file}: blob {short(blob_id)}, {size(len(data))}, in the outbox{why}", file=file)
            return EXIT_WAITING if patience.insists else 0
        case _:
            raise HolderEnded


def check(file: str, limit: int) -> None:
    """Raises BadInput, BlobTooLarge."""
    if file == "-":
        return
    path = Path(file)
    try:
        about = path.stat()
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror or error}") from None
    if path.is_dir():
        raise BadInput(f"{file}: is a directory; name the files in it, or pack it: tar c {file} | ferryman push -")
    if not os.access(path, os.R_OK):
        raise BadInput(f"{file}: {os.strerror(errno.EACCES)}")
    if about.st_size > limit:
        raise too_large(file, limit)


async def read(file: str, limit: int) -> bytes:
    """Raises BadInput, BlobTooLarge. In a thread, which Ctrl-C does not wait for."""
    return await trio.to_thread.run_sync(read_all, file, limit, abandon_on_cancel=True)


def read_all(file: str, limit: int) -> bytes:
    try:
        descriptor = os.dup(STDIN) if file == "-" else os.open(Path(file), os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = bytearray()
            while piece := os.read(descriptor, PIECE_BYTES):
                found += piece
                if len(found) > limit:
                    raise too_large(file, limit)
            return bytes(found)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror or error}") from None


def too_large(file: str, limit: int) -> BlobTooLarge:
    return BlobTooLarge(f"{file}: is larger than a blob may be, {limit:,} bytes: send it in parts")
