"""`ferryman enable`, `disable`, `invite`, `join`: which group this device is in, and who else gets in."""

from __future__ import annotations

import io
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Annotated

import segno
import trio
from cyclopts import Parameter

from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.transport import read_relay_url
from ferryman.protocol.control import replies, requests
from ferryman.protocol.errors import BadInput
from ferryman.protocol.sync.invite import read_link
from ferryman.protocol.sync.short_code import read_code
from ferryman.supervisors.cli import admission
from ferryman.supervisors.cli.command import run_on_device
from ferryman.supervisors.cli.device import Device, Wish
from ferryman.supervisors.cli.home import COMMON, SETTINGS, Common, find_home, is_device, load_config
from ferryman.supervisors.cli.line import Line, ask
from ferryman.supervisors.cli.screen import Screen, is_terminal
from ferryman.supervisors.cli.words import connection, span, waiting

SETTLE_SECONDS = 10.0  # a first connection takes well under one; a person waits that long for the good news
AllowPlain = Annotated[bool, Parameter(negative=(), show_default=False)]


def enable(
    *,
    relay: str | None = None,
    allow_plain: AllowPlain = False,
    common: Common = COMMON,
) -> int:
    """Switch sync on. The first time it makes this device, and a group that `ferryman invite` lets others into.

    Parameters
    ----------
    relay
        The relay's URL, wss://... or ws://... . Left out: the one it had, or the settings'.
    allow_plain
        Without a keychain and a passphrase, keep the device's keys unsealed in its directory.
    """
    if relay is not None:
        read_relay_url(relay)
    elif not is_device(find_home(common.home)):
        relay = require_relay(common)

    async def work(device: Device, screen: Screen) -> int:
        async with device.line() as line:
            await line.ask(requests.EnableSync(relay_url=relay))
            await tell(await settle(line), screen, "Sync is on")
        return 0

    return run_on_device(common, work, Wish(create=True, allow_plain=allow_plain))


def disable(*, common: Common = COMMON) -> int:
    """Switch sync off. The group and what waits in the outbox stay; `ferryman enable` comes back."""

    async def work(device: Device, screen: Screen) -> int:
        async with device.line() as line:
            standing = await ask(line, requests.DisableSync(), replies.Standing)
        waits = f"; {waiting(standing)} in the outbox" if standing.waiting else ""
        await screen.show(standing, f"Sync is off{waits}. `ferryman enable` switches it on again.")
        return 0

    return run_on_device(common, work)


def invite(
    *,
    direct: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    wait: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    yes: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    common: Common = COMMON,
) -> int:
    """Let one more device in: a link and a short code that hold for ten minutes; at a terminal a QR code too.

    It waits for a device that asks, shows the number that both devices must have, and lets it in when you say yes.

    Parameters
    ----------
    direct
        The invite holds the group's secret itself: whoever gets hold of it while it holds is a member. Nobody is asked.
    wait
        With --direct, stay until the ten minutes are over; Ctrl-C takes the short code back.
    yes
        Ask nothing; only where sync.approve_joins is false, for it lets nobody in unseen otherwise.
    """

    async def work(device: Device, screen: Screen) -> int:
        async with device.line() as line:
            invited = await ask(line, requests.CreateInvite(direct=direct), replies.Invited)
            if yes:
                await admission.check_yes(line, invited)
            seconds = max(0, invited.expires_at - make_real_ports().clock.now())
            stays = wait or invited.room
            async with admission.taken_back(line, screen) if stays else nullcontext(admission.Standby()) as standby:
                await screen.show(invited, invitation(invited, seconds))
                if invited.room:
                    return await admission.host(line, screen, standby)
                if wait:
                    await screen.note("Ctrl-C takes the short code back.")
                    await trio.sleep(seconds)
        return 0

    return run_on_device(common, work, repeatable=False)


def join(
    invite: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    relay: str | None = None,
    allow_plain: AllowPlain = False,
    common: Common = COMMON,
) -> int:
    """Enter the group that an invite is for. The first time it makes this device.

    Parameters
    ----------
    invite
        The short code, or the link. Left out: read from standard input, so that it is in no list of processes.
    relay
        The relay's URL: a short code needs it, a link carries it.
    allow_plain
        Without a keychain and a passphrase, keep the device's keys unsealed in its directory.
    """
    text = (read_invite() if invite is None or invite == "-" else invite).strip()
    if relay is not None:
        read_relay_url(relay)
    if "://" in text:
        read_link(text)
    else:
        read_code(text)
        relay = relay or require_relay(common)

    async def work(device: Device, screen: Screen) -> int:
        async with device.line() as line, seen_through(screen) as spending:

            async def hear(news: replies.Reply) -> None:  # it waits for a person, and the code is on record as a room
                spending.scope.shield = False
                if isinstance(news, replies.Happened):
                    await screen.show(news, f"{news.text[:1].upper()}{news.text[1:]}.")

            standing = await ask(line, requests.JoinGroup(invite=text, relay_url=relay), replies.Standing, hear)
            if not spending.interrupted.is_set():
                standing = await settle(line)
            await tell(standing, screen, "Joined")
        return 0

    return run_on_device(common, work, Wish(create=True, allow_plain=allow_plain), repeatable=False)


def require_relay(common: Common) -> str:
    """The settings' relay. Raises BadInput when there is none, BackendUnavailable."""
    home = find_home(common.home)
    relay = load_config(home, allow_plain=False, takes=False).sync.access().url
    if relay is None:
        raise BadInput(f"{home / SETTINGS}: sync.relay_url: which relay? Add --relay URL, or set it, or SYNC_RELAY_URL")
    return relay


def read_invite() -> str:
    if sys.stdin.isatty():
        print("Short code or link: ", end="", file=sys.stderr, flush=True)
    text = sys.stdin.readline(requests.MAX_TEXT)
    if not text.strip():
        raise BadInput("no invite was given: name the short code or the link")
    return text


def invitation(invited: replies.Invited, seconds: int) -> str:
    """For a terminal with the QR code, for a file without."""
    lines = [
        f"Short code  {invited.short_code}",
        f"Link        {invited.link}",
        "",
        f"One device may `ferryman join` with it, for {span(seconds)}.",
    ]
    return "\n".join([*([qr_code(invited.link)] if is_terminal() else []), *lines])


def qr_code(text: str) -> str:
    drawn = io.StringIO()
    segno.make(text, error="l").terminal(drawn, border=2, compact=True)
    return drawn.getvalue()


@dataclass(frozen=True, slots=True)
class Spending:
    """An invite that may be spent by now. scope: shields the block from Ctrl-C. interrupted: it came meanwhile."""

    scope: trio.CancelScope
    interrupted: trio.Event


@asynccontextmanager
async def seen_through(screen: Screen) -> AsyncGenerator[Spending]:
    """The block goes on to its end also when the command is interrupted, which is explained."""
    interrupted = trio.Event()
    done = trio.Event()

    async def explain() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            if not done.is_set() and scope.shield:
                interrupted.set()
                with trio.CancelScope(shield=True):
                    await screen.note("The invite may be spent by now, so this goes on; Ctrl-C once more ends it.")
            raise

    async with trio.open_nursery() as nursery:
        with trio.CancelScope(shield=True) as scope:
            nursery.start_soon(explain)
            try:
                yield Spending(scope, interrupted)
            finally:
                done.set()
        nursery.cancel_scope.cancel()


async def settle(line: Line) -> replies.Standing:
    """How it stands once the relay was tried."""
    return await ask(line, requests.AskStatus(settle_seconds=SETTLE_SECONDS), replies.Standing)


async def tell(standing: replies.Standing, screen: Screen, done: str) -> None:
    await screen.show(standing, f"{done}: this device is in group {standing.group}, {connection(standing)}.")
    if standing.connection != "connected":
        await screen.note("It is tried again whenever a ferryman process holds this device.")
    if standing.warning:
        await screen.note(f"Warning: {standing.warning}.")
