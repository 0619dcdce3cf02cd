"""`ferryman pull`: what the other devices pushed, as a list, into files, or to standard output.

|                   | not taken yet                                    | with --after N: from there, again      |
|-------------------|--------------------------------------------------|----------------------------------------|
| without --out     | listed                                           | listed                                 |
| --out DIR         | a file each, then taken                          | a file each                            |
| --out -           | the bytes one after the other, then taken        | the bytes                              |

Taken is taken: the relay may forget it, and the next pull begins behind it. A blob is taken once its file is on disk,
or once its page is written to standard output: what is interrupted before comes again, the same under the same id.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import trio
from cyclopts import Parameter, validators

from ferryman.protocol.control import replies, requests
from ferryman.protocol.errors import BadInput
from ferryman.protocol.sync.errors import Offline
from ferryman.supervisors.cli.command import run_on_device
from ferryman.supervisors.cli.device import Device
from ferryman.supervisors.cli.folder import Folder
from ferryman.supervisors.cli.home import COMMON, Common
from ferryman.supervisors.cli.line import Line, ask
from ferryman.supervisors.cli.screen import Screen
from ferryman.supervisors.cli.words import connection, short, size

SETTLE_SECONDS = 10.0
STDOUT = Path("-")


def pull(
    *,
    after: Annotated[int | None, Parameter(validator=validators.Number(gte=0, lt=2**63))] = None,
    out: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    common: Common = COMMON,
) -> int:
    """Get what the other devices of the group pushed.

    Parameters
    ----------
    after
        Read again what came after this cursor, without taking anything. 0: all that the relay still has.
    out
        Write each blob into a file of its own in this directory, or all of them to standard output (-), and take them.
        Left out: only list them.
    """

    async def work(device: Device, screen: Screen) -> int:
        takes = out is not None and after is None
        if takes:
            require_takes(device)
        with ExitStack() as stack:
            folder = None if out is None or out == STDOUT else stack.enter_context(Folder(out))
            async with device.line() as line:
                await require_connection(line)
                count = await fetch(line, screen, folder, after=after, takes=takes, raw=out == STDOUT)
        if not count:
            await screen.note("Nothing new." if after is None else f"Nothing after {after}.")
        return 0

    return run_on_device(common, work)


def require_takes(device: Device) -> None:
    """Raises BadInput."""
    if not device.takes:
        raise BadInput(
            f"process {device.holder} holds this device and keeps its blobs to itself; --after 0 reads them without"
            " taking them"
        )


async def require_connection(line: Line) -> None:
    """Raises Offline."""
    standing = await ask(line, requests.AskStatus(settle_seconds=SETTLE_SECONDS), replies.Standing)
    if standing.group is not None and not standing.enabled:
        raise BadInput("sync is switched off on this device: `ferryman enable` switches it on")
    if standing.group is not None and standing.connection != "connected":
        raise Offline(f"this device is {connection(standing)}: try again later", retryable=True)


async def fetch(
    line: Line, screen: Screen, folder: Folder | None, *, after: int | None, takes: bool, raw: bool = False
) -> int:
    """Page by page until there is no more. Returns how many blobs there were."""
    count = 0
    while True:
        page = await ask(line, requests.PullBlobs(after=after), replies.Page)
        for blob in page.blobs:
            await hand_over(blob, screen, folder, raw=raw)
        if takes and page.blobs:
            await ask(line, requests.TakeBlobs(cursors=[blob.cursor for blob in page.blobs]), replies.Taken)
        count += len(page.blobs)
        if not page.has_more or not page.blobs:
            return count
        after = page.blobs[-1].cursor


async def hand_over(blob: replies.Given, screen: Screen, folder: Folder | None, *, raw: bool) -> None:
    about = f"{size(len(blob.data))} from {short(blob.sender)}"
    entries = blob.model_dump(mode="json", exclude=None if raw else {"data"}) | {"size": len(blob.data)}
    if folder is not None:
        path = await trio.to_thread.run_sync(folder.store, blob.cursor, blob.id, blob.data)
        await screen.line(entries | {"path": str(path)}, f"{path}  {about}")
    elif not raw or screen.as_json:
        await screen.line(entries, f"{blob.cursor}  {short(blob.id)}  {about}")
    else:
        await screen.data(blob.data)
