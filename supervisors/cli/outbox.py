"""`ferryman outbox`: what the relay has not got yet, and what a person may do about it.

| command                  | what it does                                                                   |
|--------------------------|--------------------------------------------------------------------------------|
| ferryman outbox          | lists what waits: since when, how large, how it stands                         |
| ferryman outbox retry    | tries now, whatever the relay or the backoff asked to wait                     |
| ferryman outbox drop ID  | takes a blob out for good; asks first, or wants --yes                          |
"""

from __future__ import annotations

import sys
from typing import Annotated

import trio
from cyclopts import App, Parameter, validators

from ferryman.actors.real_ports import make_real_ports
from ferryman.protocol.control import replies, requests
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.cli.command import run_on_device
from ferryman.supervisors.cli.device import Device
from ferryman.supervisors.cli.home import COMMON, Common
from ferryman.supervisors.cli.line import ask
from ferryman.supervisors.cli.screen import Screen
from ferryman.supervisors.cli.words import connection, number, short, size, span, table, waiting

LISTED = 20  # more fill the screen and say nothing new
SETTLE_SECONDS = 10.0  # of a retry: a person waits that long for the good news
EXIT_LEFT = 1
KEPT = "It stays in the outbox."

app = App(name="outbox", help="What waits for the relay; drop one, or try now.")


@app.default
def outbox(
    *,
    limit: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=requests.MAX_LISTED))] = LISTED,
    common: Common = COMMON,
) -> int:
    """What waits for the relay: sealed blobs that it has not acknowledged, oldest first.

    Parameters
    ----------
    limit
        List at most so many.
    """

    async def work(device: Device, screen: Screen) -> int:
        async with device.line() as line:
            page = await ask(line, requests.ListOutbox(limit=limit), replies.OutboxPage)
        await screen.show(page, listing(page, make_real_ports().clock.now()))
        return 0

    return run_on_device(common, work)


@app.command
def drop(
    item: str,
    /,
    *,
    yes: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    common: Common = COMMON,
) -> int:
    """Take a blob out of the outbox, for good. The group's other devices are told that one is missing.

    Parameters
    ----------
    item
        Its id, or the beginning of it, as the list shows it.
    yes
        Do not ask.
    """
    if not yes and not sys.stdin.isatty():
        raise BadInput(f"{item}: what is dropped is gone: say --yes if you mean it")

    async def work(device: Device, screen: Screen) -> int:
        async with device.line() as line:
            if not yes:
                found = await ask(line, requests.DropBlob(id=item, dry=True), replies.Dropped)
                question = (
                    f"Drop blob {short(found.id)}, {size(found.size)}, {age(found.queued_at, now())}? It is gone then."
                )
                if not await agreed(screen, question):
                    await screen.note(KEPT)
                    return EXIT_LEFT
                item_id = found.id
            else:
                item_id = item
            dropped = await ask(line, requests.DropBlob(id=item_id), replies.Dropped)
        late = " It had been sent: the relay may have it." if dropped.sent else ""
        await screen.show(dropped, f"Blob {short(dropped.id)} is out of the outbox.{late}")
        return 0

    return run_on_device(common, work, repeatable=False)


@app.command
def retry(*, common: Common = COMMON) -> int:
    """Try the relay now, whatever it or the backoff asked to wait. The exit code is 1 when something still waits."""

    async def work(device: Device, screen: Screen) -> int:
        async with device.line() as line:
            standing = await ask(line, requests.RetryOutbox(settle_seconds=SETTLE_SECONDS), replies.Standing)
        if not standing.waiting:
            await screen.show(standing, "The relay has everything.")
            return 0
        await screen.show(standing, f"{waiting(standing)} still in the outbox: this device is {connection(standing)}.")
        return EXIT_LEFT

    return run_on_device(common, work)


async def agreed(screen: Screen, question: str) -> bool:
    """Whether a person at the terminal says yes."""
    await screen.note(f"{question} [y/N]")
    answer = await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
    return answer.strip().lower() in ("y", "yes")


def now() -> int:
    return make_real_ports().clock.now()


def listing(page: replies.OutboxPage, now: int) -> str:
    if not page.count:
        head = "The outbox is empty: the relay has everything."
    else:
        head = f"{number(page.count, 'blob')} ({size(page.bytes)}) of group {page.group} for the relay."
    lines = [head]
    if page.waiting:
        lines.append(table([entry_row(entry, now) for entry in page.waiting]))
    if page.count > len(page.waiting):
        lines.append(f"... and {number(page.count - len(page.waiting), 'blob')} more")
    if page.refused:
        lines.append(
            f"The relay refused {number(len(page.refused), 'blob')} for good: {', '.join(map(short, page.refused))}"
        )
    return "\n".join(lines)


STATES = {
    "waiting": "waiting",
    "sent": "sent, and not acknowledged",
    "held back": "refused for now, tried again",
}


def entry_row(entry: replies.OutboxEntry, now: int) -> tuple[str, ...]:
    said = STATES[entry.state] + (", this device's introduction" if entry.introduction else "")
    return (short(entry.id), size(entry.size), age(entry.queued_at, now), said)


def age(queued_at: int | None, now: int) -> str:
    if queued_at is None:
        return "for longer than the ledger remembers"
    return f"for {span(max(0, now - queued_at))}"
